//! The lines of a cart: one for each variant.

use plugin_sdk::{Context, FieldError, Problem, Reply, Request, Result, patch::merged};

use crate::{
    carts::{active, save},
    catalogue::{Catalogue, VariantKey},
    model::{CartItemInput, CartItemPatch, CartLine, LINES_MAX, QUANTITY_MAX, StoredCart},
};

/// So many pieces to put in, of what is named.
#[derive(Debug, Clone)]
pub(crate) struct Addition {
    key: VariantKey,
    quantity: u32,
}

impl Addition {
    /// What these items ask for; the JSON pointer of their list is `at`.
    ///
    /// # Errors
    /// 422 for items that name nothing, or name it twice.
    pub(crate) fn all(items: &[CartItemInput], at: &str) -> Result<Vec<Self>> {
        let (mut additions, mut errors) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match VariantKey::of(item, &format!("{at}/{index}")) {
                Ok(key) => additions.push(Self { key, quantity: item.quantity }),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(additions) } else { Err(Problem::validation(errors)) }
    }
}

pub(crate) fn add(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let item: CartItemInput = request.json()?;
    let key = VariantKey::of(&item, "").map_err(|error| Problem::validation(vec![error]))?;
    let addition = Addition { key, quantity: item.quantity };
    let mut cart = active(ctx, &request)?;
    let touched = put(ctx, &mut cart, &[addition], &request.caller.groups, "")?;
    save(ctx, &request, cart, &touched)
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut cart = active(ctx, &request)?;
    let variant = variant_of(&cart, request.param("itemId"))?;
    let Some(line) = cart.lines.get_mut(&variant) else { return Err(Problem::not_found()) };
    let CartItemPatch { quantity } = merged(&CartItemPatch { quantity: line.quantity }, request.value()?)?;
    line.quantity = quantity;
    if quantity == 0 {
        cart.lines.remove(&variant);
    }
    save(ctx, &request, cart, &[variant])
}

pub(crate) fn remove(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let mut cart = active(ctx, &request)?;
    let variant = variant_of(&cart, request.param("itemId"))?;
    cart.lines.remove(&variant);
    save(ctx, &request, cart, &[])
}

/// Puts pieces into a cart, all or none, and answers the variants that there are more of now. `at` is the JSON pointer
/// of the list that they are from, and empty where there is no list.
///
/// # Errors
/// 422 for what is not sold to somebody in these groups, and for too many pieces or lines; those of the store.
pub(crate) fn put(
    ctx: &Context<'_>,
    cart: &mut StoredCart,
    additions: &[Addition],
    groups: &[String],
    at: &str,
) -> Result<Vec<String>> {
    let catalogue = Catalogue::read(ctx, additions.iter().map(|addition| &addition.key))?;
    let now = ctx.now();
    let mut ids = ctx.new_ids("itm", additions.len())?.into_iter();
    let (mut touched, mut errors) = (Vec::with_capacity(additions.len()), Vec::new());
    for (index, addition) in additions.iter().enumerate() {
        let member = match addition.key {
            VariantKey::Id(_) => "variantId",
            VariantKey::Sku(_) => "sku",
        };
        let at = if at.is_empty() { String::new() } else { format!("{at}/{index}") };
        let variant = catalogue.get(&addition.key);
        let present = variant.and_then(|variant| cart.lines.get(&variant.id)).map_or(0, |line| line.quantity);
        let quantity = present.saturating_add(addition.quantity);
        let price = variant.and_then(|it| it.unit_price(&cart.currency, groups, quantity, &now));
        let (Some(variant), Some(price)) = (variant, price) else {
            // The same for what does not exist, what is not published and what has no price in the currency.
            let message = format!("`{}` is not sold in {}.", addition.key.text(), cart.currency);
            errors.push(FieldError::invalid(format!("{at}/{member}"), message));
            continue;
        };
        if quantity > QUANTITY_MAX {
            let message =
                format!("There can be {QUANTITY_MAX} pieces of a variant, and there are {present}.");
            errors.push(FieldError::invalid(format!("{at}/quantity"), message));
            continue;
        }
        let line = cart.lines.entry(variant.id.clone()).or_insert_with(|| CartLine {
            // There are as many as additions.
            id: ids.next().unwrap_or_default(),
            product_id: variant.product_id.clone(),
            sku: variant.sku.clone(),
            quantity: 0,
            seen_price: price,
        });
        line.quantity = quantity;
        touched.push(variant.id.clone());
    }
    if cart.lines.len() > LINES_MAX {
        errors
            .push(FieldError::invalid(at, format!("There can be {LINES_MAX} different variants in a cart.")));
    }
    if errors.is_empty() { Ok(touched) } else { Err(Problem::validation(errors)) }
}

/// The variant of the item with this id.
fn variant_of(cart: &StoredCart, item: &str) -> Result<String> {
    let found = cart.lines.iter().find(|(_, line)| line.id == item);
    found.map(|(variant, _)| variant.clone()).ok_or_else(Problem::not_found)
}
