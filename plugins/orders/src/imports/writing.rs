//! An imported order as a document. Pure.

use std::collections::BTreeMap;

use plugin_sdk::{
    FieldError, Money, Problem, Result, Value, guest_of, json, natural_id,
    pricing::{AMOUNT_MAX, kind, split},
};

use crate::{
    model::{
        Adjustment, CountedCoupons, Fulfillment, FulfillmentLine, FulfillmentState, FulfillmentStatus,
        ImportMark, ImportedStatus, Metadata, Order, OrderImport, OrderItem, Payment, PaymentStatus,
        StoredOrder, Totals, Transaction, TransactionState, TransactionType,
    },
    payments,
};

/// The member of the metadata that has the codes of coupons.
pub(super) const COUPONS: &str = "importedCoupons";
/// The code of adjustments, and the provider of payments that do not name one.
const IMPORTED: &str = "imported";

/// What a line and its shares of the order's amounts come to, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The unit price times the quantity.
    pub(super) gross: i64,
    pub(super) discount: i64,
    pub(super) surcharge: i64,
    pub(super) tax: i64,
    pub(super) tax_included: i64,
}

impl Line {
    pub(super) fn total(&self) -> i64 {
        self.gross + self.discount + self.surcharge
    }
}

pub(super) fn payment_id(order: &str) -> String {
    natural_id("pay", &format!("{order} imported"))
}

/// Whether everything was sent.
pub(super) fn is_sent(input: &OrderImport) -> bool {
    input.shipped.unwrap_or(input.status == ImportedStatus::Completed)
}

/// Splits the order's amounts over its lines. A line that says what it came to has its difference to the price by
/// itself; the others share what is left.
///
/// # Errors
/// 422 where the lines and the order contradict each other, or come to more than can be counted.
pub(super) fn lines(input: &OrderImport) -> Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(input.items.len());
    let mut sum = 0;
    for (index, item) in input.items.iter().enumerate() {
        let gross = item.unit_price.checked_mul(i64::from(item.quantity)).filter(|&it| it <= AMOUNT_MAX);
        let gross = gross.ok_or_else(|| too_much(&format!("/items/{index}/unitPrice")))?;
        let own = item.total.map_or(0, |total| total - gross);
        sum = added(sum, gross.max(gross + own), &format!("/items/{index}"))?;
        lines.push(Line { gross, discount: own.min(0), surcharge: own.max(0), ..Line::default() });
    }
    share_changes(input, &mut lines)?;
    let mut grand = lines.iter().map(Line::total).sum();
    for (pointer, amount) in [("/shipping", input.shipping), ("/tax", input.tax)] {
        grand = added(grand, amount, pointer)?;
    }
    if input.tax_included > grand {
        let message = "That is more than the order came to.";
        return Err(Problem::validation(vec![FieldError::invalid("/taxIncluded", message)]));
    }
    let weights: Vec<i64> = lines.iter().map(Line::total).collect();
    let shares = split(input.tax, &weights).into_iter().zip(split(input.tax_included, &weights));
    for (line, (tax, tax_included)) in lines.iter_mut().zip(shares) {
        (line.tax, line.tax_included) = (tax, tax_included);
    }
    Ok(lines)
}

