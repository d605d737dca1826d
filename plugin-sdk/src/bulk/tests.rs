//! Bulk requests for a resource with one rule: names are unique, and `forbidden` is none.

use serde_json::{Value, json};
use store_model::{Access, FieldKind};

use super::*;
use crate::{
    Collection, Commit, FieldError, Plugin, Router, StoreError, WriteRef,
    mock::{MockHost, request_faults, response_faults},
    schema::kept_members,
};

struct Things;

impl Plugin for Things {
    const ID: &'static str = "things";
    const VERSION: &'static str = "1.0.0";
    const TITLE: &'static str = "Things";

    fn routes(router: &mut Router) {
        router
            .post("/things/bulk", "bulkThings", |ctx, request| answer(ctx, &request, &Things))
            .bulk_body::<Thing>()
            .returns::<BulkResults>(200, "A result for each operation.");
    }

    fn collections() -> Vec<Collection> {
        vec![Collection::new("things", "thg").field("name", FieldKind::Text, Access::Unique)]
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = kept_members)]
struct Thing {
    name: String,
}

enum ThingChange {
    Make(String, Thing),
    Rename(String, u64, Thing),
    Drop(String),
}

impl BulkResource for Things {
    type Change = ThingChange;

    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<ThingChange> {
        let checked = |value: Value| {
            let thing: Thing = data(value)?;
            if thing.name == "forbidden" {
                return Err(Problem::validation(vec![FieldError::invalid("/name", "Not that one.")]));
            }
            Ok(thing)
        };
        Ok(match operation {
            Operation::Create { data } => ThingChange::Make(ctx.new_id("thg")?, checked(data)?),
            Operation::Update { id, data } => {
                let current = ctx.get_raw("things", &id)?.ok_or_else(Problem::not_found)?;
                ThingChange::Rename(id, current.version, checked(data)?)
            }
            Operation::Delete { id } => {
                ctx.get_raw("things", &id)?.ok_or_else(Problem::not_found)?;
                ThingChange::Drop(id)
            }
        })
    }
}

impl Change for ThingChange {
    fn id(&self) -> &str {
        match self {
            Self::Make(id, _) | Self::Rename(id, ..) | Self::Drop(id) => id,
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Make(..) => 201,
            Self::Rename(..) => 200,
            Self::Drop(_) => 204,
        }
    }

    fn version(&self) -> Option<u64> {
        match self {
            Self::Make(..) => Some(1),
            Self::Rename(_, version, _) => Some(version + 1),
            Self::Drop(_) => None,
        }
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        match self {
            Self::Make(id, thing) => commit.insert_with_id("things", id, thing),
            Self::Rename(id, version, thing) => {
                let written = commit.replace("things", id, thing);
                commit.expect_version(written, *version);
                written
            }
            Self::Drop(id) => commit.delete("things", id),
        }
    }

    /// A name that is taken gets a prime, once.
    fn refused(&mut self, _ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        assert_eq!(write, 0, "every change has one write");
        match self {
            Self::Make(_, thing) if error.is_taken("name") && !thing.name.ends_with('\'') => {
                thing.name.push('\'');
                Ok(())
            }
            _ => Err(error.into()),
        }
    }
}

fn create(name: &str) -> Value {
    json!({"op": "create", "data": {"name": name}})
}

fn rename(id: &str, name: &str) -> Value {
    json!({"op": "update", "id": id, "data": {"name": name}})
}

fn delete(id: &str) -> Value {
    json!({"op": "delete", "id": id})
}

fn bulk(host: &MockHost, mode: &str, operations: &[Value]) -> Vec<BulkSeen> {
    let body = json!({"mode": mode, "operations": operations});
    assert_eq!(request_faults::<Things>("bulkThings", &body), Vec::<String>::new());
    let request = Request {
        operation_id: "bulkThings".to_owned(),
        body: body.to_string().into_bytes(),
        ..Request::default()
    };
    let answer = host.answered::<Things>(request).unwrap();
    assert_eq!(response_faults::<Things>("bulkThings", answer.status, &answer.body), Vec::<String>::new());
    let results = answer.body["results"].as_array().unwrap().clone();
    assert!(results.iter().enumerate().all(|(index, result)| result["index"] == index), "{results:?}");
    results
        .into_iter()
        .map(|it| (it["status"].as_u64().unwrap(), it["version"].as_u64(), it["problem"]["code"].clone()))
        .collect()
}

/// Status, version and the problem's code.
type BulkSeen = (u64, Option<u64>, Value);

fn done(status: u64, version: Option<u64>) -> BulkSeen {
    (status, version, Value::Null)
}

fn failed(status: u64, code: &str) -> BulkSeen {
    (status, None, json!(code))
}

fn host() -> MockHost {
    let host = MockHost::new::<Things>();
    for name in ["a", "b"] {
        host.put("things", &format!("thg_{name}"), &json!({"name": name}));
    }
    host
}

