//! Adding up what rules answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Adjustment, Applied, Cart, Priced, PricedLine, Rounding, SHIPPING, SharedSource, Subtotal, TaxLevel,
    Totals, Value, kind, split,
};

/// The largest amount, positive or negative: integers beyond it are not exact in JavaScript.
pub const AMOUNT_MAX: i64 = (1 << 53) - 1;

/// Parts of a whole in a rate.
const WHOLE: i128 = 1_000_000;
/// Most parts of adjustments of a priced cart: one that is for every line has as many as there are lines.
const APPLIED_MAX: usize = 20_000;
/// No honest rate is above a thousandfold.
const RATE_MAX: i64 = 1_000_000_000;

/// How a shop rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    pub rounding: Rounding,
    pub tax_level: TaxLevel,
}

/// Why a cart cannot be priced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("line `{0}` is there twice")]
    LineTwice(String),
    #[error("line `{0}` has a quantity of zero or a negative price")]
    Line(String),
    #[error("the amounts are too large")]
    TooLarge,
}

/// What is wrong with a rule's answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    #[error("it adjusts the line `{0}`, which the cart does not have")]
    UnknownLine(String),
    #[error("it names the line `{0}` twice")]
    LineTwice(String),
    #[error("`{0}` is no kind of adjustment")]
    UnknownKind(String),
    #[error("it answers in {found} and the cart is in {wanted}")]
    Currency { found: String, wanted: String },
    #[error("a `{0}` has the wrong sign")]
    Sign(String),
    #[error("a `{kind}` cannot be of `{line}`")]
    Target { kind: String, line: String },
    #[error("its amounts are too large")]
    TooLarge,
    #[error("a rate of {0} millionths makes no sense")]
    Rate(i64),
    #[error(
        "an adjustment's code has 1 to 100 characters, its reason at most 300 and its coupon at most 100"
    )]
    Text,
    #[error("its adjustments have more than {APPLIED_MAX} parts")]
    TooMany,
}

/// A cart that is being priced.
#[derive(Debug, Clone)]
pub struct Sums {
    settings: Settings,
    currency: String,
    /// By their ids.
    lines: Vec<LineSum>,
    by_id: BTreeMap<String, usize>,
    /// The order in which the lines were given.
    given: Vec<String>,
    shipping: i64,
    adjustments: Vec<Applied>,
    /// How many parts adjustments have, of all rules.
    applied: usize,
}

#[derive(Debug, Clone)]
struct LineSum {
    id: String,
    quantity: u32,
    gross: i64,
    /// With discounts and surcharges.
    total: i64,
    adjustments: Vec<Applied>,
}

/// Where an adjustment goes: lines by their positions, or shipping.
enum Target {
    Lines(Vec<usize>),
    Shipping,
}

