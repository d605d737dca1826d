//! Which methods there are for a parcel. Values in, values out.

use plugin_sdk::{
    Money,
    shipping::{Parcel, Rate},
};

use crate::config::{Config, Method, Price, Tier};

/// The methods by which the parcel can be sent, with their prices.
pub(crate) fn rates(parcel: &Parcel, config: &Config) -> Vec<Rate> {
    let offered = config.methods.iter().filter(|method| is_offered(method, parcel));
    let rate = |method: &Method| {
        let tier = method.tiers.iter().find(|tier| fits(tier, parcel))?;
        let free = method.free_from.as_ref().is_some_and(|least| reaches(least, parcel));
        let amount = if free { 0 } else { tier.price.amount };
        let price = Money::new(amount, &parcel.currency);
        Some(Rate { code: method.code.clone(), name: method.name.clone(), price })
    };
    offered.filter_map(rate).collect()
}

fn is_offered(method: &Method, parcel: &Parcel) -> bool {
    let to = |any: &Vec<String>| parcel.country.as_ref().is_some_and(|country| any.contains(country));
    let of = |any: &Vec<String>| any.iter().any(|group| parcel.groups.contains(group));
    method.countries.as_ref().is_none_or(to) && method.customer_groups.as_ref().is_none_or(of)
}

fn fits(tier: &Tier, parcel: &Parcel) -> bool {
    tier.price.currency == parcel.currency
        && tier.max_weight_grams.is_none_or(|most| parcel.weight_grams <= most)
        && tier.min_total.as_ref().is_none_or(|least| reaches(least, parcel))
        && tier
            .max_total
            .as_ref()
            .is_none_or(|most| most.currency == parcel.currency && parcel.value <= most.amount)
}

fn reaches(least: &Price, parcel: &Parcel) -> bool {
    least.currency == parcel.currency && parcel.value >= least.amount
}
