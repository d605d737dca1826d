//! What only this backend can show: query plans, a full disk, a full queue, abandoned queries.

use std::{sync::Arc, time::Duration};

use rusqlite::types::Value as SqlValue;
use serde_json::{Value, json};
use store_model::{
    Access, CollectionSchema, Commit, Field, Filter, Index, Operation, Query, SortKey, TextField, Write,
    validate::check_query,
};
use tempfile::TempDir;

use super::{
    Sqlite, page,
    selection::{Chosen, Selection},
};
use crate::store::{
    backend::Backend,
    config::EmbeddedConfig,
    error::{CommitError, ReadError, Unavailable},
};

fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![
            Field::integer("n", Access::Index),
            Field::text("slug", Access::Unique),
            Field::text("state", Access::Scan),
            Field::text("variants.sku", Access::Unique).multi(),
        ],
        indexes: vec![Index { fields: vec!["state".to_owned(), "createdAt".to_owned()] }],
        text: vec![TextField { path: "name".to_owned(), weight: 10 }],
        ..CollectionSchema::new("things", "thing")
    }
}

async fn open(change: impl FnOnce(&mut EmbeddedConfig)) -> (Sqlite, TempDir) {
    let directory = TempDir::new().unwrap();
    let mut config = EmbeddedConfig { directory: directory.path().to_owned(), ..EmbeddedConfig::default() };
    change(&mut config);
    let store = Sqlite::open(config).await.unwrap();
    store.declare(vec![schema()]).await.unwrap();
    (store, directory)
}

fn commit(id: &str, operation: Operation) -> Commit {
    let write = Write::new("things", id, operation);
    Commit { writes: vec![write], now: "2026-11-23T09:00:00.000Z".to_owned() }
}

fn insert(id: &str, bytes: usize) -> Commit {
    let body = json!({"slug": id, "blob": "x".repeat(bytes)});
    commit(id, Operation::Insert(body.as_object().cloned().unwrap()))
}

/// The plans of all statements of a page, a line for each step.
fn plan(store: &Sqlite, query: &Query, chosen: Option<&Chosen>) -> String {
    let table = store.table("things").unwrap();
    let prepared = check_query(&table.schema, query).unwrap();
    let reader = store.readers.reader().unwrap();
    let mut steps = Vec::new();
    for sql in page::page_statements(&table, query, &prepared, chosen) {
        let text = format!("EXPLAIN QUERY PLAN {}", sql.text);
        let mut statement = reader.connection().prepare(&text).unwrap();
        for (position, value) in sql.params.iter().enumerate() {
            statement.raw_bind_parameter(position + 1, value).unwrap();
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get::<_, String>(3).unwrap());
        }
    }
    steps.join("\n")
}

