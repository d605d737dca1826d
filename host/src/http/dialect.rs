//! The list queries of other tools, in terms of our own.
//!
//! react-admin's simple-rest sends JSON in `sort`, `range` and `filter`; json-server's clients, refine among them, send
//! `_start`, `_end`, `_sort`, `_order`, a repeated `id` and fields by their names. Both see the same fields, operators and
//! bounds as everybody else. Deliberately absent: what these tools have beyond that.

use axum::http::{HeaderMap, Method, header};
use serde_json::{Map, Value, json};

use super::{
    error::ApiError,
    list_query::{Condition, LIMIT_MAX, ListFields, invalid},
};

/// What react-admin's simple-rest is answered when it deletes something: it reads the id from the body, which a 204 does
/// not have. It is told by the content type that it gives its empty request, and that nobody else does.
pub(super) fn deleted(method: &Method, headers: &HeaderMap, status: u16, id: &str) -> Option<Vec<u8>> {
    let asks =
        *method == Method::DELETE && headers.get(header::CONTENT_TYPE).is_some_and(|it| it == "text/plain");
    (asks && status == 204).then(|| json!({ "id": id }).to_string().into_bytes())
}

/// Parameters in our own terms.
pub(super) struct Translated {
    /// Those that are no conditions.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) conditions: Vec<Condition>,
}

/// Operators that json-server's clients append to a field's name.
const SUFFIXES: [(&str, &str); 4] = [("_ne", "ne"), ("_gte", "gte"), ("_lte", "lte"), ("_like", "contains")];

/// Translates parameters; what is in no other dialect stays as it is. `own` tells the parameters that the route itself
/// declares, which nothing takes away.
///
/// # Errors
/// `invalid_parameter` for values that are not what their dialect sends, `unknown_filter`.
pub(super) fn translate(
    parameters: Vec<(String, String)>,
    fields: &ListFields<'_>,
    own: &dyn Fn(&str) -> bool,
) -> Result<Translated, ApiError> {
    let mut translated = Translated { parameters: Vec::new(), conditions: Vec::new() };
    let mut json_server = JsonServer::default();
    let mut ids = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            name if own(name) => translated.plain(name, value),
            "sort" if value.starts_with('[') => translated.plain("sort", react_sort(&value)?),
            "range" => translated.react_range(&value)?,
            "filter" => translated.react_filter(&value, own)?,
            "_start" => json_server.start = Some(count("_start", &value)?),
            "_end" => json_server.end = Some(count("_end", &value)?),
            "_sort" => json_server.sort = value,
            "_order" => json_server.order = value,
            "id" => ids.push(value),
            _ => match by_name(&name, fields) {
                Some((path, operator)) => translated.by_name(&name, path, operator, value),
                None => translated.plain(&name, value),
            },
        }
    }
    if !ids.is_empty() {
        translated.condition("id", "id", "in", ids);
    }
    json_server.finish(&mut translated)?;
    Ok(translated)
}

/// A field by its name, with an operator at the end where there is one.
fn by_name<'n>(name: &'n str, fields: &ListFields<'_>) -> Option<(&'n str, &'static str)> {
    if fields.kinds.contains_key(name) {
        return Some((name, "eq"));
    }
    SUFFIXES.iter().find_map(|(suffix, operator)| {
        let path = name.strip_suffix(suffix)?;
        fields.kinds.contains_key(path).then_some((path, *operator))
    })
}

/// `["name","ASC"]`.
fn react_sort(value: &str) -> Result<String, ApiError> {
    let wrong = || invalid("sort", "As JSON it is a field and `ASC` or `DESC`, such as [\"name\",\"ASC\"].");
    let (field, order): (String, String) = serde_json::from_str(value).map_err(|_| wrong())?;
    match order.to_ascii_uppercase().as_str() {
        _ if field.contains(',') => Err(wrong()),
        "ASC" => Ok(field),
        "DESC" => Ok(format!("-{field}")),
        _ => Err(wrong()),
    }
}

impl Translated {
    fn plain(&mut self, name: &str, value: impl Into<String>) {
        self.parameters.push((name.to_owned(), value.into()));
    }

