//! The documents that meet a filter, as a set of row numbers.
//!
//! SQLite uses one index of a table at a time and looks at the documents for the rest of a filter. In a large
//! collection that is every document which the first condition leaves. So a filter of several conditions that have
//! indexes is answered with sets: each index gives its rows without a look at a document, and the sets are
//! intersected. A page then goes along the index of its order and takes what is in the set.
//!
//! A set is a bit for each row number, lowest first: 12.5 kB for 100 000 documents.

use rusqlite::{Connection, functions::FunctionFlags, types::Value as SqlValue};
use store_model::{Access, Filter, Scalar, Scope, text::TextQuery};

use super::{
    fault::Fault,
    filter::Sql,
    page::push_ranks,
    table::{Table, sql_value},
};

/// A condition that so few documents meet is followed by looking at them.
const FEW: usize = 500;

/// Whether a row number is in a set: `selected(set, n)`.
const SELECTED: &str = "selected";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    bits: Vec<u8>,
}

/// What a statement says instead of the filter.
#[derive(Debug)]
pub(super) enum Chosen {
    /// So few that the statement starts from them.
    Few(Vec<i64>),
    Many(Selection),
}

/// Gives a connection the function that looks into a set.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(SELECTED, 2, flags, |context| {
        let bits = context.get_raw(0).as_blob()?;
        let n: i64 = context.get(1)?;
        Ok(holds(bits, n))
    })
}

/// Whether sets answer this sooner than one statement: there are several conditions, and each has an index.
pub(super) fn is_worth_it(table: &Table, filter: &Filter, scope: Option<&Scope>, text: bool) -> bool {
    let fields: Vec<_> = filter.paths().map(|path| table.schema.field(path)).collect();
    let conditions = fields.len() + usize::from(scope.is_some()) + usize::from(text);
    let has_multi = fields.iter().flatten().any(|field| field.multi);
    let is_indexed =
        fields.iter().all(|field| field.is_some_and(|field| field.multi || field.access != Access::Scan));
    (conditions > 1 || has_multi) && is_indexed
}

/// The documents that meet all of this.
pub(super) fn select(
    connection: &Connection,
    table: &Table,
    filter: &Filter,
    scope: Option<&Scope>,
    text: Option<&TextQuery>,
) -> Result<Chosen, Fault> {
    let mut conditions: Vec<&Filter> = Vec::new();
    flatten(filter, &mut conditions);
    let owner = scope.map(Scope::filter);
    conditions.extend(&owner);
    let whole = Filter::And(conditions.iter().map(|&condition| condition.clone()).collect());
    let leaves = conditions.iter().filter(|condition| condition.path().is_some());
    let words = text.iter().flat_map(|text| &text.exact);
    let probes = leaves
        .map(|condition| leaf(table, condition, Some(FEW + 1)))
        .chain(words.map(|word| holders(table, word, Some(FEW + 1))));
    for probe in probes {
        let few = rows(connection, probe)?;
        if few.count() <= FEW {
            return among(connection, table, &few.ns(), &whole, text);
        }
    }
    // The prefix comes last: it can have most of the words.
    let words = text.iter().flat_map(|text| &text.exact).map(Part::Word);
    let prefix = text.and_then(|text| text.prefix.as_ref()).map(Part::Prefix);
    let mut selection: Option<Selection> = None;
    for part in words.chain(conditions.into_iter().map(Part::Condition)).chain(prefix) {
        if let Some(few) = selection.as_ref().filter(|selection| selection.count() <= FEW) {
            return among(connection, table, &few.ns(), &whole, text);
        }
        let met = match part {
            Part::Word(word) => rows(connection, holders(table, word, None))?,
            Part::Condition(condition) => set_of(connection, table, condition)?,
            Part::Prefix(prefix) => {
                let ending = TextQuery { exact: Vec::new(), prefix: Some(prefix.clone()) };
                rows(connection, found(table, &ending, None))?
            }
        };
        selection = Some(match selection {
            Some(selection) => selection.and(&met),
            None => met,
        });
    }
    let selection = match selection {
        Some(selection) => selection,
        None => rows(connection, leaf(table, &whole, None))?,
    };
    Ok(if selection.count() <= FEW { Chosen::Few(selection.ns()) } else { Chosen::Many(selection) })
}

