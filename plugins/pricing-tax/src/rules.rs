//! What taxes a cart has. Values in, values out.

use std::collections::HashMap;

use plugin_sdk::pricing::{Adjustment, Cart, Line, SHIPPING, Value, kind};

use crate::config::{Config, Rate, WHOLE};

/// One adjustment for each rate that lines have, and one for shipping.
pub(crate) fn adjustments(cart: &Cart, config: &Config) -> Vec<Adjustment> {
    let exempt = config.exempt_groups.iter().any(|group| cart.groups.contains(group));
    if exempt {
        return Vec::new();
    }
    let Some(rates) = Rates::new(cart, config) else { return Vec::new() };
    let mut lines: Vec<&Line> = cart.lines.iter().collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    let mut taxed: Vec<(&Rate, Vec<String>)> = Vec::new();
    let mut positions: HashMap<&str, Option<usize>> = HashMap::new();
    for line in lines {
        let position = positions.entry(&line.tax_class).or_insert_with(|| {
            let rate = rates.of(&line.tax_class)?;
            let known = taxed.iter().position(|(other, _)| std::ptr::eq(*other, rate));
            Some(known.unwrap_or_else(|| {
                taxed.push((rate, Vec::new()));
                taxed.len() - 1
            }))
        });
        if let Some((_, lines)) = position.and_then(|position| taxed.get_mut(position)) {
            lines.push(line.id.clone());
        }
    }
    let shipped = config.tax_shipping && cart.shipping.is_some() && cart.shipping_so_far() > 0;
    let shipping = if shipped { rates.of(&config.shipping_tax_class) } else { None };
    taxed
        .into_iter()
        .chain(shipping.map(|rate| (rate, vec![SHIPPING.to_owned()])))
        .map(|(rate, lines)| adjustment(config, rate, lines))
        .collect()
}

fn adjustment(config: &Config, rate: &Rate, lines: Vec<String>) -> Adjustment {
    Adjustment {
        lines,
        kind: if config.prices_include { kind::TAX_INCLUDED } else { kind::TAX }.to_owned(),
        code: rate.code(),
        reason: rate.name.clone(),
        value: Value::Rate(rate.ppm.clamp(0, WHOLE)),
        coupon: None,
    }
}

/// A region as it is compared: addresses are written by people.
pub(crate) fn region_key(region: &str) -> String {
    region.trim().to_lowercase()
}

/// The rates of where a cart goes: first of the region, then of the country, by tax class.
struct Rates<'c>([HashMap<&'c str, &'c Rate>; 2]);

impl<'c> Rates<'c> {
    /// `None` when nobody knows where it goes.
    fn new(cart: &Cart, config: &'c Config) -> Option<Self> {
        // The region of a cart is of its own country, not of the default one.
        let (country, region) = match (&cart.country, &config.default_country) {
            (Some(country), _) => (country, cart.region.as_deref().map(region_key)),
            (None, Some(country)) => (country, None),
            (None, None) => return None,
        };
        let mut rates = [HashMap::new(), HashMap::new()];
        for rate in config.rates.iter().filter(|rate| rate.country == *country) {
            let level = match &rate.region {
                None => 1,
                Some(of) if Some(region_key(of)) == region => 0,
                Some(_) => continue,
            };
            rates[level].insert(rate.tax_class.as_str(), rate);
        }
        Some(Self(rates))
    }

    /// The most specific rate of a tax class; `None` also for those of nothing.
    fn of(&self, tax_class: &str) -> Option<&'c Rate> {
        let rate = self.0.iter().find_map(|level| level.get(tax_class).or_else(|| level.get("")))?;
        (rate.ppm > 0).then_some(rate)
    }
}
