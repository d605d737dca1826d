//! Queries as SQL: pages, counts and the documents of an aggregate.

use rusqlite::{Connection, types::Value as SqlValue};
use store_model::{
    Direction, Document, Filter, Page, Query, Scalar, Scope, cursor,
    order::OrderKey,
    text::{TextQuery, WHOLE_WORD, prefix_successor},
    validate::PreparedQuery,
};

use super::{
    fault::Fault,
    filter::Sql,
    selection::{self, Chosen, few_parameter},
    table::{Table, document, sql_value},
};

/// One page, in a read transaction of the caller.
pub(super) fn find(
    connection: &Connection,
    table: &Table,
    query: &Query,
    prepared: &PreparedQuery,
) -> Result<Page, Fault> {
    let wanted = query.limit as usize;
    let mut found: Vec<(Document, i64)> = Vec::new();
    let (scope, text) = (query.scope.as_ref(), prepared.text.as_ref());
    let chosen = choose(connection, table, &query.filter, scope, text)?;
    for statement in page_statements(table, query, prepared, chosen.as_ref()) {
        // One more than wanted tells whether there is a next page.
        let missing = wanted + 1 - found.len();
        if missing == 0 {
            break;
        }
        let Sql { text, mut params } = statement;
        params.push(SqlValue::Integer(missing as i64));
        params.push(SqlValue::Integer(i64::from(query.offset)));
        let mut statement = connection.prepare_cached(&text)?;
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            found.push((document(row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?));
        }
    }
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = match found.last() {
        Some((last, rank)) if more => {
            let body = serde_json::from_str(&last.json)?;
            Some(cursor::encode(&table.schema.name, query, &prepared.order.position(&body, *rank)))
        }
        _ => None,
    };
    let total = match query.count {
        true => Some(match &chosen {
            Some(chosen) => chosen.count() as u64,
            None => count_plainly(connection, table, &query.filter, scope, text)?,
        }),
        false => None,
    };
    let mut documents: Vec<Document> = found.into_iter().map(|(document, _)| document).collect();
    if !query.fields.is_empty() {
        documents.iter_mut().try_for_each(|document| document.project(&query.fields))?;
    }
    Ok(Page { documents, next, total })
}

pub(super) fn count(
    connection: &Connection,
    table: &Table,
    filter: &Filter,
    scope: Option<&Scope>,
) -> Result<u64, Fault> {
    match choose(connection, table, filter, scope, None)? {
        Some(chosen) => Ok(chosen.count() as u64),
        None => count_plainly(connection, table, filter, scope, None),
    }
}

/// The matching documents as sets, where that is worth it.
fn choose(
    connection: &Connection,
    table: &Table,
    filter: &Filter,
    scope: Option<&Scope>,
    text: Option<&TextQuery>,
) -> Result<Option<Chosen>, Fault> {
    if !selection::is_worth_it(table, filter, scope, text.is_some()) {
        return Ok(None);
    }
    selection::select(connection, table, filter, scope, text).map(Some)
}

fn count_plainly(
    connection: &Connection,
    table: &Table,
    filter: &Filter,
    scope: Option<&Scope>,
    text: Option<&TextQuery>,
) -> Result<u64, Fault> {
    let mut sql = Sql::default();
    sql.push("SELECT COUNT(*)");
    push_from(&mut sql, table, text, None);
    push_where(&mut sql, table, filter, scope);
    let mut statement = connection.prepare_cached(&sql.text)?;
    let total: i64 = statement.query_row(rusqlite::params_from_iter(sql.params), |row| row.get(0))?;
    Ok(total.unsigned_abs())
}

/// The statement that gives the bodies of all matching documents.
pub(super) fn bodies(table: &Table, filter: &Filter, scope: Option<&Scope>) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT d.body");
    push_from(&mut sql, table, None, None);
    push_where(&mut sql, table, filter, scope);
    sql
}

