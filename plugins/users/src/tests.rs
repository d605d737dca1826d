//! The handlers against the store's reference model. Who may set what is the host's to decide and tested there.

use plugin_sdk::{
    Caller, Problem, Request, Value,
    identity::ACCOUNTS,
    json,
    mock::{MockHost, RecordedAnswer, descriptor_faults, request_faults, response_faults},
};

use crate::{PROFILES, Users, model::ADDRESSES_MAX};

fn request(operation: &str, id: Option<&str>, body: &Value) -> Request {
    Request {
        operation_id: operation.to_owned(),
        params: id.map(|id| ("id".to_owned(), id.to_owned())).into_iter().collect(),
        body: body.to_string().into_bytes(),
        ..Request::default()
    }
}

fn answered(host: &MockHost, request: Request) -> Result<RecordedAnswer, Problem> {
    let operation = request.operation_id.clone();
    let answer = host.answered::<Users>(request)?;
    if !answer.body.is_null() {
        let faults = response_faults::<Users>(&operation, answer.status, &answer.body);
        assert_eq!(faults, Vec::<String>::new());
    }
    Ok(answer)
}

/// A customer, and who that is.
fn ada(host: &MockHost) -> (Value, Caller) {
    let body = json!({"email": "ada@example.com", "password": "hidden", "name": "Ada", "metadata": {"a": 1}});
    let user = answered(host, request("createUser", None, &body)).unwrap().body;
    let subject = user["id"].as_str().map(str::to_owned);
    (user, Caller { kind: "customer".to_owned(), subject, ..Caller::default() })
}

fn own(host: &MockHost, caller: &Caller, operation: &str, body: &Value) -> Result<RecordedAnswer, Problem> {
    answered(host, Request { caller: caller.clone(), ..request(operation, None, body) })
}

fn address() -> Value {
    json!({"name": "Ada", "line1": "Hafenstr. 1", "city": "Kiel", "postalCode": "24103", "country": "DE"})
}

fn one_address(
    host: &MockHost,
    caller: &Caller,
    operation: &str,
    id: &str,
    body: &Value,
) -> Result<RecordedAnswer, Problem> {
    let params = vec![("addressId".to_owned(), id.to_owned())];
    answered(host, Request { params, caller: caller.clone(), ..request(operation, None, body) })
}

#[track_caller]
fn refused(answer: Result<RecordedAnswer, Problem>, status: u16, code: &str) -> Problem {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    problem
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Users>(), Vec::<String>::new());
}

