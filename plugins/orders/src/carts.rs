//! Carts: what customers and guests mean to buy.
//!
//! A cart stores what was chosen and never what it comes to: every answer is priced anew. Commands about one cart queue,
//! and one that meets a change runs again, so that none is lost. The host lets nobody reach the carts of others; here it
//! is looked at once more.

pub(crate) mod choices;
pub(crate) mod expiry;
pub(crate) mod items;
pub(crate) mod merge;
mod view;

#[cfg(test)]
pub(crate) mod tests;

use plugin_sdk::{
    Caller, Context, FieldError, Filter, Problem, Reply, Request, Result, StoreError, guest_of,
    money::is_currency, time::timestamp,
};

use crate::{
    CARTS, Config,
    carts::{items::Addition, view::Priced},
    model::{CartInput, CartStatus, StoredCart},
    offer,
};

/// What makes two active carts of one customer impossible.
const ACTIVE_OF: &str = "_activeOf";
/// Most times that a customer's own cart is looked for again after somebody else was faster.
const TRIES_MAX: u32 = 4;

/// Answers the customer's own cart, or makes one. A guest gets a new one with its token.
pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: CartInput = request.json()?;
    if let Some(currency) = input.currency.as_ref().filter(|code| !is_currency(code)) {
        let message = format!("`{currency}` is no currency of ISO 4217.");
        return Err(Problem::validation(vec![FieldError::invalid("/currency", message)]));
    }
    if request.caller.is_staff() {
        let detail = "Carts are for customers and guests. Staff make orders of items.";
        return Err(Problem::new(403, "forbidden").detail(detail));
    }
    let additions = Addition::all(&input.items, "/items")?;
    let customer = customer(&request.caller);
    for _ in 0..TRIES_MAX {
        let own = customer.map(|customer| own(ctx, customer)).transpose()?.flatten();
        let made = match own {
            Some(cart) if !is_over(ctx, &cart) => return reuse(ctx, &request, cart, &input, &additions),
            outlived => make(ctx, &request, &input, &additions, outlived.as_ref())?,
        };
        if let Some(reply) = made {
            return Ok(reply);
        }
    }
    Err(Problem::conflict("Somebody else is making a cart for this customer. Try again in a moment."))
}

/// Answers the cart that there is, with what was to be in a new one.
fn reuse(
    ctx: &Context<'_>,
    request: &Request,
    mut cart: StoredCart,
    input: &CartInput,
    additions: &[Addition],
) -> Result<Reply> {
    if let Some(currency) = input.currency.as_ref().filter(|currency| **currency != cart.currency) {
        let detail =
            format!("The customer has a cart in {} already; delete it for one in {currency}.", cart.currency);
        return Err(Problem::new(409, "currency_mismatch").detail(detail));
    }
    if additions.is_empty() {
        return show(ctx, request, &cart);
    }
    check_active(ctx, &cart)?;
    let touched = items::put(ctx, &mut cart, additions, &request.caller.groups, "/items")?;
    save(ctx, request, cart, &touched)
}

