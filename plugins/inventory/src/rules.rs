//! What may become of a level. Pure: values in, values out.

use plugin_sdk::{FieldError, Filter, Problem, Result, json};

use crate::model::{Adjustment, Level, QUANTITY_MAX};

/// Reasons of movements that orders make.
const RESERVED_REASONS: [&str; 2] = ["shipped", "restocked"];

/// Refuses an adjustment that is wrong whatever the level.
pub fn check(adjustment: &Adjustment) -> Result<()> {
    if RESERVED_REASONS.contains(&adjustment.reason.as_str()) {
        let message = format!("`{}` is for movements that orders make.", adjustment.reason);
        return Err(Problem::validation(vec![FieldError::invalid("/reason", message)]));
    }
    if !(-QUANTITY_MAX..=QUANTITY_MAX).contains(&adjustment.delta) {
        return Err(out_of_range(format!("A delta is between -{QUANTITY_MAX} and {QUANTITY_MAX}.")));
    }
    Ok(())
}

/// Refuses a delta that does not fit this level; `None` is a SKU that has none yet.
pub fn check_fit(sku: &str, level: Option<&Level>, delta: i64) -> Result<()> {
    let (on_hand, free) = level.map_or((0, 0), |level| (level.on_hand, level.on_hand - level.reserved));
    if delta < 0 && free < -delta {
        return Err(insufficient(sku, -delta, free));
    }
    if on_hand > QUANTITY_MAX - delta {
        return Err(out_of_range(format!("There are {on_hand} on hand, and at most {QUANTITY_MAX} can be.")));
    }
    Ok(())
}

/// The condition under which [`check_fit`] holds for the level at the moment of the commit.
///
/// `onHand − reserved` is not stored, but it is `available + safetyStock`, and the safety stock hardly ever changes.
pub fn guard(level: &Level, delta: i64) -> Filter {
    if delta < 0 {
        let free = Filter::Gte("available".to_owned(), (-delta - level.safety_stock).into());
        Filter::And(vec![Filter::eq("safetyStock", level.safety_stock), free])
    } else {
        Filter::Lte("onHand".to_owned(), (QUANTITY_MAX - delta).into())
    }
}

fn insufficient(sku: &str, requested: i64, available: i64) -> Problem {
    Problem::new(409, "insufficient_stock")
        .detail(format!("{requested} of `{sku}` were to go and {available} can."))
        .extra("items", json!([{"sku": sku, "requested": requested, "available": available}]))
}

fn out_of_range(message: String) -> Problem {
    let mut problem = Problem::new(422, "amount_out_of_range").detail(message.clone());
    problem.errors.push(FieldError::new("/delta", "amount_out_of_range", message));
    problem
}
