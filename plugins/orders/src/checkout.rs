//! Making an order: of a cart, or of what the staff name.
//!
//! Three steps. One commit claims the cart, takes the stock and the coupons and writes the order down as pending, with
//! the payment that is going to be asked for. Then the provider is called, outside of everything. One commit records what
//! it said, and confirms the order or gives everything back ([`settlement`](crate::settlement)). Where nothing is to be
//! paid the first commit confirms the order.
//!
//! A request that died in between is repeated under the same key: it finds the order by the payment's id, which follows
//! from the key, and goes on with it. Otherwise the reconciler does.

use std::collections::{BTreeMap, BTreeSet};

use plugin_sdk::{
    Commit, Context, FieldError, FieldOperation, Filter, Problem, Refusal, Reply, Request, Result,
    StoreError, Value, WriteRef,
    address::Address,
    guest_of, json,
    money::is_currency,
    natural_id,
    payment::{Outcome, PaymentError},
    time::timestamp,
};

use crate::{
    CARTS, COUPON_USES, COUPONS, Config, ORDERS, QUOTES, RESERVATIONS, carts,
    catalogue::VariantKey,
    coupons, document, ledger,
    model::{
        CartStatus, CountedCoupons, Coupon, FulfillmentStatus, Order, OrderInput, OrderItem, OrderStatus,
        PaymentChoice, PaymentStatus, ReservationState, ReservedItem, StoredCart, StoredCouponUse,
        StoredOrder, StoredQuote, StoredReservation, Totals, TransactionState,
    },
    offer::{self, Basket, BasketLine, Offer},
    payments,
    settlement::{self, Source},
    stock::{self, Demand},
};

/// Most times that an order is put together anew after others were faster.
const TRIES_MAX: usize = 16;

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
                let order = document::with_part(ctx, "payments.id", &payment_id)?;
                return resume(ctx, &request, order, &payment_id);
            }
        };
        let authorization = payments::authorization_id(&payment_id);
        let Some((provider, kind, operation)) = settlement::operation(&placed, &authorization) else {
            return conclude(ctx, &request, placed, &authorization, None);
        };
        let answer = ctx.pay(&provider, kind, &operation);
        return conclude(ctx, &request, placed, &authorization, Some((answer, Source::Provider)));
    }
    Err(Problem::conflict("Others keep changing what this order depends on. Try again in a moment."))
}

/// What the schema cannot say of a request.
fn checked(request: &Request) -> Result<OrderInput> {
    let mut input: OrderInput = request.json()?;
    let caller = &request.caller;
    document::check_access(caller, "orders:write")?;
    let mut errors = Vec::new();
    let direct = [
        ("/items", !input.items.is_empty()),
        ("/customerId", input.customer_id.is_some()),
        ("/currency", input.currency.is_some()),
        ("/shippingAddress", input.shipping_address.is_some()),
        ("/billingAddress", input.billing_address.is_some()),
        ("/shippingMethod", input.shipping_method.is_some()),
    ];
    for (pointer, _) in direct.iter().filter(|(_, is_given)| *is_given) {
        if input.cart_id.is_some() {
            errors.push(FieldError::invalid(*pointer, "The cart says this."));
        } else if !caller.is_staff() {
            errors.push(FieldError::invalid(*pointer, "Only the staff may set this."));
        }
    }
    if input.cart_id.is_none() && input.items.is_empty() {
        errors.push(FieldError::invalid("/cartId", "An order is made of a cart."));
    }
    if input.cart_id.is_none() && input.quote_id.is_some() {
        errors.push(FieldError::invalid("/quoteId", "A quote is of a cart."));
    }
    if input.currency.as_ref().is_some_and(|code| !is_currency(code)) {
        errors.push(FieldError::invalid("/currency", "It is no currency of ISO 4217."));
    }
    for (pointer, address) in
        [("/shippingAddress", &input.shipping_address), ("/billingAddress", &input.billing_address)]
    {
        errors.extend(address.iter().flat_map(|address| address.check(pointer)));
    }
    let own = caller.email.clone().filter(|_| caller.kind == "customer");
    input.email = input.email.map(|email| email.trim().to_lowercase()).or(own);
    if errors.is_empty() { Ok(input) } else { Err(Problem::validation(errors)) }
}

/// What is going to be ordered, by whom, and for how much.
struct Draft {
    cart: Option<StoredCart>,
    offer: Offer,
    customer_id: Option<String>,
    email: Option<String>,
    shipping_address: Option<Address>,
    billing_address: Option<Address>,
    quote_id: Option<String>,
    payment: Option<PaymentChoice>,
}

