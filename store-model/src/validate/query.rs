//! Checks of reads: every path is declared, every value has the kind of its field, every size is bounded.

use crate::{
    aggregate::{Aggregate, GroupKey, Measure},
    cursor,
    facets::{BOUNDS, FACETS, Facet, Facets},
    filter::{FILTER_DEPTH, FILTER_NODES, FILTER_VALUES, Filter},
    order::Order,
    path::is_declarable,
    query::{LIMIT_MAX, OFFSET_MAX, PROJECTED_FIELDS, Query, QueryError, SORT_KEYS, Scope},
    schema::{Access, CollectionSchema, Declared, FieldKind},
    text::{QUERY_WORDS, TextQuery},
    value::Scalar,
};

/// Most group keys and measures of an aggregate.
const AGGREGATE_PARTS: usize = 16;
/// No place on Earth is further from UTC.
const OFFSET_MINUTES_MAX: i32 = 24 * 60;

/// What a backend needs to know of a checked query besides its filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedQuery {
    pub order: Order,
    /// The position after which the page starts.
    pub after: Option<Vec<Scalar>>,
    pub text: Option<TextQuery>,
}

/// Checks a query, and reads its order, its cursor and its text.
pub fn check_query(schema: &CollectionSchema, query: &Query) -> Result<PreparedQuery, QueryError> {
    check_filter(schema, &query.filter)?;
    if let Some(scope) = &query.scope {
        check_scope(schema, scope)?;
    }
    within("sort keys", query.sort.len(), SORT_KEYS)?;
    within("projected members", query.fields.len(), PROJECTED_FIELDS)?;
    within("offset", query.offset as usize, OFFSET_MAX as usize)?;
    check_limit(query.limit)?;
    for key in &query.sort {
        if schema.field(&key.path).is_none_or(|field| field.multi) {
            return Err(QueryError::UnknownSort(key.path.clone()));
        }
    }
    if query.cursor.is_some() && query.offset > 0 {
        return Err(QueryError::TooLarge("an offset cannot be combined with a cursor".to_owned()));
    }
    let text = query.text.as_deref().map(|text| check_text(schema, text)).transpose()?;
    let order = Order::of(query);
    let decode = |cursor: &String| cursor::decode(schema, query, &order, cursor);
    let after = query.cursor.as_ref().map(decode).transpose()?;
    Ok(PreparedQuery { order, after, text })
}

/// Checks a filter: declared paths, typed values, bounded size.
pub fn check_filter(schema: &CollectionSchema, filter: &Filter) -> Result<(), QueryError> {
    let mut nodes = 0;
    check_node(schema, filter, 1, &mut nodes)
}

fn check_node(
    schema: &CollectionSchema,
    filter: &Filter,
    depth: usize,
    nodes: &mut usize,
) -> Result<(), QueryError> {
    *nodes += 1;
    within("filter levels", depth, FILTER_DEPTH)?;
    within("filter nodes", *nodes, FILTER_NODES)?;
    match filter {
        Filter::Eq(path, value) | Filter::Ne(path, value) => check_value(schema, path, value),
        Filter::In(path, values) | Filter::Nin(path, values) => {
            filterable(schema, path)?;
            within("filter values", values.len(), FILTER_VALUES)?;
            values.iter().try_for_each(|value| check_value(schema, path, value))
        }
        Filter::Gt(path, value)
        | Filter::Gte(path, value)
        | Filter::Lt(path, value)
        | Filter::Lte(path, value) => {
            check_value(schema, path, value)?;
            // Comparing with null is a mistake that would silently match nothing.
            if value.is_null() { Err(wrong_type(path)) } else { Ok(()) }
        }
        Filter::Prefix(path, text) | Filter::Contains(path, text) => {
            let kind = filterable(schema, path)?.kind;
            let textual = matches!(kind, FieldKind::Text | FieldKind::Timestamp);
            if textual && !text.contains('\0') { Ok(()) } else { Err(wrong_type(path)) }
        }
        Filter::Exists(path, _) => filterable(schema, path).map(|_| ()),
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|filter| check_node(schema, filter, depth + 1, nodes))
        }
        Filter::Not(filter) => check_node(schema, filter, depth + 1, nodes),
    }
}

