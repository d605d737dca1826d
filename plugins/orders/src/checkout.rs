//! Making an order: of a cart, or of what the staff name.
//!
//! Three steps. One commit claims the cart, takes the stock and the coupons and writes the order down as pending, with
//! the payment that is going to be asked for. Then the provider is called, outside of everything. One commit records what
//! it said, and confirms the order or gives everything back ([`settlement`](crate::settlement)). Where nothing is to be
//! paid the first commit confirms the order.
//!
//! A request that died in between is repeated under the same key: it finds the order by the payment's id, which follows
//! from the key, and goes on with it. Otherwise the reconciler does.

mod draft;

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{
    Commit, Context, FieldOperation, Problem, Refusal, Reply, Request, Result, StoreError, Value, WriteRef,
    guest_of, json, natural_id,
    payment::{Outcome, PaymentError},
    time::timestamp,
};

use self::draft::{Draft, Found, checked, draft};
use crate::{
    CARTS, Config, ORDERS, RESERVATIONS,
    coupons::uses,
    document, ledger,
    model::{
        CartStatus, FulfillmentStatus, Order, OrderItem, OrderStatus, PaymentStatus, ReservationState,
        ReservedItem, StoredCart, StoredOrder, StoredReservation, TransactionState,
    },
    payments,
    release::release_reservation,
    settlement::{self, Source},
    stock::{self, Demand},
    transactions,
};

/// Most times that an order is put together anew after others were faster.
const TRIES_MAX: usize = 16;
/// After so many expired reservations it is looked again whether there is enough.
const FREED_AT_ONCE: u32 = 20;
/// And so often at the most.
const FREEING_MAX: usize = 50;

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input = checked(&request)?;
    if let Some(payment) = &input.payment {
        payments::check_provider(ctx, &payment.provider, "/payment/provider")?;
    }
    let payment_id = payments::id_of(ctx, &request, "pay")?;
    let mut taking = Taking::default();
    for _ in 0..TRIES_MAX {
        let draft = match draft(ctx, &request, &input, &payment_id)? {
            Found::Draft(draft) => draft,
            Found::Order(order) => return resume(ctx, &request, *order, &payment_id),
        };
        let placed = match place(ctx, &request, &draft, &payment_id, &mut taking)? {
            Placed::Order(placed) => *placed,
            Placed::Answered(reply) => return Ok(reply),
            Placed::Again => continue,
            Placed::Before => {
                let order = draft::placed(ctx, &request, &payment_id)?.ok_or_else(Problem::not_found)?;
                return resume(ctx, &request, order, &payment_id);
            }
        };
        let authorization = payments::authorization_id(&payment_id);
        let Some((provider, kind, operation)) = transactions::operation(&placed, &authorization) else {
            return conclude(ctx, &request, placed, &authorization, None);
        };
        let answer = ctx.pay(&provider, kind, &operation);
        return conclude(ctx, &request, placed, &authorization, Some((answer, Source::Provider)));
    }
    Err(Problem::conflict("Others keep changing what this order depends on. Try again in a moment."))
}

/// What refused commits have shown.
#[derive(Default)]
struct Taking {
    /// SKUs that sell also without stock and were never counted: there is nothing to take.
    uncounted: BTreeSet<String>,
}

enum Placed {
    /// Pending, and to be paid.
    Order(Box<StoredOrder>),
    /// There was nothing to pay.
    Answered(Reply),
    /// Something has changed meanwhile.
    Again,
    /// This request has made an order before.
    Before,
}

/// What a write of the first commit is for.
enum Piece {
    Cart,
    Stock(String),
    Reservation,
    Order,
    Coupon,
}