enum Found {
    Draft(Box<Draft>),
    /// This request has made it before.
    Order(Box<StoredOrder>),
}

fn draft(ctx: &Context<'_>, request: &Request, input: &OrderInput, payment_id: &str) -> Result<Found> {
    let cart = match &input.cart_id {
        Some(id) => {
            let cart = ctx.get::<StoredCart>(CARTS, id)?.ok_or_else(Problem::not_found)?.data;
            if let Some(order) = made_before(ctx, request, &cart)? {
                return Ok(Found::Order(Box::new(order)));
            }
            Some(cart)
        }
        None => {
            // No cart tells of an attempt of this request that died, and that may hold what there is in stock.
            let before = ctx.find_one::<StoredOrder>(ORDERS, Filter::eq("payments.id", payment_id))?;
            if let Some(before) = before {
                return Ok(Found::Order(Box::new(before.data)));
            }
            None
        }
    };
    let customer_id = match &cart {
        Some(cart) if request.caller.is_staff() => cart.customer_id.clone(),
        Some(_) if request.caller.kind == "customer" => request.caller.subject.clone(),
        Some(_) => None,
        None => input.customer_id.clone(),
    };
    if customer_id.is_none() && input.email.is_none() {
        let message = "Without an account an order needs an e-mail address.";
        return Err(Problem::validation(vec![FieldError::invalid("/email", message)]));
    }
    let mut basket = match &cart {
        Some(cart) if request.caller.is_staff() => offer::basket_of(cart, &cart.groups),
        Some(cart) => offer::basket_of(cart, &request.caller.groups),
        None => direct_basket(ctx, input)?,
    };
    basket.email.clone_from(&input.email);
    let offer = match (&input.quote_id, &cart) {
        (Some(quote), Some(cart)) => quoted(ctx, &basket, quote, &cart.id)?,
        _ => offer::of(ctx, &basket)?,
    };
    if let Some(problem) = offer.refusal() {
        return Err(problem);
    }
    check_shipping(ctx, &basket, &offer, cart.is_some())?;
    if offer.totals.grand.amount > 0 && input.payment.is_none() {
        let message = "There is something to pay.";
        return Err(Problem::validation(vec![FieldError::invalid("/payment", message)]));
    }
    let (shipping_address, billing_address) = match &cart {
        Some(cart) => (cart.shipping_address.clone(), cart.billing_address.clone()),
        None => (input.shipping_address.clone(), input.billing_address.clone()),
    };
    Ok(Found::Draft(Box::new(Draft {
        cart,
        customer_id,
        email: input.email.clone(),
        billing_address: billing_address.or_else(|| shipping_address.clone()),
        shipping_address,
        quote_id: input.quote_id.clone(),
        payment: input.payment.clone().filter(|_| offer.totals.grand.amount > 0),
        offer,
    })))
}

/// The order that this request has made of the cart already.
///
/// # Errors
/// The cart cannot be ordered, because somebody else has.
fn made_before(ctx: &Context<'_>, request: &Request, cart: &StoredCart) -> Result<Option<StoredOrder>> {
    let not_active = || Problem::new(409, "cart_not_active").detail("The cart cannot be ordered any more.");
    let is_claimed = match cart.status {
        CartStatus::Active if cart.expires_at <= ctx.now() => return Err(not_active()),
        CartStatus::Active => return Ok(None),
        CartStatus::Completing => true,
        CartStatus::Ordered => false,
        CartStatus::Merged | CartStatus::Expired => return Err(not_active()),
    };
    let order = match &cart.order_id {
        Some(id) => ctx.get::<StoredOrder>(ORDERS, id)?.map(|stored| stored.data),
        None => None,
    };
    let key = &request.caller.request_key;
    if let Some(order) = order.filter(|order| key.is_some() && order.request_key == *key) {
        return Ok(Some(order));
    }
    if is_claimed {
        return Err(carts::locked(cart));
    }
    Err(carts::with_order(not_active(), cart))
}

