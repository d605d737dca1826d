//! The handlers against the store's reference model.

use plugin_sdk::{
    Access, Caller, Collection, Context, Direction, FieldKind, FieldOperation, Filter, ListQuery, Problem,
    Request, Scalar, SortKey, Value, json,
    mock::{MockHost, RecordedAnswer, descriptor_faults, request_faults, response_faults},
};
use proptest::prelude::*;

use crate::{Categories, MARK};

/// A host with the part of the products that categories look at.
fn host() -> MockHost {
    let host = MockHost::new::<Categories>();
    host.declare(vec![Collection::new("products", "prod").multi_field(
        "categoryIds",
        FieldKind::Text,
        Access::Index,
    )]);
    host
}

fn product(host: &MockHost, id: &str, categories: &[&str]) {
    host.put("products", id, &json!({"categoryIds": categories}));
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

fn with_query(request: Request, query: &[(&str, &str)]) -> Request {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request { query, ..request }
}

fn staff(request: Request) -> Request {
    let permissions = vec!["categories:write".to_owned()];
    Request { caller: Caller { kind: "admin".to_owned(), permissions, ..Caller::default() }, ..request }
}

fn call(host: &MockHost, request: Request) -> Result<RecordedAnswer, Problem> {
    host.answered::<Categories>(request)
}

/// Creates a category and answers its id.
fn created(host: &MockHost, name: &str, parent: Option<&str>) -> String {
    let answer =
        call(host, request("createCategory", Some(json!({"name": name, "parentId": parent})))).unwrap();
    answer.body["id"].as_str().unwrap().to_owned()
}

fn moved(host: &MockHost, id: &str, parent: Option<&str>) -> Result<RecordedAnswer, Problem> {
    call(host, on("moveCategory", id, Some(json!({"parentId": parent}))))
}

fn deleted(host: &MockHost, id: &str) -> Result<RecordedAnswer, Problem> {
    call(host, on("deleteCategory", id, None))
}

fn reparented(host: &MockHost, id: &str) -> Result<RecordedAnswer, Problem> {
    call(host, with_query(on("deleteCategory", id, None), &[("strategy", "reparent")]))
}

/// What a product write does to the category that it adds: refused while the mark is there.
fn refer(host: &MockHost, product: &str, category: &str) -> bool {
    let mut commit = Context::new(host, b"").commit();
    let held = commit.check("categories", category);
    commit.guard(held, Filter::Eq(MARK.to_owned(), Scalar::Null));
    commit.insert_with_id("products", product, &json!({"categoryIds": [category]}));
    commit.apply().is_ok()
}

fn set(host: &MockHost, id: &str, operation: FieldOperation) {
    let mut commit = Context::new(host, b"").commit();
    commit.update("categories", id, vec![operation]);
    commit.apply().unwrap();
}

#[track_caller]
fn code(answer: Result<RecordedAnswer, Problem>) -> String {
    answer.expect_err("a problem").code
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Categories>(), Vec::<String>::new());
}