/// The statements whose results make up the page, one after the other. Limit and offset are left to bind.
///
/// After a cursor, "all keys greater" is a chain of alternatives: same first key and greater second, greater
/// first, and so on, with null on its own. As one OR no index could serve it. Each as its own statement is
/// one range of an index, and since they follow each other in the order, their results need no merging.
pub(super) fn page_statements(
    table: &Table,
    query: &Query,
    prepared: &PreparedQuery,
    chosen: Option<&Chosen>,
) -> Vec<Sql> {
    let text = prepared.text.as_ref();
    let mut base = Sql::default();
    // Sorting a large part of the collection by rank must not carry the documents along.
    base.push(if text.is_some() { "SELECT d.n, r.rank" } else { "SELECT d.id, d.version, d.body, 0" });
    match chosen {
        Some(Chosen::Few(ns)) if text.is_none() => {
            base.push(" FROM (SELECT value FROM json_each(");
            base.bind(few_parameter(ns));
            base.push(&format!(")) j CROSS JOIN {} d ON d.n = j.value WHERE TRUE", table.name));
        }
        Some(chosen) => {
            let few = match chosen {
                Chosen::Few(ns) => Some(ns.as_slice()),
                Chosen::Many(_) => None,
            };
            push_from(&mut base, table, text, few);
            base.push(" WHERE ");
            base.push_chosen(chosen, if text.is_some() { "r.doc" } else { "d.n" });
        }
        None => {
            push_from(&mut base, table, text, None);
            push_where(&mut base, table, &query.filter, query.scope.as_ref());
        }
    }
    let keys = &prepared.order.keys;
    let mut statements = Vec::new();
    match &prepared.after {
        Some(after) => statements_after(table, &base, keys, after, &mut statements),
        None => {
            push_order(&mut base, table, keys);
            statements.push(base);
        }
    }
    if text.is_some() {
        statements.iter_mut().for_each(|statement| fetch_last(table, statement, keys));
    }
    statements
}

/// Makes a statement that answers row numbers and ranks answer the documents.
fn fetch_last(table: &Table, statement: &mut Sql, keys: &[OrderKey]) {
    let inner = std::mem::take(&mut statement.text);
    statement.push(&format!(
        "SELECT d.id, d.version, d.body, r.rank FROM ({inner}) r CROSS JOIN {} d ON d.n = r.n",
        table.name
    ));
    push_keys(statement, table, keys);
}

fn statements_after(
    table: &Table,
    base: &Sql,
    keys: &[OrderKey],
    after: &[Scalar],
    statements: &mut Vec<Sql>,
) {
    for (depth, key) in keys.iter().enumerate().rev() {
        let mut same = base.clone();
        for (key, value) in keys.iter().zip(after).take(depth) {
            same.push(" AND ");
            push_same(&mut same, table, key, value);
        }
        let expression = expression(table, key);
        let value = &after[depth];
        let ascending = key.direction() == Direction::Ascending;
        if !value.is_null() {
            let mut beyond = same.clone();
            beyond.push(&format!(" AND {expression} {} ", if ascending { ">" } else { "<" }));
            beyond.bind(sql_value(value));
            push_order(&mut beyond, table, &keys[depth..]);
            statements.push(beyond);
        }
        // Null is the least: everything else comes after it ascending, and it after everything descending.
        let null = match (ascending, value.is_null()) {
            (true, true) => Some("NOT NULL"),
            (false, false) if is_nullable(key) => Some("NULL"),
            _ => None,
        };
        if let Some(null) = null {
            same.push(&format!(" AND {expression} IS {null}"));
            push_order(&mut same, table, &keys[depth..]);
            statements.push(same);
        }
    }
}

