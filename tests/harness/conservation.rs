//! What must be true of stock and money at any moment in which nothing is under way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{host::TestHost, shop::documents};

/// Asserts that no unit and no cent was lost or made: movements give the levels, reservations what is reserved, ledgers
/// the totals, and coupons know who uses them.
///
/// # Panics
/// What does not add up.
#[track_caller]
pub fn check(host: &TestHost) -> impl Future<Output = ()> + '_ {
    let caller = std::panic::Location::caller();
    async move {
        let faults = faults(host).await;
        assert!(faults.is_empty(), "{caller}: {faults:#?}");
    }
}

/// What does not add up, a sentence each.
pub async fn faults(host: &TestHost) -> Vec<String> {
    let mut faults = Vec::new();
    let orders = documents(host, "orders").await;
    let reservations = documents(host, "reservations").await;
    let movements = documents(host, "inventory_movements").await;
    let levels = documents(host, "inventory").await;
    let counted: BTreeSet<String> = levels.values().map(|level| text(&level["sku"])).collect();
    stock(&levels, &movements, &orders, &reservations, &mut faults);
    for (id, order) in &orders {
        pieces(id, order, &reservations, &movements, &counted, &mut faults);
        money(id, order, &mut faults);
        let state =
            order["_reservationId"].as_str().and_then(|id| reservations.get(id)).map(|it| &it["state"]);
        let status = order["status"].as_str().unwrap_or_default();
        let wanted: &[&str] = match status {
            "pending" => &["held"],
            "cancelled" | "expired" => &["released"],
            _ => &["committed", "consumed"],
        };
        if let Some(state) = state.and_then(Value::as_str).filter(|state| !wanted.contains(state)) {
            faults.push(format!("order {id} is {status} and its reservation {state}"));
        }
    }
    coupons(host, &orders, &mut faults).await;
    for (id, order) in orders.iter().filter(|(_, order)| order["_imported"].is_null()) {
        match host.app.order_replay(id).await {
            Ok(replayed) if replayed.same => {}
            Ok(replayed) => faults.push(format!("order {id} is priced otherwise again: {replayed:?}")),
            Err(error) => {
                faults.push(format!("order {id} cannot be priced again: {error}; {}", order["_replay"]))
            }
        }
    }
    faults
}

fn stock(
    levels: &BTreeMap<String, Value>,
    movements: &BTreeMap<String, Value>,
    orders: &BTreeMap<String, Value>,
    reservations: &BTreeMap<String, Value>,
    faults: &mut Vec<String>,
) {
    let mut moved: BTreeMap<String, i64> = BTreeMap::new();
    for movement in movements.values() {
        *moved.entry(text(&movement["sku"])).or_default() += number(&movement["delta"]);
    }
    let mut reserved: BTreeMap<String, i64> = BTreeMap::new();
    for (id, reservation) in reservations {
        if !orders.contains_key(&text(&reservation["orderId"])) {
            faults.push(format!("reservation {id} is of no order"));
        }
        if ["held", "committed"].contains(&reservation["state"].as_str().unwrap_or_default()) {
            for item in reservation["items"].as_array().into_iter().flatten() {
                *reserved.entry(text(&item["sku"])).or_default() += number(&item["quantity"]);
            }
        }
    }
    let of_none = |sku: &&String| !levels.values().any(|level| text(&level["sku"]) == **sku);
    for sku in moved.keys().chain(reserved.keys()).filter(of_none) {
        faults.push(format!("{sku} has no level, and movements or reservations"));
    }
    for level in levels.values() {
        let sku = text(&level["sku"]);
        let [on_hand, held, safety, available] =
            ["onHand", "reserved", "safetyStock", "available"].map(|name| number(&level[name]));
        if on_hand != moved.get(&sku).copied().unwrap_or_default() {
            faults.push(format!("{sku} has {on_hand} on hand, and movements of {:?}", moved.get(&sku)));
        }
        if held != reserved.get(&sku).copied().unwrap_or_default() {
            faults.push(format!("{sku} has {held} reserved, and reservations of {:?}", reserved.get(&sku)));
        }
        if available != on_hand - held - safety || held < 0 || on_hand < 0 {
            faults.push(format!("{sku}: {level}"));
        }
    }
}

