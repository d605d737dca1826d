//! The list query of API §1: paging, sorting, filtering, search.

use std::collections::BTreeMap;

use store_model::{Direction, FieldKind, Filter, Scalar, SortKey};

use super::error::ApiError;
use crate::plugin::{ListRequest, descriptor::ListDeclaration};

const LIMIT_MAX: u32 = 100;
const OFFSET_MAX: u32 = 10_000;
const SORT_KEYS: usize = 5;
const TEXT_CHARS: usize = 200;
const CLAUSES: usize = 50;

/// What a list route declares, with the kinds of its fields.
pub(super) struct ListFields<'a> {
    pub(super) declaration: &'a ListDeclaration,
    pub(super) kinds: &'a BTreeMap<String, FieldKind>,
}

/// Takes the list query out of the parameters and leaves the others.
///
/// # Errors
/// `unknown_filter`, `unknown_sort`, `invalid_parameter`.
pub(super) fn parse(
    parameters: Vec<(String, String)>,
    fields: &ListFields<'_>,
) -> Result<(ListRequest, Vec<(String, String)>), ApiError> {
    let mut list = ListRequest {
        filter: None,
        text: None,
        sort: Vec::new(),
        limit: 20,
        cursor: None,
        offset: 0,
        count: true,
    };
    let mut clauses = Vec::new();
    let mut alternatives: BTreeMap<u32, Vec<Filter>> = BTreeMap::new();
    let mut rest = Vec::new();
    let mut seen = Vec::new();
    for (name, value) in parameters {
        if let Some(keys) = filter_keys(&name) {
            match keys.as_slice() {
                ["or", group, path] | ["or", group, path, _] => {
                    let operator = keys.get(3).copied().unwrap_or("eq");
                    let group = group.parse().map_err(|_| invalid(&name, "An OR group is a number."))?;
                    alternatives
                        .entry(group)
                        .or_default()
                        .push(clause(&name, path, operator, &value, fields)?);
                }
                [path, operator] => clauses.push(clause(&name, path, operator, &value, fields)?),
                [path] => clauses.push(clause(&name, path, "eq", &value, fields)?),
                _ => return Err(ApiError::parameter("unknown_filter", &name, "There is no such filter.")),
            }
            continue;
        }
        if seen.contains(&name) {
            return Err(invalid(&name, "The parameter is given twice."));
        }
        match name.as_str() {
            "limit" => list.limit = number(&name, &value, 1, LIMIT_MAX)?,
            "offset" => list.offset = number(&name, &value, 0, OFFSET_MAX)?,
            "cursor" => list.cursor = Some(value.clone()),
            "count" => {
                list.count = match value.as_str() {
                    "none" => false,
                    "exact" => true,
                    _ => return Err(invalid(&name, "`count` is `exact` or `none`.")),
                }
            }
            "sort" => list.sort = sort(&name, &value, fields)?,
            "q" if fields.declaration.text => {
                if value.chars().count() > TEXT_CHARS {
                    return Err(invalid(&name, format!("`q` has at most {TEXT_CHARS} characters.")));
                }
                list.text = (!value.trim().is_empty()).then(|| value.clone());
            }
            _ => rest.push((name.clone(), value)),
        }
        seen.push(name);
    }
    if list.cursor.is_some() && seen.iter().any(|name| name == "offset") {
        return Err(invalid("offset", "Either `cursor` or `offset`, not both."));
    }
    clauses.extend(
        (!alternatives.is_empty()).then(|| Filter::Or(alternatives.into_values().map(Filter::And).collect())),
    );
    if clauses.len() > CLAUSES {
        return Err(invalid("filter", format!("At most {CLAUSES} filters.")));
    }
    list.filter = match clauses.len() {
        0 => None,
        1 => clauses.pop(),
        _ => Some(Filter::And(clauses)),
    };
    Ok((list, rest))
}

/// The keys of `filter[a][b]`; `None` for other parameters.
fn filter_keys(name: &str) -> Option<Vec<&str>> {
    let rest = name.strip_prefix("filter[")?.strip_suffix(']')?;
    Some(rest.split("][").collect())
}

fn clause(
    name: &str,
    path: &str,
    operator: &str,
    value: &str,
    fields: &ListFields<'_>,
) -> Result<Filter, ApiError> {
    let unknown =
        |what: &str| ApiError::parameter("unknown_filter", name, format!("There is no such {what}."));
    if !fields.declaration.filters.iter().any(|declared| declared == path) {
        return Err(unknown("field to filter by"));
    }
    let Some(&kind) = fields.kinds.get(path) else { return Err(unknown("field to filter by")) };
    let scalar = |text: &str| scalar(name, text, kind);
    let many = || value.split(',').map(scalar).collect::<Result<Vec<_>, _>>();
    let path = path.to_owned();
    let textual = || match kind {
        FieldKind::Text => Ok(value.to_owned()),
        _ => Err(unknown("operator for this field")),
    };
    Ok(match operator {
        "eq" => Filter::Eq(path, scalar(value)?),
        "ne" => Filter::Ne(path, scalar(value)?),
        "in" => Filter::In(path, many()?),
        "nin" => Filter::Nin(path, many()?),
        "gt" => Filter::Gt(path, scalar(value)?),
        "gte" => Filter::Gte(path, scalar(value)?),
        "lt" => Filter::Lt(path, scalar(value)?),
        "lte" => Filter::Lte(path, scalar(value)?),
        "prefix" => Filter::Prefix(path, textual()?),
        "contains" => Filter::Contains(path, textual()?),
        "exists" => match value {
            "true" => Filter::Exists(path, true),
            "false" => Filter::Exists(path, false),
            _ => return Err(invalid(name, "`exists` is `true` or `false`.")),
        },
        _ => return Err(unknown("operator")),
    })
}

