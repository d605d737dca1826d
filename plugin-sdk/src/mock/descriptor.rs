//! Whether a plugin's descriptor says what an API document needs.

use serde_json::{Value, json};

use crate::{
    Plugin,
    export::describe_routes,
    router::{BodyDescription, RouteDescription},
};

/// Everything that is wrong with how a plugin describes its routes, one sentence each: missing words, a missing access
/// rule, undeclared fields in lists, and examples that do not fit their schemas.
pub fn descriptor_faults<P: Plugin>() -> Vec<String> {
    let (routes, schemas) = describe_routes::<P>();
    let schemas: serde_json::Map<String, Value> = schemas
        .into_iter()
        .map(|(name, schema)| (name, serde_json::from_str(&schema).unwrap_or(Value::Null)))
        .collect();
    let components = json!({ "schemas": schemas });
    let mut faults = Vec::new();
    for route in &routes {
        let mut fault = |what: String| faults.push(format!("{}: {what}", route.operation_id));
        words(route, &mut fault);
        fields::<P>(route, &mut fault);
        if let Some(body) = &route.request {
            example("request", body, &components, &mut fault);
        }
        for (status, _, body) in &route.responses {
            if let Some(body) = body {
                example(&format!("response {status}"), body, &components, &mut fault);
            }
        }
    }
    faults
}

fn words(route: &RouteDescription, fault: &mut impl FnMut(String)) {
    let missing = [
        ("summary", route.summary.is_empty()),
        ("description", route.description.is_empty()),
        ("access rule", route.access.is_empty()),
        ("response", route.responses.is_empty()),
    ];
    for (what, _) in missing.into_iter().filter(|(_, missing)| *missing) {
        fault(format!("no {what}"));
    }
    for param in route.params.iter().filter(|param| param.description.is_empty()) {
        fault(format!("no description of the parameter `{}`", param.name));
    }
}

fn fields<P: Plugin>(route: &RouteDescription, fault: &mut impl FnMut(String)) {
    let Some(list) = &route.list else { return };
    let collections = P::collections();
    let Some(schema) =
        collections.iter().map(crate::Collection::schema).find(|it| it.name == list.collection)
    else {
        return fault(format!("the list's collection `{}` is not declared", list.collection));
    };
    for path in list.filters.iter().filter(|path| schema.field(path).is_none()) {
        fault(format!("the filter `{path}` is not declared"));
    }
    for path in list.sorts.iter().filter(|path| schema.field(path).is_none_or(|field| field.multi)) {
        fault(format!("the sort `{path}` is not declared, or goes through an array"));
    }
    if list.text == schema.text.is_empty() {
        fault("`q` and the collection's text fields do not agree".to_owned());
    }
}

fn example(what: &str, body: &BodyDescription, components: &Value, fault: &mut impl FnMut(String)) {
    let Some(example) = &body.example else { return fault(format!("no example of the {what}")) };
    let example: Value = serde_json::from_str(example).unwrap_or(Value::Null);
    let mut schema: Value = serde_json::from_str(&body.schema).unwrap_or(Value::Null);
    schema["components"] = components.clone();
    match jsonschema::validator_for(&schema) {
        Err(error) => fault(format!("the schema of the {what} is wrong: {error}")),
        Ok(validator) => {
            for error in validator.iter_errors(&example) {
                fault(format!("the example of the {what} at `{}`: {error}", error.instance_path()));
            }
        }
    }
}
