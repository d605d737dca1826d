//! Facets: how the matching documents are distributed over values.
//!
//! An index or a side table has all values of a field in order. It is read whole, which is as long as the field's values
//! are many, and each row's document is looked up in the set of those that match. Where few match, the values are taken
//! from them instead, and where few do not, their values are taken off the counts of all.

use std::collections::BTreeMap;

use rusqlite::{Connection, types::Value as SqlValue};
use store_model::{
    Facet, FacetCount, Facets, Scalar,
    facets::Tally,
    schema::FieldKind,
    text::{TextQuery, prefix_successor},
};

use super::{
    fault::Fault,
    filter::Sql,
    selection::{self, Chosen, few_parameter},
    table::Table,
};

/// The counts of each facet, in a read transaction of the caller.
pub(super) fn count(
    connection: &Connection,
    table: &Table,
    facets: &Facets,
    text: Option<&TextQuery>,
) -> Result<Vec<Vec<FacetCount>>, Fault> {
    let all = text.is_none() && facets.scope.is_none() && facets.filter == store_model::Filter::all();
    let chosen = match all {
        true => None,
        false => Some(selection::select(connection, table, &facets.filter, facets.scope.as_ref(), text)?),
    };
    // Counting everything and taking off what does not match is sooner done when that is little.
    let others = match &chosen {
        Some(Chosen::Many(selection)) => {
            selection::few_others(connection, table, selection)?.map(Chosen::Few)
        }
        _ => None,
    };
    let tally = |facet| {
        let mut counts = BTreeMap::new();
        match &others {
            Some(others) => {
                add(connection, table, facet, None, 1, &mut counts)?;
                add(connection, table, facet, Some(others), -1, &mut counts)?;
            }
            None => add(connection, table, facet, chosen.as_ref(), 1, &mut counts)?,
        }
        let mut tally = Tally::new(facet);
        for (value, documents) in counts {
            if let Some(documents) = u64::try_from(documents).ok().filter(|&documents| documents > 0) {
                tally.add_value(value, documents);
            }
        }
        Ok(tally.finish())
    };
    facets.facets.iter().map(tally).collect()
}

/// Adds the number of documents of each value, times a sign.
fn add(
    connection: &Connection,
    table: &Table,
    facet: &Facet,
    chosen: Option<&Chosen>,
    sign: i64,
    counts: &mut BTreeMap<Scalar, i64>,
) -> Result<(), Fault> {
    let field = table.schema.field(facet.path());
    let (value, row, source) = match field.is_some_and(|field| field.multi) {
        true => ("s.value".to_owned(), "s.doc", format!("{} s", table.side(facet.path()))),
        false => (table.expression(facet.path()), "d.n", format!("{} d", table.name)),
    };
    let mut sql = Sql::default();
    sql.push(&format!("SELECT {value}, COUNT(*) FROM "));
    match chosen {
        Some(Chosen::Few(ns)) => {
            sql.push("(SELECT value FROM json_each(");
            sql.bind(few_parameter(ns));
            sql.push(&format!(")) j CROSS JOIN {source} ON {row} = j.value WHERE {value} IS NOT NULL"));
        }
        Some(chosen) => {
            sql.push(&format!("{source} WHERE {value} IS NOT NULL AND "));
            sql.push_chosen(chosen, row);
        }
        None => sql.push(&format!("{source} WHERE {value} IS NOT NULL")),
    }
    if let Facet::Values { prefix: Some(prefix), .. } = facet {
        sql.push(&format!(" AND {value} >= "));
        sql.bind(SqlValue::Text(prefix.clone()));
        if let Some(end) = prefix_successor(prefix) {
            sql.push(&format!(" AND {value} < "));
            sql.bind(SqlValue::Text(end));
        }
    }
    sql.push(" GROUP BY 1");
    let kind = field.map_or(FieldKind::Text, |field| field.kind);
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(sql.params))?;
    while let Some(row) = rows.next()? {
        let value = match kind {
            FieldKind::Text | FieldKind::Timestamp => Scalar::Text(row.get(0)?),
            FieldKind::Integer => Scalar::Integer(row.get(0)?),
            FieldKind::Boolean => Scalar::Boolean(row.get(0)?),
        };
        *counts.entry(value).or_default() += sign * row.get::<_, i64>(1)?;
    }
    Ok(())
}