impl Sums {
    /// Begins with the list prices and the price of the chosen shipping option, which is due to `shipping`.
    ///
    /// # Errors
    /// What is wrong with the cart.
    pub fn new(cart: &Cart, settings: Settings, shipping: &SharedSource) -> Result<Self, InputError> {
        let mut lines = Vec::with_capacity(cart.lines.len());
        let mut items = 0_i64;
        for line in &cart.lines {
            if line.quantity == 0 || line.unit_price < 0 || line.id == SHIPPING {
                return Err(InputError::Line(line.id.clone()));
            }
            let gross = line.unit_price.checked_mul(i64::from(line.quantity));
            let gross = gross.filter(|&gross| gross <= AMOUNT_MAX).ok_or(InputError::TooLarge)?;
            items = items.checked_add(gross).filter(|&sum| sum <= AMOUNT_MAX).ok_or(InputError::TooLarge)?;
            let sum = LineSum {
                id: line.id.clone(),
                quantity: line.quantity,
                gross,
                total: gross,
                adjustments: Vec::new(),
            };
            lines.push(sum);
        }
        lines.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = lines.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(InputError::LineTwice(pair[0].id.clone()));
        }
        let by_id = lines.iter().enumerate().map(|(index, line)| (line.id.clone(), index)).collect();
        let mut sums = Self {
            settings,
            currency: cart.currency.clone(),
            lines,
            by_id,
            given: cart.lines.iter().map(|line| line.id.clone()).collect(),
            shipping: 0,
            adjustments: Vec::new(),
            applied: 0,
        };
        if let Some(chosen) = &cart.shipping {
            if !(0..=AMOUNT_MAX).contains(&chosen.amount) {
                return Err(InputError::TooLarge);
            }
            sums.shipping = chosen.amount;
            sums.adjustments.push(Applied {
                kind: kind::SHIPPING.to_owned(),
                code: chosen.code.clone(),
                reason: String::new(),
                amount: chosen.amount,
                coupon: None,
                source: shipping.clone(),
            });
        }
        Ok(sums)
    }

    /// What has been added up, as the next rule is shown it: of each line and of shipping, kind by kind.
    pub fn so_far(&self) -> Vec<Subtotal> {
        let mut sums: BTreeMap<(Option<&str>, &str), i64> = BTreeMap::new();
        for line in &self.lines {
            for applied in &line.adjustments {
                *sums.entry((Some(&line.id), &applied.kind)).or_default() += applied.amount;
            }
        }
        for applied in &self.adjustments {
            let line = (applied.kind != kind::SHIPPING).then_some(SHIPPING);
            *sums.entry((line, &applied.kind)).or_default() += applied.amount;
        }
        sums.into_iter()
            .map(|((line, kind), amount)| Subtotal {
                line: line.map(str::to_owned),
                kind: kind.to_owned(),
                amount,
            })
            .collect()
    }

    /// Takes a rule's whole answer, or nothing of it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn apply(&mut self, adjustments: &[Adjustment], source: &SharedSource) -> Result<(), OutputError> {
        let before = self.clone();
        // What rates are of, whatever else the same answer does.
        let bases: Vec<i64> = self.lines.iter().map(|line| line.total).collect();
        let shipping = self.shipping;
        for adjustment in adjustments {
            if let Err(error) = self.apply_one(adjustment, source, &bases, shipping) {
                *self = before;
                return Err(error);
            }
        }
        if self.totals().is_none() {
            *self = before;
            return Err(OutputError::TooLarge);
        }
        Ok(())
    }

    /// The priced cart.
    pub fn finish(mut self) -> Priced {
        // Every answer was only taken with sums that exist.
        let totals = self.totals().unwrap_or_default();
        let mut lines = Vec::with_capacity(self.given.len());
        for id in &self.given {
            if let Some(line) = self.by_id.get(id).and_then(|&index| self.lines.get_mut(index)) {
                let adjustments = std::mem::take(&mut line.adjustments);
                lines.push(PricedLine { id: id.clone(), adjustments, total: line.total });
            }
        }
        Priced { lines, adjustments: self.adjustments, totals }
    }

    fn apply_one(
        &mut self,
        adjustment: &Adjustment,
        source: &SharedSource,
        bases: &[i64],
        shipping: i64,
    ) -> Result<(), OutputError> {
        let chars = |text: &str| text.chars().count();
        let text = (1..=100).contains(&chars(&adjustment.code))
            && chars(&adjustment.reason) <= 300
            && adjustment.coupon.as_deref().is_none_or(|coupon| chars(coupon) <= 100);
        if !text {
            return Err(OutputError::Text);
        }
        let target = self.target(adjustment)?;
        self.check_value(adjustment)?;
        match target {
            Target::Shipping => {
                let amount = match &adjustment.value {
                    Value::Amount(money) => money.amount,
                    Value::Rate(rate) => self.rated(&adjustment.kind, shipping, *rate)?,
                };
                self.apply_to_cart(adjustment, amount, source)
            }
            Target::Lines(lines) => {
                let amounts = self.amounts(adjustment, &lines, bases)?;
                for (&index, amount) in lines.iter().zip(amounts) {
                    self.apply_to_line(index, adjustment, amount, source)?;
                }
                Ok(())
            }
        }
    }

    fn target(&self, adjustment: &Adjustment) -> Result<Target, OutputError> {
        let on_shipping = adjustment.lines.iter().any(|line| line == SHIPPING);
        let wrong = |line: &str| OutputError::Target { kind: adjustment.kind.clone(), line: line.to_owned() };
        match adjustment.kind.as_str() {
            kind::SHIPPING => match adjustment.lines.iter().find(|&line| line != SHIPPING) {
                Some(line) => Err(wrong(line)),
                None => Ok(Target::Shipping),
            },
            kind::TAX | kind::TAX_INCLUDED if on_shipping => {
                // A part of the price of shipping cannot be told from a part of a line's.
                if adjustment.lines.len() > 1 { Err(wrong(SHIPPING)) } else { Ok(Target::Shipping) }
            }
            kind::DISCOUNT | kind::SURCHARGE if on_shipping => Err(wrong(SHIPPING)),
            kind::DISCOUNT | kind::SURCHARGE | kind::TAX | kind::TAX_INCLUDED => self.lines_of(adjustment),
            other => Err(OutputError::UnknownKind(other.chars().take(40).collect())),
        }
    }

    fn lines_of(&self, adjustment: &Adjustment) -> Result<Target, OutputError> {
        if adjustment.lines.is_empty() {
            return Ok(Target::Lines((0..self.lines.len()).collect()));
        }
        let mut indexes = BTreeSet::new();
        for id in &adjustment.lines {
            let short = || id.chars().take(80).collect();
            let &index = self.by_id.get(id).ok_or_else(|| OutputError::UnknownLine(short()))?;
            if !indexes.insert(index) {
                return Err(OutputError::LineTwice(short()));
            }
        }
        // By their ids: which share gets what is left of a split does not depend on how the rule names them.
        Ok(Target::Lines(indexes.into_iter().collect()))
    }

    fn check_value(&self, adjustment: &Adjustment) -> Result<(), OutputError> {
        let number = match &adjustment.value {
            Value::Amount(money) if money.currency != self.currency => {
                let found = money.currency.chars().take(10).collect();
                return Err(OutputError::Currency { found, wanted: self.currency.clone() });
            }
            Value::Amount(money) if !(-AMOUNT_MAX..=AMOUNT_MAX).contains(&money.amount) => {
                return Err(OutputError::TooLarge);
            }
            Value::Amount(money) => money.amount,
            Value::Rate(rate) if !(-RATE_MAX..=RATE_MAX).contains(rate) => {
                return Err(OutputError::Rate(*rate));
            }
            Value::Rate(rate) => *rate,
        };
        let fine = match adjustment.kind.as_str() {
            kind::DISCOUNT => number <= 0,
            kind::SHIPPING => true,
            _ => number >= 0,
        };
        if fine { Ok(()) } else { Err(OutputError::Sign(adjustment.kind.clone())) }
    }

    /// What the adjustment comes to for each of these lines.
    fn amounts(
        &self,
        adjustment: &Adjustment,
        lines: &[usize],
        bases: &[i64],
    ) -> Result<Vec<i64>, OutputError> {
        let rate = match &adjustment.value {
            Value::Amount(money) if adjustment.kind == kind::DISCOUNT => {
                // No more than there is, and of no line more than it comes to: the split follows what is left.
                let left: Vec<i64> = lines.iter().map(|&index| self.lines[index].total).collect();
                let most = left.iter().sum::<i64>();
                return Ok(split(money.amount.max(-most), &left));
            }
            Value::Amount(money) => {
                let bases: Vec<i64> = lines.iter().map(|&index| bases[index]).collect();
                return Ok(split(money.amount, &bases));
            }
            Value::Rate(rate) => *rate,
        };
        let is_tax = matches!(adjustment.kind.as_str(), kind::TAX | kind::TAX_INCLUDED);
        match self.settings.tax_level {
            TaxLevel::Order if is_tax => {
                let bases: Vec<i64> = lines.iter().map(|&index| bases[index]).collect();
                let whole = bases.iter().sum::<i64>();
                Ok(split(self.rated(&adjustment.kind, whole, rate)?, &bases))
            }
            TaxLevel::Unit if is_tax => lines
                .iter()
                .map(|&index| {
                    let quantity = i128::from(self.lines[index].quantity);
                    let (numerator, denominator) = fraction(&adjustment.kind, bases[index], rate);
                    let unit = self.settings.rounding.divide(numerator, denominator * quantity);
                    amount(unit * quantity)
                })
                .collect(),
            _ => lines.iter().map(|&index| self.rated(&adjustment.kind, bases[index], rate)).collect(),
        }
    }

    fn rated(&self, kind: &str, base: i64, rate: i64) -> Result<i64, OutputError> {
        let (numerator, denominator) = fraction(kind, base, rate);
        amount(self.settings.rounding.divide(numerator, denominator))
    }

    fn apply_to_line(
        &mut self,
        index: usize,
        adjustment: &Adjustment,
        amount: i64,
        source: &SharedSource,
    ) -> Result<(), OutputError> {
        let line = &mut self.lines[index];
        let amount = match adjustment.kind.as_str() {
            kind::DISCOUNT => amount.max(-line.total),
            _ => amount,
        };
        if amount == 0 {
            return Ok(());
        }
        if matches!(adjustment.kind.as_str(), kind::DISCOUNT | kind::SURCHARGE) {
            let total = line.total.checked_add(amount).filter(|&total| total <= AMOUNT_MAX);
            line.total = total.ok_or(OutputError::TooLarge)?;
        }
        line.adjustments.push(applied(adjustment, amount, source));
        self.count_one()
    }

    fn apply_to_cart(
        &mut self,
        adjustment: &Adjustment,
        amount: i64,
        source: &SharedSource,
    ) -> Result<(), OutputError> {
        let mut amount = amount;
        if adjustment.kind == kind::SHIPPING {
            amount = amount.max(-self.shipping);
            let shipping = self.shipping.checked_add(amount).filter(|&sum| sum <= AMOUNT_MAX);
            self.shipping = shipping.ok_or(OutputError::TooLarge)?;
        }
        if amount == 0 {
            return Ok(());
        }
        self.adjustments.push(applied(adjustment, amount, source));
        self.count_one()
    }

    /// A short answer of a rule must not become something that fills the memory.
    fn count_one(&mut self) -> Result<(), OutputError> {
        self.applied += 1;
        if self.applied > APPLIED_MAX { Err(OutputError::TooMany) } else { Ok(()) }
    }

    /// `None` when a sum is too large.
    fn totals(&self) -> Option<Totals> {
        let mut totals = Totals { shipping: self.shipping, ..Totals::default() };
        for line in &self.lines {
            totals.items = add(totals.items, line.gross)?;
        }
        let of_lines = self.lines.iter().flat_map(|line| &line.adjustments);
        for applied in of_lines.chain(&self.adjustments) {
            let sum = match applied.kind.as_str() {
                kind::DISCOUNT => &mut totals.discount,
                kind::SURCHARGE => &mut totals.surcharge,
                kind::TAX => &mut totals.tax,
                kind::TAX_INCLUDED => &mut totals.tax_included,
                // In `self.shipping` already.
                _ => continue,
            };
            *sum = add(*sum, applied.amount)?;
        }
        for part in [totals.items, totals.discount, totals.surcharge, totals.shipping, totals.tax] {
            totals.grand = add(totals.grand, part)?;
        }
        Some(totals)
    }
}

fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b).filter(|sum| (-AMOUNT_MAX..=AMOUNT_MAX).contains(sum))
}

/// What a rate of an amount is, before it is rounded. Of included tax the amount has the tax in it.
fn fraction(kind: &str, base: i64, rate: i64) -> (i128, i128) {
    let whole = if kind == kind::TAX_INCLUDED { WHOLE + i128::from(rate) } else { WHOLE };
    (i128::from(base) * i128::from(rate), whole)
}

fn amount(amount: i128) -> Result<i64, OutputError> {
    i64::try_from(amount)
        .ok()
        .filter(|amount| (-AMOUNT_MAX..=AMOUNT_MAX).contains(amount))
        .ok_or(OutputError::TooLarge)
}

fn applied(adjustment: &Adjustment, amount: i64, source: &SharedSource) -> Applied {
    Applied {
        kind: adjustment.kind.clone(),
        code: adjustment.code.clone(),
        reason: adjustment.reason.clone(),
        amount,
        coupon: adjustment.coupon.clone(),
        source: source.clone(),
    }
}

#[cfg(test)]
mod tests;