#[test]
fn a_category_lives() {
    let host = host();
    let clothes = created(&host, "Clothes", None);
    let body = json!({"name": "Shirts", "parentId": clothes, "rank": 2});
    let answer = call(&host, request("createCategory", Some(body.clone()))).unwrap();
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers, [("location".to_owned(), format!("/categories/{id}"))]);
    assert_eq!(answer.body["path"], json!([{"id": clothes, "slug": "clothes", "name": "Clothes"}]));
    assert_eq!((&answer.body["depth"], &answer.body["slug"]), (&json!(1), &json!("shirts")));

    let read = call(&host, on("getCategory", &id, None)).unwrap().body;
    // Byte for byte, so that both have the same ETag.
    assert_eq!(read.to_string(), answer.body.to_string());
    assert_eq!(response_faults::<Categories>("getCategory", 200, &read), Vec::<String>::new());
    assert_eq!(request_faults::<Categories>("replaceCategory", &read), Vec::<String>::new());
    assert_eq!(request_faults::<Categories>("updateCategory", &read), Vec::<String>::new());
    let by_slug = Request {
        params: vec![("slug".to_owned(), "shirts".to_owned())],
        ..request("getCategoryBySlug", None)
    };
    assert_eq!(call(&host, by_slug).unwrap().body, answer.body);
    let by_rank = SortKey { path: "rank".to_owned(), direction: Direction::Descending };
    let list = Some(ListQuery { sort: vec![by_rank], ..ListQuery::default() });
    let listed = call(&host, Request { list, ..request("listCategories", None) }).unwrap().body;
    assert_eq!((&listed[0], &listed[1]["depth"]), (&answer.body, &json!(0)));

    let patched = call(&host, on("updateCategory", &id, Some(json!({"name": "Blouses"})))).unwrap();
    assert_eq!((&patched.body["version"], &patched.body["slug"]), (&json!(2), &json!("shirts")));
    let replace = Request { if_match: Some(2), ..on("replaceCategory", &id, Some(body)) };
    let replaced = call(&host, replace.clone()).unwrap();
    assert_eq!((&replaced.body["name"], &replaced.body["depth"]), (&json!("Shirts"), &json!(1)));
    let stale = call(&host, replace).unwrap_err();
    assert_eq!((stale.status, &stale.extras["current"]), (412, &json!(3)));

    assert_eq!(deleted(&host, &id).unwrap().status, 204);
    assert_eq!(code(call(&host, on("getCategory", &id, None))), "not_found");
    let events = host.events();
    let topics: Vec<_> = events.iter().map(|event| event.topic.as_str()).collect();
    assert_eq!(
        topics,
        ["category.created", "category.created", "category.updated", "category.updated", "category.deleted"]
    );
    assert_eq!((&events[4].subject, &events[4].data["name"]), (&id, &json!("Shirts")));
    assert!(events.iter().all(|event| event.data.get(MARK).is_none()));
}

#[test]
fn violations_are_reported_together() {
    let host = host();
    let body = json!({"name": "X", "parentId": "cat_x", "metadata": {"a.b": 1}});
    let problem = call(&host, request("createCategory", Some(body))).unwrap_err();
    let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!((problem.status, pointers), (422, vec!["/metadata/a.b", "/parentId"]));
}

#[test]
fn slugs_are_unique() {
    let host = host();
    created(&host, "Shirts", None);
    let again = call(&host, request("createCategory", Some(json!({"name": "Shirts"})))).unwrap();
    assert_eq!(again.body["slug"], "shirts-2");
    let taken =
        call(&host, request("createCategory", Some(json!({"name": "X", "slug": "shirts"})))).unwrap_err();
    assert_eq!((taken.code.as_str(), taken.errors[0].pointer.as_str()), ("already_exists", "/slug"));
}

#[test]
fn the_public_sees_active_categories() {
    let host = host();
    let id = created(&host, "Shirts", None);
    call(&host, on("updateCategory", &id, Some(json!({"active": false})))).unwrap();
    assert_eq!(code(call(&host, on("getCategory", &id, None))), "not_found");
    assert!(call(&host, staff(on("getCategory", &id, None))).is_ok());
    for operation in ["listCategories", "getCategoryTree"] {
        assert_eq!(call(&host, request(operation, None)).unwrap().body, json!([]), "{operation}");
        let all = call(&host, staff(request(operation, None))).unwrap().body;
        assert_eq!(all.as_array().unwrap().len(), 1, "{operation}");
    }
}

#[test]
fn trees_are_nested_and_cut() {
    let host = host();
    let a = created(&host, "A", None);
    let c = created(&host, "C", Some(&a));
    let b = created(&host, "B", Some(&a));
    created(&host, "D", Some(&b));
    created(&host, "E", None);
    set(&host, &c, FieldOperation::Set { path: "rank".to_owned(), value: json!(-1) });

    fn names(nodes: &Value) -> Value {
        let node = |node: &Value| {
            json!([
                node["name"],
                node["depth"],
                node["path"].as_array().unwrap().len(),
                names(&node["children"])
            ])
        };
        nodes.as_array().unwrap().iter().map(node).collect()
    }
    let tree = |query: &[(&str, &str)]| {
        names(&call(&host, with_query(request("getCategoryTree", None), query)).unwrap().body)
    };
    let d = json!(["D", 2, 2, []]);
    assert_eq!(tree(&[]), json!([["A", 0, 0, [["C", 1, 1, []], ["B", 1, 1, [d]]]], ["E", 0, 0, []]]));
    assert_eq!(tree(&[("depth", "1")]), json!([["A", 0, 0, []], ["E", 0, 0, []]]));
    assert_eq!(tree(&[("root", "b")]), json!([["B", 1, 1, [d]]]));
    assert_eq!(tree(&[("root", &b), ("depth", "1")]), json!([["B", 1, 1, []]]));
    let whole = call(&host, request("getCategoryTree", None)).unwrap().body;
    assert_eq!(response_faults::<Categories>("getCategoryTree", 200, &whole), Vec::<String>::new());
    let unknown = with_query(request("getCategoryTree", None), &[("root", "x")]);
    assert_eq!(code(call(&host, unknown)), "not_found");
}

