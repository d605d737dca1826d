//! What follows from an order's transactions and quantities: sums, statuses, and which transitions there are. Pure.

#[cfg(test)]
mod tests;

use plugin_sdk::{Money, Problem, json};

use crate::model::{
    Fulfillment, FulfillmentState, FulfillmentStatus, Order, OrderStatus, Payment, PaymentStatus,
    Transaction, TransactionState, TransactionType,
};

/// The sums of a payment's, or of all payments', transactions, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Authorised, or promised by another way, and not voided or failed.
    pub authorized: i64,
    pub captured: i64,
    /// Captures that are under way: they may yet succeed.
    pub capturing: i64,
    pub refunded: i64,
    /// Of these, given back for good.
    pub credited: i64,
    /// Refunds that are under way.
    pub refunding: i64,
    /// What is being given up: it cannot be captured any more.
    pub voiding: i64,
}

impl Sums {
    pub fn of(payment: &Payment) -> Self {
        let mut sums = Self::default();
        let mut voided = false;
        for it in &payment.transactions {
            let open = matches!(it.state, TransactionState::Pending | TransactionState::Unknown);
            let done = it.state == TransactionState::Succeeded;
            let amount = it.amount.amount;
            match it.kind {
                TransactionType::Authorization if done || (open && payment.offline) => {
                    sums.authorized += amount
                }
                TransactionType::Capture if done => sums.captured += amount,
                TransactionType::Capture if open => sums.capturing += amount,
                TransactionType::Refund if done => {
                    sums.refunded += amount;
                    sums.credited += if it.credit { amount } else { 0 };
                }
                TransactionType::Refund if open => sums.refunding += amount,
                TransactionType::Void if done => voided = true,
                TransactionType::Void if open => sums.voiding += amount,
                _ => {}
            }
        }
        if voided {
            sums.authorized = sums.captured;
        }
        sums
    }

    /// What can be captured yet.
    pub fn capturable(&self) -> i64 {
        (self.authorized - self.captured - self.capturing - self.voiding).max(0)
    }

    /// What can be refunded yet.
    pub fn refundable(&self) -> i64 {
        (self.captured - self.refunded - self.refunding).max(0)
    }

    pub fn add(&mut self, other: &Self) {
        self.authorized += other.authorized;
        self.captured += other.captured;
        self.capturing += other.capturing;
        self.refunded += other.refunded;
        self.credited += other.credited;
        self.refunding += other.refunding;
        self.voiding += other.voiding;
    }

    pub fn of_all(payments: &[Payment]) -> Self {
        payments.iter().fold(Self::default(), |mut sums, payment| {
            sums.add(&Self::of(payment));
            sums
        })
    }
}

/// What of a payment can be given up: what is authorised and not captured, or what the customer has yet to agree to.
pub fn voidable(payment: &Payment) -> i64 {
    let sums = Sums::of(payment);
    if sums.capturing > 0 || sums.voiding > 0 {
        return 0;
    }
    if sums.capturable() > 0 {
        return sums.capturable();
    }
    // Of one that the provider has not answered there is nothing to name.
    let waits = payment.transactions.iter().find(|it| {
        let is_told = it.provider_reference.is_some() && it.state == TransactionState::Pending;
        it.kind == TransactionType::Authorization && is_told && !payment.offline
    });
    waits.map_or(0, |it| it.amount.amount)
}

/// Brings everything up to date that follows from the rest of the order.
pub fn derive(order: &mut Order) {
    let sums = Sums::of_all(&order.payments);
    let currency = order.currency.clone();
    let money = |amount| Money::new(amount, currency.as_str());
    let is_void = matches!(order.status, OrderStatus::Cancelled | OrderStatus::Expired);
    let owed = order.totals.grand.amount - sums.credited - (sums.captured - sums.refunded);
    order.totals.paid = money(sums.captured);
    order.totals.refunded = money(sums.refunded);
    order.totals.credited = money(sums.credited);
    order.totals.due = money(if is_void { 0 } else { owed });
    order.payment_status = payment_status(&order.payments, &sums, order.totals.grand.amount);
    order.fulfillment_status = fulfillment_status(order);
}

fn payment_status(payments: &[Payment], sums: &Sums, grand: i64) -> PaymentStatus {
    if sums.captured > 0 {
        return match sums.refunded {
            0 if sums.captured >= grand => PaymentStatus::Paid,
            0 => PaymentStatus::PartiallyPaid,
            refunded if refunded >= sums.captured => PaymentStatus::Refunded,
            _ => PaymentStatus::PartiallyRefunded,
        };
    }
    // What was given up does not come any more, whatever state it was left in.
    let live = || {
        let payments = payments.iter().filter(|payment| !is_voided(payment));
        payments.flat_map(|payment| authorizations(payment).map(move |it| (payment, it.state)))
    };
    let any = |state: TransactionState| live().any(|(_, it)| it == state);
    let waits = |payment: &Payment| payment.next_action.is_some() && !payment.offline;
    if any(TransactionState::Succeeded) && sums.authorized > 0 {
        PaymentStatus::Authorized
    } else if any(TransactionState::Unknown) {
        PaymentStatus::Unknown
    } else if live().any(|(payment, it)| it == TransactionState::Pending && waits(payment)) {
        PaymentStatus::RequiresAction
    } else if any(TransactionState::Pending) {
        PaymentStatus::Pending
    } else if payments.iter().any(is_voided) {
        PaymentStatus::Voided
    } else if any(TransactionState::Failed) {
        PaymentStatus::Failed
    } else {
        PaymentStatus::None
    }
}