fn place(
    ctx: &Context<'_>,
    request: &Request,
    draft: &Draft,
    payment_id: &str,
    taking: &mut Taking,
) -> Result<Placed> {
    let mut demand = draft.offer.demand.clone();
    demand.retain(|sku, _| !taking.uncounted.contains(sku));
    let mut order = written_down(ctx, request, draft, payment_id)?;
    let is_paid = order.order.payments.is_empty();
    let actor = document::actor(&request.caller);
    let mut commit = ctx.commit();
    let mut pieces: Vec<(WriteRef, Piece)> = Vec::new();
    if let Some(cart) = &draft.cart {
        let customer = request.caller.subject.as_deref().filter(|_| request.caller.kind == "customer");
        pieces.push((claim(&mut commit, cart, &order.order.id, is_paid, customer), Piece::Cart));
    }
    let taken = stock::take(&mut commit, &demand);
    pieces.extend(taken.into_iter().map(|(write, sku)| (write, Piece::Stock(sku))));
    let held = commit.insert_with_id(RESERVATIONS, &order.reservation_id, &reservation(&order, &demand));
    pieces.push((held, Piece::Reservation));
    let inserted = {
        document::settle(&mut order);
        commit.insert_with_id(ORDERS, &order.order.id, &order)
    };
    pieces.push((inserted, Piece::Order));
    for write in uses::take(ctx, &mut commit, &draft.offer, &order)? {
        pieces.push((write, Piece::Coupon));
    }
    let created = json!({"number": order.order.number, "total": order.order.totals.grand});
    document::record(&mut commit, &order, "order.created", &actor, &created);
    settlement::announce(&mut commit, &order, "order.created", inserted, &created);
    let id = order.order.id.clone();
    let done = if is_paid {
        let moved = json!({"from": "pending", "to": "confirmed"});
        document::record(&mut commit, &order, "order.status_changed", &actor, &moved);
        settlement::announce(&mut commit, &order, "order.status_changed", inserted, &moved);
        let overlay = document::overlay(&request.caller);
        commit.answer(201, inserted, overlay.as_ref(), location(&id)).map(Placed::Answered)
    } else {
        commit.apply().map(|_| {
            order.order.version = 1;
            Placed::Order(Box::new(order))
        })
    };
    done.or_else(|error| adapted(ctx, &pieces, &demand, taking, error))
}

/// Adds the write that claims a cart, as it was read, for an order.
fn claim(
    commit: &mut Commit<'_>,
    cart: &StoredCart,
    order: &str,
    is_paid: bool,
    customer: Option<&str>,
) -> WriteRef {
    let status = if is_paid { CartStatus::Ordered } else { CartStatus::Completing };
    let mut operations =
        vec![FieldOperation::set("status", json!(status)), FieldOperation::set("orderId", json!(order))];
    if is_paid {
        operations.push(FieldOperation::set("_activeOf", Value::Null));
    }
    // A guest's cart that a customer orders is the customer's from now on, who may come back without its token. It stays
    // what it was otherwise, so that its quote holds.
    if let Some(customer) = customer.filter(|customer| *customer != cart.owner) {
        operations.push(FieldOperation::set("_owner", json!(customer)));
    }
    let write = commit.update(CARTS, &cart.id, operations);
    commit.expect_version(write, cart.version);
    write
}

fn reservation(order: &StoredOrder, demand: &Demand) -> StoredReservation {
    let items = demand
        .iter()
        .map(|(sku, wanted)| ReservedItem { sku: sku.clone(), quantity: wanted.quantity })
        .collect();
    let is_held = order.order.status == OrderStatus::Pending;
    StoredReservation {
        order_id: order.order.id.clone(),
        state: if is_held { ReservationState::Held } else { ReservationState::Committed },
        items,
        expires_at: order.expires_at.clone(),
    }
}

