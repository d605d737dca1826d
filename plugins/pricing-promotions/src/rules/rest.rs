//! What is left of a cart while promotions take from it.

use std::collections::{BTreeMap, HashMap};

use plugin_sdk::pricing::{AMOUNT_MAX, Adjustment, Cart, Line, Money, Rounding, Value, kind, split};

use super::offer::Offer;
use crate::config::{Action, Amount, Break, Per, WHOLE};

/// Most adjustments in an answer, below the 20 000 that the host takes: 500 lines with 30 promotions each.
pub(crate) const ADJUSTMENTS_MAX: usize = 15_000;

/// Millionths in a basis point.
const RATE_PER_BASIS_POINT: i64 = 100;

/// A cart, less what promotions have taken so far. It mirrors the host's sums, so that every promotion sees what those
/// before have left.
#[derive(Clone)]
pub(super) struct Rest<'c> {
    currency: &'c str,
    rounding: Rounding,
    /// By their ids.
    lines: Vec<RestLine<'c>>,
    shipping: i64,
    taken: i128,
    adjustments: Vec<Adjustment>,
}

#[derive(Clone)]
pub(super) struct RestLine<'c> {
    pub(super) line: &'c Line,
    /// What the line still comes to, from 0 to [`AMOUNT_MAX`].
    left: i64,
    /// Whether a promotion has changed it: rates that are answered are of the line before.
    changed: bool,
}

