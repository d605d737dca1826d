//! Single cells: amounts, weights, counts and words, exactly or not at all.

use serde_json::{Value, json};

use super::{
    super::{Mistake, ndjson::PIECES_MAX},
    Settings,
    columns::{Column, Header, Row},
};
use crate::seed::text;

/// A product being read, with what is wrong about it.
pub(super) struct Reading<'r> {
    pub(super) header: &'r Header,
    pub(super) slug: &'r str,
    pub(super) settings: Settings,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    pub(super) fn wrong(&mut self, row: &Row, column: Option<Column>, message: String) {
        let name = column.and_then(|column| self.header.name(column));
        let mistake = Mistake::new(row.place, Some(self.slug), "validation_failed", message);
        self.mistakes.push(mistake.at("", name.as_deref()));
    }

    /// What is not published on the online store is a draft here: there is nobody else to show it to.
    pub(super) fn status(&mut self, head: &Row) -> Option<&'static str> {
        let published = match truth(head.cell(self.header, Column::Published)) {
            Ok(published) => published.unwrap_or(true),
            Err(message) => {
                self.wrong(head, Some(Column::Published), message);
                return None;
            }
        };
        match head.cell(self.header, Column::Status).to_lowercase().as_str() {
            "" | "active" if published => Some("active"),
            "" | "active" | "draft" | "unlisted" => Some("draft"),
            "archived" => Some("archived"),
            other => {
                self.wrong(
                    head,
                    Some(Column::Status),
                    format!("`{other}` is no status: active, draft or archived."),
                );
                None
            }
        }
    }

    pub(super) fn prices(&mut self, row: &Row) -> Option<Value> {
        let amount = self.amount(row, Column::Price)?;
        let mut price = json!({"amount": amount, "currency": self.settings.currency.code()});
        // Shopify has 0 or the price itself where there is nothing to compare with.
        if let Some(before) = self.amount(row, Column::CompareAt).filter(|before| *before > amount) {
            price["compareAt"] = json!(before);
        }
        Some(price)
    }

    /// An amount in minor units, exactly or not at all.
    fn amount(&mut self, row: &Row, column: Column) -> Option<i64> {
        let cell = row.cell(self.header, column);
        if cell.is_empty() {
            return None;
        }
        let digits = self.settings.currency.exponent().unwrap_or(2);
        let amount = text::minor_units(cell, usize::from(digits));
        if amount.is_none() {
            let code = self.settings.currency.code();
            let form =
                if digits == 0 { "12".to_owned() } else { format!("12.{:0<1$}", "5", usize::from(digits)) };
            let message = format!("`{cell}` is no amount in {code}, which is written like {form}.");
            self.wrong(row, Some(column), message);
        }
        amount
    }

    pub(super) fn grams(&mut self, row: &Row) -> Option<i64> {
        let cell = row.cell(self.header, Column::Grams);
        if cell.is_empty() {
            return None;
        }
        let milligrams = text::minor_units(cell, 3);
        if milligrams.is_none() {
            self.wrong(row, Some(Column::Grams), format!("`{cell}` is no weight in grams."));
        }
        milligrams.map(|milligrams| milligrams / 1_000 + i64::from(milligrams % 1_000 >= 500))
    }

    /// What is on hand, where stock is counted. A number that cannot be is told and leaves the variant as it is.
    pub(super) fn quantity(&mut self, row: &Row) -> Option<i64> {
        let cell = row.cell(self.header, Column::Quantity);
        let untracked = self.header.has(Column::Tracker) && row.cell(self.header, Column::Tracker).is_empty();
        if cell.is_empty() || untracked {
            return None;
        }
        match cell.parse() {
            Ok(count @ 0..=PIECES_MAX) => Some(count),
            _ => {
                let message = format!(
                    "`{cell}` is no number of pieces from 0 to {PIECES_MAX}; the stock is left alone."
                );
                self.wrong(row, Some(Column::Quantity), message);
                None
            }
        }
    }
}

pub(super) fn truth(cell: &str) -> Result<Option<bool>, String> {
    match cell.to_lowercase().as_str() {
        "" => Ok(None),
        "true" | "yes" | "1" => Ok(Some(true)),
        "false" | "no" | "0" => Ok(Some(false)),
        _ => Err(format!("`{cell}` is neither TRUE nor FALSE.")),
    }
}
