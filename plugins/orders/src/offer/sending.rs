//! How a basket can be sent.

use plugin_sdk::{
    Context, Result,
    shipping::{Parcel, ShippingOption, ShippingOptions},
};

use crate::{
    catalogue::Catalogue,
    model::{ChosenShipping, Problem as Told},
    offer::{Basket, Failure, making::Sold, told},
};

/// The ways in which a basket can be sent.
///
/// # Errors
/// Those of the store and of shipping.
pub(crate) fn shipping_options(ctx: &Context<'_>, basket: &Basket) -> Result<ShippingOptions> {
    let now = ctx.now();
    let catalogue = Catalogue::read(ctx, basket.lines.iter().map(|line| &line.variant))?;
    let sold: Vec<Sold<'_>> = basket
        .lines
        .iter()
        .filter_map(|line| {
            let variant = catalogue.get(&line.variant)?;
            let unit_price = variant.unit_price(&basket.currency, &basket.groups, line.quantity, &now)?;
            Some(Sold { line, variant, unit_price })
        })
        .collect();
    if sold.is_empty() { Ok(ShippingOptions::default()) } else { options(ctx, basket, &sold) }
}

fn options(ctx: &Context<'_>, basket: &Basket, sold: &[Sold<'_>]) -> Result<ShippingOptions> {
    let address = basket.shipping_address.as_ref();
    let mut parcel = Parcel {
        currency: basket.currency.clone(),
        country: address.map(|address| address.country.clone()),
        region: address.and_then(|address| address.region.clone()),
        postal_code: address.map(|address| address.postal_code.clone()),
        groups: basket.groups.clone(),
        ..Parcel::default()
    };
    for sold in sold {
        let quantity = u64::from(sold.line.quantity);
        parcel.quantity += quantity;
        let weight = sold.variant.weight_grams.saturating_mul(quantity);
        parcel.weight_grams = parcel.weight_grams.saturating_add(weight);
        let gross = sold.unit_price.saturating_mul(i64::from(sold.line.quantity));
        parcel.value = parcel.value.saturating_add(gross);
    }
    let mut options = ctx.ship(&parcel)?;
    options.options.retain(|option| option.rate.price.currency == basket.currency);
    Ok(options)
}

/// The chosen one of the ways in which a basket can be sent.
pub(super) fn ship(
    ctx: &Context<'_>,
    basket: &Basket,
    sold: &[Sold<'_>],
    method: &str,
    failure: Failure,
    problems: &mut Vec<Told>,
) -> Result<Option<ChosenShipping>> {
    let answer = match options(ctx, basket, sold) {
        Ok(answer) => answer,
        Err(problem) if failure == Failure::Refused => return Err(problem),
        Err(_) => ShippingOptions::default(),
    };
    let chosen = answer.options.into_iter().map(chosen).find(|option| option.id == method);
    if chosen.is_none() {
        let message = "The cart cannot be sent in the way that was chosen.".to_owned();
        problems.push(told("shipping_unavailable", message));
    }
    Ok(chosen)
}

/// A shipping option as it can be chosen.
pub(crate) fn chosen(option: ShippingOption) -> ChosenShipping {
    ChosenShipping {
        id: format!("{}:{}", option.source.plugin_id, option.rate.code),
        name: option.rate.name,
        price: option.rate.price,
        plugin_id: option.source.plugin_id,
        plugin_version: option.source.plugin_version,
        digest: option.source.digest,
        config_digest: option.source.config_digest,
    }
}