fn direct_basket(ctx: &Context<'_>, input: &OrderInput) -> Result<Basket> {
    let ids = ctx.new_ids("itm", input.items.len())?;
    let mut lines = Vec::with_capacity(ids.len());
    let mut errors = Vec::new();
    for (index, (item, id)) in input.items.iter().zip(ids).enumerate() {
        match VariantKey::of(item, &format!("/items/{index}")) {
            Ok(variant) => {
                let sku = variant.text().to_owned();
                lines.push(BasketLine { id, variant, sku, quantity: item.quantity });
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let config: Config = ctx.config();
    Ok(Basket {
        currency: input.currency.clone().unwrap_or(config.default_currency),
        customer: input.customer_id.clone(),
        shipping_address: input.shipping_address.clone(),
        shipping_method: input.shipping_method.clone(),
        lines,
        ..Basket::default()
    })
}

/// The price that was quoted, as long as it holds and the cart is what it was.
fn quoted(ctx: &Context<'_>, basket: &Basket, id: &str, cart: &str) -> Result<Offer> {
    let quote = ctx.get::<StoredQuote>(QUOTES, id)?.filter(|quote| quote.data.cart_id == cart);
    let Some(quote) = quote else {
        return Err(Problem::new(409, "quote_expired").detail("There is no such quote of this cart."));
    };
    let quote = quote.data;
    let is_same = quote.content == offer::content(basket);
    if is_same && quote.expires_at > ctx.now() {
        return offer::of_quote(ctx, &quote);
    }
    let current = offer::of(ctx, basket)?;
    if is_same && current.totals.grand == quote.totals.grand {
        return Ok(current);
    }
    let detail = if is_same {
        "The quote has expired, and the price has changed since."
    } else {
        "The cart has changed since it was quoted."
    };
    let diff = difference(&quote.totals, &current.totals);
    Err(Problem::new(409, "price_changed").detail(detail).extra("diff", diff))
}

/// The totals in which two prices differ.
fn difference(quoted: &Totals, current: &Totals) -> Value {
    let (quoted, current) = (json!(quoted), json!(current));
    let members = quoted.as_object().into_iter().flatten();
    let differing = members.filter(|(name, amount)| current[name.as_str()] != **amount);
    differing
        .map(|(name, amount)| (name.clone(), json!({"quoted": amount, "current": current[name.as_str()]})))
        .collect::<plugin_sdk::serde_json::Map<String, Value>>()
        .into()
}

/// Whether it is said where and how the goods are sent. They need not be where no shipping plugin has an option for them
/// even without an address: then nothing is sent, or the shop sees to it itself.
fn check_shipping(ctx: &Context<'_>, basket: &Basket, offer: &Offer, is_cart: bool) -> Result<()> {
    let no_address = || {
        let pointer = if is_cart { "/cartId" } else { "/shippingAddress" };
        let message = "It is not said where to send the goods.";
        Problem::validation(vec![FieldError::invalid(pointer, message)])
    };
    let unavailable = |detail: &str| Err(Problem::new(409, "shipping_unavailable").detail(detail));
    if offer.shipping_method.is_some() {
        return if basket.shipping_address.is_some() { Ok(()) } else { Err(no_address()) };
    }
    let options = offer::shipping_options(ctx, basket)?;
    if !options.options.is_empty() {
        let Some(_) = &basket.shipping_address else { return Err(no_address()) };
        return unavailable("One of the shipping options has to be chosen.");
    }
    if let Some(problem) = options.problems.first() {
        return unavailable(problem);
    }
    if basket.shipping_address.is_some() {
        let anywhere = Basket { shipping_address: None, ..basket.clone() };
        if !offer::shipping_options(ctx, &anywhere)?.options.is_empty() {
            return unavailable("The goods cannot be sent to this address.");
        }
    }
    Ok(())
}

/// What refused commits have shown.
#[derive(Default)]
struct Taking {
    /// The reservations whose time is over were let go.
    has_freed: bool,
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
        pieces.push((claim(&mut commit, cart, &order.order.id, is_paid), Piece::Cart));
    }
    let taken = stock::take(&mut commit, &demand);
    pieces.extend(taken.into_iter().map(|(write, sku)| (write, Piece::Stock(sku))));
    commit.insert_with_id(RESERVATIONS, &order.reservation_id, &reservation(&order, &demand));
    let inserted = {
        document::settle(&mut order);
        commit.insert_with_id(ORDERS, &order.order.id, &order)
    };
    pieces.push((inserted, Piece::Order));
    for write in use_coupons(ctx, &mut commit, draft, &order)? {
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
fn claim(commit: &mut Commit<'_>, cart: &StoredCart, order: &str, is_paid: bool) -> WriteRef {
    let set = |path: &str, value: Value| FieldOperation::Set { path: path.to_owned(), value };
    let status = if is_paid { CartStatus::Ordered } else { CartStatus::Completing };
    let mut operations = vec![set("status", json!(status)), set("orderId", json!(order))];
    if is_paid {
        operations.push(set("_activeOf", Value::Null));
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
            taking.uncounted.insert(sku.clone());
            Ok(Placed::Again)
        }
        (Some(Piece::Stock(_)), Refusal::Guard | Refusal::NotFound) => {
            if !taking.has_freed {
                taking.has_freed = true;
                if free_expired(ctx, demand)? {
                    return Ok(Placed::Again);
                }
            }
            match stock::shortage(ctx, demand)? {
                Some(problem) => Err(problem),
                None => Ok(Placed::Again),
            }
        }
        (Some(Piece::Order), Refusal::Unique { path, .. }) if path == "payments.id" => Ok(Placed::Before),
        // The number is taken: the next one is another.
        (Some(Piece::Order), Refusal::Unique { path, .. }) if path == "number" => Ok(Placed::Again),
        (Some(Piece::Cart | Piece::Coupon), _) if settlement::is_retryable(&error) => Ok(Placed::Again),
        _ => Err(error.into()),
    }
}

/// Lets the reservations go whose time is over and which hold what is wanted. Their orders may be anybody's, so they are
/// left to the reconciler: without its reservation none of them can be confirmed any more.
fn free_expired(ctx: &Context<'_>, demand: &Demand) -> Result<bool> {
    let mut has_freed = false;
    for held in stock::expired_of(ctx, demand.keys().map(String::as_str))? {
        let mut commit = ctx.commit();
        settlement::release_reservation(&mut commit, &held.id, held.version, &held.data);
        match commit.apply() {
            Ok(_) => has_freed = true,
            // Somebody else did, or the order was confirmed after all.
            Err(error) if settlement::is_retryable(&error) => has_freed = true,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(has_freed)
}

/// Adds the writes that count the order among the uses of its coupons.
///
/// # Errors
/// 409 `coupon_exhausted`, or those of the store.
fn use_coupons(
    ctx: &Context<'_>,
    commit: &mut Commit<'_>,
    draft: &Draft,
    order: &StoredOrder,
) -> Result<Vec<WriteRef>> {
    let counted = &order.counted;
    let used = draft.offer.coupons.iter().filter(|coupon| counted.coupons.contains(&coupon.id));
    let exhausted = |coupon: &Coupon, why: &str| {
        let detail = format!("The coupon `{}` {why}.", coupon.code);
        Problem::new(409, "coupon_exhausted").detail(detail)
    };
    let one_more = || vec![FieldOperation::Increment { path: "used".to_owned(), by: 1 }];
    let below = |limit: i64| Filter::Lt("used".to_owned(), limit.into());
    let buyers = coupons::buyers(order.order.customer_id.as_deref(), order.order.email.as_deref());
    let mut writes = Vec::new();
    for coupon in used {
        let write = commit.update(COUPONS, &coupon.id, one_more());
        if let Some(limit) = coupon.limit {
            if coupon.used >= limit {
                return Err(exhausted(coupon, "is used up"));
            }
            commit.guard(write, Filter::And(vec![below(limit), Filter::eq("limit", limit)]));
        }
        writes.push(write);
        let ids: Vec<String> = buyers.iter().map(|buyer| coupons::use_id(&coupon.id, buyer)).collect();
        let uses = ctx.get_many::<StoredCouponUse>(COUPON_USES, &ids)?;
        for ((buyer, id), own) in buyers.iter().zip(ids).zip(uses) {
            let own_used = own.as_ref().map_or(0, |own| own.data.used);
            if coupon.per_customer.is_some_and(|limit| own_used >= limit) {
                return Err(exhausted(coupon, "was used as often as one customer can"));
            }
            let write = match own {
                Some(_) => {
                    let write = commit.update(COUPON_USES, &id, one_more());
                    if let Some(limit) = coupon.per_customer {
                        commit.guard(write, below(limit));
                    }
                    write
                }
                None => {
                    let first =
                        StoredCouponUse { coupon_id: coupon.id.clone(), customer: buyer.clone(), used: 1 };
                    commit.insert_with_id(COUPON_USES, &id, &first)
                }
            };
            writes.push(write);
        }
    }
    Ok(writes)
}

/// What is going to count the order among the uses of its coupons.
fn counted(offer: &Offer, order: &Order) -> CountedCoupons {
    let used = offer.coupons.iter().filter(|coupon| order.coupons.contains(&coupon.code));
    let coupons: Vec<String> = used.map(|coupon| coupon.id.clone()).collect();
    let buyers = coupons::buyers(order.customer_id.as_deref(), order.email.as_deref());
    let uses = coupons.iter().flat_map(|coupon| buyers.iter().map(|buyer| coupons::use_id(coupon, buyer)));
    CountedCoupons { uses: uses.collect(), coupons }
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
        reservation_id: ctx.new_id("rsv")?,
        request_key: request.caller.request_key.clone(),
        references: Vec::new(),
        counted: counted(offer, &order),
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
