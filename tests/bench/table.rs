//! The table that a run prints.

use std::fmt;

/// Rows of a run: a figure, its baseline, their ratio and the goal.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
}

impl Table {
    /// Adds a row. `ratio` is the figure over its baseline, or how often the baseline fits into it, as the goal says.
    ///
    /// The row is told at once, too: a run that takes long and then fails has told what it found.
    pub(crate) fn row(&mut self, what: &str, figure: String, baseline: String, ratio: f64, goal: &str) {
        eprintln!("{what}: {figure} ({baseline}) {ratio:.2}");
        self.rows.push([what.to_owned(), figure, baseline, format!("{ratio:.2}"), goal.to_owned()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["What", "Figure", "Baseline of the same run", "Ratio", "Goal"].map(str::to_owned);
        let width = |column: usize| {
            let cells = std::iter::once(&head).chain(&self.rows);
            cells.map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2), width(3), width(4)];
        let line = |row: &[String; 5]| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("| {} |", cells.join(" | "))
        };
        writeln!(f, "{}", line(&head))?;
        writeln!(f, "|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"))?;
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
        }
        Ok(())
    }
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