/// What to do about a refused commit.
fn adapted(
    ctx: &Context<'_>,
    pieces: &[(WriteRef, Piece)],
    demand: &Demand,
    taking: &mut Taking,
    error: StoreError,
) -> Result<Placed> {
    let Some((at, reason)) = error.refusal() else { return Err(error.into()) };
    let piece = pieces.iter().find(|(write, _)| write.position() == at).map(|(_, piece)| piece);
    match (piece, reason) {
        (Some(Piece::Stock(sku)), Refusal::NotFound) if demand.get(sku).is_some_and(|it| it.backorder) => {
            // A commit tells of the first one only.
            taking.uncounted.extend(stock::uncounted(ctx, demand)?);
            Ok(Placed::Again)
        }
        (Some(Piece::Stock(_)), Refusal::Guard | Refusal::NotFound) => {
            if free_expired(ctx, demand)? {
                return Ok(Placed::Again);
            }
            match stock::shortage(ctx, demand)? {
                Some(problem) => Err(problem),
                None => Ok(Placed::Again),
            }
        }
        (Some(Piece::Order), Refusal::Unique { path, .. }) if path == "payments.id" => Ok(Placed::Before),
        (Some(Piece::Reservation), Refusal::AlreadyExists) => Ok(Placed::Before),
        // The number is taken: the next one is another.
        (Some(Piece::Order), Refusal::Unique { path, .. }) if path == "number" => Ok(Placed::Again),
        (Some(Piece::Cart | Piece::Coupon), _) if settlement::is_retryable(&error) => Ok(Placed::Again),
        _ => Err(error.into()),
    }
}

