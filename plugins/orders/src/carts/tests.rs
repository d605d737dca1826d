//! The operations on carts against the store's reference model.

mod commands;
mod lifetime;
mod merging;
mod prices;
mod sums;

use std::sync::atomic::{AtomicU64, Ordering};

use plugin_sdk::{
    Access, Caller, Collection, Context, FieldKind, Filter, Money, Problem, Request, Value,
    export::describe_routes,
    guest_of, json,
    mock::{MockHost, RecordedAnswer, descriptor_faults, request_faults, response_faults},
    pricing::{self, Adjustment, PricingRule},
    shipping::{Parcel, Rate, ShippingRates},
};

use crate::{CARTS, COUPONS, INVENTORY, Orders, PRODUCTS, shop::refused, stock::level_id};

pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Where the mock host's clock starts.
pub(crate) const START_MS: i64 = 1_767_225_600_000;

/// A host with the parts of products and stock that carts look at, and two products: shirts with the SKUs `S` and `M`,
/// of which there are 10 and 0, for 20.00, and cups with the SKU `CUP`, whose stock is not counted, for 5.00.
pub(crate) fn host() -> MockHost {
    let host = MockHost::new::<Orders>();
    host.declare(vec![
        Collection::new(PRODUCTS, "prod")
            .field("status", FieldKind::Text, Access::Index)
            .multi_field("variants.id", FieldKind::Text, Access::Index)
            .multi_field("variants.sku", FieldKind::Text, Access::Unique),
        Collection::new(INVENTORY, "inv").field("available", FieldKind::Integer, Access::Index),
    ]);
    host.put(PRODUCTS, "prod_shirt", &product("Shirt", &[("S", usd(2000)), ("M", usd(2000))]));
    let mut cup = product("Cup", &[("CUP", usd(500))]);
    cup["variants"][0]["trackInventory"] = json!(false);
    host.put(PRODUCTS, "prod_cup", &cup);
    host.put(INVENTORY, &level_id("S"), &json!({"sku": "S", "available": 10}));
    host
}

/// An active product whose variants, with ids like `var_S`, have these SKUs and prices.
pub(crate) fn product(name: &str, variants: &[(&str, Value)]) -> Value {
    let variant = |(sku, prices): &(&str, Value)| {
        json!({
            "id": format!("var_{sku}"), "sku": sku, "prices": prices, "weightGrams": 100,
            "trackInventory": true, "backorder": "deny",
        })
    };
    let variants: Vec<Value> = variants.iter().map(variant).collect();
    json!({"name": name, "status": "active", "taxClass": null, "categoryIds": ["cat_1"], "variants": variants})
}

pub(crate) fn usd(amount: i64) -> Value {
    json!([{"amount": amount, "currency": "USD"}])
}

/// Changes a stored document, as its plugin would.
pub(crate) fn change(host: &MockHost, collection: &str, id: &str, edit: impl FnOnce(&mut Value)) {
    let mut document = host.document(collection, id).unwrap();
    edit(&mut document);
    let mut commit = Context::new(host, b"").commit();
    commit.replace(collection, id, &document);
    commit.apply().unwrap();
}

pub(crate) fn customer(id: &str) -> Caller {
    Caller { kind: "customer".to_owned(), subject: Some(id.to_owned()), ..Caller::default() }
}

pub(crate) fn guest(token: &str) -> Caller {
    let guest = (!token.is_empty()).then(|| guest_of(&[token]));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let new_guest = Some(format!("{:064x}", NEXT.fetch_add(1, Ordering::Relaxed)));
    Caller { kind: "anonymous".to_owned(), guest, new_guest, ..Caller::default() }
}

pub(crate) fn admin() -> Caller {
    let permissions = vec!["*".to_owned()];
    Caller {
        kind: "admin".to_owned(),
        subject: Some("usr_staff".to_owned()),
        permissions,
        ..Caller::default()
    }
}

/// A request with the cart's id, and the further path parameters behind it.
pub(crate) fn request(caller: &Caller, operation: &str, params: &[(&str, &str)], body: &Value) -> Request {
    Request {
        operation_id: operation.to_owned(),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_string().into_bytes(),
        caller: caller.clone(),
        ..Request::default()
    }
}

/// Calls as the host does: the body fits its schema, what meets a version conflict runs again, and the answer is what
/// the route declares.
pub(crate) fn send(host: &MockHost, request: &Request) -> Result<RecordedAnswer, Problem> {
    let operation = request.operation_id.clone();
    if let Ok(body) = serde_json::from_slice::<Value>(&request.body)
        && !body.is_null()
    {
        assert_eq!(request_faults::<Orders>(&operation, &body), Vec::<String>::new());
    }
    let routes = describe_routes::<Orders>().routes;
    let route = routes.iter().find(|route| route.operation_id == operation).unwrap();
    let runs_again = route.attrs.iter().any(|(name, _)| *name == "serialized-by");
    for _ in 0..20 {
        let answer = match host.answered::<Orders>(request.clone()) {
            Err(problem)
                if problem.code == "version_conflict" && request.if_match.is_none() && runs_again =>
            {
                continue;
            }
            answer => answer?,
        };
        if answer.status != 204 {
            let faults = response_faults::<Orders>(&operation, answer.status, &answer.body);
            assert_eq!(faults, Vec::<String>::new(), "{}", answer.body);
        }
        return Ok(answer);
    }
    panic!("`{operation}` conflicts for ever");
}

