//! The handlers against the store's reference model.

use plugin_sdk::{
    Access, Caller, Collection, Direction, FieldKind, Filter, ListQuery, Plugin, Problem, Reply, Request,
    Scalar, SortKey, Value, json,
    mock::{MockHost, RecordedAnswer, descriptor_faults, request_faults, response_faults},
};

use crate::Products;

/// A host with the part of the categories that products look at.
fn host() -> MockHost {
    let host = MockHost::new::<Products>();
    host.declare(vec![
        Collection::new("categories", "cat")
            .field("slug", FieldKind::Text, Access::Unique)
            .field("parentId", FieldKind::Text, Access::Index)
            .field("active", FieldKind::Boolean, Access::Index)
            .field("deletingSince", FieldKind::Timestamp, Access::Scan),
    ]);
    host
}

fn category(host: &MockHost, id: &str, parent: Option<&str>) {
    host.put("categories", id, &json!({"slug": id.replace('_', "-"), "parentId": parent, "active": true}));
}

fn mark(host: &MockHost, id: &str, since: Option<&str>) {
    let commit = &mut plugin_sdk::Context::new(host, b"").commit();
    let value = json!(since);
    commit.update(
        "categories",
        id,
        vec![plugin_sdk::FieldOperation::Set { path: "deletingSince".into(), value }],
    );
    std::mem::replace(commit, plugin_sdk::Context::new(host, b"").commit()).apply().unwrap();
}

fn request(operation: &str, body: Option<Value>) -> Request {
    Request {
        operation_id: operation.to_owned(),
        body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        ..Request::default()
    }
}

fn on(operation: &str, id: &str, body: Option<Value>) -> Request {
    Request { params: vec![("id".to_owned(), id.to_owned())], ..request(operation, body) }
}

fn staff(request: Request) -> Request {
    let permissions = vec!["products:read".to_owned(), "products:write".to_owned()];
    Request { caller: Caller { kind: "admin".to_owned(), permissions, ..Caller::default() }, ..request }
}

fn create(host: &MockHost, body: Value) -> Result<RecordedAnswer, Problem> {
    host.answered::<Products>(request("createProduct", Some(body)))
}

fn created(host: &MockHost, body: Value) -> String {
    create(host, body).unwrap().body["id"].as_str().unwrap().to_owned()
}

fn shirt() -> Value {
    json!({
        "name": "Blue Shirt",
        "status": "active",
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [
            {"sku": "SHIRT-S", "optionValues": {"Size": "S"}, "prices": [{"amount": 2499, "currency": "USD"}]},
            {"sku": "SHIRT-M", "optionValues": {"Size": "M"}, "prices": [{"amount": 2299, "currency": "EUR"}]},
        ],
    })
}