/// Gives the lines what they do not say themselves of the order's surcharges and discounts.
fn share_changes(input: &OrderImport, lines: &mut [Line]) -> Result<()> {
    let refused =
        |pointer: &str, message: &str| Err(Problem::validation(vec![FieldError::invalid(pointer, message)]));
    let own_discount: i64 = lines.iter().map(|line| line.discount).sum();
    let own_surcharge: i64 = lines.iter().map(|line| line.surcharge).sum();
    let discount = input.discount.unwrap_or(own_discount) - own_discount;
    let surcharge = input.surcharge.unwrap_or(own_surcharge) - own_surcharge;
    if discount > 0 {
        return refused("/discount", "The totals of the lines take more off.");
    }
    if surcharge < 0 {
        return refused("/surcharge", "The totals of the lines have more on them.");
    }
    let free: Vec<usize> = (0..lines.len()).filter(|&index| input.items[index].total.is_none()).collect();
    if free.is_empty() {
        if discount + surcharge != 0 {
            let pointer = if discount == 0 { "/surcharge" } else { "/discount" };
            return refused(pointer, "The totals of the lines come to something else.");
        }
        // They say what is left of both together.
        let weights: Vec<i64> = lines.iter().map(|line| line.gross).collect();
        for (line, share) in lines.iter_mut().zip(split(surcharge, &weights)) {
            line.surcharge += share;
            line.discount -= share;
        }
        return Ok(());
    }
    added(lines.iter().map(Line::total).sum(), surcharge, "/surcharge")?;
    let weights: Vec<i64> = free.iter().map(|&index| lines[index].gross).collect();
    for (&index, share) in free.iter().zip(split(surcharge, &weights)) {
        lines[index].surcharge += share;
    }
    let weights: Vec<i64> = free.iter().map(|&index| lines[index].total()).collect();
    if discount + weights.iter().sum::<i64>() < 0 {
        let message =
            "That is more than the lines come to. `shipping` is told with its own discounts taken off.";
        return refused("/discount", message);
    }
    // No share is more than its line: it is below the next whole number of what is at most that.
    for (&index, share) in free.iter().zip(split(discount, &weights)) {
        lines[index].discount += share;
    }
    Ok(())
}

/// The sum, as far as amounts go.
fn added(sum: i64, amount: i64, pointer: &str) -> Result<i64> {
    sum.checked_add(amount).filter(|&sum| sum <= AMOUNT_MAX).ok_or_else(|| too_much(pointer))
}

fn too_much(pointer: &str) -> Problem {
    Problem::validation(vec![FieldError::invalid(pointer, "The order comes to more than can be counted.")])
}

/// The order under this id. What follows from its parts is not in it yet.
pub(super) fn order(input: &OrderImport, lines: &[Line], id: &str, digest: &str) -> StoredOrder {
    let items: Vec<OrderItem> =
        input.items.iter().zip(lines).enumerate().map(|(index, _)| item(input, lines, id, index)).collect();
    let shipping = adjustments(input, &[(kind::SHIPPING, "Shipping", input.shipping)]);
    let order = Order {
        id: id.to_owned(),
        number: input.number.clone(),
        version: 0,
        created_at: String::new(),
        updated_at: String::new(),
        placed_at: input.placed_at.clone(),
        status: input.status.into(),
        payment_status: PaymentStatus::None,
        fulfillment_status: FulfillmentStatus::None,
        currency: input.currency.clone(),
        customer_id: input.customer_id.clone(),
        email: input.email.clone(),
        cart_id: None,
        quote_id: None,
        totals: totals(input, lines),
        payments: payment(input, id).into_iter().collect(),
        fulfillments: parcel(input, id, &items).into_iter().collect(),
        items,
        adjustments: shipping,
        // Those would be uses of coupons here.
        coupons: Vec::new(),
        shipping_address: input.shipping_address.clone(),
        billing_address: input.billing_address.clone().or_else(|| input.shipping_address.clone()),
        shipping_method: None,
        plugins: Vec::new(),
        returns: Vec::new(),
        notes: input.notes.clone(),
        metadata: metadata(input),
    };
    StoredOrder {
        owners: owners(input),
        held_from: None,
        hidden: false,
        expires_at: None,
        due_at: None,
        operations: BTreeMap::new(),
        // It holds nothing.
        reservation_id: String::new(),
        request_key: None,
        references: Vec::new(),
        counted: CountedCoupons::default(),
        notices: Vec::new(),
        replay: Value::Null,
        imported: Some(ImportMark { digest: digest.to_owned() }),
        order,
    }
}

fn owners(input: &OrderImport) -> Vec<String> {
    let knowing = || input.email.as_ref().map(|email| guest_of(&[&input.number, email]));
    input.customer_id.clone().or_else(knowing).into_iter().collect()
}

fn metadata(input: &OrderImport) -> Metadata {
    let mut metadata = input.metadata.clone();
    if !input.coupons.is_empty() {
        metadata.insert(COUPONS.to_owned(), json!(input.coupons));
    }
    metadata
}