/// Something that has to hold.
enum Part<'p> {
    Word(&'p String),
    Condition(&'p Filter),
    Prefix(&'p String),
}

/// Those of a few documents that meet the rest.
fn among(
    connection: &Connection,
    table: &Table,
    ns: &[i64],
    filter: &Filter,
    text: Option<&TextQuery>,
) -> Result<Chosen, Fault> {
    let mut sql = Sql::default();
    sql.push("SELECT d.n FROM (SELECT value FROM json_each(");
    sql.bind(few_parameter(ns));
    sql.push(&format!(")) j CROSS JOIN {} d ON d.n = j.value WHERE ", table.name));
    sql.push_filter(table, filter, false);
    if let Some(text) = text {
        let found = found(table, text, Some(ns));
        sql.push(" AND d.n IN (");
        sql.push(&found.text);
        sql.params.extend(found.params);
        sql.push(")");
    }
    Ok(Chosen::Few(rows(connection, sql)?.ns()))
}

fn set_of(connection: &Connection, table: &Table, filter: &Filter) -> Result<Selection, Fault> {
    match filter {
        Filter::And(filters) if !filters.is_empty() => {
            let mut sets = filters.iter().map(|filter| set_of(connection, table, filter));
            let first = sets.next().unwrap_or_else(|| Ok(Selection::default()))?;
            sets.try_fold(first, |all, set| Ok(all.and(&set?)))
        }
        Filter::Or(filters) => {
            let mut sets = filters.iter().map(|filter| set_of(connection, table, filter));
            sets.try_fold(Selection::default(), |all, set| Ok(all.or(&set?)))
        }
        Filter::Not(inner) => {
            let all = rows(connection, leaf(table, &Filter::all(), None))?;
            Ok(all.without(&set_of(connection, table, inner)?))
        }
        condition => rows(connection, leaf(table, condition, None)),
    }
}

/// The row numbers of one condition.
fn leaf(table: &Table, condition: &Filter, limit: Option<usize>) -> Sql {
    let is_multi = |path: &str| table.schema.field(path).is_some_and(|field| field.multi);
    let mut sql = Sql::default();
    match condition {
        // The side table has them; the documents need not even be found.
        Filter::Eq(path, value) if is_multi(path) && !value.is_null() => {
            sql.push(&format!("SELECT doc FROM {} WHERE value = ", table.side(path)));
            sql.bind(sql_value(value));
        }
        Filter::In(path, values) if is_multi(path) && !values.iter().any(Scalar::is_null) => {
            sql.push(&format!(
                "SELECT doc FROM {} WHERE value IN (SELECT value FROM json_each(",
                table.side(path)
            ));
            sql.bind(json_parameter(values.iter().map(Scalar::to_json)));
            sql.push("))");
        }
        _ => {
            sql.push(&format!("SELECT d.n FROM {} d WHERE ", table.name));
            sql.push_filter(table, condition, false);
        }
    }
    if let Some(limit) = limit {
        sql.push(&format!(" LIMIT {limit}"));
    }
    sql
}

/// The row numbers of the documents in which a word occurs.
fn holders(table: &Table, word: &str, limit: Option<usize>) -> Sql {
    let mut sql = Sql::default();
    sql.push(&format!("SELECT doc FROM {} WHERE token = ", table.tokens()));
    sql.bind(SqlValue::Text(word.to_owned()));
    if let Some(limit) = limit {
        sql.push(&format!(" LIMIT {limit}"));
    }
    sql
}

/// The row numbers of what a text finds, among a few or all.
fn found(table: &Table, text: &TextQuery, among: Option<&[i64]>) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT doc FROM (");
    push_ranks(&mut sql, table, text, among);
    sql.push(")");
    sql
}

fn rows(connection: &Connection, sql: Sql) -> Result<Selection, Fault> {
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(sql.params))?;
    let mut selection = Selection::default();
    while let Some(row) = rows.next()? {
        selection.insert(row.get(0)?);
    }
    Ok(selection)
}

/// The conditions that all have to hold.
fn flatten<'f>(filter: &'f Filter, conditions: &mut Vec<&'f Filter>) {
    match filter {
        Filter::And(filters) => filters.iter().for_each(|filter| flatten(filter, conditions)),
        filter => conditions.push(filter),
    }
}