/// Checks a scope: a declared field and an owner of its kind who is somebody.
pub fn check_scope(schema: &CollectionSchema, scope: &Scope) -> Result<(), QueryError> {
    for owner in &scope.owners {
        check_value(schema, &scope.path, owner)?;
    }
    let nobody = scope.owners.is_empty() || scope.owners.iter().any(Scalar::is_null);
    if nobody { Err(wrong_type(&scope.path)) } else { Ok(()) }
}

/// Checks an aggregate.
pub fn check_aggregate(schema: &CollectionSchema, aggregate: &Aggregate) -> Result<(), QueryError> {
    check_filter(schema, &aggregate.filter)?;
    if let Some(scope) = &aggregate.scope {
        check_scope(schema, scope)?;
    }
    check_limit(aggregate.limit)?;
    within("group keys", aggregate.group.len(), AGGREGATE_PARTS)?;
    within("measures", aggregate.measures.len(), AGGREGATE_PARTS)?;
    if let Some(unwind) = &aggregate.unwind
        && !is_declarable(unwind)
    {
        return Err(QueryError::UnknownFilter(unwind.clone()));
    }
    for key in &aggregate.group {
        match key {
            GroupKey::Field(path) => check_member(schema, aggregate, path, None)?,
            GroupKey::Day { path, offset_minutes } => {
                check_member(schema, aggregate, path, Some(FieldKind::Timestamp))?;
                within(
                    "minutes of offset",
                    offset_minutes.unsigned_abs() as usize,
                    OFFSET_MINUTES_MAX as usize,
                )?;
            }
        }
    }
    for measure in &aggregate.measures {
        match measure {
            Measure::Count => {}
            Measure::Sum(path) => check_member(schema, aggregate, path, Some(FieldKind::Integer))?,
            Measure::Min(path) | Measure::Max(path) => check_member(schema, aggregate, path, None)?,
        }
    }
    Ok(())
}

/// Checks facets, and reads their text.
pub fn check_facets(schema: &CollectionSchema, facets: &Facets) -> Result<Option<TextQuery>, QueryError> {
    check_filter(schema, &facets.filter)?;
    if let Some(scope) = &facets.scope {
        check_scope(schema, scope)?;
    }
    within("facets", facets.facets.len(), FACETS)?;
    for facet in &facets.facets {
        let field = filterable(schema, facet.path())?;
        if field.access == Access::Scan {
            return Err(QueryError::UnknownFilter(facet.path().to_owned()));
        }
        let fits = match facet {
            Facet::Values { prefix, limit, .. } => {
                check_limit(*limit)?;
                prefix.is_none() || field.kind == FieldKind::Text
            }
            Facet::Ranges { bounds, .. } => {
                within("bounds", bounds.len(), BOUNDS)?;
                if bounds.is_empty() || !bounds.is_sorted_by(|left, right| left < right) {
                    return Err(QueryError::TooLarge("bounds: not ascending, or none".to_owned()));
                }
                field.kind == FieldKind::Integer && !field.multi
            }
        };
        if !fits {
            return Err(wrong_type(facet.path()));
        }
    }
    facets.text.as_deref().map(|text| check_text(schema, text)).transpose()
}

/// A key or a measure names a declared single field, or a member of the unwound elements.
fn check_member(
    schema: &CollectionSchema,
    aggregate: &Aggregate,
    path: &str,
    kind: Option<FieldKind>,
) -> Result<(), QueryError> {
    if aggregate.unwind.as_deref().is_some_and(|unwind| Aggregate::below(unwind, path).is_some()) {
        return Ok(());
    }
    let field = filterable(schema, path)?;
    if field.multi {
        return Err(QueryError::UnknownFilter(path.to_owned()));
    }
    if kind.is_some_and(|kind| kind != field.kind) { Err(wrong_type(path)) } else { Ok(()) }
}

fn check_text(schema: &CollectionSchema, text: &str) -> Result<TextQuery, QueryError> {
    if schema.text.is_empty() {
        return Err(QueryError::NoText(schema.name.clone()));
    }
    let query = TextQuery::parse(text);
    within("words", query.len(), QUERY_WORDS)?;
    Ok(query)
}

fn check_value(schema: &CollectionSchema, path: &str, value: &Scalar) -> Result<(), QueryError> {
    let field = filterable(schema, path)?;
    if value.is_null() || field.kind.accepts(&value.to_json()) { Ok(()) } else { Err(wrong_type(path)) }
}

fn filterable(schema: &CollectionSchema, path: &str) -> Result<Declared, QueryError> {
    schema.field(path).ok_or_else(|| QueryError::UnknownFilter(path.to_owned()))
}