    fn condition(&mut self, name: &str, path: &str, operator: &str, values: Vec<String>) {
        let (name, path, operator) = (name.to_owned(), path.to_owned(), operator.to_owned());
        self.conditions.push(Condition { name, path, operator, values });
    }

    /// A field that is given again may have either value.
    fn by_name(&mut self, name: &str, path: &str, operator: &str, value: String) {
        let again = self.conditions.iter_mut().find(|it| it.name == name && operator == "eq");
        match again {
            Some(condition) => {
                condition.values.push(value);
                "in".clone_into(&mut condition.operator);
            }
            None => self.condition(name, path, operator, vec![value]),
        }
    }

    /// The page from a first to a last position; a longer one than we have is cut.
    fn page(&mut self, offset: u32, limit: u32) {
        self.plain("offset", offset.to_string());
        self.plain("limit", limit.min(LIMIT_MAX).to_string());
    }

    /// `[0,24]`, both included.
    fn react_range(&mut self, value: &str) -> Result<(), ApiError> {
        let wrong = || invalid("range", "It is the first and the last position, such as [0,24].");
        let (first, last): (u32, u32) = serde_json::from_str(value).map_err(|_| wrong())?;
        let size = last.checked_sub(first).ok_or_else(wrong)?;
        self.page(first, size.saturating_add(1));
        Ok(())
    }

    /// `{"status":"active"}`: a value, several of which one fits, or operators with theirs.
    fn react_filter(&mut self, value: &str, own: &dyn Fn(&str) -> bool) -> Result<(), ApiError> {
        let members: Map<String, Value> = serde_json::from_str(value)
            .map_err(|_| invalid("filter", "It is a JSON object of fields and values."))?;
        for (path, wanted) in members {
            let name = format!("filter[{path}]");
            match wanted {
                wanted if path == "q" || own(&path) => self.plain(&path, text_of(&name, wanted)?),
                Value::Null => self.condition(&name, &path, "exists", vec!["false".to_owned()]),
                Value::Array(values) => {
                    let values = values.into_iter().map(|it| text_of(&name, it)).collect::<Result<_, _>>()?;
                    self.condition(&name, &path, "in", values);
                }
                Value::Object(operators) => {
                    for (operator, value) in operators {
                        let values = match value {
                            Value::Array(values) => {
                                values.into_iter().map(|it| text_of(&name, it)).collect::<Result<_, _>>()?
                            }
                            value => vec![text_of(&name, value)?],
                        };
                        self.condition(&name, &path, &operator, values);
                    }
                }
                scalar => {
                    let value = text_of(&name, scalar)?;
                    self.condition(&name, &path, "eq", vec![value]);
                }
            }
        }
        Ok(())
    }
}

/// A scalar as a parameter would have it.
fn text_of(name: &str, value: Value) -> Result<String, ApiError> {
    match value {
        // The store does not take it in a query.
        Value::String(text) if text.contains('\0') => Err(invalid(name, "The value holds NUL.")),
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        _ => Err(invalid(name, "A value is a text, a number or a boolean.")),
    }
}

/// What json-server's clients say in several parameters.
#[derive(Default)]
struct JsonServer {
    start: Option<u32>,
    end: Option<u32>,
    sort: String,
    order: String,
}

impl JsonServer {
    fn finish(self, translated: &mut Translated) -> Result<(), ApiError> {
        let start = self.start.unwrap_or(0);
        match self.end {
            Some(end) if end <= start => return Err(invalid("_end", "It comes after `_start`.")),
            Some(end) => translated.page(start, end - start),
            None if self.start.is_some() => translated.plain("offset", start.to_string()),
            None => {}
        }
        if self.sort.is_empty() {
            return Ok(());
        }
        let mut orders = self.order.split(',');
        let keys: Vec<String> = self
            .sort
            .split(',')
            .map(|field| match orders.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "" | "asc" => Ok(field.to_owned()),
                "desc" => Ok(format!("-{field}")),
                _ => Err(invalid("_order", "It is `asc` or `desc`, one for each field of `_sort`.")),
            })
            .collect::<Result<_, _>>()?;
        translated.plain("sort", keys.join(","));
        Ok(())
    }
}

fn count(name: &str, value: &str) -> Result<u32, ApiError> {
    value.parse().map_err(|_| invalid(name, format!("`{name}` is a number from 0.")))
}