/// The parameter that stands for a few documents, for `json_each`.
pub(super) fn few_parameter(ns: &[i64]) -> SqlValue {
    json_parameter(ns.iter().map(|&n| n.into()))
}

/// One parameter for any number of values, so that a statement is prepared once.
fn json_parameter(values: impl Iterator<Item = serde_json::Value>) -> SqlValue {
    SqlValue::Text(serde_json::Value::Array(values.collect()).to_string())
}

/// All documents but those that were chosen, when they are fewer by far.
pub(super) fn few_others(
    connection: &Connection,
    table: &Table,
    chosen: &Selection,
) -> Result<Option<Vec<i64>>, Fault> {
    let others = rows(connection, leaf(table, &Filter::all(), None))?.without(chosen);
    Ok((others.count() < chosen.count() / 4).then(|| others.ns()))
}

impl Chosen {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Few(ns) => ns.len(),
            Self::Many(selection) => selection.count(),
        }
    }
}

impl Selection {
    fn insert(&mut self, n: i64) {
        // Row numbers are given out from 1.
        let n = usize::try_from(n).unwrap_or_default();
        if n / 8 >= self.bits.len() {
            self.bits.resize(n / 8 + 1, 0);
        }
        self.bits[n / 8] |= 1 << (n % 8);
    }

    pub(super) fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    fn ns(&self) -> Vec<i64> {
        (0..self.bits.len() as i64 * 8).filter(|&n| holds(&self.bits, n)).collect()
    }

    fn and(&self, other: &Self) -> Self {
        Self { bits: self.bits.iter().zip(&other.bits).map(|(left, right)| left & right).collect() }
    }

    fn or(&self, other: &Self) -> Self {
        let (long, short) = if self.bits.len() > other.bits.len() { (self, other) } else { (other, self) };
        let mut bits = long.bits.clone();
        bits.iter_mut().zip(&short.bits).for_each(|(byte, more)| *byte |= more);
        Self { bits }
    }

    fn without(&self, other: &Self) -> Self {
        let mut bits = self.bits.clone();
        bits.iter_mut().zip(&other.bits).for_each(|(byte, less)| *byte &= !less);
        Self { bits }
    }
}

impl Sql {
    /// Adds the condition that a row, of which `n` is the number, was chosen.
    pub(super) fn push_chosen(&mut self, chosen: &Chosen, n: &str) {
        match chosen {
            Chosen::Few(ns) => {
                self.push(&format!("{n} IN (SELECT value FROM json_each("));
                self.bind(few_parameter(ns));
                self.push("))");
            }
            Chosen::Many(selection) => {
                self.push(&format!("{SELECTED}("));
                self.bind(SqlValue::Blob(selection.bits.clone()));
                self.push(&format!(", {n})"));
            }
        }
    }
}

fn holds(bits: &[u8], n: i64) -> bool {
    usize::try_from(n).is_ok_and(|n| bits.get(n / 8).is_some_and(|byte| byte & (1 << (n % 8)) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ns: &[i64]) -> Selection {
        let mut selection = Selection::default();
        ns.iter().for_each(|&n| selection.insert(n));
        selection
    }

    #[test]
    fn sets_of_different_lengths_are_combined() {
        let (short, long) = (set(&[1, 3, 7]), set(&[3, 8, 1000]));
        assert_eq!(short.and(&long).ns(), [3]);
        assert_eq!(long.and(&short).ns(), [3]);
        assert_eq!(short.or(&long).ns(), [1, 3, 7, 8, 1000]);
        assert_eq!(long.or(&short).ns(), [1, 3, 7, 8, 1000]);
        assert_eq!(long.without(&short).ns(), [8, 1000]);
        assert_eq!(short.without(&long).ns(), [1, 7]);
        assert_eq!((long.count(), set(&[]).count()), (3, 0));
        assert!(!holds(&long.bits, -1) && !holds(&long.bits, i64::MAX));
    }
}