/// Makes a cart. Nothing is answered when the customer has come to have one meanwhile.
fn make(
    ctx: &Context<'_>,
    request: &Request,
    input: &CartInput,
    additions: &[Addition],
    outlived: Option<&StoredCart>,
) -> Result<Option<Reply>> {
    let token = match customer(&request.caller) {
        Some(_) => None,
        None => {
            let token = request.caller.new_guest.clone();
            Some(token.ok_or_else(|| Problem::new(403, "forbidden").detail("Staff have no carts."))?)
        }
    };
    let currency = input.currency.clone().unwrap_or_else(|| ctx.config::<Config>().default_currency);
    let mut cart = empty(ctx, &request.caller, token.as_deref(), currency)?;
    let touched = items::put(ctx, &mut cart, additions, &request.caller.groups, "/items")?;
    let mut priced = Priced::of(ctx, &cart, &request.caller.groups)?;
    priced.saw(&mut cart, &touched);
    priced.cart_token = token;
    let mut commit = ctx.commit();
    if let Some(outlived) = outlived {
        expiry::end(&mut commit, outlived);
    }
    let made = commit.insert_with_id(CARTS, &cart.id, &cart);
    let headers = vec![("location".to_owned(), format!("/carts/{}", cart.id))];
    match commit.answer(201, made, Some(&priced), headers) {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if error.is_taken(ACTIVE_OF) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let cart = open(ctx, &request, request.param("id"))?;
    show(ctx, &request, &cart)
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let cart = active(ctx, &request)?;
    let mut commit = ctx.commit();
    let deleted = commit.delete(CARTS, &cart.id);
    commit.expect_version(deleted, cart.version);
    Ok(commit.answer_empty()?)
}

/// The cart with this id, if it is the caller's.
pub(crate) fn open(ctx: &Context<'_>, request: &Request, id: &str) -> Result<StoredCart> {
    let cart = ctx.get::<StoredCart>(CARTS, id)?.map(|stored| stored.data);
    let caller = &request.caller;
    let is_own = |cart: &StoredCart| {
        let owners = [caller.owner(), caller.guest.as_deref()];
        !caller.is_staff() && owners.contains(&Some(cart.owner.as_str()))
    };
    let mut cart = cart.filter(is_own).ok_or_else(Problem::not_found)?;
    // The job that writes this down may be late.
    if is_over(ctx, &cart) {
        cart.status = CartStatus::Expired;
    }
    Ok(cart)
}

/// The request's cart, which can be changed, in the version that the client expects.
pub(crate) fn active(ctx: &Context<'_>, request: &Request) -> Result<StoredCart> {
    let cart = open(ctx, request, request.param("id"))?;
    check_active(ctx, &cart)?;
    request.check_version(cart.version)?;
    Ok(cart)
}

/// Refuses carts that cannot be changed.
pub(crate) fn check_active(ctx: &Context<'_>, cart: &StoredCart) -> Result<()> {
    match cart.status {
        CartStatus::Active if !is_over(ctx, cart) => Ok(()),
        CartStatus::Completing => Err(locked(cart)),
        CartStatus::Active | CartStatus::Ordered | CartStatus::Merged | CartStatus::Expired => {
            let problem = Problem::new(409, "cart_not_active");
            Err(with_order(problem.detail("The cart was ordered, merged or has expired."), cart))
        }
    }
}

/// An order is being made of the cart, which says so.
pub(crate) fn locked(cart: &StoredCart) -> Problem {
    with_order(Problem::new(409, "cart_locked").detail("An order is being made of the cart."), cart)
}

/// Names the order that was made of the cart.
pub(crate) fn with_order(problem: Problem, cart: &StoredCart) -> Problem {
    match &cart.order_id {
        Some(order) => problem.extra("orderId", order.as_str()),
        None => problem,
    }
}

fn is_over(ctx: &Context<'_>, cart: &StoredCart) -> bool {
    cart.status == CartStatus::Active && cart.expires_at <= ctx.now()
}

/// The cart that the customer has, also one that is over or of which an order is being made.
fn own(ctx: &Context<'_>, customer: &str) -> Result<Option<StoredCart>, StoreError> {
    let stored = ctx.find_one::<StoredCart>(CARTS, Filter::eq(ACTIVE_OF, customer))?;
    Ok(stored.map(|stored| stored.data))
}

fn customer(caller: &Caller) -> Option<&str> {
    if caller.kind == "customer" { caller.subject.as_deref() } else { None }
}

/// A cart without anything in it, of the customer who calls or of who has the token.
fn empty(ctx: &Context<'_>, caller: &Caller, token: Option<&str>, currency: String) -> Result<StoredCart> {
    let customer = customer(caller).map(str::to_owned);
    let owner = match (&customer, token) {
        (Some(customer), _) => customer.clone(),
        (None, token) => guest_of(&[token.unwrap_or_default()]),
    };
    Ok(StoredCart {
        id: ctx.new_id("cart")?,
        version: 0,
        created_at: String::new(),
        updated_at: String::new(),
        active_of: customer.clone(),
        customer_id: customer,
        currency,
        coupons: Vec::new(),
        shipping_address: None,
        billing_address: None,
        shipping_method: None,
        status: CartStatus::Active,
        order_id: None,
        expires_at: expiry_from_now(ctx),
        owner,
        groups: caller.groups.clone(),
        lines: Default::default(),
    })
}

fn expiry_from_now(ctx: &Context<'_>) -> String {
    timestamp(ctx.now_ms() + ctx.config::<Config>().cart_days * 24 * 60 * 60 * 1000)
}

/// Answers a cart as it is.
fn show(ctx: &Context<'_>, request: &Request, cart: &StoredCart) -> Result<Reply> {
    let priced = Priced::of(ctx, cart, &request.caller.groups)?;
    Ok(Reply::resource(&priced.cart(cart), cart.version))
}

/// Commits a changed cart with the whole of it as the answer. `touched` are the variants whose price the client sees
/// with this change.
fn save(ctx: &Context<'_>, request: &Request, mut cart: StoredCart, touched: &[String]) -> Result<Reply> {
    cart.expires_at = expiry_from_now(ctx);
    cart.groups.clone_from(&request.caller.groups);
    let mut priced = Priced::of(ctx, &cart, &request.caller.groups)?;
    priced.saw(&mut cart, touched);
    let mut commit = ctx.commit();
    let written = commit.replace(CARTS, &cart.id, &cart);
    commit.expect_version(written, cart.version);
    Ok(commit.answer(200, written, Some(&priced), Vec::new())?)
}

/// What a cart comes to for who looks at it.
fn offered(ctx: &Context<'_>, cart: &StoredCart, groups: &[String]) -> Result<offer::Offer> {
    offer::to_show(ctx, &offer::basket_of(cart, groups))
}