/// What an order holds is what it has not sent, and what has left for it is what was sent and did not come back. Of SKUs
/// that nobody counts there is neither.
fn pieces(
    id: &str,
    order: &Value,
    reservations: &BTreeMap<String, Value>,
    movements: &BTreeMap<String, Value>,
    counted: &BTreeSet<String>,
    faults: &mut Vec<String>,
) {
    // What was imported was sent from elsewhere.
    if !order["_imported"].is_null() {
        return;
    }
    let skus: BTreeMap<String, String> =
        lines(order).map(|line| (text(&line["id"]), text(&line["sku"]))).collect();
    let of = |parts: &Value, states: &[&str]| {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        let parts = parts.as_array().into_iter().flatten();
        let parts = parts.filter(|part| states.contains(&part["status"].as_str().unwrap_or_default()));
        for line in parts.flat_map(|part| part["lines"].as_array().into_iter().flatten()) {
            let sku = skus.get(&text(&line["itemId"])).cloned().unwrap_or_default();
            *sums.entry(sku).or_default() += number(&line["quantity"]);
        }
        sums
    };
    let sent = of(&order["fulfillments"], &["shipped", "delivered"]);
    let back = of(&order["returns"], &["received"]);
    let mut ordered: BTreeMap<String, i64> = BTreeMap::new();
    for line in lines(order) {
        *ordered.entry(text(&line["sku"])).or_default() += number(&line["quantity"]);
    }
    let reservation = order["_reservationId"].as_str().and_then(|id| reservations.get(id));
    let is_over = ["cancelled", "expired"].contains(&order["status"].as_str().unwrap_or_default());
    for (sku, quantity) in ordered.iter().filter(|(sku, _)| counted.contains(*sku)) {
        let [sent, back] = [&sent, &back].map(|sums| sums.get(sku).copied().unwrap_or_default());
        let left: i64 = movements
            .values()
            .filter(|it| it["reference"] == order["number"] && text(&it["sku"]) == *sku)
            .map(|it| -number(&it["delta"]))
            .sum();
        if left != sent - back {
            faults
                .push(format!("order {id}: {left} of {sku} have left, {sent} were sent and {back} are back"));
        }
        let held: i64 = reservation.map_or(0, |it| {
            let items = it["items"].as_array().into_iter().flatten();
            items.filter(|item| text(&item["sku"]) == *sku).map(|item| number(&item["quantity"])).sum()
        });
        if !is_over && reservation.is_some() && held != quantity - sent {
            faults.push(format!("order {id}: it holds {held} of {sku}, of {quantity} it has sent {sent}"));
        }
    }
}