#[test]
fn what_does_not_belong_is_refused_by_the_schema() {
    let good = json!({"email": "a@b", "password": "long enough a one", "name": "A", "roles": ["support"], "version": 3});
    assert_eq!(request_faults::<Users>("createUser", &good), Vec::<String>::new());
    for (member, value) in [
        ("email", json!(1)),
        ("password", json!(null)),
        ("name", json!("")),
        ("kind", json!("robot")),
        ("status", json!("erased")),
        ("roles", json!("superadmin")),
        ("_owner", json!("usr_1")),
        ("passwordHash", json!("$2b$")),
        ("_passwordHash", json!("x")),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value;
        assert_ne!(request_faults::<Users>("createUser", &wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn account_and_profile_appear_change_and_go_together() {
    let host = MockHost::new::<Users>();
    let (user, caller) = ada(&host);
    assert_eq!(
        (&user["kind"], &user["version"], &user["metadata"]),
        (&json!("customer"), &json!(1), &json!({"a": 1}))
    );
    let id = user["id"].as_str().unwrap();
    assert_eq!(host.document(PROFILES, id).unwrap()["_owner"], user["id"]);
    assert_eq!(own(&host, &caller, "getOwnUser", &Value::Null).unwrap().body, user);

    let changed =
        own(&host, &caller, "updateOwnUser", &json!({"phone": "123", "metadata": {"a": null, "b": 2}}));
    let changed = changed.unwrap().body;
    assert_eq!((&changed["phone"], &changed["version"]), (&json!("123"), &json!(2)));
    assert_eq!((&changed["metadata"], &changed["name"]), (&json!({"b": 2}), &json!("Ada")));
    assert_eq!(host.document(ACCOUNTS, id).unwrap()["phone"], "123");
    // What is absent in a replacement is gone, but for what only staff may set.
    let body = json!({"email": "ada@example.com", "name": "Ada L."});
    let replaced = answered(&host, request("replaceUser", Some(id), &body)).unwrap().body;
    assert_eq!((&replaced["phone"], &replaced["metadata"]), (&Value::Null, &json!({})));
    assert_eq!(replaced["status"], "active");

    assert_eq!(answered(&host, request("deleteUser", Some(id), &Value::Null)).unwrap().status, 204);
    assert_eq!((host.document(ACCOUNTS, id), host.document(PROFILES, id)), (None, None));
    refused(answered(&host, request("deleteUser", Some(id), &Value::Null)), 404, "not_found");
    let topics: Vec<String> = host.events().into_iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["user.created", "user.updated", "user.updated", "user.deleted"]);
}

#[test]
fn an_address_that_is_taken_is_told_at_its_member() {
    let host = MockHost::new::<Users>();
    ada(&host);
    let body = json!({"email": "ada@example.com", "password": "hidden", "name": "Eve"});
    let problem = refused(answered(&host, request("createUser", None, &body)), 409, "already_exists");
    assert_eq!(problem.errors[0].pointer, "/email");
}

#[test]
fn an_account_without_a_profile_gets_one_with_its_first_change() {
    let host = MockHost::new::<Users>();
    let account = json!({
        "kind": "admin", "email": "root@example.com", "name": "Root", "status": "active", "roles": ["superadmin"],
    });
    host.put(ACCOUNTS, "usr_root", &account);
    let user = answered(&host, request("getUser", Some("usr_root"), &Value::Null)).unwrap().body;
    assert_eq!((&user["version"], &user["metadata"]), (&json!(0), &json!({})));
    let patch = json!({"metadata": {"desk": 4}});
    let named =
        |version| Request { if_match: Some(version), ..request("updateUser", Some("usr_root"), &patch) };
    refused(answered(&host, named(1)), 412, "version_conflict");
    let changed = answered(&host, named(0)).unwrap().body;
    assert_eq!((&changed["version"], &changed["roles"]), (&json!(1), &json!(["superadmin"])));
    host.put(
        ACCOUNTS,
        "usr_other",
        &json!({"kind": "admin", "email": "o@example.com", "name": "O", "status": "active"}),
    );
    assert_eq!(answered(&host, request("deleteUser", Some("usr_other"), &Value::Null)).unwrap().status, 204);
}

#[test]
fn of_two_changes_at_once_the_second_is_a_conflict_for_the_host_to_repeat() {
    let host = MockHost::new::<Users>();
    let (_, caller) = ada(&host);
    let other = caller.clone();
    host.before_commit(0, move |host| {
        own(host, &other, "updateOwnUser", &json!({"phone": "456"})).unwrap();
    });
    let late = own(&host, &caller, "updateOwnUser", &json!({"name": "Ada L."}));
    refused(late, 412, "version_conflict");
    let changed = own(&host, &caller, "updateOwnUser", &json!({"name": "Ada L."})).unwrap().body;
    assert_eq!(
        (&changed["name"], &changed["phone"], &changed["version"]),
        (&json!("Ada L."), &json!("456"), &json!(3))
    );
}

#[test]
fn lists_are_of_accounts_with_their_profiles() {
    let host = MockHost::new::<Users>();
    ada(&host);
    host.put(
        ACCOUNTS,
        "usr_root",
        &json!({"kind": "admin", "email": "r@example.com", "name": "R", "status": "active"}),
    );
    let users = answered(&host, request("listUsers", None, &Value::Null)).unwrap().body;
    let mut versions: Vec<u64> =
        users.as_array().unwrap().iter().map(|user| user["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [0, 1]);
}

#[test]
fn addresses_are_saved_changed_and_deleted() {
    let host = MockHost::new::<Users>();
    let (_, caller) = ada(&host);
    let saved = own(&host, &caller, "createOwnAddress", &address()).unwrap();
    let id = saved.body["id"].as_str().unwrap().to_owned();
    assert_eq!(saved.headers, [("location".to_owned(), format!("/users/me/addresses/{id}"))]);
    assert_eq!(own(&host, &caller, "listOwnAddresses", &Value::Null).unwrap().body, json!([saved.body]));
    let patched =
        one_address(&host, &caller, "updateOwnAddress", &id, &json!({"line2": "2nd floor"})).unwrap();
    assert_eq!((&patched.body["line2"], &patched.body["city"]), (&json!("2nd floor"), &json!("Kiel")));
    let mut sent_back = address();
    sent_back["city"] = json!("Hamburg");
    let replaced = one_address(&host, &caller, "replaceOwnAddress", &id, &sent_back).unwrap();
    assert_eq!((&replaced.body["city"], &replaced.body["line2"]), (&json!("Hamburg"), &Value::Null));
    assert_eq!(one_address(&host, &caller, "getOwnAddress", &id, &Value::Null).unwrap().body, replaced.body);
    // They are nobody's to see with the user.
    let user = own(&host, &caller, "getOwnUser", &Value::Null).unwrap().body;
    assert_eq!((user.get("addresses"), user.get("_addresses")), (None, None));
    let export = own(&host, &caller, "exportOwnUser", &Value::Null).unwrap().body;
    assert_eq!(export["addresses"], json!([replaced.body]));
    assert_eq!(one_address(&host, &caller, "deleteOwnAddress", &id, &Value::Null).unwrap().status, 204);
    for operation in ["getOwnAddress", "deleteOwnAddress"] {
        refused(one_address(&host, &caller, operation, &id, &Value::Null), 404, "not_found");
    }
}

#[test]
fn addresses_are_checked_and_bounded() {
    let host = MockHost::new::<Users>();
    let (_, caller) = ada(&host);
    for (member, value) in [("country", "XX"), ("name", " "), ("city", "  ")] {
        let mut wrong = address();
        wrong[member] = json!(value);
        let problem = refused(own(&host, &caller, "createOwnAddress", &wrong), 422, "validation_failed");
        assert_eq!(problem.errors[0].pointer, format!("/{member}"));
    }
    for _ in 0..ADDRESSES_MAX {
        own(&host, &caller, "createOwnAddress", &address()).unwrap();
    }
    refused(own(&host, &caller, "createOwnAddress", &address()), 409, "conflict");
}