/// The cart that an operation on the cart `id` answers.
pub(crate) fn on(
    host: &MockHost,
    caller: &Caller,
    operation: &str,
    id: &str,
    body: &Value,
) -> Result<Value, Problem> {
    send(host, &request(caller, operation, &[("id", id)], body)).map(|answer| answer.body)
}

pub(crate) fn on_item(
    host: &MockHost,
    caller: &Caller,
    operation: &str,
    id: &str,
    item: &str,
    body: &Value,
) -> Result<Value, Problem> {
    send(host, &request(caller, operation, &[("id", id), ("itemId", item)], body)).map(|answer| answer.body)
}

/// A new cart with pieces of these SKUs.
#[track_caller]
pub(crate) fn make(host: &MockHost, caller: &Caller, items: &[(&str, u32)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let answer = send(host, &request(caller, "createCart", &[], &json!({"items": items}))).unwrap();
    assert_eq!(answer.status, 201);
    answer.body
}

pub(crate) fn add(
    host: &MockHost,
    caller: &Caller,
    id: &str,
    sku: &str,
    quantity: u32,
) -> Result<Value, Problem> {
    on(host, caller, "addCartItem", id, &json!({"sku": sku, "quantity": quantity}))
}

pub(crate) fn id(cart: &Value) -> &str {
    cart["id"].as_str().unwrap()
}

/// SKUs with quantities, sorted.
pub(crate) fn lines(cart: &Value) -> Vec<(&str, u64)> {
    let items = cart["items"].as_array().unwrap();
    let mut lines: Vec<(&str, u64)> =
        items.iter().map(|it| (it["sku"].as_str().unwrap(), it["quantity"].as_u64().unwrap())).collect();
    lines.sort_unstable();
    lines
}

/// The codes of a cart's problems, sorted.
pub(crate) fn problems(cart: &Value) -> Vec<&str> {
    let told = cart["problems"].as_array().unwrap();
    let mut codes: Vec<&str> = told.iter().map(|it| it["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes
}

pub(crate) fn total(cart: &Value, name: &str) -> i64 {
    cart["totals"][name]["amount"].as_i64().unwrap()
}

#[track_caller]
pub(crate) fn address(country: &str) -> Value {
    json!({"name": "Ada", "line1": "Main St 1", "city": "Portland", "postalCode": "97201", "country": country})
}

pub(crate) fn coupon(host: &MockHost, code: &str, change: &Value) {
    let mut coupon = json!({
        "code": code, "ruleId": "off", "limit": null, "perCustomer": null, "startsAt": null, "endsAt": null, "used": 0,
    });
    for (name, value) in change.as_object().unwrap() {
        coupon[name] = value.clone();
    }
    host.put(COUPONS, &format!("cpn_{code}"), &coupon);
}

/// So many millionths off for who has a coupon for `off`, and tax on everything by what is configured.
pub(crate) struct Rules;

impl PricingRule for Rules {
    const ID: &'static str = "rules";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Rules";

    fn adjust(cart: &pricing::Cart, config: &[u8]) -> Result<Vec<Adjustment>, Problem> {
        let config: Value = serde_json::from_slice(config).unwrap();
        let adjustment = |kind: &str, rate: i64, lines: &[&str], coupon: Option<String>| Adjustment {
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            kind: kind.to_owned(),
            code: kind.to_owned(),
            reason: kind.to_owned(),
            value: pricing::Value::Rate(rate),
            coupon,
        };
        let mut all = Vec::new();
        if let Some(coupon) = cart.coupons.iter().find(|coupon| coupon.rule_id == "off") {
            all.push(adjustment(pricing::kind::DISCOUNT, -100_000, &[], Some(coupon.code.clone())));
        }
        if let Some(rate) = config["tax"].as_i64() {
            all.push(adjustment(pricing::kind::TAX, rate, &[], None));
        }
        Ok(all)
    }
}

/// Never answers.
pub(crate) struct Broken;

impl PricingRule for Broken {
    const ID: &'static str = "broken";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Broken";

    fn adjust(_: &pricing::Cart, _: &[u8]) -> Result<Vec<Adjustment>, Problem> {
        Err(Problem::new(502, "plugin_failed").detail("It trapped."))
    }
}

/// `standard` for 3.00 and a cent for each piece, to the USA or where it is not known yet.
pub(crate) struct Rates;

impl ShippingRates for Rates {
    const ID: &'static str = "rates";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Rates";

    fn options(_: &Context<'_>, parcel: &Parcel) -> Result<Vec<Rate>, Problem> {
        if parcel.country.as_ref().is_some_and(|country| country != "US") {
            return Ok(Vec::new());
        }
        let amount = 300 + i64::try_from(parcel.quantity).unwrap();
        let price = Money::new(amount, parcel.currency.clone());
        Ok(vec![Rate { code: "standard".to_owned(), name: "Standard".to_owned(), price }])
    }
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Orders>(), Vec::<String>::new());
}

/// How many carts there are.
pub(crate) fn count(host: &MockHost) -> u64 {
    Context::new(host, b"").count(CARTS, &Filter::all()).unwrap()
}
