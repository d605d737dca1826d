//! Mass assignment and injection: what a body may not set, and values that mean something to a database, for every
//! operation of the served document.

use platform_tests::{host::TestHost, shop::writes_nothing};
use serde_json::{Value, json};

use super::matrix::{Operation, World, operations, shop};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    no_operation_takes_a_member_that_it_does_not_know,
    no_operation_takes_a_read_only_member,
    no_operation_takes_an_operator_for_a_value,
);

/// Whoever may call the most of it.
fn caller(path: &str) -> &'static str {
    let is_customers = path.starts_with("/users/me") || path == "/carts/merge";
    if is_customers { "customer" } else { "superadmin" }
}

/// The operations that take JSON, with its schema and an example.
fn with_bodies<'d>(document: &'d Value) -> impl Iterator<Item = (Operation<'d>, &'d Value, &'d Value)> {
    operations(document).into_iter().filter_map(|operation| {
        let (schema, example) = operation.body()?;
        Some((operation, schema, example))
    })
}

async fn no_operation_takes_a_member_that_it_does_not_know(host: TestHost) {
    let document = host.anonymous().get("//openapi.json").await.expect(200);
    let world = World::new(host).await;
    let mut tried = 0;
    for (operation, _, example) in with_bodies(&document) {
        let client = world.client(caller(operation.path)).await;
        for member in ["isAdmin", "_owner", "__proto__", "constructor"] {
            let mut body = example.clone();
            body[member] = json!(true);
            let answer = operation.call(&world, &client, Some(&body), None);
            let pointer = format!("/{member}");
            writes_nothing(&world.host, answer).await.expect_error_at(
                422,
                "unknown_field",
                &pointer,
                "unknown_field",
            );
        }
        tried += 1;
    }
    assert!(tried >= 25, "{tried} operations have a body");
}

/// The members that a schema marks read-only.
fn read_only(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return read_only(document, document.pointer(&reference[1..]).unwrap());
    }
    let members = schema["properties"].as_object();
    members
        .into_iter()
        .flatten()
        .filter(|(_, member)| member["readOnly"] == true)
        .map(|(name, _)| name.clone())
        .collect()
}

async fn no_operation_takes_a_read_only_member(host: TestHost) {
    let document = host.anonymous().get("//openapi.json").await.expect(200);
    let world = World::new(host).await;
    let (mut tried, mut done) = (0, 0);
    for (operation, schema, example) in with_bodies(&document) {
        let members = read_only(&document, schema);
        let client = world.client(caller(operation.path)).await;
        for member in &members {
            for value in [json!("set from outside"), json!(424_242), Value::Null] {
                let mut body = example.clone();
                body[member] = value.clone();
                let answer = operation.call(&world, &client, Some(&body), None).await;
                let what =
                    format!("{} {} with {member}: {}", operation.method, operation.path, answer.text());
                let shown = answer.json();
                let blamed = shown["errors"].as_array().is_some_and(|errors| {
                    errors.iter().any(|error| error["pointer"] == format!("/{member}"))
                });
                assert!(!blamed, "{what}");
                if answer.status.is_success() {
                    assert!(value.is_null() || shown[member] != value, "{what}");
                    done += 1;
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 100 && done >= 40, "{done} of {tried} bodies were taken");
}

/// The pointers of all texts in a body.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| texts(member, &format!("{at}/{name}"), found));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, it)| texts(it, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

async fn no_operation_takes_an_operator_for_a_value(host: TestHost) {
    let document = host.anonymous().get("//openapi.json").await.expect(200);
    let world = World::new(host).await;
    let mut tried = 0;
    for (operation, _, example) in with_bodies(&document) {
        let client = world.client(caller(operation.path)).await;
        let mut pointers = Vec::new();
        texts(example, "", &mut pointers);
        // What is free for integrations may be any JSON.
        pointers.retain(|pointer| !pointer.contains("/metadata/") && !pointer.contains("/attributes/"));
        for pointer in pointers {
            for operator in [json!({"$ne": null}), json!({"$gt": ""}), json!(["x' OR '1'='1"])] {
                let mut body = example.clone();
                *body.pointer_mut(&pointer).unwrap() = operator;
                let answer = operation.call(&world, &client, Some(&body), None);
                let answer = writes_nothing(&world.host, answer).await;
                let what = format!("{} {} at {pointer}: {}", operation.method, operation.path, answer.text());
                assert!([400, 422].contains(&answer.status.as_u16()), "{what}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 150, "{tried} values were tried");
}
