//! The access matrix: every operation of the served document, tried as every kind of caller.
//!
//! What comes out is compared with `tests/access-matrix.md`, which people read: a new operation, or one that answers
//! somebody else than before, shows as a difference there. Requests are good as far as access goes and change nothing
//! that a later one needs: changes expect a version that no document has.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, sync::Mutex};

use host::identity::AccountKind;
use hyper::Method;
use platform_tests::{
    checkout::Shopper,
    client::{Answer, Client},
    host::{TestHost, TestHostBuilder},
    images::png,
    shop::{category, id, product, stock},
};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, login};

const FILE: &str = "access-matrix.md";
/// Set to write the file anew.
const ACCEPT: &str = "WARES_ACCEPT_GOLDEN";
const HEAD: &str = "\
# Who may call what

Written by a test, which tries every operation of the API document as each of these callers:
`WARES_ACCEPT_GOLDEN=1 cargo xtask test -E 'test(/matrix::embedded/)'` writes it anew. Review what changes.

- `yes`: the caller is let in.
- `401`: no token, or one that does not count any more. `403`: not with these rights.
- `404`: not this caller's to know of.

What belongs to somebody is *Ada's*: she is the customer, and *other* is another one.
The key has `products:read` and `users:read`. The disabled account was a superadmin's.
";

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    every_operation_answers_each_caller_as_the_file_says,
);

pub(super) fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().configure(|config| {
        config.rate_limits.auth_per_minute = 0;
        config.rate_limits.write_per_minute = 0;
        config.rate_limits.read_per_minute = 0;
    })
}

/// Kinds of callers, in the order of the columns.
const CALLERS: [&str; 12] = [
    "anonymous",
    "customer",
    "other",
    "no role",
    "superadmin",
    "catalog-manager",
    "stock-manager",
    "order-manager",
    "support",
    "operator",
    "disabled",
    "key",
];

/// What there is to be asked for.
pub(super) struct World {
    pub(super) host: TestHost,
    pub(super) admin: Client,
    product: Value,
    order: Value,
    coupon: Value,
    /// The one that was made last.
    cart: Mutex<Option<Value>>,
    /// The customer.
    shopper: Client,
    category: Value,
    ada: Value,
    address: Value,
    role: Value,
    disabled: Client,
    key: Client,
}

fn email(caller: &str) -> String {
    format!("{}@example.com", caller.replace(' ', "-"))
}

impl World {
    pub(super) async fn new(mut host: TestHost) -> Self {
        let admin = host.admin().await;
        let category = admin.post("/categories", &category("Cups")).await.expect(201);
        let product = admin.post("/products", &product("Cup", "CUP-1")).await.expect(201);
        stock(&admin, "CUP-1", 5).await.expect(200);
        let role = json!({"name": "Role", "permissions": []});
        let role = admin.post("/roles", &role).await.expect(201);
        for (caller, roles) in [
            ("no role", &[][..]),
            ("superadmin", &["superadmin"]),
            ("catalog-manager", &["catalog-manager"]),
            ("stock-manager", &["stock-manager"]),
            ("order-manager", &["order-manager"]),
            ("support", &["support"]),
            ("operator", &["operator"]),
            ("disabled", &["superadmin"]),
        ] {
            account(&host, AccountKind::Admin, &email(caller), roles).await;
        }
        let ada = account(&host, AccountKind::Customer, &email("customer"), &[]).await;
        account(&host, AccountKind::Customer, &email("other"), &[]).await;
        let disabled = client(&host, &login(&host, "admin", &email("disabled"), PASSWORD).await.expect(200));
        let id = disabled.get("/auth/me").await.expect(200)["user"]["id"].as_str().unwrap().to_owned();
        admin.patch(&format!("/users/{id}"), &json!({"status": "disabled"})).await.expect(200);
        let key = json!({"name": "Key", "permissions": ["products:read", "users:read"]});
        let key = admin.post("/api-keys", &key).await.expect(201);
        let key = host.with_token(key["key"].as_str().unwrap());
        let shopper =
            client(&host, &login(&host, "customer", &email("customer"), PASSWORD).await.expect(200));
        let mut world = Self {
            address: Value::Null,
            order: Value::Null,
            coupon: Value::Null,
            cart: Mutex::default(),
            shopper,
            ada: json!(ada),
            host,
            admin,
            product,
            category,
            role,
            disabled,
            key,
        };
        let address =
            json!({"name": "Ada", "line1": "1", "city": "Kiel", "postalCode": "24103", "country": "DE"});
        world.address =
            world.client("customer").await.post("/users/me/addresses", &address).await.expect(201);
        world.order = world.sent_order().await;
        world.coupon = world.coupon().await;
        world.cart().await;
        world
    }

