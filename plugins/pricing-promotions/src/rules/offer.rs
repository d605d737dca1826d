//! Which promotions apply to a cart, and to which of its lines.

use std::collections::HashSet;

use plugin_sdk::pricing::{Cart, Line};

use super::rest::Rest;
use crate::config::{Config, Match, Promotion};

/// A promotion whose conditions hold.
pub(super) struct Offer<'c> {
    pub(super) promotion: &'c Promotion,
    /// The code of the coupon that opened it.
    pub(super) coupon: Option<&'c str>,
    /// The positions of the matching lines; there is at least one.
    pub(super) lines: Vec<usize>,
}

/// The promotions that apply to the cart as the rules before left it.
pub(super) fn offers<'c>(cart: &'c Cart, rest: &Rest<'c>, config: &'c Config) -> Vec<Offer<'c>> {
    config.promotions.iter().filter_map(|promotion| offer(cart, rest, promotion)).collect()
}

fn offer<'c>(cart: &'c Cart, rest: &Rest<'c>, promotion: &'c Promotion) -> Option<Offer<'c>> {
    // What is looked up in the lines comes last: most promotions of a shop are out before.
    let coupon = match promotion.coupon {
        true => Some(coupon_of(cart, promotion)?),
        false => None,
    };
    if !is_for(cart, promotion) {
        return None;
    }
    let lines = matching(promotion.lines.as_ref(), rest);
    let applies = !lines.is_empty() && has_enough(rest, promotion, &lines);
    applies.then_some(Offer { promotion, coupon, lines })
}

/// Of several coupons for the same promotion one is named, whatever their order.
fn coupon_of<'c>(cart: &'c Cart, promotion: &Promotion) -> Option<&'c str> {
    let coupons = cart.coupons.iter().filter(|coupon| coupon.rule_id == promotion.id);
    coupons.map(|coupon| coupon.code.as_str()).min()
}

/// The conditions that look at no line.
fn is_for(cart: &Cart, promotion: &Promotion) -> bool {
    let currency = |wanted: &str| wanted == cart.currency;
    promotion.starts_at.is_none_or(|starts| starts.0 <= cart.at_ms)
        && promotion.ends_at.is_none_or(|ends| cart.at_ms < ends.0)
        && promotion.currency.as_deref().is_none_or(currency)
        && promotion.min_subtotal.as_ref().is_none_or(|least| currency(&least.currency))
        && promotion.action.amounts().is_none_or(|all| all.iter().any(|amount| currency(&amount.currency)))
        && promotion
            .countries
            .as_ref()
            .is_none_or(|any| cart.country.as_ref().is_some_and(|it| any.contains(it)))
        && promotion.customer_groups.as_ref().is_none_or(|any| any.iter().any(|it| cart.groups.contains(it)))
}

fn has_enough(rest: &Rest<'_>, promotion: &Promotion, lines: &[usize]) -> bool {
    promotion.min_quantity.is_none_or(|least| rest.pieces(lines) >= u128::from(least))
        && promotion.min_subtotal.as_ref().is_none_or(|least| rest.sum(lines) >= i128::from(least.amount))
}

fn matching(wanted: Option<&Match>, rest: &Rest<'_>) -> Vec<usize> {
    let lines = rest.lines().iter().map(|rest| rest.line).enumerate();
    let Some(wanted) = wanted else { return lines.map(|(index, _)| index).collect() };
    let lists = Lists::new(wanted);
    lines.filter(|(_, line)| lists.have(line)).map(|(index, _)| index).collect()
}

/// Most names of a list that is looked through: putting them into a set takes longer. Longer ones are sets, because a cart
/// may have hundreds of lines and a list thousands of products.
const FEW: usize = 16;

/// A list of a match.
enum Names<'c> {
    /// No list is given.
    Any,
    Few(&'c [String]),
    Many(HashSet<&'c str>),
}

impl<'c> Names<'c> {
    fn new(list: Option<&'c Vec<String>>) -> Self {
        match list {
            None => Self::Any,
            Some(list) if list.len() <= FEW => Self::Few(list),
            Some(list) => Self::Many(list.iter().map(String::as_str).collect()),
        }
    }

    fn have(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Few(names) => names.iter().any(|it| it == name),
            Self::Many(names) => names.contains(name),
        }
    }

    fn have_any(&self, names: &[String]) -> bool {
        matches!(self, Self::Any) || names.iter().any(|name| self.have(name))
    }
}

struct Lists<'c> {
    categories: Names<'c>,
    products: Names<'c>,
    skus: Names<'c>,
    tax_classes: Names<'c>,
}

impl<'c> Lists<'c> {
    fn new(wanted: &'c Match) -> Self {
        Self {
            categories: Names::new(wanted.category_ids.as_ref()),
            products: Names::new(wanted.product_ids.as_ref()),
            skus: Names::new(wanted.skus.as_ref()),
            tax_classes: Names::new(wanted.tax_classes.as_ref()),
        }
    }

    fn have(&self, line: &Line) -> bool {
        self.products.have(&line.product_id)
            && self.skus.have(&line.sku)
            && self.tax_classes.have(&line.tax_class)
            && self.categories.have_any(&line.category_ids)
    }
}
