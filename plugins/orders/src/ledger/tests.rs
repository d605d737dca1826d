use plugin_sdk::Money;
use proptest::prelude::*;

use super::{Sums, allowed, derive, is_covered};
use crate::{
    model::{
        Fulfillment, FulfillmentLine, FulfillmentState, FulfillmentStatus, NextAction, Order, OrderStatus,
        Payment, PaymentStatus, Transaction, TransactionState, TransactionType,
    },
    shop::{Shop, staff},
};

/// An order of three pieces of `A` for 30.00 that nobody has paid for.
fn order() -> Order {
    let shop = Shop::new();
    let id = shop.order_with(OrderStatus::Pending, &[("A", 3)], |order| order.order.payments.clear());
    assert!(staff().is_staff());
    shop.stored(&id).order
}

fn transaction(kind: TransactionType, state: TransactionState, amount: i64) -> Transaction {
    Transaction {
        id: String::new(),
        kind,
        state,
        amount: Money::new(amount, "USD"),
        provider_reference: None,
        reason: None,
        credit: false,
        plugin: None,
        at: String::new(),
    }
}

fn payment(transactions: Vec<Transaction>) -> Payment {
    Payment {
        id: String::new(),
        provider: "sandbox".to_owned(),
        amount: Money::new(3_000, "USD"),
        transactions,
        next_action: None,
        offline: false,
        created_at: String::new(),
    }
}

fn status(payments: Vec<Payment>) -> PaymentStatus {
    let mut order = Order { payments, ..order() };
    derive(&mut order);
    order.payment_status
}

#[test]
fn the_payment_status_follows_from_the_transactions() {
    use TransactionState::{Failed, Pending, Succeeded, Unknown};
    use TransactionType::{Authorization, Capture, Refund, Void};
    let of = |steps: &[(TransactionType, TransactionState, i64)]| {
        status(vec![payment(
            steps.iter().map(|(kind, state, amount)| transaction(*kind, *state, *amount)).collect(),
        )])
    };
    assert_eq!(status(Vec::new()), PaymentStatus::None);
    for (steps, expected) in [
        (&[(Authorization, Pending, 3_000)][..], PaymentStatus::Pending),
        (&[(Authorization, Unknown, 3_000)], PaymentStatus::Unknown),
        (&[(Authorization, Failed, 3_000)], PaymentStatus::Failed),
        (&[(Authorization, Succeeded, 3_000)], PaymentStatus::Authorized),
        (&[(Authorization, Succeeded, 3_000), (Capture, Pending, 3_000)], PaymentStatus::Authorized),
        (&[(Authorization, Succeeded, 3_000), (Capture, Failed, 3_000)], PaymentStatus::Authorized),
        (&[(Authorization, Succeeded, 3_000), (Capture, Succeeded, 1_000)], PaymentStatus::PartiallyPaid),
        (&[(Authorization, Succeeded, 3_000), (Capture, Succeeded, 3_000)], PaymentStatus::Paid),
        (&[(Authorization, Succeeded, 3_000), (Void, Pending, 3_000)], PaymentStatus::Authorized),
        (&[(Authorization, Succeeded, 3_000), (Void, Succeeded, 3_000)], PaymentStatus::Voided),
        // What was given up does not come, whatever state it was left in.
        (&[(Authorization, Pending, 3_000), (Void, Succeeded, 3_000)], PaymentStatus::Voided),
        (&[(Authorization, Unknown, 3_000), (Void, Succeeded, 3_000)], PaymentStatus::Voided),
        (
            &[(Authorization, Succeeded, 3_000), (Capture, Succeeded, 3_000), (Refund, Succeeded, 1_000)],
            PaymentStatus::PartiallyRefunded,
        ),
        (
            &[(Authorization, Succeeded, 3_000), (Capture, Succeeded, 3_000), (Refund, Succeeded, 3_000)],
            PaymentStatus::Refunded,
        ),
        (
            &[(Authorization, Succeeded, 3_000), (Capture, Succeeded, 3_000), (Refund, Pending, 3_000)],
            PaymentStatus::Paid,
        ),
    ] {
        assert_eq!(of(steps), expected, "{steps:?}");
    }
    let waiting = |offline, voided| {
        let mut steps = vec![transaction(Authorization, Pending, 3_000)];
        steps.extend(Some(transaction(Void, Succeeded, 3_000)).filter(|_| voided));
        let next_action = Some(NextAction(plugin_sdk::json!({"type": "redirect"})));
        Payment { next_action, offline, ..payment(steps) }
    };
    assert_eq!(status(vec![waiting(false, false)]), PaymentStatus::RequiresAction);
    assert_eq!(status(vec![waiting(true, false)]), PaymentStatus::Pending);
    assert_eq!(status(vec![waiting(false, true)]), PaymentStatus::Voided);
    // A second attempt counts beside the first.
    let failed = || payment(vec![transaction(Authorization, Failed, 3_000)]);
    assert_eq!(status(vec![failed(), waiting(false, false)]), PaymentStatus::RequiresAction);
    assert_eq!(status(vec![failed(), failed()]), PaymentStatus::Failed);
}