#[test]
fn a_move_takes_everything_below_along() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    let c = created(&host, "C", Some(&b));
    let x = created(&host, "X", None);
    let answer = call(&host, on("moveCategory", &b, Some(json!({"parentId": x, "rank": 7})))).unwrap();
    assert_eq!((&answer.body["path"][0]["name"], &answer.body["rank"]), (&json!("X"), &json!(7)));
    let below = call(&host, on("getCategory", &c, None)).unwrap().body;
    assert_eq!((&below["path"][0]["name"], &below["depth"]), (&json!("X"), &json!(2)));
    assert_eq!(moved(&host, &b, None).unwrap().body["depth"], 0);
    for (body, fits) in [
        (json!({"parentId": null}), true),
        (json!({"parentId": x, "rank": -1}), true),
        (json!({"rank": 1}), false),
        (json!({"parentId": 1}), false),
    ] {
        assert_eq!(request_faults::<Categories>("moveCategory", &body).is_empty(), fits, "{body}");
    }
}

#[test]
fn no_category_comes_below_itself() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    let c = created(&host, "C", Some(&b));
    for target in [&a, &b, &c] {
        assert_eq!(code(moved(&host, &a, Some(target))), "category_cycle");
        assert_eq!(
            code(call(&host, on("updateCategory", &a, Some(json!({"parentId": target}))))),
            "category_cycle"
        );
        let body = json!({"name": "A", "parentId": target});
        assert_eq!(code(call(&host, on("replaceCategory", &a, Some(body)))), "category_cycle");
    }
    assert_eq!(code(moved(&host, &a, Some("cat_x"))), "validation_failed");
}

#[test]
fn trees_have_ten_levels() {
    let host = host();
    let mut parent = created(&host, "1", None);
    for level in 2..=10 {
        parent = created(&host, &level.to_string(), Some(&parent));
    }
    let body = json!({"name": "11", "parentId": parent});
    assert_eq!(code(call(&host, request("createCategory", Some(body)))), "validation_failed");
    let other = created(&host, "other", None);
    assert_eq!(code(moved(&host, &other, Some(&parent))), "validation_failed");
}

#[test]
fn two_moves_that_race_make_no_cycle() {
    let host = host();
    let (a, b) = (created(&host, "A", None), created(&host, "B", None));
    let (first, second) = (a.clone(), b.clone());
    host.before_commit(0, move |host| {
        moved(host, &second, Some(&first)).unwrap();
    });
    // It looks again, and finds what the other one did.
    assert_eq!(code(moved(&host, &a, Some(&b))), "category_cycle");
    assert_eq!(call(&host, on("getCategory", &b, None)).unwrap().body["parentId"], json!(a));
}

#[test]
fn a_parent_deleted_at_the_last_moment_is_noticed() {
    let host = host();
    let a = created(&host, "A", None);
    let gone = a.clone();
    host.before_commit(0, move |host| {
        deleted(host, &gone).unwrap();
    });
    let body = json!({"name": "B", "parentId": a});
    assert_eq!(code(call(&host, request("createCategory", Some(body)))), "validation_failed");
}

