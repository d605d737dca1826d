//! Short ways to fill carts and order them.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, Draft},
    shop::{id, product, stock},
};

/// An active product with so many pieces of its SKU.
pub async fn sell(admin: &Client, sku: &str, pieces: i64) {
    admin.post("/products", &product(&format!("Thing {sku}"), sku)).await.expect(201);
    if pieces > 0 {
        stock(admin, sku, pieces).await.expect(200);
    }
}

/// A cart and who has it: a guest with a token, or a customer.
#[derive(Clone)]
pub struct Shopper {
    pub client: Client,
    pub cart: String,
    token: Option<String>,
}

/// What the shipped configuration takes for sending an order, in cents.
pub const SHIPPING: i64 = 490;

/// So many cents.
pub fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// What an order is now.
pub async fn read_order(admin: &Client, order: &Value) -> Value {
    admin.get(&format!("/orders/{}", id(order))).await.expect(200)
}

/// Where things are sent in tests.
pub fn address() -> Value {
    json!({"name": "Ada", "line1": "Main Street 1", "city": "Springfield", "postalCode": "12345", "country": "US"})
}

impl Shopper {
    /// Makes a cart with these pieces, addresses and, where there is one, the first shipping option.
    pub async fn with(client: Client, items: &[(&str, u32)]) -> Self {
        let items: Vec<Value> =
            items.iter().map(|(sku, count)| json!({"sku": sku, "quantity": count})).collect();
        let answer = client.post("/carts", &json!({ "items": items })).await;
        let cart = answer.json();
        assert!([200, 201].contains(&answer.status.as_u16()), "{cart}");
        let token = cart["cartToken"].as_str().map(str::to_owned);
        let shopper = Self { client, cart: id(&cart).to_owned(), token };
        let addresses = json!({ "shippingAddress": address() });
        shopper.send(Method::PUT, "/addresses", &addresses).await.expect(200);
        let options = shopper.send(Method::GET, "/shipping-options", &Value::Null).await.expect(200);
        if let Some(option) = options.as_array().and_then(|options| options.first()) {
            let choice = json!({ "shippingMethod": id(option) });
            shopper.send(Method::PUT, "/shipping", &choice).await.expect(200);
        }
        shopper
    }

    /// The same with the same cart, at another host.
    pub fn moved_to(&self, origin: &str) -> Self {
        Self { client: self.client.moved_to(origin), ..self.clone() }
    }

    /// A request about the cart.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let draft = self.draft(method, &format!("/carts/{}{path}", self.cart));
        self.client.send(if body.is_null() { draft } else { draft.json(body) }).await
    }

    /// A request with what proves that the cart is theirs.
    pub fn draft(&self, method: Method, path: &str) -> Draft {
        let draft = self.client.request(method, path);
        match &self.token {
            Some(token) => draft.header("x-cart-token", token),
            None => draft,
        }
    }

    /// What proves that the cart is a guest's.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub async fn quote(&self) -> Value {
        self.send(Method::POST, "/quote", &json!({})).await.expect(201)
    }

    /// The body of an order that is paid by the sandbox.
    pub fn order(&self, token: &str) -> Value {
        json!({
            "cartId": self.cart,
            "email": "ada@example.com",
            "payment": {"provider": "payment-sandbox", "token": token},
        })
    }

    /// Orders the cart under a key.
    pub async fn checkout(&self, key: &str, body: &Value) -> Answer {
        self.client.send(self.draft(Method::POST, "/orders").header("idempotency-key", key).json(body)).await
    }
}

/// A POST under an idempotency key.
pub async fn post_with_key(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.send(client.request(Method::POST, path).header("idempotency-key", key).json(body)).await
}

/// The body of an order that the staff makes of these pieces, paid by the sandbox at once.
pub fn items_order(items: &[(&str, u32)]) -> Value {
    let items: Vec<Value> = items.iter().map(|(sku, count)| json!({"sku": sku, "quantity": count})).collect();
    json!({
        "items": items,
        "email": "ada@example.com",
        "currency": "USD",
        "shippingAddress": address(),
        "shippingMethod": "shipping-flat:standard",
        "payment": {"provider": "payment-sandbox", "token": "tok_approve"},
    })
}

/// A key that nobody guesses, so that guests may use it too.
pub fn key(what: &str) -> String {
    format!("{what}-with-a-key-of-many-letters")
}
