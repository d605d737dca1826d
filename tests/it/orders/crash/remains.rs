//! What must not be left half done once everything that waits has waited long enough.

use std::collections::BTreeMap;

use host::store::Store;
use platform_tests::{
    host::TestHost,
    shop::{documents, documents_of},
};
use serde_json::Value;

/// The orders that the reconciler should look after now.
pub(super) async fn due(host: &TestHost) -> Vec<String> {
    let now = host.app.store().clock().timestamp();
    let orders = documents(host, "orders").await.into_iter();
    orders
        .filter(|(_, order)| order["_dueAt"].as_str().is_some_and(|due| due <= now.as_str()))
        .map(|(id, _)| id)
        .collect()
}

/// The orders of which something is not decided.
pub(super) async fn open(host: &TestHost) -> Vec<Value> {
    let is_open = |order: &Value| {
        let is_asked = order["_operations"].as_object().is_some_and(|operations| !operations.is_empty());
        order["status"] == "pending" || is_asked
    };
    documents(host, "orders").await.into_values().filter(is_open).collect()
}

/// What contradicts what, a sentence each.
pub(super) async fn faults(host: &TestHost) -> Vec<String> {
    let mut faults = Vec::new();
    let orders = documents(host, "orders").await;
    let reservations = documents(host, "reservations").await;
    for (id, order) in &orders {
        if order["status"] == "pending" || !order["_dueAt"].is_null() {
            faults.push(format!("order {id} is {} and due at {}", order["status"], order["_dueAt"]));
        }
        if !reservations.contains_key(&text(&order["_reservationId"])) {
            faults.push(format!("order {id} has no reservation"));
        }
        let open =
            transactions(order).filter(|(_, it)| ["pending", "unknown"].contains(&&*text(&it["state"])));
        faults.extend(open.map(|(_, it)| format!("order {id} has open {it}")));
        if order["status"] == "confirmed"
            && number(&order["totals"]["grand"]["amount"]) > succeeded(order, "authorization")
        {
            faults.push(format!("order {id} is confirmed and not authorised: {}", order["payments"]));
        }
    }
    carts(&documents(host, "carts").await, &orders, &mut faults);
    charges(&documents(host, "sandbox_charges").await, &orders, &mut faults);
    faults.extend(keys(host.app.store(), &orders).await);
    faults
}

fn carts(carts: &BTreeMap<String, Value>, orders: &BTreeMap<String, Value>, faults: &mut Vec<String>) {
    for (id, cart) in carts {
        let has_order = orders.contains_key(&text(&cart["orderId"]));
        let is_right = match &*text(&cart["status"]) {
            "active" => cart["orderId"].is_null(),
            "ordered" => has_order,
            _ => false,
        };
        if !is_right {
            faults.push(format!("cart {id} is {} for the order {}", cart["status"], cart["orderId"]));
        }
    }
    for (id, order) in orders {
        let Some(cart) = order["cartId"].as_str().and_then(|cart| carts.get(cart)) else { continue };
        let was_paid = succeeded(order, "authorization") > 0 && order["status"] != "expired";
        if was_paid && cart["orderId"] != **id {
            faults.push(format!(
                "order {id} was paid and its cart is {} for {}",
                cart["status"], cart["orderId"]
            ));
        }
    }
}

/// What the provider knows is what the orders know, and nobody is charged twice.
fn charges(charges: &BTreeMap<String, Value>, orders: &BTreeMap<String, Value>, faults: &mut Vec<String>) {
    let mut by_payment: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for charge in charges.values() {
        by_payment.entry(text(&charge["paymentId"])).or_default().push(charge);
    }
    for (payment, charges) in &by_payment {
        if charges.len() > 1 {
            faults.push(format!("payment {payment} was charged {} times: {charges:?}", charges.len()));
        }
        if !orders.contains_key(&text(&charges[0]["orderId"])) {
            faults.push(format!("a charge is of no order: {}", charges[0]));
        }
    }
    for (id, order) in orders {
        for payment in order["payments"].as_array().into_iter().flatten() {
            let known = |kind: &str| -> i64 {
                let all = payment["transactions"].as_array().into_iter().flatten();
                let done = all.filter(|it| it["type"] == kind && it["state"] == "succeeded");
                done.map(|it| number(&it["amount"]["amount"])).sum()
            };
            let charge = by_payment.get(&text(&payment["id"])).map(|charges| charges[0]);
            let made = charge.filter(|charge| charge["status"] == "authorized");
            let of = |member: &str| made.map_or(0, |charge| number(&charge[member]));
            let told = [of("authorized"), of("captured"), of("refunded"), of("voided")];
            let mut ledger = ["authorization", "capture", "refund", "void"].map(known);
            // What was never authorised is voided without an amount.
            if made.is_none() {
                ledger[3] = 0;
            }
            if told != ledger {
                faults.push(format!("order {id}: the provider has {told:?}, its ledger {ledger:?}"));
            }
            let is_over = ["cancelled", "expired"].contains(&&*text(&order["status"]));
            let [authorized, captured, refunded, voided] = told;
            if is_over && (authorized - captured - voided != 0 || captured != refunded) {
                faults.push(format!("order {id} is over, and its money is with the provider: {told:?}"));
            }
            let waits =
                charge.is_some_and(|it| ["requiresAction", "pending"].contains(&&*text(&it["status"])));
            if is_over && waits {
                faults.push(format!("order {id} is over, and can be paid for yet"));
            }
        }
    }
}

/// The record of the request that made an order, which its key begins with.
pub(super) fn record_of(order: &Value) -> Option<&str> {
    Some(order["_requestKey"].as_str()?.split_once('-')?.0)
}

/// Every answer that is kept for a key is of an order that is there, of that key, and no key has two.
pub(super) async fn keys(store: &Store, orders: &BTreeMap<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, record) in documents_of(store, "_idempotency").await {
        let id = text(&record["body"]["id"]);
        if record["state"] == "answered" && record["status"] != 200 && id.starts_with("ord_") {
            match orders.get(&id) {
                Some(order) if record_of(order) == Some(key.as_str()) => {}
                other => faults.push(format!("the key {key} answers {id}, which is {other:?}")),
            }
        }
    }
    let mut of_key: BTreeMap<String, &str> = BTreeMap::new();
    for (id, order) in orders {
        if let Some(other) = order["_requestKey"].as_str().and_then(|key| of_key.insert(key.to_owned(), id)) {
            faults.push(format!("orders {id} and {other} are of one request"));
        }
    }
    faults
}

fn transactions(order: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let payments = order["payments"].as_array().into_iter().flatten();
    payments.flat_map(|payment| {
        payment["transactions"].as_array().into_iter().flatten().map(move |it| (payment, it))
    })
}

fn succeeded(order: &Value, kind: &str) -> i64 {
    let done = transactions(order).filter(|(_, it)| it["type"] == kind && it["state"] == "succeeded");
    done.map(|(_, it)| number(&it["amount"]["amount"])).sum()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}