#[test]
fn creations_that_race_all_succeed() {
    let host = host();
    // The very first one makes the tree document.
    host.before_commit(0, |host| {
        created(host, "Faster", None);
    });
    let a = created(&host, "A", None);
    let parent = a.clone();
    host.before_commit(0, move |host| {
        created(host, "Faster", Some(&parent));
    });
    assert_eq!(
        call(&host, on("getCategory", &created(&host, "B", Some(&a)), None)).unwrap().body["depth"],
        1
    );
}

#[test]
fn what_is_not_empty_stays_without_a_trace() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    product(&host, "prod_1", &[&b]);
    for (id, children, products) in [(&a, 1, 0), (&b, 0, 1)] {
        let refused = deleted(&host, id).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (409, "category_not_empty"));
        assert_eq!(
            (&refused.extras["children"], &refused.extras["products"]),
            (&json!(children), &json!(products))
        );
        assert_eq!(host.document("categories", id).unwrap()["version"], 1);
    }
}

#[test]
fn children_and_products_go_to_the_parent() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    let c = created(&host, "C", Some(&b));
    product(&host, "prod_1", &[&b]);
    product(&host, "prod_2", &[&a, &b]);
    assert_eq!(reparented(&host, &b).unwrap().status, 204);
    assert_eq!(call(&host, on("getCategory", &c, None)).unwrap().body["parentId"], json!(a));
    let categories = |id: &str| host.document("products", id).unwrap()["categoryIds"].clone();
    assert_eq!((categories("prod_1"), categories("prod_2")), (json!([a]), json!([a])));
    let mut topics: Vec<_> = host.events().into_iter().map(|event| event.topic).skip(3).collect();
    topics.sort();
    assert_eq!(topics, ["category.deleted", "category.updated", "product.updated", "product.updated"]);

    assert_eq!(reparented(&host, &a).unwrap().status, 204);
    assert_eq!(categories("prod_1"), json!([]));
    assert_eq!(call(&host, on("getCategory", &c, None)).unwrap().body["depth"], 0);
}

#[test]
fn many_children_and_products_go_in_batches() {
    let host = host();
    let a = created(&host, "A", None);
    for number in 0..230 {
        product(&host, &format!("prod_{number}"), &[&a]);
        created(&host, &format!("Child {number}"), Some(&a));
    }
    assert_eq!(reparented(&host, &a).unwrap().status, 204);
    let left = Context::new(&host, b"");
    let parent = Filter::Eq("parentId".to_owned(), Scalar::Null);
    assert_eq!(left.count("categories", &parent).unwrap(), 230);
    let without = Filter::Eq("categoryIds".to_owned(), Scalar::Null);
    assert_eq!(left.count("products", &without).unwrap(), 230);
}

#[test]
fn a_product_written_before_the_mark_keeps_the_category() {
    let host = host();
    let a = created(&host, "A", None);
    let id = a.clone();
    host.before_commit(0, move |host| assert!(refer(host, "prod_1", &id)));
    assert_eq!(code(deleted(&host, &a)), "category_not_empty");
    let kept = host.document("categories", &a).unwrap();
    assert_eq!(kept.get(MARK), None);
}

#[test]
fn a_product_written_after_the_mark_is_refused() {
    let host = host();
    let a = created(&host, "A", None);
    let id = a.clone();
    host.before_commit(1, move |host| assert!(!refer(host, "prod_1", &id)));
    assert_eq!(deleted(&host, &a).unwrap().status, 204);
}

#[test]
fn a_child_created_during_a_deletion_keeps_the_category() {
    let host = host();
    let a = created(&host, "A", None);
    let id = a.clone();
    host.before_commit(1, move |host| {
        created(host, "Child", Some(&id));
    });
    assert_eq!(code(deleted(&host, &a)), "category_not_empty");
    assert_eq!(host.document("categories", &a).unwrap().get(MARK), None);
}

#[test]
fn a_deleter_whose_mark_was_cleared_fails() {
    let host = host();
    let a = created(&host, "A", None);
    let id = a.clone();
    // It was so slow that a product write found the mark stale.
    host.before_commit(1, move |host| {
        set(host, &id, FieldOperation::Unset { path: MARK.to_owned() });
        assert!(refer(host, "prod_1", &id));
    });
    assert_eq!(code(deleted(&host, &a)), "version_conflict");
    assert!(host.document("categories", &a).is_some());
}