fn scalar(name: &str, text: &str, kind: FieldKind) -> Result<Scalar, ApiError> {
    match kind {
        FieldKind::Text => Ok(Scalar::Text(text.to_owned())),
        FieldKind::Integer => {
            text.parse().map(Scalar::Integer).map_err(|_| invalid(name, "The value is a 64-bit integer."))
        }
        FieldKind::Boolean => match text {
            "true" => Ok(Scalar::Boolean(true)),
            "false" => Ok(Scalar::Boolean(false)),
            _ => Err(invalid(name, "The value is `true` or `false`.")),
        },
        FieldKind::Timestamp => text
            .parse::<jiff::Timestamp>()
            .map(|moment| Scalar::Text(crate::clock::timestamp_at(moment.as_millisecond())))
            .map_err(|_| invalid(name, "The value is a time in RFC 3339, such as 2026-11-23T09:00:00Z.")),
    }
}

fn sort(name: &str, value: &str, fields: &ListFields<'_>) -> Result<Vec<SortKey>, ApiError> {
    let mut keys: Vec<SortKey> = Vec::new();
    for part in value.split(',').filter(|part| !part.is_empty()) {
        let (path, direction) = match part.strip_prefix('-') {
            Some(path) => (path, Direction::Descending),
            None => (part, Direction::Ascending),
        };
        if !fields.declaration.sorts.iter().any(|declared| declared == path) {
            return Err(ApiError::parameter("unknown_sort", name, "There is no such field to sort by."));
        }
        if keys.iter().any(|key| key.path == path) || keys.len() == SORT_KEYS {
            return Err(invalid(name, format!("At most {SORT_KEYS} fields, each once.")));
        }
        keys.push(SortKey { path: path.to_owned(), direction });
    }
    Ok(keys)
}

fn number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, ApiError> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| invalid(name, format!("`{name}` is a number from {least} to {most}.")))
}

fn invalid(name: &str, message: impl Into<String>) -> ApiError {
    ApiError::parameter("invalid_parameter", name, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &[(&str, &str)]) -> Result<ListRequest, &'static str> {
        let declaration = ListDeclaration {
            collection: "things".to_owned(),
            filters: vec!["name".to_owned(), "rank".to_owned(), "on".to_owned(), "at".to_owned()],
            sorts: vec!["name".to_owned(), "rank".to_owned()],
            text: true,
        };
        let kinds = BTreeMap::from([
            ("name".to_owned(), FieldKind::Text),
            ("rank".to_owned(), FieldKind::Integer),
            ("on".to_owned(), FieldKind::Boolean),
            ("at".to_owned(), FieldKind::Timestamp),
        ]);
        let parameters = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let fields = ListFields { declaration: &declaration, kinds: &kinds };
        parse(parameters, &fields).map(|(list, _)| list).map_err(|error| error.code())
    }

    #[test]
    fn clauses_are_anded_and_or_groups_are_one_clause() {
        let list = parsed(&[
            ("filter[rank][gte]", "3"),
            ("filter[or][0][name][eq]", "a"),
            ("filter[or][0][on][eq]", "true"),
            ("filter[or][1][name]", "b"),
        ])
        .unwrap();
        let name = || "name".to_owned();
        assert_eq!(
            list.filter,
            Some(Filter::And(vec![
                Filter::Gte("rank".to_owned(), Scalar::Integer(3)),
                Filter::Or(vec![
                    Filter::And(vec![
                        Filter::Eq(name(), Scalar::Text("a".to_owned())),
                        Filter::Eq("on".to_owned(), Scalar::Boolean(true)),
                    ]),
                    Filter::And(vec![Filter::Eq(name(), Scalar::Text("b".to_owned()))]),
                ]),
            ]))
        );
    }

    #[test]
    fn times_are_normalised() {
        let list = parsed(&[("filter[at][lt]", "2026-11-23T10:00:00+01:00")]).unwrap();
        let expected = Scalar::Text("2026-11-23T09:00:00.000Z".to_owned());
        assert_eq!(list.filter, Some(Filter::Lt("at".to_owned(), expected)));
    }

    #[test]
    fn what_is_not_declared_is_refused_by_its_code() {
        for (query, code) in [
            (("filter[other]", "1"), "unknown_filter"),
            (("filter[name][like]", "1"), "unknown_filter"),
            (("filter[rank][prefix]", "1"), "unknown_filter"),
            (("filter[name][$ne]", "1"), "unknown_filter"),
            (("filter[a][b][c]", "1"), "unknown_filter"),
            (("filter[rank]", "x"), "invalid_parameter"),
            (("filter[on]", "1"), "invalid_parameter"),
            (("filter[or][x][name][eq]", "1"), "invalid_parameter"),
            (("sort", "on"), "unknown_sort"),
            (("sort", "name,-name"), "invalid_parameter"),
            (("limit", "0"), "invalid_parameter"),
            (("limit", "101"), "invalid_parameter"),
            (("offset", "10001"), "invalid_parameter"),
            (("count", "all"), "invalid_parameter"),
        ] {
            assert_eq!(parsed(&[query]), Err(code), "{query:?}");
        }
        assert_eq!(parsed(&[("cursor", "a"), ("offset", "1")]), Err("invalid_parameter"));
        assert_eq!(parsed(&[("limit", "5"), ("limit", "6")]), Err("invalid_parameter"));
    }
}