fn authorizations(payment: &Payment) -> impl Iterator<Item = &Transaction> {
    payment.transactions.iter().filter(|it| it.kind == TransactionType::Authorization)
}

fn is_voided(payment: &Payment) -> bool {
    let void = |it: &Transaction| it.kind == TransactionType::Void && it.state == TransactionState::Succeeded;
    payment.transactions.iter().any(void)
}

fn fulfillment_status(order: &Order) -> FulfillmentStatus {
    let pieces = |wanted: &[FulfillmentState]| -> u64 {
        let parcels = order.fulfillments.iter().filter(|it| wanted.contains(&it.status));
        parcels.flat_map(|it| &it.lines).map(|line| u64::from(line.quantity)).sum()
    };
    let ordered: u64 = order.items.iter().map(|item| u64::from(item.quantity)).sum();
    let sent = pieces(&[FulfillmentState::Shipped, FulfillmentState::Delivered]);
    let delivered = pieces(&[FulfillmentState::Delivered]);
    match (sent, delivered) {
        (0, _) => FulfillmentStatus::None,
        (_, delivered) if delivered >= ordered => FulfillmentStatus::Delivered,
        (_, 1..) => FulfillmentStatus::PartiallyDelivered,
        (sent, 0) if sent >= ordered => FulfillmentStatus::Shipped,
        _ => FulfillmentStatus::Partial,
    }
}

/// Pieces of an item that are in parcels, sent or not.
pub fn packed(fulfillments: &[Fulfillment], item: &str) -> u64 {
    let parcels = fulfillments.iter().filter(|it| it.status != FulfillmentState::Cancelled);
    let lines = parcels.flat_map(|it| &it.lines).filter(|line| line.item_id == item);
    lines.map(|line| u64::from(line.quantity)).sum()
}

/// Pieces of an item that are sent.
pub fn sent(fulfillments: &[Fulfillment], item: &str) -> u64 {
    let parcels = fulfillments
        .iter()
        .filter(|it| matches!(it.status, FulfillmentState::Shipped | FulfillmentState::Delivered));
    let lines = parcels.flat_map(|it| &it.lines).filter(|line| line.item_id == item);
    lines.map(|line| u64::from(line.quantity)).sum()
}

/// Where an order can go from here.
pub fn allowed(order: &Order, held_from: Option<OrderStatus>) -> Vec<OrderStatus> {
    use OrderStatus::{Cancelled, Completed, Confirmed, Expired, OnHold, Pending, Processing};
    let unsent = order.items.iter().all(|item| sent(&order.fulfillments, &item.id) == 0);
    let cancelled = unsent.then_some(Cancelled);
    match order.status {
        Pending => [Some(Confirmed), Some(Expired), cancelled].into_iter().flatten().collect(),
        Confirmed => [Some(Processing), Some(OnHold), cancelled].into_iter().flatten().collect(),
        Processing => [Some(Completed), Some(OnHold), cancelled].into_iter().flatten().collect(),
        OnHold => [held_from, cancelled].into_iter().flatten().collect(),
        Completed | Cancelled | Expired => Vec::new(),
    }
}

/// 409 `invalid_transition`, with where it was to go and where it can.
pub fn invalid_transition(from: OrderStatus, to: OrderStatus, allowed: &[OrderStatus]) -> Problem {
    Problem::new(409, "invalid_transition")
        .detail(format!("An order that is {} cannot become {}.", name(from), name(to)))
        .extra("from", name(from))
        .extra("to", name(to))
        .extra("allowed", json!(allowed.iter().map(|&status| name(status)).collect::<Vec<_>>()))
}

/// The status as clients see it.
pub fn name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => "pending",
        OrderStatus::Confirmed => "confirmed",
        OrderStatus::Processing => "processing",
        OrderStatus::OnHold => "onHold",
        OrderStatus::Completed => "completed",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
    }
}

/// Whether enough is authorised or promised for the order to be confirmed.
pub fn is_covered(order: &Order) -> bool {
    let sums = Sums::of_all(&order.payments);
    sums.authorized.max(sums.captured) >= order.totals.grand.amount
}

/// The transaction with this id, and its payment.
pub fn transaction<'o>(order: &'o Order, id: &str) -> Option<(&'o Payment, &'o Transaction)> {
    order.payments.iter().find_map(|payment| {
        let found = payment.transactions.iter().find(|it| it.id == id)?;
        Some((payment, found))
    })
}