#[test]
fn a_change_during_a_deletion_wins() {
    let host = host();
    let a = created(&host, "A", None);
    let id = a.clone();
    host.before_commit(1, move |host| {
        call(host, on("updateCategory", &id, Some(json!({"name": "B"})))).unwrap();
    });
    assert_eq!(code(deleted(&host, &a)), "version_conflict");
    let kept = host.document("categories", &a).unwrap();
    assert_eq!((&kept["name"], kept.get(MARK)), (&json!("B"), None));
}

#[test]
fn a_mark_left_behind_is_hidden_and_taken_over() {
    let host = host();
    let a = created(&host, "A", None);
    let since = json!("2026-01-01T00:00:00.000Z");
    set(&host, &a, FieldOperation::Set { path: MARK.to_owned(), value: since });
    for answer in [
        call(&host, on("getCategory", &a, None)).unwrap().body,
        call(&host, request("listCategories", None)).unwrap().body[0].clone(),
        call(&host, request("getCategoryTree", None)).unwrap().body[0].clone(),
    ] {
        assert_eq!((answer.get(MARK), &answer["name"]), (None, &json!("A")));
    }
    assert_eq!(deleted(&host, &a).unwrap().status, 204);
    assert!(host.events().iter().all(|event| event.data.get(MARK).is_none()));
}

#[test]
fn products_changed_during_a_deletion_are_not_lost() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    product(&host, "prod_1", &[&b]);
    let id = b.clone();
    host.before_commit(1, move |host| {
        let mut commit = Context::new(host, b"").commit();
        let value = json!([id, "cat_other"]);
        commit.update(
            "products",
            "prod_1",
            vec![FieldOperation::Set { path: "categoryIds".to_owned(), value }],
        );
        commit.apply().unwrap();
    });
    assert_eq!(reparented(&host, &b).unwrap().status, 204);
    assert_eq!(host.document("products", "prod_1").unwrap()["categoryIds"], json!([a, "cat_other"]));
}

#[test]
fn products_do_not_go_to_a_parent_that_is_being_deleted() {
    let host = host();
    let a = created(&host, "A", None);
    let b = created(&host, "B", Some(&a));
    product(&host, "prod_1", &[&b]);
    let mark = |since: &str| FieldOperation::Set { path: MARK.to_owned(), value: json!(since) };
    set(&host, &a, mark("2025-12-31T23:59:30.000Z"));
    assert_eq!(code(reparented(&host, &b)), "conflict");
    assert_eq!(host.document("categories", &b).unwrap().get(MARK), None);
    // Its deleter died.
    set(&host, &a, mark("2025-12-31T23:58:30.000Z"));
    assert_eq!(reparented(&host, &b).unwrap().status, 204);
}

proptest! {
    /// Whatever moves and deletions are asked for, every category reaches a root within ten steps, and no product
    /// refers to a category that is gone.
    #[test]
    fn trees_and_references_stay_whole(
        acts in prop::collection::vec((0_usize..4, 0_usize..8, prop::option::of(0_usize..8)), 1..40),
    ) {
        let host = host();
        let ids: Vec<String> = (0..8).map(|number| created(&host, &format!("C{number}"), None)).collect();
        for (number, id) in ids.iter().enumerate() {
            product(&host, &format!("prod_{number}"), &[id]);
        }
        for (act, id, other) in acts {
            let other = other.map(|other| ids[other].as_str());
            let _ = match act {
                0 | 1 => moved(&host, &ids[id], other),
                2 => deleted(&host, &ids[id]),
                _ => reparented(&host, &ids[id]),
            };
        }
        for id in &ids {
            let Some(mut category) = host.document("categories", id) else { continue };
            let mut steps = 0;
            while let Some(parent) = category["parentId"].as_str() {
                steps += 1;
                prop_assert!(steps < 10);
                category = host.document("categories", parent).expect("a parent exists");
            }
        }
        for number in 0..8 {
            let product = host.document("products", &format!("prod_{number}")).unwrap();
            for id in product["categoryIds"].as_array().unwrap() {
                prop_assert!(host.document("categories", id.as_str().unwrap()).is_some());
            }
        }
    }
}
