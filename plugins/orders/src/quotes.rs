//! Quotes: prices that hold for a while, whatever becomes of the rules.

use plugin_sdk::{Context, Problem, Reply, Request, Result, time::timestamp};

use crate::{
    CARTS, Config, QUOTES,
    carts::active,
    model::{Quote, StoredQuote},
    offer,
};

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut cart = active(ctx, &request)?;
    let offer = offer::of(ctx, &offer::basket_of(&cart, &request.caller.groups))?;
    if offer.lines.is_empty() {
        return Err(Problem::new(409, "cart_empty").detail("There is nothing in the cart that is sold."));
    }
    let expires_at = timestamp(ctx.now_ms() + ctx.config::<Config>().quote_minutes * 60_000);
    let stored = StoredQuote {
        cart_id: cart.id.clone(),
        currency: offer.currency,
        lines: offer.lines,
        adjustments: offer.adjustments,
        totals: offer.totals,
        plugins: offer.plugins,
        problems: offer.problems,
        expires_at,
        owner: cart.owner.clone(),
        shipping_method: offer.shipping_method,
        unsold: offer.unsold,
        coupons: offer.coupons.iter().map(|it| (it.code.clone(), it.id.clone())).collect(),
        content: offer.content,
        replay: offer.replay,
    };
    // With a quote the client sees all prices.
    let mut is_news = false;
    for line in &stored.lines {
        if let Some(seen) = cart.lines.get_mut(&line.variant_id) {
            is_news |= seen.seen_price != line.unit_price.amount;
            seen.seen_price = line.unit_price.amount;
        }
    }
    let id = ctx.new_id("quo")?;
    let mut commit = ctx.commit();
    commit.insert_with_id(QUOTES, &id, &stored);
    // A quote is of what was read.
    let of = if is_news { commit.replace(CARTS, &cart.id, &cart) } else { commit.check(CARTS, &cart.id) };
    commit.expect_version(of, cart.version);
    Ok(commit.answer_json(201, &shown(id, stored))?)
}

fn shown(id: String, quote: StoredQuote) -> Quote {
    Quote {
        quote_id: id,
        cart_id: quote.cart_id,
        currency: quote.currency,
        lines: quote.lines,
        adjustments: quote.adjustments,
        totals: quote.totals,
        plugins: quote.plugins,
        problems: quote.problems,
        expires_at: quote.expires_at,
    }
}
