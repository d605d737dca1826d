//! Filters as SQL.
//!
//! SQL has three truth values and the filter tree has two. So negations are pushed down to the leaves, where
//! each says what it means for null; above them there is only AND and OR, for which "unknown" is as good as
//! "false".

use rusqlite::types::Value as SqlValue;
use store_model::{Filter, Scalar, text::prefix_successor};

use super::table::{Table, sql_value};

/// A statement under construction: its text, and its parameters in order.
#[derive(Debug, Default, Clone)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) params: Vec<SqlValue>,
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn bind(&mut self, value: SqlValue) {
        self.text.push('?');
        self.params.push(value);
    }

    /// Adds the condition that a document meets a filter, or that it does not.
    pub(super) fn push_filter(&mut self, table: &Table, filter: &Filter, negated: bool) {
        match filter {
            Filter::Eq(path, value) => self.push_in(table, path, std::slice::from_ref(value), negated),
            Filter::Ne(path, value) => self.push_in(table, path, std::slice::from_ref(value), !negated),
            Filter::In(path, values) => self.push_in(table, path, values, negated),
            Filter::Nin(path, values) => self.push_in(table, path, values, !negated),
            Filter::Gt(path, bound) => self.push_range(table, path, &[(">", "<=", bound)], negated),
            Filter::Gte(path, bound) => self.push_range(table, path, &[(">=", "<", bound)], negated),
            Filter::Lt(path, bound) => self.push_range(table, path, &[("<", ">=", bound)], negated),
            Filter::Lte(path, bound) => self.push_range(table, path, &[("<=", ">", bound)], negated),
            Filter::Prefix(path, prefix) => {
                let from = Scalar::from(prefix.as_str());
                let to = prefix_successor(prefix).map(Scalar::Text);
                let mut range = vec![(">=", "<", &from)];
                range.extend(to.as_ref().map(|to| ("<", ">=", to)));
                self.push_range(table, path, &range, negated);
            }
            Filter::Contains(path, part) => {
                let part = SqlValue::Text(part.clone());
                self.push_leaf(table, path, negated, |sql, value, negated| {
                    sql.push(&format!("instr({value}, "));
                    sql.bind(part.clone());
                    sql.push(if negated { ") = 0" } else { ") > 0" });
                });
            }
            Filter::Exists(path, wanted) => self.push_null(table, path, *wanted == negated),
            Filter::And(filters) => self.push_all(table, filters, negated, negated),
            Filter::Or(filters) => self.push_all(table, filters, !negated, negated),
            Filter::Not(filter) => self.push_filter(table, filter, !negated),
        }
    }

    fn push_all(&mut self, table: &Table, filters: &[Filter], any: bool, negated: bool) {
        if filters.is_empty() {
            return self.push(if any { "FALSE" } else { "TRUE" });
        }
        for (position, filter) in filters.iter().enumerate() {
            self.push(if position == 0 {
                "("
            } else if any {
                " OR "
            } else {
                " AND "
            });
            self.push_filter(table, filter, negated);
        }
        self.push(")");
    }

    /// Equality with any of the values, of which null is one like the others.
    fn push_in(&mut self, table: &Table, path: &str, values: &[Scalar], negated: bool) {
        let null = values.iter().any(Scalar::is_null);
        let mut values: Vec<&Scalar> = values.iter().filter(|value| !value.is_null()).collect();
        values.dedup();
        let (join, nothing) = if negated { (" AND ", "TRUE") } else { (" OR ", "FALSE") };
        match (null, values.is_empty()) {
            (false, true) => return self.push(nothing),
            (true, true) => return self.push_null(table, path, !negated),
            _ => {}
        }
        self.push("(");
        if null {
            self.push_null(table, path, !negated);
            self.push(join);
        }
        // Null is dealt with above, and must not slip back in through the negation of the leaf.
        self.push_leaf(table, path, negated, |sql, value, negated| match values.as_slice() {
            [single] => {
                sql.push(&format!("{value} {} ", if negated { "<>" } else { "=" }));
                sql.bind(sql_value(single));
            }
            several => {
                // One parameter for any number of values, so that the statement is prepared once.
                let list = several.iter().map(|value| value.to_json()).collect();
                let not = if negated { "NOT " } else { "" };
                sql.push(&format!("{value} {not}IN (SELECT value FROM json_each("));
                sql.bind(SqlValue::Text(serde_json::Value::Array(list).to_string()));
                sql.push("))");
            }
        });
        self.push(")");
    }

    /// Comparisons that all have to hold, each with its opposite.
    fn push_range(
        &mut self,
        table: &Table,
        path: &str,
        comparisons: &[(&str, &str, &Scalar)],
        negated: bool,
    ) {
        self.push_leaf(table, path, negated, |sql, value, negated| {
            for (position, (operator, opposite, bound)) in comparisons.iter().enumerate() {
                if position > 0 {
                    sql.push(if negated { " OR " } else { " AND " });
                }
                sql.push(&format!("{value} {} ", if negated { opposite } else { operator }));
                sql.bind(sql_value(bound));
            }
        });
    }

    /// A condition that null never meets, on a single value or on any element of a multi field.
    ///
    /// `condition` is told whether to write the opposite. For multi fields it never is: no element meets the
    /// condition, which is not the same as an element that meets the opposite.
    fn push_leaf(
        &mut self,
        table: &Table,
        path: &str,
        negated: bool,
        condition: impl Fn(&mut Self, &str, bool),
    ) {
        let multi = table.schema.field(path).is_some_and(|field| field.multi);
        let side = table.side(path);
        match (multi, negated) {
            (false, false) => {
                self.push("(");
                condition(self, &table.expression(path), false);
                self.push(")");
            }
            (false, true) => {
                let expression = table.expression(path);
                self.push(&format!("({expression} IS NULL OR "));
                condition(self, &expression, true);
                self.push(")");
            }
            // A list of documents, from which the query can start.
            (true, false) => {
                self.push(&format!("d.n IN (SELECT doc FROM {side} WHERE "));
                condition(self, "value", false);
                self.push(")");
            }
            // A test of one document at a time: the list of all others is as long as the collection.
            (true, true) => {
                self.push(&format!("NOT EXISTS (SELECT 1 FROM {side} s WHERE s.doc = d.n AND ("));
                condition(self, "s.value", false);
                self.push("))");
            }
        }
    }

    fn push_null(&mut self, table: &Table, path: &str, is_null: bool) {
        if table.schema.field(path).is_some_and(|field| field.multi) {
            let not = if is_null { "NOT " } else { "" };
            self.push(&format!("{not}EXISTS (SELECT 1 FROM {} s WHERE s.doc = d.n)", table.side(path)));
        } else {
            let not = if is_null { "" } else { "NOT " };
            self.push(&format!("{} IS {not}NULL", table.expression(path)));
        }
    }
}