fn name(host: &MockHost, id: &str) -> Option<String> {
    Some(host.document("things", id)?["name"].as_str()?.to_owned())
}

#[test]
fn all_is_one_commit() {
    let host = host();
    let commits = std::rc::Rc::new(std::cell::Cell::new(0));
    for number in 0..3 {
        let commits = commits.clone();
        host.before_commit(number, move |_| commits.set(commits.get() + 1));
    }
    let operations = [create("c"), rename("thg_a", "x"), delete("thg_b")];
    let seen = bulk(&host, "atomic", &operations);
    assert_eq!(seen, [done(201, Some(1)), done(200, Some(2)), done(204, None)]);
    assert_eq!(commits.get(), 1);
    assert_eq!((name(&host, "thg_a").as_deref(), name(&host, "thg_b")), (Some("x"), None));
}

#[test]
fn one_that_fails_undoes_all() {
    let others = |operation: Value, expected: BulkSeen| {
        let host = host();
        let seen = bulk(&host, "atomic", &[create("c"), operation, delete("thg_b")]);
        assert_eq!(seen, [failed(409, "conflict"), expected, failed(409, "conflict")]);
        assert_eq!(name(&host, "thg_b").as_deref(), Some("b"));
    };
    others(rename("thg_none", "x"), failed(404, "not_found"));
    others(create("forbidden"), failed(422, "validation_failed"));
    // Found by the store only, in the commit of all.
    others(rename("thg_a", "b"), failed(409, "already_exists"));
}

#[test]
fn a_change_adapts_itself_among_others() {
    let host = host();
    let seen = bulk(&host, "atomic", &[create("c"), create("a"), create("c")]);
    assert_eq!(seen, vec![done(201, Some(1)); 3]);
    let seen = bulk(&host, "atomic", &[create("d"), create("a")]);
    assert_eq!(seen, [failed(409, "conflict"), failed(409, "already_exists")]);
}

#[test]
fn a_resource_that_changes_meanwhile_is_looked_at_again() {
    for mode in ["atomic", "independent"] {
        let host = host();
        host.before_commit(0, |host| {
            let mut commit = Context::new(host, b"").commit();
            commit.replace("things", "thg_a", &json!({"name": "other"}));
            commit.apply().unwrap();
        });
        let seen = bulk(&host, mode, &[rename("thg_a", "x"), delete("thg_b")]);
        assert_eq!(seen, [done(200, Some(3)), done(204, None)], "{mode}");
    }
}

#[test]
fn one_resource_is_named_once_in_an_atomic_request() {
    let host = host();
    let operations = [rename("thg_a", "x"), delete("thg_a")];
    let seen = bulk(&host, "atomic", &operations);
    assert_eq!(seen, [failed(409, "conflict"), failed(409, "conflict")]);
    assert_eq!(name(&host, "thg_a").as_deref(), Some("a"));
    let seen = bulk(&host, "independent", &operations);
    assert_eq!(seen, [done(200, Some(2)), done(204, None)]);
}

#[test]
fn each_stands_for_itself() {
    let host = host();
    let operations =
        [create("c"), rename("thg_none", "x"), rename("thg_a", "b"), delete("thg_b"), rename("thg_a", "b")];
    let expected = [
        done(201, Some(1)),
        failed(404, "not_found"),
        failed(409, "already_exists"),
        done(204, None),
        done(200, Some(2)),
    ];
    assert_eq!(bulk(&host, "independent", &operations), expected);
    // The last one fails, so there is no commit to put the answer on.
    let seen = bulk(&host, "independent", &[create("d"), create("forbidden")]);
    assert_eq!(seen, [done(201, Some(1)), failed(422, "validation_failed")]);
}

#[test]
fn the_schema_says_what_each_operation_has() {
    let faults =
        |operation: Value| request_faults::<Things>("bulkThings", &json!({"operations": [operation]})).len();
    for fine in [create("c"), rename("x", "c"), delete("x")] {
        assert_eq!(faults(fine.clone()), 0, "{fine}");
    }
    for wrong in [
        json!({"op": "create"}),
        json!({"op": "create", "id": "x", "data": {"name": "c"}}),
        json!({"op": "create", "data": {"nome": "c"}}),
        json!({"op": "update", "data": {"name": "c"}}),
        json!({"op": "update", "id": "x", "data": {"name": 5}}),
        json!({"op": "delete"}),
        json!({"op": "delete", "id": "x", "data": {}}),
        json!({"op": "destroy", "id": "x"}),
    ] {
        assert_ne!(faults(wrong.clone()), 0, "{wrong}");
    }
    for wrong in [json!({"operations": []}), json!({"operations": vec![delete("x"); 101]}), json!({})] {
        assert_ne!(request_faults::<Things>("bulkThings", &wrong), Vec::<String>::new());
    }
}