/// Lets reservations go whose time is over and which hold what there is too little of, until there is enough or nothing
/// more to be had. Answers whether there was any. Their orders may be anybody's, so they are left to the reconciler:
/// without its reservation none of them can be confirmed any more.
fn free_expired(ctx: &Context<'_>, demand: &Demand) -> Result<bool> {
    let mut has_freed = false;
    for _ in 0..FREEING_MAX {
        let short = stock::short(ctx, demand)?;
        if short.is_empty() {
            break;
        }
        let expired = stock::expired_of(ctx, short.into_keys(), FREED_AT_ONCE)?;
        if expired.is_empty() {
            break;
        }
        for held in expired {
            let mut commit = ctx.commit();
            release_reservation(&mut commit, &held.id, held.version, &held.data);
            match commit.apply() {
                Ok(_) => {}
                // Somebody else did, or the order was confirmed after all.
                Err(error) if settlement::is_retryable(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        has_freed = true;
    }
    Ok(has_freed)
}

/// The order as it is first stored.
fn written_down(
    ctx: &Context<'_>,
    request: &Request,
    draft: &Draft,
    payment_id: &str,
) -> Result<StoredOrder> {
    let config: Config = ctx.config();
    let offer = &draft.offer;
    let id = ctx.new_id("ord")?;
    let number = number(ctx)?;
    let is_paid = draft.payment.is_none();
    let expires_at = timestamp(ctx.now_ms() + config.reservation_minutes * 60_000);
    let items = offer.lines.iter().map(|line| OrderItem {
        id: line.id.clone(),
        product_id: line.product_id.clone(),
        variant_id: line.variant_id.clone(),
        sku: line.sku.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price.clone(),
        adjustments: line.adjustments.clone(),
        total: line.total.clone(),
    });
    let order = Order {
        id,
        version: 0,
        created_at: String::new(),
        updated_at: String::new(),
        placed_at: ctx.now(),
        status: if is_paid { OrderStatus::Confirmed } else { OrderStatus::Pending },
        payment_status: PaymentStatus::None,
        fulfillment_status: FulfillmentStatus::None,
        currency: offer.currency.clone(),
        customer_id: draft.customer_id.clone(),
        email: draft.email.clone(),
        cart_id: draft.cart.as_ref().map(|cart| cart.id.clone()),
        quote_id: draft.quote_id.clone(),
        items: items.collect(),
        adjustments: offer.adjustments.clone(),
        coupons: offer.effective_coupons(),
        shipping_address: draft.shipping_address.clone(),
        billing_address: draft.billing_address.clone(),
        shipping_method: offer.shipping_method.clone(),
        totals: offer.totals.clone(),
        plugins: offer.plugins.clone(),
        payments: Vec::new(),
        fulfillments: Vec::new(),
        returns: Vec::new(),
        notes: String::new(),
        metadata: plugin_sdk::serde_json::Map::new(),
        number,
    };
    let mut order = StoredOrder {
        owners: owners(draft, &order),
        held_from: None,
        hidden: false,
        expires_at: (!is_paid).then_some(expires_at),
        due_at: None,
        operations: BTreeMap::new(),
        // Follows from the request: an order with nothing to pay has no payment by which a repeat would find it.
        reservation_id: payments::id_of(ctx, request, "rsv")?,
        request_key: request.caller.request_key.clone(),
        references: Vec::new(),
        counted: uses::counted(offer, &order),
        notices: Vec::new(),
        replay: offer.replay.clone(),
        imported: None,
        order,
    };
    if let Some(payment) = &draft.payment {
        let (token, amount) = (payment.token.as_deref(), offer.totals.grand.amount);
        payments::open(ctx, &mut order, payment_id, &payment.provider, token, amount);
    }
    Ok(order)
}

/// Who may see the order besides staff.
fn owners(draft: &Draft, order: &Order) -> Vec<String> {
    let cart = draft.cart.as_ref().map(|cart| cart.owner.clone());
    let knowing = || order.email.as_ref().map(|email| guest_of(&[&order.number, email]));
    let mut owners: Vec<String> = match &order.customer_id {
        Some(customer) => vec![customer.clone()],
        None => cart.into_iter().chain(knowing()).collect(),
    };
    owners.dedup();
    owners
}

/// A number for people: the day, and six characters that nobody can tell from others'.
fn number(ctx: &Context<'_>) -> Result<String> {
    let random = natural_id("nr", &ctx.new_id("nr")?);
    let day = ctx.now();
    Ok(format!("{}{}{}-{}", &day[2..4], &day[5..7], &day[8..10], &random[3..9]))
}

fn location(id: &str) -> Vec<(String, String)> {
    vec![("location".to_owned(), format!("/orders/{id}"))]
}

/// Goes on with an order that an attempt of this request has made before it died.
fn resume(ctx: &Context<'_>, request: &Request, order: StoredOrder, payment_id: &str) -> Result<Reply> {
    let authorization = payments::authorization_id(payment_id);
    let told = payments::ask_again(ctx, &order, &authorization);
    conclude(ctx, request, order, &authorization, told)
}

/// Takes in what the provider said, and answers.
fn conclude(
    ctx: &Context<'_>,
    request: &Request,
    order: StoredOrder,
    authorization: &str,
    told: Option<(Result<Outcome, PaymentError>, Source)>,
) -> Result<Reply> {
    let actor = document::actor(&request.caller);
    let id = order.order.id.clone();
    let concluded = settlement::change(
        ctx,
        &actor,
        &id,
        Some(order),
        |work, order| {
            if let Some((answer, source)) = &told {
                settlement::take_in(work, order, authorization, answer, *source)?;
            }
            Ok(true)
        },
        |commit, written, order| {
            let status = match order.order.status {
                OrderStatus::Pending => 202,
                OrderStatus::Cancelled | OrderStatus::Expired => {
                    commit.apply()?;
                    let answer = told.as_ref().map(|(answer, _)| answer);
                    return Ok(Err(given_up(order, authorization, answer)));
                }
                _ => 201,
            };
            let overlay = document::overlay(&request.caller);
            commit.answer(status, written, overlay.as_ref(), location(&id)).map(Ok)
        },
    )?;
    concluded.ok_or_else(Problem::not_found)?
}

/// What is told of an order that came to nothing.
fn given_up(
    order: &StoredOrder,
    authorization: &str,
    answer: Option<&Result<Outcome, PaymentError>>,
) -> Problem {
    let problem = match ledger::transaction(&order.order, authorization) {
        Some((_, it)) if it.state == TransactionState::Failed => payments::refusal(it, answer),
        _ => {
            let detail = "The order was given up before it was paid. What was paid is given back.";
            Problem::new(409, "reservation_expired").detail(detail)
        }
    };
    problem.extra("orderId", order.order.id.as_str())
}
