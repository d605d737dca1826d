//! Parameters of an operation: what the route declares, and what every such route takes.

use serde_json::{Value, json};
use store_model::FieldKind;

use crate::plugin::{
    Generation, Lookup,
    descriptor::{ListDeclaration, Location, Route},
};

/// A tag that names a version, or any version.
const IF_MATCH: &str = r#"^(\*|"[0-9]{1,19}(-[^"]*)?")$"#;
/// As many as the host takes.
const SORT_KEYS: usize = 5;

pub(super) fn of(route: &Route, generation: &Generation) -> Vec<Value> {
    let mut parameters: Vec<Value> = route
        .params
        .iter()
        .map(|param| {
            let place = match param.location {
                Location::Path => "path",
                Location::Query => "query",
                Location::Header => "header",
            };
            let description = if param.description.is_empty() {
                default_description(&param.name)
            } else {
                &param.description
            };
            json!({
                "name": param.name,
                "in": place,
                "required": param.required || param.location == Location::Path,
                "description": description,
                "schema": param.schema,
            })
        })
        .collect();
    // Looked up as a request would be, so that what is documented is what is checked.
    let entry = match generation.lookup(&route.method, &route.path) {
        Lookup::Found { entry, .. } => Some(entry),
        _ => None,
    };
    if let Some(list) = &route.list {
        let kind = |path: &String| entry.as_ref().and_then(|entry| entry.list_fields.get(path).copied());
        list_parameters(list, &kind, &mut parameters);
    }
    if let Some(members) = entry.as_ref().and_then(|entry| entry.members.as_ref()) {
        let names: Vec<String> = members.iter().map(|name| format!("`{name}`")).collect();
        let about =
            format!("Leave all members out but these and the id, separated by commas: {}.", names.join(", "));
        let names: Vec<&String> = members.iter().collect();
        parameters.push(query("fields", &about, &listed("", &names, None)));
    }
    if route.method == "GET" {
        parameters.push(header("If-None-Match", "An `ETag`: 304 when the representation is still the same."));
    } else {
        // Of what is posted, commands on a resource that the path names.
        let is_command =
            route.path.contains('{') && route.errors.iter().any(|code| code == "version_conflict");
        if route.method != "POST" || is_command {
            parameters.push(if_match());
        }
        if route.method != "PUT" {
            let mut key = header(
                "Idempotency-Key",
                "Repeats of the request with this key get its answer, for 24 hours. Without an account, at least 128 bits.",
            );
            key["required"] = json!(route.idempotency_key_required);
            key["schema"] =
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
            parameters.push(key);
        }
    }
    parameters
}

/// The header that says which version a change is about.
pub(super) fn if_match() -> Value {
    let mut tag = header("If-Match", "The `ETag` that was read: 412 when the resource has changed since.");
    tag["schema"]["pattern"] = json!(IF_MATCH);
    tag["examples"] = json!({
        "version": { "summary": "This version.", "value": "\"7\"" },
        "any": { "summary": "Any version, as without the header.", "value": "*" }
    });
    tag
}

fn default_description(name: &str) -> &str {
    match name {
        "id" => "The id of the resource.",
        "slug" => "The slug of the resource.",
        _ => "A part of the path.",
    }
}

fn paging_parameters(list: &ListDeclaration, text: &Value, parameters: &mut Vec<Value>) {
    let number = |least: u32, most: u32, default: Option<u32>| {
        let mut schema = json!({ "type": "integer", "minimum": least, "maximum": most });
        if let Some(default) = default {
            schema["default"] = json!(default);
        }
        schema
    };
    parameters.push(query("limit", "How many to show.", &number(1, 100, Some(20))));
    parameters.push(query(
        "offset",
        "How many to skip. Not together with `cursor`.",
        &number(0, 10_000, None),
    ));
    parameters.push(query(
        "cursor",
        "The `X-Next-Cursor` of the page before, with the same filter and sort.",
        text,
    ));
    let counts = json!({ "type": "string", "enum": ["exact", "none"], "default": "exact" });
    parameters.push(query("count", "`none` leaves the total out.", &counts));
    let mut sorts: Vec<String> = list.sorts.clone();
    if !sorts.iter().any(|sort| sort == "id") {
        sorts.push("id".to_owned());
    }
    let named: Vec<String> = sorts.iter().map(|path| format!("`{path}`")).collect();
    let about =
        format!("Fields separated by commas, `-` before one for descending order: {}.", named.join(", "));
    // Nothing is the order of the ids.
    let mut sort = listed("-?", &sorts.iter().collect::<Vec<_>>(), Some(SORT_KEYS));
    sort["pattern"] = json!(format!("^$|{}", sort["pattern"].as_str().unwrap_or_default()));
    parameters.push(query("sort", &about, &sort));
}

pub(super) fn list_parameters(
    list: &ListDeclaration,
    kind: &dyn Fn(&String) -> Option<FieldKind>,
    parameters: &mut Vec<Value>,
) {
    let text = json!({ "type": "string" });
    if !list.unpaged {
        paging_parameters(list, &text, parameters);
    }
    if list.text {
        let words = json!({ "type": "string", "maxLength": 200 });
        parameters.push(query("q", "Full-text search: every word, the last one as a prefix.", &words));
    }
    for path in &list.filters {
        let Some(kind) = kind(path) else { continue };
        for (operator, about) in operators(kind) {
            let name = match *operator {
                "eq" => format!("filter[{path}]"),
                operator => format!("filter[{path}][{operator}]"),
            };
            let schema = match *operator {
                "in" => text.clone(),
                _ => schema_of(kind),
            };
            parameters.push(query(&name, &format!("`{path}` {about}"), &schema));
        }
    }
}

/// The schema of names separated by commas, each with a prefix.
fn listed(prefix: &str, names: &[&String], most: Option<usize>) -> Value {
    let names: Vec<String> = names.iter().map(|name| name.replace('.', "\\.")).collect();
    let name = format!("{prefix}({})", names.join("|"));
    let more = most.map_or("*".to_owned(), |most| format!("{{0,{}}}", most - 1));
    json!({ "type": "string", "pattern": format!("^{name}(,{name}){more}$") })
}

/// The operators that are documented one by one; the others are alike.
fn operators(kind: FieldKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        FieldKind::Text => {
            &[("eq", "is this."), ("in", "is one of these, separated by commas."), ("prefix", "begins so.")]
        }
        FieldKind::Integer | FieldKind::Timestamp => {
            &[("eq", "is this."), ("gte", "is at least this."), ("lte", "is at most this.")]
        }
        FieldKind::Boolean => &[("eq", "is this.")],
    }
}

fn schema_of(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Integer => json!({ "type": "integer", "format": "int64" }),
        FieldKind::Boolean => json!({ "type": "boolean" }),
        FieldKind::Timestamp => json!({ "type": "string", "format": "date-time" }),
    }
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

pub(super) fn header(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string" }
    })
}
