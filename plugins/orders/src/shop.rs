//! A shop for tests: a host with stock and orders, and what has to hold in it whatever is done.

use std::collections::BTreeMap;

use plugin_sdk::{
    Access, Caller, Collection, Context, FieldKind, Money, Problem, Request, Value, json,
    mock::{MockHost, RecordedAnswer, response_faults},
};

use crate::{
    INVENTORY, MOVEMENTS, ORDERS, Orders, PRODUCTS, RESERVATIONS, ledger,
    model::{
        CountedCoupons, Fulfillment, FulfillmentLine, FulfillmentState, FulfillmentStatus, Order, OrderItem,
        OrderStatus, Payment, PaymentStatus, ReservationState, ReservedItem, ReturnStatus, StoredOrder,
        StoredReservation, Totals, Transaction, TransactionState, TransactionType,
    },
    stock,
};

/// The clock of a new host.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
pub(crate) const ADA: &str = "usr_ada";

pub(crate) struct Shop {
    pub(crate) host: MockHost,
}

impl Shop {
    /// With ten pieces of `A` and of `B` each; nobody counts `N`.
    pub(crate) fn new() -> Self {
        let host = MockHost::new::<Orders>();
        host.declare(vec![
            Collection::new(INVENTORY, "inv")
                .field("sku", FieldKind::Text, Access::Unique)
                .field("onHand", FieldKind::Integer, Access::Index)
                .field("reserved", FieldKind::Integer, Access::Index)
                .field("available", FieldKind::Integer, Access::Index),
            Collection::new(MOVEMENTS, "mov")
                .field("sku", FieldKind::Text, Access::Index)
                .field("delta", FieldKind::Integer, Access::Index)
                .field("reason", FieldKind::Text, Access::Index)
                .field("reference", FieldKind::Text, Access::Index),
            Collection::new(PRODUCTS, "prod").multi_field("variants.sku", FieldKind::Text, Access::Unique),
        ]);
        let shop = Self { host };
        for sku in ["A", "B"] {
            shop.receive(sku, 10);
        }
        shop
    }