fn wrong_type(path: &str) -> QueryError {
    QueryError::WrongType { path: path.to_owned() }
}

fn check_limit(limit: u32) -> Result<(), QueryError> {
    if limit == 0 {
        return Err(QueryError::TooLarge(format!("the limit is 0, not 1 to {LIMIT_MAX}")));
    }
    within("limit", limit as usize, LIMIT_MAX as usize)
}

fn within(what: &str, found: usize, most: usize) -> Result<(), QueryError> {
    if found <= most {
        return Ok(());
    }
    Err(QueryError::TooLarge(format!("{what}: {found}, at most {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        query::SortKey,
        schema::{Access, Field, TextField},
    };

    fn schema() -> CollectionSchema {
        CollectionSchema {
            owner: Some("customerId".to_owned()),
            fields: vec![
                Field::integer("n", Access::Index),
                Field::text("tags", Access::Index).multi(),
                Field::timestamp("at", Access::Scan),
            ],
            text: vec![TextField { path: "name".to_owned(), weight: 1 }],
            ..CollectionSchema::new("things", "thing")
        }
    }

    fn refusal(query: Query) -> QueryError {
        check_query(&schema(), &query).unwrap_err()
    }

    #[test]
    fn undeclared_and_mistyped_filters_are_refused() {
        let filtered = |filter| refusal(Query { filter, ..Query::default() });
        assert_eq!(filtered(Filter::eq("x", 1)), QueryError::UnknownFilter("x".to_owned()));
        assert_eq!(filtered(Filter::In("x".to_owned(), vec![])), QueryError::UnknownFilter("x".to_owned()));
        for mistyped in [
            Filter::eq("n", "1"),
            Filter::Gt("n".to_owned(), Scalar::Null),
            Filter::Prefix("n".to_owned(), "1".to_owned()),
            Filter::eq("at", "2026-11-23"),
            Filter::eq("tags", "a\0b"),
        ] {
            assert!(matches!(filtered(mistyped), QueryError::WrongType { .. }));
        }
        let accepted = Filter::And(vec![
            Filter::Eq("n".to_owned(), Scalar::Null),
            Filter::eq("customerId", "c"),
            Filter::Prefix("at".to_owned(), "2026-11".to_owned()),
        ]);
        check_filter(&schema(), &accepted).unwrap();
    }

    #[test]
    fn sizes_are_bounded() {
        let nested = (0..FILTER_DEPTH).fold(Filter::all(), |filter, _| Filter::Not(Box::new(filter)));
        let wide = Filter::Or(vec![Filter::all(); FILTER_NODES]);
        let many = Filter::In("n".to_owned(), vec![Scalar::Integer(1); FILTER_VALUES + 1]);
        let mut queries: Vec<Query> =
            [nested, wide, many].into_iter().map(|filter| Query { filter, ..Query::default() }).collect();
        queries.push(Query { limit: 0, ..Query::default() });
        queries.push(Query { limit: LIMIT_MAX + 1, ..Query::default() });
        queries.push(Query { offset: OFFSET_MAX + 1, ..Query::default() });
        queries.push(Query { text: Some("a b ".repeat(20)), ..Query::default() });
        queries.push(Query { text: Some("a1 ".repeat(20) + &"b".repeat(3)), ..Query::default() });
        // Repeated words count once, so the last two are within the bounds.
        for query in queries.drain(..6) {
            assert!(matches!(refusal(query), QueryError::TooLarge(_)));
        }
        for query in queries {
            check_query(&schema(), &query).unwrap();
        }
    }

    #[test]
    fn sorting_through_an_array_is_refused() {
        let sort = |path: &str| Query { sort: vec![SortKey::ascending(path)], ..Query::default() };
        assert_eq!(refusal(sort("tags")), QueryError::UnknownSort("tags".to_owned()));
        assert_eq!(refusal(sort("x")), QueryError::UnknownSort("x".to_owned()));
        check_query(&schema(), &sort("updatedAt")).unwrap();
    }

    #[test]
    fn a_scope_names_somebody() {
        let scope = |owner: Scalar| Some(Scope::new("customerId", owner));
        let query = Query { scope: scope(Scalar::Null), ..Query::default() };
        assert!(matches!(refusal(query), QueryError::WrongType { .. }));
        check_query(&schema(), &Query { scope: scope("c".into()), ..Query::default() }).unwrap();
    }
}