impl<'c> Rest<'c> {
    pub(super) fn new(cart: &'c Cart, rounding: Rounding) -> Self {
        let mut so_far: HashMap<&str, i64> = HashMap::new();
        for sum in &cart.so_far {
            if let (Some(line), kind::DISCOUNT | kind::SURCHARGE) = (&sum.line, sum.kind.as_str()) {
                let total = so_far.entry(line).or_default();
                *total = total.saturating_add(sum.amount);
            }
        }
        let rest = |line: &'c Line| {
            let so_far = so_far.get(line.id.as_str()).copied().unwrap_or_default();
            let left = line.gross().saturating_add(so_far).clamp(0, AMOUNT_MAX);
            RestLine { line, left, changed: false }
        };
        // The host has no lines without pieces; whoever asks with one gets nothing for it.
        let mut lines: Vec<_> = cart.lines.iter().filter(|line| line.quantity > 0).map(rest).collect();
        lines.sort_by(|a, b| a.line.id.cmp(&b.line.id));
        let shipping = if cart.shipping.is_some() { cart.shipping_so_far().clamp(0, AMOUNT_MAX) } else { 0 };
        Self { currency: &cart.currency, rounding, lines, shipping, taken: 0, adjustments: Vec::new() }
    }

    pub(super) fn lines(&self) -> &[RestLine<'c>] {
        &self.lines
    }

    pub(super) fn pieces(&self, lines: &[usize]) -> u128 {
        lines.iter().map(|&index| u128::from(self.lines[index].line.quantity)).sum()
    }

    pub(super) fn sum(&self, lines: &[usize]) -> i128 {
        lines.iter().map(|&index| i128::from(self.lines[index].left)).sum()
    }

    /// All that was taken off goods and shipping.
    pub(super) fn taken(&self) -> i128 {
        self.taken
    }

    pub(super) fn into_adjustments(self) -> Vec<Adjustment> {
        self.adjustments
    }

    /// Takes what a promotion takes. One that could make the answer larger than the host accepts takes nothing: without
    /// it there is a price.
    pub(super) fn take(&mut self, offer: &Offer<'_>) {
        let lines = &offer.lines;
        if self.adjustments.len() + lines.len() > ADJUSTMENTS_MAX {
            return;
        }
        match &offer.promotion.action {
            Action::Percentage { basis_points } => {
                self.take_parts(offer, lines.iter().map(|&index| (index, *basis_points)));
            }
            Action::Fixed { amounts } => self.take_together(offer, self.amount(amounts)),
            Action::FixedPerUnit { amounts } => {
                let amount = i128::from(self.amount(amounts));
                let of = |index: usize| amount * i128::from(self.lines[index].line.quantity);
                let amounts: Vec<_> = lines.iter().map(|&index| (index, of(index))).collect();
                self.take_each(offer, &amounts);
            }
            Action::BuyXGetY { buy, get, basis_points, limit } => {
                let cheaper = self.cheaper_pieces(lines, *buy, *get, *limit);
                let part = |(index, pieces)| (index, self.part(index, pieces, *basis_points));
                let amounts: Vec<_> = cheaper.into_iter().map(part).collect();
                self.take_each(offer, &amounts);
            }
            Action::QuantityBreaks { breaks, per } => {
                let all = self.pieces(lines);
                let pieces = |index: usize| match per {
                    Per::Line => u128::from(self.lines[index].line.quantity),
                    Per::Match => all,
                };
                let reached = |&index: &usize| Some((index, reached(breaks, pieces(index))?));
                let parts: Vec<_> = lines.iter().filter_map(reached).collect();
                self.take_parts(offer, parts);
            }
            Action::FreeShipping {} => self.take_shipping(offer, self.shipping),
            Action::ShippingOff { amounts } => self.take_shipping(offer, self.amount(amounts)),
        }
    }

    /// The amount in the cart's currency.
    fn amount(&self, amounts: &[Amount]) -> i64 {
        let found = amounts.iter().find(|amount| amount.currency == self.currency);
        found.map_or(0, |amount| amount.amount.clamp(0, AMOUNT_MAX))
    }

    /// What basis points of some of a line's pieces come to.
    fn part(&self, index: usize, pieces: u32, basis_points: u32) -> i128 {
        let rest = &self.lines[index];
        // Below 2^53 times 2^32 times 2^32.
        let numerator = i128::from(rest.left) * i128::from(pieces) * i128::from(basis_points);
        self.rounding.divide(numerator, i128::from(rest.line.quantity) * i128::from(WHOLE))
    }

    /// How many pieces of which lines are cheaper: the cheapest ones.
    fn cheaper_pieces(&self, lines: &[usize], buy: u32, get: u32, limit: Option<u32>) -> Vec<(usize, u32)> {
        let mut paid: Vec<usize> =
            lines.iter().copied().filter(|&index| self.lines[index].left > 0).collect();
        let set = (u128::from(buy) + u128::from(get)).max(1);
        let times = (self.pieces(&paid) / set).min(limit.map_or(u128::MAX, u128::from));
        let mut cheaper = times * u128::from(get);
        // Prices of a piece are fractions, and compared without dividing. Of equal ones the ids decide.
        let cross = |index: usize, other: usize| {
            i128::from(self.lines[index].left) * i128::from(self.lines[other].line.quantity)
        };
        paid.sort_by(|&a, &b| cross(a, b).cmp(&cross(b, a)));
        let mut pieces = Vec::new();
        for index in paid {
            let of_line = u32::try_from(cheaper).unwrap_or(u32::MAX).min(self.lines[index].line.quantity);
            cheaper -= u128::from(of_line);
            if of_line > 0 {
                pieces.push((index, of_line));
            }
        }
        pieces
    }

    /// Takes basis points off each of the lines.
    fn take_parts(&mut self, offer: &Offer<'_>, parts: impl IntoIterator<Item = (usize, u32)>) {
        let mut rates: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let mut amounts = Vec::new();
        for (index, basis_points) in parts {
            let basis_points = basis_points.min(WHOLE);
            let rest = &self.lines[index];
            let amount = self.part(index, rest.line.quantity, basis_points);
            if rest.changed {
                amounts.push((index, amount));
            } else if rest.left > 0 && basis_points > 0 {
                rates.entry(basis_points).or_default().push(index);
                self.subtract(index, amount);
            }
        }
        for (basis_points, lines) in rates {
            let rate = Value::Rate(-i64::from(basis_points) * RATE_PER_BASIS_POINT);
            self.push(offer, kind::DISCOUNT, &lines, rate);
        }
        self.take_each(offer, &amounts);
    }

    /// Takes an amount off each of the lines.
    fn take_each(&mut self, offer: &Offer<'_>, amounts: &[(usize, i128)]) {
        for &(index, amount) in amounts {
            let amount = self.subtract(index, amount);
            if amount > 0 {
                self.push(offer, kind::DISCOUNT, &[index], self.money(-amount));
            }
        }
    }

    /// Takes an amount off the lines together, split as the host will.
    fn take_together(&mut self, offer: &Offer<'_>, amount: i64) {
        let lines: Vec<usize> =
            offer.lines.iter().copied().filter(|&index| self.lines[index].left > 0).collect();
        let amount = i64::try_from(self.sum(&lines)).unwrap_or(AMOUNT_MAX).min(amount);
        if amount <= 0 {
            return;
        }
        let left: Vec<i64> = lines.iter().map(|&index| self.lines[index].left).collect();
        for (&index, share) in lines.iter().zip(split(amount, &left)) {
            self.subtract(index, i128::from(share));
        }
        self.push(offer, kind::DISCOUNT, &lines, self.money(-amount));
    }

    fn take_shipping(&mut self, offer: &Offer<'_>, amount: i64) {
        let amount = amount.min(self.shipping);
        if amount > 0 {
            self.shipping -= amount;
            self.taken += i128::from(amount);
            self.push(offer, kind::SHIPPING, &[], self.money(-amount));
        }
    }

    /// Takes an amount off a line, at most what is left; answers how much that was.
    fn subtract(&mut self, index: usize, amount: i128) -> i64 {
        let rest = &mut self.lines[index];
        let amount = i64::try_from(amount).unwrap_or(AMOUNT_MAX).clamp(0, rest.left);
        rest.left -= amount;
        rest.changed = true;
        self.taken += i128::from(amount);
        amount
    }

    fn money(&self, amount: i64) -> Value {
        Value::Amount(Money { amount, currency: self.currency.to_owned() })
    }

    fn push(&mut self, offer: &Offer<'_>, kind: &str, lines: &[usize], value: Value) {
        let promotion = offer.promotion;
        self.adjustments.push(Adjustment {
            lines: lines.iter().map(|&index| self.lines[index].line.id.clone()).collect(),
            kind: kind.to_owned(),
            code: promotion.code.as_ref().unwrap_or(&promotion.id).clone(),
            reason: promotion.name.clone(),
            value,
            coupon: offer.coupon.map(str::to_owned),
        });
    }
}

/// The basis points of the best break that so many pieces reach.
fn reached(breaks: &[Break], pieces: u128) -> Option<u32> {
    let reached = breaks.iter().filter(|step| u128::from(step.min_quantity) <= pieces);
    reached.map(|step| step.basis_points).max()
}