    pub(crate) fn ctx(&self) -> Context<'_> {
        Context::new(&self.host, b"")
    }

    /// The first pieces of a SKU.
    fn receive(&self, sku: &str, quantity: i64) {
        let level = json!({
            "sku": sku, "onHand": quantity, "reserved": 0, "incoming": 0, "safetyStock": 0, "available": quantity,
        });
        self.host.put(INVENTORY, &stock::level_id(sku), &level);
        let movement = json!({"sku": sku, "delta": quantity, "reason": "received", "reference": null});
        self.host.put(MOVEMENTS, &format!("mov_{sku}"), &movement);
    }

    /// An order of Ada's of these SKUs at 10.00 each, with its stock taken and everything authorised. Its items are
    /// `itm_` and the SKU. One that is completed has only what nobody counts.
    pub(crate) fn order(&self, status: OrderStatus, items: &[(&str, u32)]) -> String {
        self.order_with(status, items, |_| {})
    }

    pub(crate) fn order_with(
        &self,
        status: OrderStatus,
        items: &[(&str, u32)],
        change: impl FnOnce(&mut StoredOrder),
    ) -> String {
        let ctx = self.ctx();
        let (id, reservation_id) = (ctx.new_id("ord").unwrap(), ctx.new_id("rsv").unwrap());
        let mut order = stored(&id, status, items);
        order.reservation_id.clone_from(&reservation_id);
        order.order.placed_at = ctx.now();
        change(&mut order);
        crate::document::settle(&mut order);
        let counted: Vec<ReservedItem> = items
            .iter()
            .filter(|(sku, _)| *sku != "N")
            .map(|(sku, quantity)| ReservedItem { sku: (*sku).to_owned(), quantity: (*quantity).into() })
            .collect();
        let waits = status == OrderStatus::Pending;
        let held = StoredReservation {
            order_id: id.clone(),
            state: if waits { ReservationState::Held } else { ReservationState::Committed },
            items: counted.clone(),
            expires_at: order.expires_at.clone().filter(|_| waits),
        };
        let mut demand = stock::Demand::new();
        for item in &counted {
            demand.entry(item.sku.clone()).or_default().quantity += item.quantity;
        }
        let mut commit = ctx.commit();
        stock::take(&mut commit, &demand);
        commit.insert_with_id(RESERVATIONS, &reservation_id, &held);
        commit.insert_with_id(ORDERS, &id, &order);
        commit.apply().unwrap();
        id
    }

    pub(crate) fn stored(&self, id: &str) -> StoredOrder {
        self.ctx().get::<StoredOrder>(ORDERS, id).unwrap().unwrap().data
    }

    /// Captures what was authorised.
    pub(crate) fn capture(&self, id: &str) {
        let mut order = self.stored(id);
        for payment in &mut order.order.payments {
            let authorized = payment.transactions[0].clone();
            let id = format!("txn_captured_{}", payment.id);
            payment.transactions.push(Transaction { id, kind: TransactionType::Capture, ..authorized });
        }
        let ctx = self.ctx();
        let mut commit = ctx.commit();
        crate::document::save(&mut commit, &mut order);
        commit.apply().unwrap();
    }

    pub(crate) fn level(&self, sku: &str) -> [i64; 3] {
        let level = self.host.document(INVENTORY, &stock::level_id(sku)).unwrap();
        ["onHand", "reserved", "available"].map(|name| level[name].as_i64().unwrap())
    }

    /// Calls an operation, as the host does: again where others were faster. Whatever it does has to fit what is said
    /// of it, and to leave the stock whole.
    pub(crate) fn call(&self, request: &Request) -> Result<RecordedAnswer, Problem> {
        let mut answered = self.host.answered::<Orders>(request.clone());
        for _ in 0..3 {
            match &answered {
                Err(problem) if problem.code == "version_conflict" && request.if_match.is_none() => {
                    answered = self.host.answered::<Orders>(request.clone());
                }
                _ => break,
            }
        }
        self.check();
        if let Ok(answer) = &answered
            && !answer.body.is_null()
        {
            let faults = response_faults::<Orders>(&request.operation_id, answer.status, &answer.body);
            assert_eq!(faults, Vec::<String>::new(), "{}", answer.body);
            assert!(!answer.body.to_string().contains("\"_"), "{}", answer.body);
        }
        answered
    }

    /// What holds of stock and orders at any time.
    #[track_caller]
    pub(crate) fn check(&self) {
        let ctx = self.ctx();
        let all = plugin_sdk::Query { limit: 1_000, ..Default::default() };
        let mut moved = BTreeMap::<String, i64>::new();
        for movement in ctx.find::<Value>(MOVEMENTS, &all).unwrap().items {
            let sku = movement.data["sku"].as_str().unwrap().to_owned();
            *moved.entry(sku).or_default() += movement.data["delta"].as_i64().unwrap();
        }
        let mut reserved = BTreeMap::<String, i64>::new();
        for reservation in ctx.find::<StoredReservation>(RESERVATIONS, &all).unwrap().items {
            let counts =
                matches!(reservation.data.state, ReservationState::Held | ReservationState::Committed);
            for item in reservation.data.items.into_iter().filter(|_| counts) {
                assert!(item.quantity > 0, "{item:?}");
                *reserved.entry(item.sku).or_default() += item.quantity;
            }
        }
        for level in ctx.find::<Value>(INVENTORY, &all).unwrap().items {
            let sku = level.data["sku"].as_str().unwrap();
            let [on_hand, held, available] = self.level(sku);
            assert_eq!(on_hand, moved.get(sku).copied().unwrap_or_default(), "on hand of {sku}");
            assert_eq!(held, reserved.get(sku).copied().unwrap_or_default(), "reserved of {sku}");
            assert_eq!(available, on_hand - held, "available of {sku}");
        }
        for order in ctx.find::<StoredOrder>(ORDERS, &all).unwrap().items {
            check_order(&order.data);
        }
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        let topics = self.host.events().into_iter().map(|event| event.topic);
        topics.filter(|topic| topic != "inventory.changed").collect()
    }

    /// Types of the entries in an order's history, of those with an owner and of those without.
    pub(crate) fn history(&self, id: &str) -> Vec<String> {
        let asked = on("listOrderHistory", id, &Value::Null, &staff());
        let entries = self.call(&asked).unwrap().body;
        let kinds =
            entries.as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap().to_owned());
        kinds.collect()
    }
}

/// What holds of an order at any time.
#[track_caller]
fn check_order(order: &StoredOrder) {
    let order = &order.order;
    let mut derived = order.clone();
    ledger::derive(&mut derived);
    assert_eq!(*order, derived, "what follows from the rest");
    for item in &order.items {
        let sent = ledger::sent(&order.fulfillments, &item.id);
        let packed = ledger::packed(&order.fulfillments, &item.id);
        assert!(sent <= packed && packed <= u64::from(item.quantity), "{item:?}: {sent} {packed}");
    }
    let nothing_sent = order.fulfillment_status == FulfillmentStatus::None;
    let sent = |item: &OrderItem| ledger::sent(&order.fulfillments, &item.id) == u64::from(item.quantity);
    match order.status {
        OrderStatus::Pending | OrderStatus::Confirmed | OrderStatus::Cancelled | OrderStatus::Expired => {
            assert!(nothing_sent, "{order:?}");
        }
        OrderStatus::Completed => assert!(order.items.iter().all(sent), "{order:?}"),
        OrderStatus::Processing | OrderStatus::OnHold => {}
    }
    for item in &order.items {
        let returns = order.returns.iter().filter(|it| it.status != ReturnStatus::Rejected);
        let lines = returns.flat_map(|it| &it.lines).filter(|line| line.item_id == item.id);
        let returned: u64 = lines.map(|line| u64::from(line.quantity)).sum();
        assert!(
            returned <= ledger::sent(&order.fulfillments, &item.id),
            "{item:?}: {returned} are coming back"
        );
    }
}