fn push_from(sql: &mut Sql, table: &Table, text: Option<&TextQuery>, among: Option<&[i64]>) {
    let Some(text) = text else {
        return sql.push(&format!(" FROM {} d", table.name));
    };
    sql.push(" FROM (");
    push_ranks(sql, table, text, among);
    sql.push(&format!(") r CROSS JOIN {} d ON d.n = r.doc", table.name));
}

/// The documents in which every word occurs, among a few or all, and their ranks.
pub(super) fn push_ranks(sql: &mut Sql, table: &Table, text: &TextQuery, among: Option<&[i64]>) {
    if text.is_empty() {
        return sql.push(&format!("SELECT n AS doc, 0 AS rank FROM {}", table.name));
    }
    // Where the documents are known, a prefix that many words have need not be followed.
    let push_source = |sql: &mut Sql| match among {
        Some(ns) => {
            sql.push("(SELECT value FROM json_each(");
            sql.bind(few_parameter(ns));
            sql.push(&format!(")) j CROSS JOIN {} t ON t.doc = j.value AND ", table.tokens()));
        }
        None => sql.push(&format!("{} t WHERE ", table.tokens())),
    };
    sql.push("SELECT doc, SUM(weight) AS rank FROM (");
    for word in &text.exact {
        sql.push(&format!("SELECT t.doc AS doc, t.weight * {WHOLE_WORD} AS weight FROM "));
        push_source(sql);
        sql.push("t.token = ");
        sql.bind(SqlValue::Text(word.clone()));
        sql.push(" UNION ALL ");
    }
    match &text.prefix {
        Some(prefix) => {
            sql.push("SELECT t.doc AS doc, MAX(CASE WHEN t.token = ");
            sql.bind(SqlValue::Text(prefix.clone()));
            sql.push(&format!(" THEN t.weight * {WHOLE_WORD} ELSE t.weight END) AS weight FROM "));
            push_source(sql);
            sql.push("t.token >= ");
            sql.bind(SqlValue::Text(prefix.clone()));
            if let Some(end) = prefix_successor(prefix) {
                sql.push(" AND t.token < ");
                sql.bind(SqlValue::Text(end));
            }
            sql.push(" GROUP BY t.doc");
        }
        None => sql.push(&format!("SELECT doc, weight FROM {} WHERE FALSE", table.tokens())),
    }
    sql.push(&format!(") GROUP BY doc HAVING COUNT(*) = {}", text.len()));
}

fn push_where(sql: &mut Sql, table: &Table, filter: &Filter, scope: Option<&Scope>) {
    sql.push(" WHERE ");
    if let Some(scope) = scope {
        sql.push_filter(table, &scope.filter(), false);
        sql.push(" AND ");
    }
    sql.push_filter(table, filter, false);
}

fn push_order(sql: &mut Sql, table: &Table, keys: &[OrderKey]) {
    push_keys(sql, table, keys);
    sql.push(" LIMIT ? OFFSET ?");
}

fn push_keys(sql: &mut Sql, table: &Table, keys: &[OrderKey]) {
    sql.push(" ORDER BY ");
    for (position, key) in keys.iter().enumerate() {
        sql.push(if position == 0 { "" } else { ", " });
        sql.push(&expression(table, key));
        if key.direction() == Direction::Descending {
            sql.push(" DESC");
        }
    }
}

fn push_same(sql: &mut Sql, table: &Table, key: &OrderKey, value: &Scalar) {
    sql.push(&expression(table, key));
    if value.is_null() {
        return sql.push(" IS NULL");
    }
    sql.push(" = ");
    sql.bind(sql_value(value));
}

fn expression(table: &Table, key: &OrderKey) -> String {
    match key {
        OrderKey::Rank => "r.rank".to_owned(),
        OrderKey::Field(key) => table.expression(&key.path),
    }
}

fn is_nullable(key: &OrderKey) -> bool {
    match key {
        OrderKey::Rank => false,
        OrderKey::Field(key) => !store_model::schema::HOST_MEMBERS.contains(&key.path.as_str()),
    }
}