#[test]
fn the_fulfilment_status_follows_from_the_quantities() {
    use FulfillmentState::{Cancelled, Delivered, Pending, Shipped};
    let of = |parcels: &[(FulfillmentState, u32)]| {
        let parcel = |(status, quantity): &(FulfillmentState, u32)| Fulfillment {
            id: String::new(),
            order_id: String::new(),
            status: *status,
            lines: vec![FulfillmentLine { item_id: "itm_A".to_owned(), quantity: *quantity }],
            carrier: None,
            tracking_number: None,
            created_at: String::new(),
            shipped_at: None,
            delivered_at: None,
        };
        let mut order = Order { fulfillments: parcels.iter().map(parcel).collect(), ..order() };
        derive(&mut order);
        order.fulfillment_status
    };
    for (parcels, expected) in [
        (&[][..], FulfillmentStatus::None),
        (&[(Pending, 3)], FulfillmentStatus::None),
        (&[(Cancelled, 3)], FulfillmentStatus::None),
        (&[(Shipped, 1), (Pending, 2)], FulfillmentStatus::Partial),
        (&[(Shipped, 1), (Shipped, 2)], FulfillmentStatus::Shipped),
        (&[(Delivered, 1), (Shipped, 2)], FulfillmentStatus::PartiallyDelivered),
        (&[(Delivered, 1)], FulfillmentStatus::PartiallyDelivered),
        (&[(Delivered, 1), (Delivered, 2), (Cancelled, 2)], FulfillmentStatus::Delivered),
    ] {
        assert_eq!(of(parcels), expected, "{parcels:?}");
    }
}

fn transactions() -> impl Strategy<Value = Vec<Transaction>> {
    use TransactionState::{Failed, Pending, Succeeded, Unknown};
    use TransactionType::{Authorization, Capture, Refund, Void};
    let kind = prop_oneof![Just(Authorization), Just(Capture), Just(Refund), Just(Void)];
    let state = prop_oneof![Just(Pending), Just(Succeeded), Just(Failed), Just(Unknown)];
    let one = (kind, state, 0..4_000_i64, any::<bool>())
        .prop_map(|(kind, state, amount, credit)| Transaction { credit, ..transaction(kind, state, amount) });
    prop::collection::vec(one, 0..6)
}

fn payments() -> impl Strategy<Value = Vec<Payment>> {
    let one =
        (transactions(), any::<bool>(), any::<bool>()).prop_map(|(transactions, offline, waits)| Payment {
            offline,
            next_action: waits.then(|| NextAction(plugin_sdk::json!({}))),
            ..payment(transactions)
        });
    prop::collection::vec(one, 0..4)
}

fn statuses() -> impl Strategy<Value = OrderStatus> {
    use OrderStatus::{Cancelled, Completed, Confirmed, Expired, OnHold, Pending, Processing};
    prop::sample::select(vec![Pending, Confirmed, Processing, OnHold, Completed, Cancelled, Expired])
}

proptest! {
    /// What is derived follows from the ledger alone: not from what was derived before, nor from the payments' order.
    #[test]
    fn what_follows_follows_from_the_ledger(payments in payments(), status in statuses(), turn in 0..4_usize) {
        let mut first = Order { payments: payments.clone(), status, ..order() };
        derive(&mut first);
        let again = {
            let mut again = first.clone();
            derive(&mut again);
            again
        };
        prop_assert_eq!(&again, &first);
        let mut stale = first.clone();
        stale.payment_status = PaymentStatus::Refunded;
        stale.fulfillment_status = FulfillmentStatus::Delivered;
        stale.totals.paid.amount = -1;
        stale.totals.due.amount = i64::MAX;
        derive(&mut stale);
        prop_assert_eq!(&stale, &first);
        let mut turned = first.clone();
        if !turned.payments.is_empty() {
            let by = turn % turned.payments.len();
            turned.payments.rotate_left(by);
        }
        derive(&mut turned);
        prop_assert_eq!(turned.payment_status, first.payment_status);
        prop_assert_eq!(turned.totals, first.totals);
    }

    #[test]
    fn what_is_due_is_what_was_not_paid(payments in payments(), status in statuses()) {
        let mut order = Order { payments, status, ..order() };
        derive(&mut order);
        let totals = &order.totals;
        let done = |kind: TransactionType, credited: bool| -> i64 {
            let all = order.payments.iter().flat_map(|payment| &payment.transactions);
            let done = all.filter(|it| it.kind == kind && it.state == TransactionState::Succeeded);
            done.filter(|it| !credited || it.credit).map(|it| it.amount.amount).sum()
        };
        prop_assert_eq!(totals.paid.amount, done(TransactionType::Capture, false));
        prop_assert_eq!(totals.refunded.amount, done(TransactionType::Refund, false));
        prop_assert_eq!(totals.credited.amount, done(TransactionType::Refund, true));
        let owed = totals.grand.amount - totals.credited.amount - (totals.paid.amount - totals.refunded.amount);
        let is_void = matches!(status, OrderStatus::Cancelled | OrderStatus::Expired);
        prop_assert_eq!(totals.due.amount, if is_void { 0 } else { owed });
    }

    #[test]
    fn never_is_less_than_nothing_left(payments in payments()) {
        for payment in &payments {
            let sums = Sums::of(payment);
            prop_assert!(sums.capturable() >= 0 && sums.refundable() >= 0);
            prop_assert!(sums.capturable() <= sums.authorized && sums.refundable() <= sums.captured);
        }
        let order = Order { payments, ..order() };
        let sums = Sums::of_all(&order.payments);
        prop_assert_eq!(is_covered(&order), sums.authorized.max(sums.captured) >= 3_000);
    }

    #[test]
    fn there_is_no_way_back_to_where_an_order_is(status in statuses(), held in statuses()) {
        let order = Order { status, ..order() };
        let open = allowed(&order, Some(held).filter(|_| status == OrderStatus::OnHold && held != OrderStatus::OnHold));
        prop_assert!(!open.contains(&status));
        let is_final = matches!(status, OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Expired);
        prop_assert_eq!(open.is_empty(), is_final);
    }
}