fn stored(id: &str, status: OrderStatus, items: &[(&str, u32)]) -> StoredOrder {
    let money = |amount: i64| Money::new(amount, "USD");
    let grand: i64 = items.iter().map(|(_, quantity)| 1_000 * i64::from(*quantity)).sum();
    let item = |(sku, quantity): &(&str, u32)| OrderItem {
        id: format!("itm_{sku}"),
        product_id: format!("prod_{sku}"),
        variant_id: format!("var_{sku}"),
        sku: (*sku).to_owned(),
        name: format!("Thing {sku}"),
        quantity: *quantity,
        unit_price: money(1_000),
        adjustments: Vec::new(),
        total: money(1_000 * i64::from(*quantity)),
    };
    let at = "2026-01-01T00:00:00.000Z".to_owned();
    let payment = Payment {
        id: format!("pay_{id}"),
        provider: "sandbox".to_owned(),
        amount: money(grand),
        transactions: vec![Transaction {
            id: format!("txn_{id}"),
            kind: TransactionType::Authorization,
            state: TransactionState::Succeeded,
            amount: money(grand),
            provider_reference: Some(format!("ref_{id}")),
            reason: None,
            credit: false,
            plugin: None,
            at: at.clone(),
        }],
        next_action: None,
        offline: false,
        created_at: at,
    };
    let zero = || money(0);
    let totals = Totals {
        items: money(grand),
        discount: zero(),
        surcharge: zero(),
        shipping: zero(),
        tax: zero(),
        tax_included: zero(),
        grand: money(grand),
        paid: zero(),
        refunded: zero(),
        credited: zero(),
        due: money(grand),
    };
    // What is complete has gone out.
    let fulfillments = (status == OrderStatus::Completed).then(|| Fulfillment {
        id: format!("ful_{id}"),
        order_id: id.to_owned(),
        status: FulfillmentState::Delivered,
        lines: items
            .iter()
            .map(|(sku, quantity)| FulfillmentLine { item_id: format!("itm_{sku}"), quantity: *quantity })
            .collect(),
        carrier: None,
        tracking_number: None,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        shipped_at: None,
        delivered_at: None,
    });
    StoredOrder {
        order: Order {
            id: id.to_owned(),
            number: format!("N-{id}"),
            version: 0,
            created_at: String::new(),
            updated_at: String::new(),
            placed_at: String::new(),
            status,
            payment_status: PaymentStatus::None,
            fulfillment_status: FulfillmentStatus::None,
            currency: "USD".to_owned(),
            customer_id: Some(ADA.to_owned()),
            email: Some("ada@example.com".to_owned()),
            cart_id: None,
            quote_id: None,
            items: items.iter().map(item).collect(),
            adjustments: Vec::new(),
            coupons: Vec::new(),
            shipping_address: None,
            billing_address: None,
            shipping_method: None,
            totals,
            plugins: Vec::new(),
            payments: vec![payment],
            fulfillments: fulfillments.into_iter().collect(),
            returns: Vec::new(),
            notes: "Only for us".to_owned(),
            metadata: serde_json::Map::new(),
        },
        owners: vec![ADA.to_owned()],
        held_from: None,
        hidden: false,
        expires_at: (status == OrderStatus::Pending).then(|| "2026-01-01T00:10:00.000Z".to_owned()),
        due_at: None,
        operations: BTreeMap::new(),
        references: Vec::new(),
        counted: CountedCoupons::default(),
        reservation_id: String::new(),
        request_key: None,
        notices: Vec::new(),
        replay: Value::Null,
        imported: None,
    }
}

pub(crate) fn staff() -> Caller {
    Caller {
        kind: "admin".to_owned(),
        subject: Some("usr_staff".to_owned()),
        permissions: vec!["*".to_owned()],
        ..Caller::default()
    }
}

/// Staff who may do nothing.
pub(crate) fn powerless() -> Caller {
    Caller { permissions: Vec::new(), ..staff() }
}

pub(crate) fn ada() -> Caller {
    Caller { kind: "customer".to_owned(), subject: Some(ADA.to_owned()), ..Caller::default() }
}

pub(crate) fn guest() -> Caller {
    Caller { kind: "anonymous".to_owned(), guest: Some("gst_1".to_owned()), ..Caller::default() }
}

/// A request about something.
pub(crate) fn on(operation: &str, id: &str, body: &Value, caller: &Caller) -> Request {
    Request {
        operation_id: operation.to_owned(),
        params: vec![("id".to_owned(), id.to_owned())],
        body: body.to_string().into_bytes(),
        caller: caller.clone(),
        ..Request::default()
    }
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Problem>, status: u16, code: &str) -> Problem {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    problem
}
