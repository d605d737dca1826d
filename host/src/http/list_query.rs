//! The list query of API §1: paging, sorting, filtering, search.

use std::collections::BTreeMap;

use store_model::{Direction, FieldKind, Filter, Scalar, SortKey};

use super::{dialect, error::ApiError};
use crate::plugin::{ListRequest, descriptor::ListDeclaration};

pub(super) const LIMIT_MAX: u32 = 100;
const OFFSET_MAX: u32 = 10_000;
const SORT_KEYS: usize = 5;
const TEXT_CHARS: usize = 200;
const CLAUSES: usize = 50;
/// The store takes no more in one condition.
const VALUES: usize = 1_000;

/// What a list route declares, with the kinds of its fields.
pub(super) struct ListFields<'a> {
    pub(super) declaration: &'a ListDeclaration,
    pub(super) kinds: &'a BTreeMap<String, FieldKind>,
}

/// A field that is compared with values, in whichever dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// The parameter, for the error that refuses it.
    pub(super) name: String,
    pub(super) path: String,
    pub(super) operator: String,
    pub(super) values: Vec<String>,
}

impl Condition {
    /// One of `filter[path][operator]=value`, where several values are split at commas.
    fn new(name: &str, path: &str, operator: &str, value: &str) -> Self {
        let values = match operator {
            "in" | "nin" => value.split(',').map(str::to_owned).collect(),
            _ => vec![value.to_owned()],
        };
        Self { name: name.to_owned(), path: path.to_owned(), operator: operator.to_owned(), values }
    }
}