#[tokio::test]
async fn the_main_queries_use_their_indexes() {
    let (store, _directory) = open(|_| {}).await;
    let filtered = |filter| Query { filter, ..Query::default() };
    let cursor = |sort: Vec<SortKey>, position: &[store_model::Scalar]| {
        let query = Query { sort, ..Query::default() };
        Query { cursor: Some(store_model::cursor::encode("things", &query, position)), ..query }
    };
    let after = cursor(vec![SortKey::ascending("n")], &[5.into(), "x".into()]);
    let after_null = cursor(vec![SortKey::ascending("n")], &[store_model::Scalar::Null, "x".into()]);
    let at = "2026-11-23T09:00:00.000Z";
    let newest = cursor(vec![SortKey::descending("createdAt")], &[at.into(), "x".into()]);
    let by_state =
        Query { sort: vec![SortKey::ascending("createdAt")], ..filtered(Filter::eq("state", "new")) };
    let text = Query { text: Some("red sho".to_owned()), ..Query::default() };
    let cases = [
        (filtered(Filter::eq("id", "a")), "(id=?)"),
        (filtered(Filter::eq("n", 5)), "index_things:n (field:n=?)"),
        (filtered(Filter::eq("slug", "a")), "index_things:slug (field:slug=?)"),
        (
            filtered(Filter::Prefix("slug".to_owned(), "a".to_owned())),
            "index_things:slug (field:slug>? AND field:slug<?)",
        ),
        (filtered(Filter::In("n".to_owned(), vec![1.into(), 2.into()])), "index_things:n (field:n=?)"),
        (filtered(Filter::eq("variants.sku", "a")), "multi_things:variants.sku USING PRIMARY KEY (value=?)"),
        (by_state, "index_things:state,createdAt  (field:state=?)"),
        (after, "index_things:n (field:n=? AND id>?)"),
        (after_null, "index_things:n (field:n=? AND id>?)"),
        (newest, "index_things:createdAt (field:createdAt<?)"),
        (text.clone(), "SEARCH t USING PRIMARY KEY (token=?)"),
    ];
    for (query, expected) in cases {
        let plan = plan(&store, &query, None);
        assert!(plan.contains(expected), "expected {expected} in\n{plan}");
        // The whole collection is never read.
        assert!(!plan.contains("SCAN d\n") && !plan.ends_with("SCAN d"), "{plan}");
    }
    let sorted = Query { sort: vec![SortKey::ascending("n")], ..Query::default() };
    assert_eq!(plan(&store, &sorted, None), "SCAN d USING INDEX index_things:n");
    // What is in a set is met in the order of the page.
    let many = Chosen::Many(Selection::default());
    assert_eq!(plan(&store, &sorted, Some(&many)), "SCAN d USING INDEX index_things:n");
    // Of a few documents the words are looked up, and not the documents of the words.
    let ranked = plan(&store, &text, Some(&Chosen::Few(vec![1, 2])));
    let range = "SEARCH t USING INDEX text_things doc (doc=? AND token>? AND token<?)";
    assert!(ranked.contains(range) && !ranked.contains("SEARCH t USING PRIMARY KEY (token>?"), "{ranked}");
}

#[tokio::test]
async fn an_update_touches_the_indexes_of_what_it_changes() {
    let (store, _directory) = open(|_| {}).await;
    let table = store.table("things").unwrap();
    let document = |state: &str, n: Value| json!({"id": "a", "createdAt": "1", "updatedAt": state, "state": state, "n": n, "slug": "s"});
    let update = |old: &Value, new: &Value| table.update(old.as_object(), new.as_object().unwrap());
    let (sql, values) = update(&document("new", json!(5)), &document("old", json!(null)));
    assert_eq!(
        sql,
        "UPDATE \"doc_things\" SET version = ?2, body = ?3, [field:updatedAt] = ?4, [field:n] = ?5, \
         [field:state] = ?6 WHERE n = ?1"
    );
    assert_eq!(values, [SqlValue::from("old".to_owned()), SqlValue::Null, SqlValue::from("old".to_owned())]);
    let (sql, values) = update(&document("new", json!(5)), &document("new", json!(5)));
    assert_eq!(
        (sql.as_str(), values.len()),
        ("UPDATE \"doc_things\" SET version = ?2, body = ?3 WHERE n = ?1", 0)
    );
}

/// What is in the columns of fields.
fn columns(store: &Sqlite, id: &str) -> Vec<SqlValue> {
    let reader = store.readers.reader().unwrap();
    let sql =
        "SELECT [field:createdAt], [field:n], [field:slug], [field:state] FROM doc_things WHERE id = ?1";
    let row = |row: &rusqlite::Row<'_>| (0..4).map(|at| row.get(at)).collect();
    reader.connection().query_row(sql, [id], row).unwrap()
}

