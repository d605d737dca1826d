//! What is going to be ordered, by whom, and for how much: a request as far as it can be checked without taking anything.

use plugin_sdk::{
    Context, FieldError, Filter, Problem, Request, Result, StoreError, Value,
    address::Address,
    identity::{ACCOUNTS, Account},
    json,
    money::is_currency,
};

use crate::{
    CARTS, Config, ORDERS, QUOTES, RESERVATIONS, carts,
    catalogue::VariantKey,
    document,
    model::{
        CartStatus, OrderInput, PaymentChoice, StoredCart, StoredOrder, StoredQuote, StoredReservation,
        Totals,
    },
    offer::{self, Basket, BasketLine, Offer},
    payments,
};

/// What the schema cannot say of a request.
pub(super) fn checked(request: &Request) -> Result<OrderInput> {
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
pub(super) struct Draft {
    pub(super) cart: Option<StoredCart>,
    pub(super) offer: Offer,
    pub(super) customer_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) shipping_address: Option<Address>,
    pub(super) billing_address: Option<Address>,
    pub(super) quote_id: Option<String>,
    pub(super) payment: Option<PaymentChoice>,
}

pub(super) enum Found {
    Draft(Box<Draft>),
    /// This request has made it before.
    Order(Box<StoredOrder>),
}

pub(super) fn draft(
    ctx: &Context<'_>,
    request: &Request,
    input: &OrderInput,
    payment_id: &str,
) -> Result<Found> {
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
            if let Some(before) = placed(ctx, request, payment_id)? {
                return Ok(Found::Order(Box::new(before)));
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
    let account = match &customer_id {
        Some(id) if request.caller.is_staff() => account_of(ctx, id, cart.is_none())?,
        _ => None,
    };
    if customer_id.is_none() && input.email.is_none() {
        let message = "Without an account an order needs an e-mail address.";
        return Err(Problem::validation(vec![FieldError::invalid("/email", message)]));
    }
    let mut basket = match &cart {
        Some(cart) if request.caller.is_staff() => {
            offer::basket_of(cart, account.as_ref().map_or(&cart.groups, |account| &account.groups))
        }
        Some(cart) => offer::basket_of(cart, &request.caller.groups),
        None => direct_basket(ctx, input, account.as_ref())?,
    };
    // Who may make orders does not learn addresses by it.
    let told = account.filter(|_| request.caller.may("users:read")).map(|account| account.email);
    let email = input.email.clone().or(told);
    basket.email.clone_from(&email);
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
        email,
        billing_address: billing_address.or_else(|| shipping_address.clone()),
        shipping_address,
        quote_id: input.quote_id.clone(),
        payment: input.payment.clone().filter(|_| offer.totals.grand.amount > 0),
        offer,
    })))
}

/// The order that an attempt of this request has made: by its payment, or where there was nothing to pay by its
/// reservation.
///
/// # Errors
/// Those of the store.
pub(super) fn placed(ctx: &Context<'_>, request: &Request, payment_id: &str) -> Result<Option<StoredOrder>> {
    if request.caller.request_key.is_none() {
        return Ok(None);
    }
    if let Some(order) = ctx.find_one::<StoredOrder>(ORDERS, Filter::eq("payments.id", payment_id))? {
        return Ok(Some(order.data));
    }
    let reservation = payments::id_of(ctx, request, "rsv")?;
    let Some(held) = ctx.get::<StoredReservation>(RESERVATIONS, &reservation)? else { return Ok(None) };
    Ok(ctx.get::<StoredOrder>(ORDERS, &held.data.order_id)?.map(|order| order.data))
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

/// The account of a customer whom the staff order for; nothing where the operator lets nobody read accounts.
///
/// # Errors
/// There is no such customer, and the request has `named` one; those of the store.
fn account_of(ctx: &Context<'_>, id: &str, named: bool) -> Result<Option<Account>> {
    let account = match ctx.get::<Account>(ACCOUNTS, id) {
        Err(StoreError::Denied(_)) => return Ok(None),
        account => account?,
    };
    match account.filter(|account| account.data.kind == "customer") {
        Some(account) => Ok(Some(account.data)),
        None if !named => Ok(None),
        None => {
            Err(Problem::validation(vec![FieldError::invalid("/customerId", "There is no such customer.")]))
        }
    }
}

fn direct_basket(ctx: &Context<'_>, input: &OrderInput, account: Option<&Account>) -> Result<Basket> {
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
        groups: account.map(|account| account.groups.clone()).unwrap_or_default(),
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