    /// An order of the customer's that is sent and of which something comes back.
    async fn sent_order(&self) -> Value {
        let shopper = Shopper::with(self.shopper.clone(), &[("CUP-1", 1)]).await;
        let order = shopper.checkout("order-1", &shopper.order("tok_approve")).await.expect(201);
        let path = format!("/orders/{}", id(&order));
        let parcel = self.admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
        self.admin.post(&format!("/fulfillments/{}/ship", id(&parcel)), &json!({})).await.expect(200);
        let line = json!({"itemId": order["items"][0]["id"], "quantity": 1, "reason": "chipped"});
        self.admin.post(&format!("{path}/returns"), &json!({"lines": [line]})).await.expect(201);
        self.admin.get(&path).await.expect(200)
    }

    /// The customer's cart, with something in it. Nothing is written where there is one.
    async fn cart(&self) -> Value {
        let mut shopper = self.shopper.clone();
        if shopper.get("/auth/me").await.status == 401 {
            // The session has been ended.
            shopper = self.client("customer").await;
        }
        let known = self.cart.lock().unwrap().clone();
        if let Some(known) = &known {
            let cart = shopper.get(&format!("/carts/{}", id(known))).await;
            if cart.status.is_success() && cart.json()["items"][0].is_object() {
                return cart.json();
            }
        }
        let body = json!({"items": [{"sku": "CUP-1", "quantity": 1}]});
        let cart = shopper.post("/carts", &body).await.json();
        *self.cart.lock().unwrap() = Some(cart.clone());
        cart
    }

    async fn coupon(&self) -> Value {
        let code = self.host.app.store().id_new("cpn").to_uppercase();
        self.admin.post("/coupons", &json!({"code": code, "ruleId": "welcome"})).await.expect(201)
    }

    /// A client with a session of its own.
    pub(super) async fn client(&self, caller: &str) -> Client {
        let flow = match caller {
            "anonymous" => return self.host.anonymous(),
            "disabled" => return self.disabled.clone(),
            "key" => return self.key.clone(),
            "customer" | "other" => "customer",
            _ => "admin",
        };
        client(&self.host, &login(&self.host, flow, &email(caller), PASSWORD).await.expect(200))
    }

    /// The path of something that there is, for an operation and who calls it.
    pub(super) async fn path(&self, template: &str, method: &str, caller: &Client) -> String {
        let filled = match template {
            "/api-keys/{id}" => {
                let key = json!({"name": "Passing", "permissions": ["products:read"]});
                template.replace("{id}", id(&self.admin.post("/api-keys", &key).await.expect(201)))
            }
            "/media/{id}" => {
                let upload = self.admin.request(Method::POST, "/media");
                let upload = upload.form(&[("file", Some("image/png"), &png(2, 3, 80))]);
                template.replace("{id}", id(&self.admin.send(upload).await.expect(201)))
            }
            "/coupons/{id}" if method == "DELETE" => template.replace("{id}", id(&self.coupon().await)),
            "/auth/sessions/{id}" => {
                let sessions = caller.get("/auth/sessions").await.json();
                template.replace("{id}", sessions[0]["id"].as_str().unwrap_or("ses_none"))
            }
            _ if template.starts_with("/carts/") => {
                let cart = self.cart().await;
                template
                    .replace("{id}", id(&cart))
                    .replace("{itemId}", id(&cart["items"][0]))
                    .replace("{code}", "WELCOME")
            }
            _ => {
                let subject = match template.split('/').nth(1).unwrap_or_default() {
                    "products" => &self.product,
                    "categories" => &self.category,
                    "roles" => &self.role,
                    "users" => &self.ada,
                    "coupons" => &self.coupon,
                    "orders" => &self.order,
                    "payments" => &self.order["payments"][0],
                    "fulfillments" => &self.order["fulfillments"][0],
                    "returns" => &self.order["returns"][0],
                    "plugins" => &json!({"id": "pricing-promotions"}),
                    _ => &Value::Null,
                };
                let member = |name: &str| subject[name].as_str().unwrap_or("{nothing}").to_owned();
                template
                    .replace("{id}", &member("id"))
                    .replace("{slug}", &member("slug"))
                    .replace("{number}", &member("number"))
                    .replace("{provider}", "payment-sandbox")
                    .replace("{sku}", "CUP-1")
                    .replace("{addressId}", id(&self.address))
                    .replace("{variantId}", self.product["variants"][0]["id"].as_str().unwrap())
            }
        };
        assert!(!filled.contains('{'), "say in this test what `{method} {template}` is to be asked for");
        filled
    }
}