#[track_caller]
fn pointers(answer: Result<RecordedAnswer, Problem>, status: u16, code: &str) -> Vec<String> {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    problem.errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Products>(), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_rules_need_not_look_at() {
    for wrong in [
        json!({"name": "  "}),
        json!({"name": "X", "slug": "No Slug"}),
        json!({"name": "X", "status": "sold"}),
        json!({"name": "X", "colour": "red"}),
        json!({"name": "X", "variants": [{"sku": " A"}]}),
        json!({"name": "X", "variants": [{"sku": "A", "prices": [{"amount": -1, "currency": "USD"}]}]}),
        json!({"name": "X", "variants": [{"sku": "A", "prices": [{"amount": 1.5, "currency": "USD"}]}]}),
        json!({"name": "X", "options": [{"name": "a.b", "values": ["x"]}]}),
        json!({"name": "X", "media": [{"url": "javascript:alert(1)"}]}),
        json!({"slug": "nameless"}),
    ] {
        assert_ne!(request_faults::<Products>("createProduct", &wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn a_product_lives() {
    let host = host();
    let answer = create(&host, shirt()).unwrap();
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers, [("location".to_owned(), format!("/products/{id}"))]);
    assert_eq!(answer.body["slug"], "blue-shirt");
    assert_eq!(answer.body["publishedAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(answer.body["variants"][0]["price"], json!({"amount": 2499, "currency": "USD"}));
    assert_eq!(answer.body["variants"][1]["price"], Value::Null);
    let variant = answer.body["variants"][0]["id"].clone();
    assert!(variant.as_str().unwrap().starts_with("var_"));

    let read = host.answered::<Products>(on("getProduct", &id, None)).unwrap();
    // Byte for byte, so that both have the same ETag.
    assert_eq!(read.body.to_string(), answer.body.to_string());
    assert_eq!(response_faults::<Products>("getProduct", 200, &read.body), Vec::<String>::new());
    assert_eq!(request_faults::<Products>("replaceProduct", &read.body), Vec::<String>::new());
    assert_eq!(request_faults::<Products>("updateProduct", &read.body), Vec::<String>::new());
    let by_slug = Request {
        params: vec![("slug".to_owned(), "blue-shirt".to_owned())],
        query: vec![("currency".to_owned(), "EUR".to_owned())],
        ..request("getProductBySlug", None)
    };
    let in_euro = host.answered::<Products>(by_slug).unwrap();
    assert_eq!(in_euro.body["variants"][1]["price"]["amount"], 2299);

    let listed = host.answered::<Products>(request("listProducts", None)).unwrap();
    assert_eq!(listed.body, json!([answer.body]));

    let patch = json!({"name": "Red Shirt", "attributes": {"material": "wool"}, "taxClass": "reduced"});
    let patched = host.answered::<Products>(on("updateProduct", &id, Some(patch))).unwrap();
    assert_eq!((patched.status, &patched.body["version"]), (200, &json!(2)));
    assert_eq!((&patched.body["name"], &patched.body["slug"]), (&json!("Red Shirt"), &json!("blue-shirt")));
    assert_eq!(patched.body["variants"], answer.body["variants"]);

    let mut replacement = shirt();
    replacement["variants"][1]["sku"] = json!("SHIRT-L");
    let replace = Request { if_match: Some(2), ..on("replaceProduct", &id, Some(replacement.clone())) };
    let replaced = host.answered::<Products>(replace.clone()).unwrap();
    assert_eq!(replaced.body["taxClass"], Value::Null);
    assert_eq!(replaced.body["variants"][0]["id"], variant);
    assert_ne!(replaced.body["variants"][1]["id"], answer.body["variants"][1]["id"]);

    let stale = host.answered::<Products>(replace).unwrap_err();
    assert_eq!((stale.status, &stale.extras["current"]), (412, &json!(3)));

    assert_eq!(host.answered::<Products>(on("deleteProduct", &id, None)).unwrap().status, 204);
    let gone = host.answered::<Products>(on("getProduct", &id, None)).unwrap_err();
    assert_eq!(gone.code, "not_found");

    let events = host.events();
    let topics: Vec<_> = events.iter().map(|event| event.topic.as_str()).collect();
    assert_eq!(topics, ["product.created", "product.updated", "product.updated", "product.deleted"]);
    assert!(events.iter().all(|event| event.subject == id && event.data["id"] == id.as_str()));
    assert_eq!(events[3].data["variants"][1]["sku"], "SHIRT-L");
}

#[test]
fn a_patch_with_null_removes_and_a_missing_name_is_pointed_at() {
    let host = host();
    let id = created(&host, json!({"name": "Mug", "slug": "old-mug", "taxClass": "standard"}));
    let patched = host
        .answered::<Products>(on("updateProduct", &id, Some(json!({"slug": null, "taxClass": null}))))
        .unwrap();
    assert_eq!((&patched.body["slug"], &patched.body["taxClass"]), (&json!("mug"), &Value::Null));
    let nameless = host.answered::<Products>(on("updateProduct", &id, Some(json!({"name": null}))));
    assert_eq!(pointers(nameless, 422, "validation_failed"), ["/name"]);
}

#[test]
fn drafts_are_for_staff() {
    let host = host();
    let draft = created(&host, json!({"name": "Secret"}));
    created(&host, json!({"name": "Public", "status": "active", "variants": [{"sku": "P"}]}));
    assert_eq!(host.answered::<Products>(on("getProduct", &draft, None)).unwrap_err().status, 404);
    assert!(host.answered::<Products>(staff(on("getProduct", &draft, None))).is_ok());
    let list = |request| host.answered::<Products>(request).unwrap().body.as_array().unwrap().len();
    assert_eq!(list(request("listProducts", None)), 1);
    assert_eq!(list(staff(request("listProducts", None))), 2);
}

#[test]
fn lists_filter_sort_search_and_page() {
    let host = host();
    for (name, sku) in [("Cup", "C-1"), ("Apron", "A-1"), ("Bowl", "B-1")] {
        created(
            &host,
            json!({"name": name, "status": "active", "tags": ["kitchen"], "variants": [{"sku": sku}]}),
        );
    }
    let names = |list: ListQuery| {
        let answer = host.answered::<Products>(Request { list: Some(list), ..request("listProducts", None) });
        let body = answer.unwrap().body;
        body.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let by_name = SortKey { path: "name".to_owned(), direction: Direction::Ascending };
    assert_eq!(
        names(ListQuery { sort: vec![by_name.clone()], ..ListQuery::default() }),
        ["Apron", "Bowl", "Cup"]
    );
    let filter = Filter::Eq("variants.sku".to_owned(), Scalar::Text("B-1".to_owned()));
    assert_eq!(names(ListQuery { filter, ..ListQuery::default() }), ["Bowl"]);
    assert_eq!(names(ListQuery { text: Some("kitchen cu".to_owned()), ..ListQuery::default() }), ["Cup"]);

    let list = Some(ListQuery { sort: vec![by_name], limit: 2, ..ListQuery::default() });
    let Reply::Response(first) =
        host.call::<Products>(Request { list, ..request("listProducts", None) }).unwrap()
    else {
        panic!("a read does not commit")
    };
    let (next, total) = first.page.unwrap();
    assert_eq!((next.is_some(), total), (true, Some(3)));
}

#[test]
fn a_list_takes_a_category_with_all_below_it() {
    let host = host();
    category(&host, "cat_a", None);
    category(&host, "cat_b", Some("cat_a"));
    category(&host, "cat_c", Some("cat_b"));
    category(&host, "cat_d", None);
    for (sku, category) in [("A", "cat_a"), ("C", "cat_c"), ("D", "cat_d")] {
        let product =
            json!({"name": sku, "status": "active", "categoryIds": [category], "variants": [{"sku": sku}]});
        created(&host, product);
    }
    let names = |category: &str| {
        let query = vec![("category".to_owned(), category.to_owned())];
        let body =
            host.answered::<Products>(Request { query, ..request("listProducts", None) }).unwrap().body;
        body.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("cat_a"), ["A", "C"]);
    assert_eq!(names("cat-b"), ["C"]);
    assert_eq!(names("unknown"), Vec::<String>::new());
}

#[test]
fn derived_slugs_make_way_and_given_ones_do_not() {
    let host = host();
    let slug =
        |body: Value| create(&host, body).map(|answer| answer.body["slug"].as_str().unwrap().to_owned());
    assert_eq!(slug(json!({"name": "Mug"})).unwrap(), "mug");
    assert_eq!(slug(json!({"name": "Mug"})).unwrap(), "mug-2");
    assert_eq!(slug(json!({"name": "Müg!"})).unwrap(), "mug-3");
    for number in 4..=9 {
        assert_eq!(slug(json!({"name": "mug"})).unwrap(), format!("mug-{number}"));
    }
    assert_eq!(slug(json!({"name": "mug"})).unwrap().len(), "mug-".len() + 8);
    assert!(slug(json!({"name": "茶碗"})).unwrap().starts_with("product-"));
    assert_eq!(
        pointers(create(&host, json!({"name": "X", "slug": "mug"})), 409, "already_exists"),
        ["/slug"]
    );
}

#[test]
fn a_slug_taken_at_the_last_moment_is_not_given_twice() {
    let host = host();
    created(&host, json!({"name": "Mug"}));
    // The first try finds `mug` taken; right before the second, somebody takes `mug-2`.
    host.before_commit(1, |host| {
        created(host, json!({"name": "Other", "slug": "mug-2"}));
    });
    let answer = create(&host, json!({"name": "Mug"})).unwrap();
    assert_eq!(answer.body["slug"].as_str().unwrap().len(), "mug-".len() + 8);
}

#[test]
fn everything_that_others_have_is_named_at_once() {
    let host = host();
    created(&host, json!({"name": "One", "variants": [{"sku": "A"}]}));
    let two = json!({"name": "Two", "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{"sku": "B", "optionValues": {"Size": "S"}}]});
    created(&host, two);
    let mut clash = shirt();
    clash["slug"] = json!("one");
    clash["variants"][0]["sku"] = json!("B");
    clash["variants"][1]["sku"] = json!("A");
    assert_eq!(
        pointers(create(&host, clash), 409, "already_exists"),
        ["/slug", "/variants/0/sku", "/variants/1/sku"]
    );
}

#[test]
fn a_product_does_not_clash_with_itself() {
    let host = host();
    let id = created(&host, shirt());
    let mut body = shirt();
    body["slug"] = json!("blue-shirt");
    assert!(host.answered::<Products>(on("replaceProduct", &id, Some(body))).is_ok());
}

#[test]
fn unknown_categories_are_reported_with_everything_else() {
    let host = host();
    category(&host, "cat_a", None);
    let body = json!({"name": "X", "categoryIds": ["cat_x", "cat_a", "cat_y"], "status": "active"});
    assert_eq!(
        pointers(create(&host, body), 422, "validation_failed"),
        ["/variants", "/categoryIds/0", "/categoryIds/2"]
    );
    assert!(host.events().is_empty());
}

#[test]
fn a_category_deleted_at_the_last_moment_is_not_referred_to() {
    let host = host();
    category(&host, "cat_a", None);
    host.before_commit(0, |host| {
        let mut commit = plugin_sdk::Context::new(host, b"").commit();
        commit.delete("categories", "cat_a");
        commit.apply().unwrap();
    });
    let answer = create(&host, json!({"name": "X", "categoryIds": ["cat_a"]}));
    assert_eq!(pointers(answer, 422, "validation_failed"), ["/categoryIds/0"]);
}

#[test]
fn a_category_that_is_being_deleted_is_not_referred_to() {
    let host = host();
    category(&host, "cat_a", None);
    host.before_commit(0, |host| mark(host, "cat_a", Some("2025-12-31T23:59:30.000Z")));
    let answer = create(&host, json!({"name": "X", "categoryIds": ["cat_a"]}));
    assert_eq!(pointers(answer, 409, "conflict"), ["/categoryIds/0"]);
    mark(&host, "cat_a", None);
    assert!(create(&host, json!({"name": "X", "categoryIds": ["cat_a"]})).is_ok());
}

#[test]
fn a_stale_mark_is_cleared_and_its_deleter_stopped() {
    let host = host();
    category(&host, "cat_a", None);
    mark(&host, "cat_a", Some("2025-12-31T23:58:59.999Z"));
    let marked = host.document("categories", "cat_a").unwrap();
    assert!(create(&host, json!({"name": "X", "categoryIds": ["cat_a"]})).is_ok());
    let cleared = host.document("categories", "cat_a").unwrap();
    assert_eq!(cleared.get("deletingSince"), None);
    assert_ne!(cleared["version"], marked["version"]);
}

#[test]
fn known_references_are_not_looked_up_again() {
    let host = host();
    category(&host, "cat_a", None);
    let id = created(&host, json!({"name": "X", "categoryIds": ["cat_a"]}));
    mark(&host, "cat_a", Some("2026-01-01T00:00:00.000Z"));
    assert!(host.answered::<Products>(on("updateProduct", &id, Some(json!({"name": "Y"})))).is_ok());
}

#[test]
fn a_write_that_lost_a_race_is_a_version_conflict() {
    let host = host();
    let id = created(&host, shirt());
    let other = id.clone();
    host.before_commit(0, move |host| {
        host.answered::<Products>(on("updateProduct", &other, Some(json!({"name": "Other"})))).unwrap();
    });
    let lost = host.answered::<Products>(on("updateProduct", &id, Some(json!({"tags": ["x"]})))).unwrap_err();
    assert_eq!(lost.code, "version_conflict");
}

#[test]
fn prices_follow_the_clock_the_configuration_and_the_caller() {
    let host = host();
    let mut body = shirt();
    body["variants"][0]["prices"] = json!([
        {"amount": 100, "currency": "USD"},
        {"amount": 80, "currency": "USD", "startsAt": "2026-01-01T01:00:00+01:00", "endsAt": "2026-01-02T00:00:00Z"},
        {"amount": 70, "currency": "EUR"},
    ]);
    let id = created(&host, body);
    let read = |query: Vec<(String, String)>| {
        host.call::<Products>(Request { query, ..on("getProduct", &id, None) })
    };
    let price = |reply: Result<Reply, Problem>| {
        let Reply::Response(response) = reply.unwrap() else { panic!("a read does not commit") };
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let until =
            response.headers.into_iter().find(|(name, _)| name == "valid-until").map(|(_, until)| until);
        (body["variants"][0]["price"]["amount"].as_i64(), until)
    };
    assert_eq!(price(read(vec![])), (Some(80), Some("2026-01-02T00:00:00.000Z".to_owned())));
    host.set_now_ms(1_767_225_600_000 + 24 * 3_600_000);
    assert_eq!(price(read(vec![])), (Some(100), None));
    host.configure(&json!({"defaultCurrency": "EUR"}));
    assert_eq!(price(read(vec![])), (Some(70), None));
    assert_eq!(price(read(vec![("currency".to_owned(), "JPY".to_owned())])), (None, None));
    let unknown = read(vec![("currency".to_owned(), "ABC".to_owned())]).unwrap_err();
    assert_eq!((unknown.status, unknown.errors[0].pointer.as_str()), (400, "currency"));
}

#[test]
fn the_configuration_names_a_currency() {
    for (config, accepted) in [
        ("", true),
        ("{}", true),
        (r#"{"defaultCurrency":"JPY"}"#, true),
        (r#"{"defaultCurrency":"ABC"}"#, false),
        (r#"{"currency":"USD"}"#, false),
    ] {
        assert_eq!(Products::validate_config(config.as_bytes()).is_ok(), accepted, "{config}");
    }
}

fn variant_of(operation: &str, product: &str, variant: &str, body: Option<Value>) -> Request {
    let params = [("id", product), ("variantId", variant)];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Request { params, ..request(operation, body) }
}

#[test]
fn a_variant_is_a_part_of_its_product() {
    let host = host();
    let product = create(&host, shirt()).unwrap().body;
    let id = product["id"].as_str().unwrap();
    let mut body = shirt();
    body["options"][0]["values"] = json!(["S", "M", "XL"]);
    let product = host.answered::<Products>(on("replaceProduct", id, Some(body))).unwrap().body;
    let new = json!({"sku": "SHIRT-XL", "optionValues": {"Size": "XL"}, "prices": []});
    let added = host.answered::<Products>(on("createVariant", id, Some(new))).unwrap();
    let variant = added.body["id"].as_str().unwrap();
    assert_eq!(added.headers, [("location".to_owned(), format!("/products/{id}/variants/{variant}"))]);
    let read = host.answered::<Products>(variant_of("getVariant", id, variant, None)).unwrap();
    // Byte for byte, so that both have the same ETag.
    assert_eq!(read.body.to_string(), added.body.to_string());
    assert_eq!(response_faults::<Products>("getVariant", 200, &read.body), Vec::<String>::new());
    assert_eq!(request_faults::<Products>("createVariant", &read.body), Vec::<String>::new());
    let listed = host.answered::<Products>(on("listVariants", id, None)).unwrap();
    assert_eq!(listed.body.as_array().unwrap()[..2], product["variants"].as_array().unwrap()[..]);

    let clash = json!({"optionValues": {"Size": "S"}});
    let clash = host.answered::<Products>(variant_of("updateVariant", id, variant, Some(clash)));
    assert_eq!(pointers(clash, 422, "validation_failed"), ["/optionValues"]);
    let stale = Request { if_match: Some(2), ..variant_of("deleteVariant", id, variant, None) };
    assert_eq!(host.answered::<Products>(stale).unwrap_err().extras["current"], json!(3));
    host.answered::<Products>(variant_of("deleteVariant", id, variant, None)).unwrap();
    let after = host.answered::<Products>(on("getProduct", id, None)).unwrap();
    assert_eq!((&after.body["version"], &after.body["variants"]), (&json!(4), &product["variants"]));
    assert_eq!(host.events().last().unwrap().topic, "product.updated");
}

#[test]
fn a_product_has_no_more_variants_than_a_body_may_name() {
    let host = host();
    let values: Vec<String> = (0..250).map(|number| number.to_string()).collect();
    let variants: Vec<Value> = values
        .iter()
        .map(|value| json!({"sku": format!("V{value}"), "optionValues": {"N": value}}))
        .collect();
    let body = json!({"name": "X", "options": [{"name": "N", "values": values}], "variants": variants});
    let id = created(&host, body);
    let more = json!({"sku": "MORE", "optionValues": {"N": "0"}});
    let refused = host.answered::<Products>(on("createVariant", &id, Some(more)));
    assert_eq!(pointers(refused, 422, "validation_failed"), [""]);
}

#[test]
fn prices_are_computed_again_for_other_currencies() {
    let host = host();
    let id = created(&host, shirt());
    let dear = |currency: &str| {
        let filter = Filter::Gte("price".to_owned(), Scalar::Integer(2299));
        let query = vec![("currency".to_owned(), currency.to_owned())];
        let list = Some(ListQuery { filter, ..ListQuery::default() });
        host.answered::<Products>(Request { list, query, ..request("listProducts", None) })
    };
    assert_eq!(dear("USD").unwrap().body[0]["id"], id.as_str());
    assert_eq!(pointers(dear("EUR"), 400, "invalid_parameter"), ["currency"]);
    assert_eq!(host.document("products", &id).unwrap()["version"], 1);
    host.configure(&json!({"currencies": ["JPY", "EUR"]}));
    assert_eq!(dear("EUR").unwrap().body[0]["id"], id.as_str());
    assert_eq!(dear("JPY").unwrap().body, json!([]));
    assert_eq!(dear("USD").unwrap().body[0]["version"], 2);
}