fn item(input: &OrderImport, lines: &[Line], order: &str, index: usize) -> OrderItem {
    let (item, line) = (&input.items[index], &lines[index]);
    OrderItem {
        id: item_id(order, index),
        product_id: String::new(),
        variant_id: String::new(),
        sku: item.sku.clone().unwrap_or_default(),
        name: item.name.clone(),
        quantity: item.quantity,
        unit_price: Money::new(item.unit_price, &input.currency),
        adjustments: adjustments(
            input,
            &[
                (kind::DISCOUNT, "Discount", line.discount),
                (kind::SURCHARGE, "Surcharge", line.surcharge),
                (kind::TAX, "Tax", line.tax),
                (kind::TAX_INCLUDED, "Included tax", line.tax_included),
            ],
        ),
        total: Money::new(line.total(), &input.currency),
    }
}

fn item_id(order: &str, index: usize) -> String {
    natural_id("itm", &format!("{order} imported {index}"))
}

/// Those of these that change something.
fn adjustments(input: &OrderImport, changes: &[(&str, &str, i64)]) -> Vec<Adjustment> {
    let adjustment = |&(kind, reason, amount): &(&str, &str, i64)| Adjustment {
        kind: kind.to_owned(),
        code: IMPORTED.to_owned(),
        reason: reason.to_owned(),
        amount: Money::new(amount, &input.currency),
        plugin_id: String::new(),
        plugin_version: String::new(),
        digest: String::new(),
        config_digest: String::new(),
        coupon_code: None,
    };
    changes.iter().filter(|(_, _, amount)| *amount != 0).map(adjustment).collect()
}

fn totals(input: &OrderImport, lines: &[Line]) -> Totals {
    let money = |amount| Money::new(amount, &input.currency);
    let sum = |of: fn(&Line) -> i64| lines.iter().map(of).sum::<i64>();
    let grand = sum(Line::total) + input.shipping + input.tax;
    Totals {
        items: money(sum(|line| line.gross)),
        discount: money(sum(|line| line.discount)),
        surcharge: money(sum(|line| line.surcharge)),
        shipping: money(input.shipping),
        tax: money(input.tax),
        tax_included: money(input.tax_included),
        grand: money(grand),
        paid: money(0),
        refunded: money(0),
        credited: money(0),
        due: money(grand),
    }
}

/// What was paid, and given back, as one payment.
fn payment(input: &OrderImport, order: &str) -> Option<Payment> {
    let id = payment_id(order);
    let transaction = |kind: TransactionType, id: String, amount: i64| Transaction {
        id,
        kind,
        state: TransactionState::Succeeded,
        amount: Money::new(amount, &input.currency),
        provider_reference: None,
        reason: None,
        // What was given back there is not owed here.
        credit: kind == TransactionType::Refund,
        plugin: None,
        at: input.placed_at.clone(),
    };
    let named = |what: &str| natural_id("txn", &format!("{id} {what}"));
    let mut transactions = vec![
        transaction(TransactionType::Authorization, payments::authorization_id(&id), input.paid),
        transaction(TransactionType::Capture, named("captured"), input.paid),
    ];
    if input.refunded > 0 {
        transactions.push(transaction(TransactionType::Refund, named("refunded"), input.refunded));
    }
    (input.paid > 0).then(|| Payment {
        provider: input.payment_provider.clone().unwrap_or_else(|| IMPORTED.to_owned()),
        amount: Money::new(input.paid, &input.currency),
        transactions,
        next_action: None,
        offline: false,
        created_at: input.placed_at.clone(),
        id,
    })
}

/// All of it in one parcel. When it was sent and arrived is not known.
fn parcel(input: &OrderImport, order: &str, items: &[OrderItem]) -> Option<Fulfillment> {
    let line = |item: &OrderItem| FulfillmentLine { item_id: item.id.clone(), quantity: item.quantity };
    let is_over = input.status == ImportedStatus::Completed;
    is_sent(input).then(|| Fulfillment {
        id: natural_id("ful", &format!("{order} imported")),
        order_id: order.to_owned(),
        status: if is_over { FulfillmentState::Delivered } else { FulfillmentState::Shipped },
        lines: items.iter().map(line).collect(),
        carrier: None,
        tracking_number: input.tracking_number.clone(),
        created_at: input.placed_at.clone(),
        shipped_at: None,
        delivered_at: None,
    })
}