/// Takes the list query out of the parameters and leaves the others. `own` tells the parameters that the route itself
/// declares.
///
/// # Errors
/// `unknown_filter`, `unknown_sort`, `invalid_parameter`.
pub(super) fn parse(
    parameters: Vec<(String, String)>,
    fields: &ListFields<'_>,
    own: &dyn Fn(&str) -> bool,
) -> Result<(ListRequest, Vec<(String, String)>), ApiError> {
    let dialect::Translated { parameters, conditions } = dialect::translate(parameters, fields, own)?;
    let mut list = ListRequest {
        filter: None,
        text: None,
        sort: Vec::new(),
        limit: 20,
        cursor: None,
        offset: 0,
        count: true,
    };
    let mut clauses: Vec<Filter> =
        conditions.iter().map(|condition| clause(condition, fields)).collect::<Result<_, _>>()?;
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
                        .push(clause(&Condition::new(&name, path, operator, &value), fields)?);
                }
                [path, operator] => {
                    clauses.push(clause(&Condition::new(&name, path, operator, &value), fields)?);
                }
                [path] => clauses.push(clause(&Condition::new(&name, path, "eq", &value), fields)?),
                _ => return Err(ApiError::parameter("unknown_filter", &name, "There is no such filter.")),
            }
            continue;
        }
        if seen.contains(&name) {
            return Err(invalid(&name, "The parameter is given twice."));
        }
        match name.as_str() {
            // Also where another dialect says it.
            "limit" | "offset" | "cursor" | "count" | "sort" if fields.declaration.unpaged => {
                return Err(ApiError::parameter(
                    "unknown_parameter",
                    &name,
                    "There is no paging and no order.",
                ));
            }
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

fn clause(condition: &Condition, fields: &ListFields<'_>) -> Result<Filter, ApiError> {
    let Condition { name, path, operator, values } = condition;
    let unknown =
        |what: &str| ApiError::parameter("unknown_filter", name, format!("There is no such {what}."));
    if path != "id" && !fields.declaration.filters.contains(path) {
        return Err(unknown("field to filter by"));
    }
    let Some(&kind) = fields.kinds.get(path) else { return Err(unknown("field to filter by")) };
    let many = || {
        if values.len() > VALUES {
            return Err(invalid(name, format!("At most {VALUES} values.")));
        }
        values.iter().map(|text| scalar(name, text, kind)).collect::<Result<Vec<_>, _>>()
    };
    let one = || match values.as_slice() {
        [only] => Ok(only),
        _ => Err(invalid(name, "This operator takes one value.")),
    };
    let value = || scalar(name, one()?, kind);
    let textual = || match kind {
        FieldKind::Text => one().cloned(),
        _ => Err(unknown("operator for this field")),
    };
    let path = path.clone();
    Ok(match operator.as_str() {
        "eq" => Filter::Eq(path, value()?),
        "ne" => Filter::Ne(path, value()?),
        "in" => Filter::In(path, many()?),
        "nin" => Filter::Nin(path, many()?),
        "gt" => Filter::Gt(path, value()?),
        "gte" => Filter::Gte(path, value()?),
        "lt" => Filter::Lt(path, value()?),
        "lte" => Filter::Lte(path, value()?),
        "prefix" => Filter::Prefix(path, textual()?),
        "contains" => Filter::Contains(path, textual()?),
        "exists" => match one()?.as_str() {
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
    for part in value.split(',').filter(|_| !value.is_empty()) {
        let (path, direction) = match part.strip_prefix('-') {
            Some(path) => (path, Direction::Descending),
            None => (part, Direction::Ascending),
        };
        if path != "id" && !fields.declaration.sorts.iter().any(|declared| declared == path) {
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

pub(super) fn invalid(name: &str, message: impl Into<String>) -> ApiError {
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
            unpaged: false,
        };
        let kinds = BTreeMap::from([
            ("name".to_owned(), FieldKind::Text),
            ("rank".to_owned(), FieldKind::Integer),
            ("on".to_owned(), FieldKind::Boolean),
            ("at".to_owned(), FieldKind::Timestamp),
            ("id".to_owned(), FieldKind::Text),
        ]);
        let parameters = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let fields = ListFields { declaration: &declaration, kinds: &kinds };
        parse(parameters, &fields, &|name| name == "category")
            .map(|(list, _)| list)
            .map_err(|error| error.code())
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
    fn other_tools_say_the_same_in_their_own_way() {
        let ours = |query: &[(&str, &str)]| parsed(query).unwrap();
        for (theirs, same) in [
            (
                vec![("sort", r#"["name","ASC"]"#), ("range", "[0,24]"), ("filter", r#"{"name":"a"}"#)],
                vec![("sort", "name"), ("offset", "0"), ("limit", "25"), ("filter[name]", "a")],
            ),
            (
                vec![("sort", r#"["id","DESC"]"#), ("range", "[100,999]"), ("filter", "{}")],
                vec![("sort", "-id"), ("offset", "100"), ("limit", "100")],
            ),
            (
                vec![("filter", r#"{"id":["a","b,c"],"on":true,"q":"tea","category":"x"}"#)],
                vec![("id", "a"), ("id", "b,c"), ("filter[on]", "true"), ("q", "tea")],
            ),
            (
                vec![("filter", r#"{"rank":{"gte":3,"lt":5},"at":null}"#)],
                vec![("filter[rank][gte]", "3"), ("filter[rank][lt]", "5"), ("filter[at][exists]", "false")],
            ),
            (
                vec![("_start", "10"), ("_end", "30"), ("_sort", "name,rank"), ("_order", "asc,DESC")],
                vec![("offset", "10"), ("limit", "20"), ("sort", "name,-rank")],
            ),
            (vec![("name", "a"), ("name", "b,c")], vec![("filter", r#"{"name":["a","b,c"]}"#)]),
            (
                vec![("name_like", "ea"), ("rank_gte", "3"), ("rank_lte", "5"), ("on_ne", "true")],
                vec![
                    ("filter[name][contains]", "ea"),
                    ("filter[rank][gte]", "3"),
                    ("filter[rank][lte]", "5"),
                    ("filter[on][ne]", "true"),
                ],
            ),
        ] {
            let (mut theirs, mut same) = (ours(&theirs), ours(&same));
            for list in [&mut theirs, &mut same] {
                if let Some(Filter::And(clauses)) = &mut list.filter {
                    clauses.sort_by_key(|clause| format!("{clause:?}"));
                }
            }
            assert_eq!(theirs, same);
        }
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
            (("sort", "name,"), "unknown_sort"),
            (("sort", "name,-name"), "invalid_parameter"),
            (("limit", "0"), "invalid_parameter"),
            (("limit", "101"), "invalid_parameter"),
            (("offset", "10001"), "invalid_parameter"),
            (("count", "all"), "invalid_parameter"),
            (("sort", r#"["name","UP"]"#), "invalid_parameter"),
            (("sort", r#"["on","ASC"]"#), "unknown_sort"),
            (("range", "[5,2]"), "invalid_parameter"),
            (("range", "5-2"), "invalid_parameter"),
            (("filter", "name"), "invalid_parameter"),
            (("filter", r#"{"other":1}"#), "unknown_filter"),
            (("filter", r#"{"name":{"$ne":1}}"#), "unknown_filter"),
            (("filter", r#"{"name":{"eq":[1,2]}}"#), "invalid_parameter"),
            (("filter", r#"{"name":[["a"]]}"#), "invalid_parameter"),
            (("filter", r#"{"name":"a\u0000"}"#), "invalid_parameter"),
            (("_start", "-1"), "invalid_parameter"),
            (("_end", "0"), "invalid_parameter"),
            (("_sort", "on"), "unknown_sort"),
        ] {
            assert_eq!(parsed(&[query]), Err(code), "{query:?}");
        }
        assert_eq!(parsed(&[("cursor", "a"), ("offset", "1")]), Err("invalid_parameter"));
        assert_eq!(parsed(&[("limit", "5"), ("limit", "6")]), Err("invalid_parameter"));
    }
}
