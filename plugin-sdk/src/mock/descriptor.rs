//! Whether a plugin's descriptor says what an API document needs.

use serde_json::{Map, Value, json};

use super::accounts;
use crate::{
    Capability, Plugin,
    export::describe_routes,
    router::{BodyDescription, RouteDescription},
};

/// Everything that is wrong with how a plugin describes its routes, one sentence each: missing words, a missing access
/// rule, undeclared fields in lists, and examples that do not fit their schemas.
pub fn descriptor_faults<P: Plugin>() -> Vec<String> {
    let (routes, components) = described::<P>();
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

/// Why the host would refuse a request body before the handler runs.
pub fn request_faults<P: Plugin>(operation_id: &str, body: &Value) -> Vec<String> {
    let (routes, components) = described::<P>();
    let route = routes.iter().find(|route| route.operation_id == operation_id);
    match route.and_then(|route| route.request.as_ref()) {
        Some(declared) => misfits(declared, body, &components),
        None => vec![format!("`{operation_id}` declares no request body")],
    }
}

/// Why an answer is not what its route declares.
pub fn response_faults<P: Plugin>(operation_id: &str, status: u16, body: &Value) -> Vec<String> {
    let (routes, components) = described::<P>();
    let responses =
        routes.iter().filter(|route| route.operation_id == operation_id).flat_map(|it| &it.responses);
    let declared = responses.into_iter().find(|(declared, ..)| *declared == status);
    match declared.and_then(|(_, _, body)| body.as_ref()) {
        Some(declared) => misfits(declared, body, &components),
        None => vec![format!("`{operation_id}` declares no body for {status}")],
    }
}

fn described<P: Plugin>() -> (Vec<RouteDescription>, Value) {
    let described = describe_routes::<P>();
    let (routes, schemas) = (described.routes, described.schemas);
    let schemas: Map<String, Value> = schemas
        .into_iter()
        .map(|(name, schema)| (name, serde_json::from_str(&schema).unwrap_or(Value::Null)))
        .collect();
    (routes, json!({ "schemas": schemas }))
}

/// In what a value differs from the schema of a body.
fn misfits(body: &BodyDescription, value: &Value, components: &Value) -> Vec<String> {
    let mut schema: Value = serde_json::from_str(&body.schema).unwrap_or(Value::Null);
    schema["components"] = components.clone();
    schema_faults(&schema, value)
}

/// In what a value differs from a schema, such as a configuration from `config_schema`.
pub fn schema_faults(schema: &Value, value: &Value) -> Vec<String> {
    match jsonschema::validator_for(schema) {
        Err(error) => vec![format!("the schema is wrong: {error}")],
        Ok(validator) => {
            let errors = validator.iter_errors(value);
            errors.map(|error| format!("`{}`: {error}", error.instance_path())).collect()
        }
    }
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
    let accounts = P::capabilities().contains(&Capability::identity()).then(accounts::schema);
    let collections = P::collections();
    let mut schemas = collections.iter().map(crate::Collection::schema).chain(accounts);
    let Some(schema) = schemas.find(|it| it.name == list.collection) else {
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
    let example = serde_json::from_str(example).unwrap_or(Value::Null);
    for misfit in misfits(body, &example, components) {
        fault(format!("the example of the {what}: {misfit}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Problem, Reply, Request, Router};

    struct Wordless;

    impl Plugin for Wordless {
        const ID: &'static str = "wordless";
        const VERSION: &'static str = "1.0.0";
        const TITLE: &'static str = "Wordless";

        fn routes(router: &mut Router) {
            fn handler(_: &Context<'_>, _: Request) -> Result<Reply, Problem> {
                Ok(Reply::ok(&Value::Null))
            }
            let route =
                router.post("/things/{id}", "makeThing", handler).body::<u8>().example(|| json!("three"));
            route.list("things", &[], &[], true).returns::<String>(200, "");
        }
    }

    #[test]
    fn every_fault_is_found() {
        let faults = descriptor_faults::<Wordless>().join("\n");
        for expected in [
            "no summary",
            "no description",
            "no access rule",
            "the parameter `id`",
            "the example of the request",
            "no example of the response 200",
            "collection `things` is not declared",
        ] {
            assert!(faults.contains(expected), "{expected} is missing in:\n{faults}");
        }
        assert!(request_faults::<Wordless>("makeThing", &json!(3)).is_empty());
        assert_eq!(response_faults::<Wordless>("makeThing", 200, &json!(3)).len(), 1);
    }
}