#[tokio::test]
async fn fields_of_a_database_without_columns_get_them() {
    let directory = TempDir::new().unwrap();
    let config = EmbeddedConfig { directory: directory.path().to_owned(), ..EmbeddedConfig::default() };
    let at = "2026-11-23T09:00:00.000Z";
    let body = |id: &str, n: Value| json!({"id": id, "version": 1, "createdAt": at, "updatedAt": at, "n": n, "slug": id, "state": "new"});
    let first = rusqlite::Connection::open(config.file()).unwrap();
    first
        .execute_batch(
            r#"CREATE TABLE collection (name TEXT PRIMARY KEY, schema TEXT NOT NULL) STRICT, WITHOUT ROWID;
            CREATE TABLE doc_things (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
            CREATE TABLE "multi_things:variants.sku" (value NOT NULL, doc INTEGER NOT NULL REFERENCES doc_things(n), PRIMARY KEY (value)) WITHOUT ROWID;
            CREATE INDEX "multi_things:variants.sku doc" ON "multi_things:variants.sku"(doc, value);
            CREATE TABLE text_things (token TEXT NOT NULL, doc INTEGER NOT NULL REFERENCES doc_things(n), weight INTEGER NOT NULL, PRIMARY KEY (token, doc)) STRICT, WITHOUT ROWID;
            CREATE INDEX "text_things doc" ON text_things(doc);
            CREATE INDEX "index_things:n" ON doc_things(json_extract(body,'$."n"'), id);
            CREATE UNIQUE INDEX "index_things:slug" ON doc_things(json_extract(body,'$."slug"'));
            CREATE INDEX "index_things:createdAt" ON doc_things(json_extract(body,'$."createdAt"'), id);
            CREATE INDEX "index_things:updatedAt" ON doc_things(json_extract(body,'$."updatedAt"'), id);
            CREATE TABLE doc_others (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
            CREATE INDEX "index_others:createdAt" ON doc_others(json_extract(body,'$."createdAt"'), id);
            CREATE INDEX "index_others:updatedAt" ON doc_others(json_extract(body,'$."updatedAt"'), id);
            CREATE INDEX "index_things:state,createdAt " ON doc_things(json_extract(body,'$."state"'), json_extract(body,'$."createdAt"'), id);
            PRAGMA application_id = 0x57415245; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;"#,
        )
        .unwrap();
    let schema_text = serde_json::to_string(&schema()).unwrap();
    let others_text = serde_json::to_string(&CollectionSchema::new("others", "oth")).unwrap();
    let schemas = [schema_text, others_text];
    first.execute("INSERT INTO collection VALUES ('things', ?1), ('others', ?2)", schemas).unwrap();
    for (id, n) in [("a", json!(7)), ("b", json!(null))] {
        let body = body(id, n).to_string();
        first.execute("INSERT INTO doc_things (id, version, body) VALUES (?1, 1, ?2)", [id, &body]).unwrap();
    }
    drop(first);

    // As a server opens it, and once more.
    for _ in 0..2 {
        let store = Sqlite::open(config.clone()).await.unwrap();
        store.declare(vec![schema()]).await.unwrap();
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
        let text = |text: &str| SqlValue::from(text.to_owned());
        assert_eq!(columns(&store, "a"), [text(at), SqlValue::Integer(7), text("a"), text("new")]);
        assert_eq!(columns(&store, "b"), [text(at), SqlValue::Null, text("b"), text("new")]);
        let query = Query { filter: Filter::eq("n", 7), ..Query::default() };
        assert!(plan(&store, &query, None).contains("index_things:n (field:n=?)"));
        let found = store.find("things", &query).await.unwrap().documents;
        assert_eq!(found.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["a"]);
        let another_b = json!({"slug": "b"}).as_object().cloned().unwrap();
        let refused = store.commit(commit("c", Operation::Insert(another_b))).await.unwrap_err();
        assert!(matches!(refused, CommitError::Refused(_)), "{refused:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_column_that_does_not_agree_is_found() {
    let (store, directory) = open(|_| {}).await;
    store.commit(insert("a", 10)).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    let other = rusqlite::Connection::open(directory.path().join("wares.db")).unwrap();
    other.execute("UPDATE doc_things SET [field:n] = 5", []).unwrap();
    assert_eq!(store.verify().await.unwrap(), ["things/a: the columns of fields do not agree"]);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_heals() {
    let (store, _directory) = open(|config| config.max_pages = 150).await;
    let mut stored = Vec::new();
    let full = loop {
        let id = format!("t{}", stored.len());
        match store.commit(insert(&id, 20_000)).await {
            Ok(_) => stored.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, CommitError::Unavailable(Unavailable::Full(_))), "{full:?}");
    assert!(stored.len() > 5);
    let lost = format!("t{}", stored.len());
    let documents = store.get_many("things", &[stored[0].clone(), lost], None).await.unwrap();
    assert!(documents[0].is_some() && documents[1].is_none());
    // Space comes back.
    store.commit(commit(&stored[0], Operation::Delete)).await.unwrap();
    store.commit(insert("again", 15_000)).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (store, _directory) = open(|config| config.write_queue = 1).await;
    let store = Arc::new(store);
    let commits: Vec<_> = (0..200).map(|number| insert(&format!("t{number}"), 1_000)).collect();
    let results =
        futures_util::future::join_all(commits.into_iter().map(|commit| store.commit(commit))).await;
    let overloaded =
        |result: &Result<_, _>| matches!(result, Err(CommitError::Unavailable(Unavailable::Overloaded)));
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    assert!(accepted > 0);
    assert_eq!(results.iter().filter(|result| overloaded(result)).count(), 200 - accepted);
    let counted = store.count("things", &Filter::all(), None).await.unwrap();
    assert_eq!(counted, accepted as u64);
}

#[tokio::test]
async fn a_commit_runs_to_its_end_without_its_caller() {
    let (store, _directory) = open(|_| {}).await;
    let mut abandoned = store.commit(insert("a", 10));
    // One poll queues the commit; nobody waits for the answer.
    assert!(futures_util::poll!(&mut abandoned).is_pending());
    drop(abandoned);
    store.commit(insert("b", 10)).await.unwrap();
    let documents = store.get_many("things", &["a".to_owned()], None).await.unwrap();
    assert!(documents[0].is_some());
}

#[tokio::test]
async fn an_abandoned_query_stops_and_frees_its_place() {
    let (store, _directory) = open(|config| config.readers = 1).await;
    for number in 0..8 {
        store.commit(insert(&format!("t{number}"), 10)).await.unwrap();
    }
    // A query without an end in sight: every document with every other, many times over.
    let endless = store.query(|connection, _| {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
        let endless: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(super::Fault::from)?;
        Ok(endless)
    });
    let abandoned = tokio::time::timeout(Duration::from_millis(50), endless).await;
    assert!(abandoned.is_err());
    // The only place is free again, and the next user of the connection is not interrupted.
    assert_eq!(store.count("things", &Filter::all(), None).await.unwrap(), 8);
    let unknown = store.count("nowhere", &Filter::all(), None).await.unwrap_err();
    assert!(matches!(unknown, ReadError::Query(_)));
}

/// Filters that so many documents meet that they are answered with sets.
#[tokio::test]
async fn sets_of_many_documents_have_the_same_results_as_the_model() {
    const DOCUMENTS: i64 = 2_400;
    let schema = CollectionSchema {
        owner: Some("owner".to_owned()),
        fields: vec![
            Field::integer("n", Access::Index),
            Field::text("state", Access::Index),
            Field::text("tags", Access::Index).multi(),
        ],
        text: vec![
            TextField { path: "name".to_owned(), weight: 3 },
            TextField { path: "tags".to_owned(), weight: 1 },
        ],
        ..CollectionSchema::new("many", "man")
    };
    let (store, _directory) = open(|_| {}).await;
    let mut model = store_model::memory::MemoryStore::new();
    model.declare(vec![schema.clone()]).unwrap();
    store.declare(vec![schema]).await.unwrap();
    for start in (0..DOCUMENTS).step_by(800) {
        let writes = (start..start + 800).map(|number| {
            let tags: Vec<String> =
                (0..number % 4).map(|tag| format!("t{}", (number / 7 + tag) % 5)).collect();
            let body = json!({
                "n": if number % 11 == 0 { json!(null) } else { json!(number % 90) },
                "state": if number % 10 == 0 { "draft" } else { "active" },
                "tags": tags,
                "name": if number % 3 == 0 { "red shoe" } else { "Redder sock" },
                "owner": if number % 2 == 0 { "ann" } else { "bob" },
            });
            let id = format!("m{:04}", number * 7919 % DOCUMENTS);
            Write::new("many", &id, Operation::Insert(body.as_object().cloned().unwrap()))
        });
        let commit = Commit { writes: writes.collect(), now: "2026-11-23T09:00:00.000Z".to_owned() };
        model.commit(&commit).unwrap();
        store.commit(commit).await.unwrap();
    }
    let path = str::to_owned;
    let active = || Filter::eq("state", "active");
    let filters = [
        Filter::all(),
        active(),
        Filter::eq("tags", "t2"),
        Filter::In(path("tags"), vec!["t0".into(), "t3".into()]),
        Filter::And(vec![active(), Filter::eq("tags", "t2")]),
        Filter::And(vec![active(), Filter::Not(Box::new(Filter::eq("tags", "t2")))]),
        Filter::And(vec![active(), Filter::Gt(path("n"), 10.into()), Filter::Lt(path("n"), 80.into())]),
        Filter::And(vec![
            active(),
            Filter::Or(vec![Filter::eq("tags", "t1"), Filter::Gte(path("n"), 40.into())]),
        ]),
        Filter::And(vec![active(), Filter::Ne(path("n"), 5.into()), Filter::Exists(path("tags"), true)]),
        Filter::Or(vec![Filter::eq("n", 5), Filter::eq("n", 6), Filter::Exists(path("n"), false)]),
        Filter::And(vec![active(), Filter::eq("n", 17)]),
        Filter::And(vec![active(), Filter::And(vec![active(), Filter::Prefix(path("state"), path("act"))])]),
        Filter::And(vec![active(), Filter::Or(Vec::new())]),
    ];
    let sorts = [
        vec![],
        vec![SortKey::ascending("n")],
        vec![SortKey { direction: store_model::Direction::Descending, ..SortKey::ascending("state") }],
    ];
    let owner = store_model::Scope::new("owner", "ann");
    let mut many = 0;
    for filter in &filters {
        let asked = [
            (None, None),
            (None, Some(&owner)),
            (Some("red"), None),
            (Some("red sho"), Some(&owner)),
            (Some("redder t1"), None),
        ];
        for (text, scope) in asked {
            let scope = scope.cloned();
            {
                let facets = store_model::Facets {
                    filter: filter.clone(),
                    text: text.map(path),
                    scope: scope.clone(),
                    facets: vec![
                        store_model::Facet::Values { path: path("tags"), prefix: None, limit: 4 },
                        store_model::Facet::Values { path: path("state"), prefix: Some(path("d")), limit: 4 },
                        store_model::Facet::Ranges { path: path("n"), bounds: vec![1, 30, 95] },
                    ],
                };
                let expected = model.facets("many", &facets).unwrap();
                assert_eq!(store.facets("many", &facets).await.unwrap(), expected, "{facets:?}");
                for sort in &sorts {
                    let mut query = Query {
                        filter: filter.clone(),
                        text: text.map(path),
                        sort: sort.clone(),
                        scope: scope.clone(),
                        limit: 700,
                        count: true,
                        ..Query::default()
                    };
                    loop {
                        let expected = model.find("many", &query).unwrap();
                        let found = store.find("many", &query).await.unwrap();
                        assert_eq!(found, expected, "{query:?}");
                        many += usize::from(found.total > Some(500));
                        let Some(next) = found.next else { break };
                        query.cursor = Some(next);
                    }
                }
                let counted = store.count("many", filter, scope.as_ref()).await.unwrap();
                assert_eq!(counted, model.count("many", filter, scope.as_ref()).unwrap());
            }
        }
    }
    assert!(many > 100, "{many}");
}