fn money(id: &str, order: &Value, faults: &mut Vec<String>) {
    let totals = &order["totals"];
    let total = |name: &str| number(&totals[name]["amount"]);
    let grand: i64 = ["items", "discount", "surcharge", "shipping", "tax"].map(total).iter().sum();
    if grand != total("grand") || total("grand") < 0 {
        faults.push(format!("order {id}: its parts come to {grand} and not to {}", total("grand")));
    }
    let items: i64 =
        lines(order).map(|line| number(&line["unitPrice"]["amount"]) * number(&line["quantity"])).sum();
    if items != total("items") {
        faults.push(format!("order {id}: its lines come to {items} and not to {}", total("items")));
    }
    // What was imported has no adjustments.
    if order["_imported"].is_null() {
        adjustments(id, order, faults);
    }
    for line in lines(order) {
        let adjusted: i64 = line["adjustments"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| ["discount", "surcharge"].contains(&it["kind"].as_str().unwrap_or_default()))
            .map(|it| number(&it["amount"]["amount"]))
            .sum();
        let sum = number(&line["unitPrice"]["amount"]) * number(&line["quantity"]) + adjusted;
        if sum != number(&line["total"]["amount"]) || sum < 0 {
            faults.push(format!("order {id}: line {} comes to {sum}", line["id"]));
        }
    }
    let (mut captured, mut refunded, mut credited) = (0, 0, 0);
    for payment in order["payments"].as_array().into_iter().flatten() {
        let sum = |kind: &str, state: &str| -> i64 {
            let all = payment["transactions"].as_array().into_iter().flatten();
            all.filter(|it| it["type"] == kind && it["state"] == state)
                .map(|it| number(&it["amount"]["amount"]))
                .sum()
        };
        let [authorized, taken, back] =
            ["authorization", "capture", "refund"].map(|kind| sum(kind, "succeeded"));
        let promised =
            if payment["offline"] == true { number(&payment["amount"]["amount"]) } else { authorized };
        if taken > promised || back > taken || authorized > number(&payment["amount"]["amount"]) {
            faults.push(format!("order {id}: {payment}"));
        }
        captured += taken;
        refunded += back;
        credited += payment["transactions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["type"] == "refund" && it["state"] == "succeeded" && it["credit"] == true)
            .map(|it| number(&it["amount"]["amount"]))
            .sum::<i64>();
    }
    let over = ["cancelled", "expired"].contains(&order["status"].as_str().unwrap_or_default());
    let due = if over { 0 } else { total("grand") - credited - (captured - refunded) };
    let told = [total("paid"), total("refunded"), total("credited"), total("due")];
    if told != [captured, refunded, credited, due] {
        faults.push(format!(
            "order {id}: its ledger gives {:?}, {told:?} is told",
            [captured, refunded, credited, due]
        ));
    }
}

/// The adjustments of an order give its totals, have the signs of their kinds, and all of it is in one currency.
fn adjustments(id: &str, order: &Value, faults: &mut Vec<String>) {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let own = order["adjustments"].as_array().into_iter().flatten();
    for it in lines(order).filter_map(|line| line["adjustments"].as_array()).flatten().chain(own) {
        let (kind, amount) = (text(&it["kind"]), number(&it["amount"]["amount"]));
        let fits = match kind.as_str() {
            "discount" => amount <= 0,
            // The price of an option, and what rules change of it.
            "shipping" => true,
            _ => amount >= 0,
        };
        if !fits || text(&it["digest"]).len() != 64 || text(&it["configDigest"]).len() != 64 {
            faults.push(format!("order {id}: {it}"));
        }
        *sums.entry(kind).or_default() += amount;
    }
    for (kind, name) in [
        ("discount", "discount"),
        ("surcharge", "surcharge"),
        ("shipping", "shipping"),
        ("tax", "tax"),
        ("tax_included", "taxIncluded"),
    ] {
        let (sum, told) = (sums.remove(kind).unwrap_or_default(), number(&order["totals"][name]["amount"]));
        if sum != told || (kind == "shipping" && sum < 0) {
            faults.push(format!("order {id}: its adjustments come to a {name} of {sum} and not of {told}"));
        }
    }
    if !sums.is_empty() {
        faults.push(format!("order {id}: adjustments of other kinds: {sums:?}"));
    }
    for money in ["items", "totals", "payments", "adjustments", "shippingMethod"] {
        foreign(id, &order[money], &order["currency"], faults);
    }
}

/// Looks for money in another currency.
fn foreign(id: &str, value: &Value, currency: &Value, faults: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let is_money = members.contains_key("amount") && members.contains_key("currency");
            if is_money && members["currency"] != *currency {
                faults.push(format!("order {id} is in {currency}, and has {value}"));
            }
            members.values().for_each(|it| foreign(id, it, currency, faults));
        }
        Value::Array(elements) => elements.iter().for_each(|it| foreign(id, it, currency, faults)),
        _ => {}
    }
}

async fn coupons(host: &TestHost, orders: &BTreeMap<String, Value>, faults: &mut Vec<String>) {
    let mut used: BTreeMap<String, i64> = BTreeMap::new();
    for order in
        orders.values().filter(|order| order["status"] != "cancelled" && order["status"] != "expired")
    {
        for what in ["coupons", "uses"] {
            for id in order["_coupons"][what].as_array().into_iter().flatten() {
                *used.entry(text(id)).or_default() += 1;
            }
        }
    }
    for (id, by_customer) in &documents(host, "coupon_uses").await {
        let uses = used.get(id).copied().unwrap_or_default();
        if number(&by_customer["used"]) != uses {
            faults.push(format!("{by_customer} says how often, and {uses} orders have it"));
        }
    }
    for (id, coupon) in &documents(host, "coupons").await {
        let uses = used.get(id).copied().unwrap_or_default();
        if number(&coupon["used"]) != uses {
            faults.push(format!(
                "coupon {} says {} uses, and {uses} orders have it",
                coupon["code"], coupon["used"]
            ));
        }
    }
}

fn lines(order: &Value) -> impl Iterator<Item = &Value> {
    order["items"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}