/// An operation of the document.
pub(super) struct Operation<'d> {
    pub(super) method: String,
    pub(super) path: &'d str,
    described: &'d Value,
}

pub(super) fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                all.push(Operation { method: method.to_uppercase(), path, described });
            }
        }
    }
    all
}

impl<'d> Operation<'d> {
    /// The schema of the body and an example.
    pub(super) fn body(&self) -> Option<(&'d Value, &'d Value)> {
        let content = self.described["requestBody"]["content"].as_object()?;
        let json = content.iter().find(|(media_type, _)| media_type.ends_with("json"))?.1;
        Some((&json["schema"], &json["example"]))
    }

    /// Calls it with a body, and with a precondition that no document meets where it changes one.
    pub(super) async fn call(
        &self,
        world: &World,
        client: &Client,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Answer {
        let mut path = world.path(self.path, &self.method, client).await;
        if self.path == "/products/facets" {
            path += "?facets=price";
        }
        let mut draft = client.request(self.method.parse().unwrap(), &path);
        if self.method == "POST" {
            draft = draft.header(
                "idempotency-key",
                &format!("{}-at-least-128-bits", world.host.app.store().id_new("key")),
            );
        } else if let Some(version) = if_match {
            draft = draft.header("if-match", version);
        }
        client
            .send(match body {
                Some(body) => draft.json(body),
                None => draft,
            })
            .await
    }
}

fn cell(answer: &Answer) -> &'static str {
    let code = if answer.status.is_success() { String::new() } else { answer.json()["code"].to_string() };
    match code.trim_matches('"') {
        "unauthenticated" | "token_revoked" => "401",
        "forbidden" => "403",
        "not_found" => "404",
        "internal" | "plugin_failed" => panic!("{}", answer.text()),
        _ => "yes",
    }
}

async fn every_operation_answers_each_caller_as_the_file_says(host: TestHost) {
    let document = host.anonymous().get("//openapi.json").await.expect(200);
    let world = World::new(host).await;
    let mut clients = BTreeMap::new();
    for caller in CALLERS {
        clients.insert(caller, world.client(caller).await);
    }
    let mut text =
        format!("{HEAD}\n| Operation | {} |\n|---|{}\n", CALLERS.join(" | "), "---|".repeat(CALLERS.len()));
    for operation in operations(&document) {
        write!(text, "| `{} {}` |", operation.method, operation.path).unwrap();
        for caller in CALLERS {
            // Some end the session that they are called with, or all of the account's.
            let own = match operation.path.starts_with("/auth") && operation.method != "GET" {
                true => world.client(caller).await,
                false => clients[caller].clone(),
            };
            let example = operation.body().map(|(_, example)| example);
            let answer = operation.call(&world, &own, example, Some("\"4242\"")).await;
            write!(text, " {} |", cell(&answer)).unwrap();
            if operation.path.starts_with("/auth/sessions") && operation.method == "DELETE" {
                clients.insert(caller, world.client(caller).await);
            }
        }
        text.push('\n');
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os(ACCEPT).is_some() {
        fs::write(&path, &text).unwrap();
    }
    let accepted = fs::read_to_string(&path).unwrap_or_default();
    let differences: Vec<&str> =
        text.lines().filter(|line| !accepted.lines().any(|known| known == *line)).collect();
    assert!(text == accepted, "tests/{FILE} says something else than:\n{}", differences.join("\n"));
}
