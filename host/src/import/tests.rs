mod orders;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::*;
use crate::seed::SystemApi;

const HERE: Place = Place { row: 3, line: 3 };

fn line(kind: Kind, value: Value) -> Result<Draft, Box<Mistake>> {
    let Value::Object(body) = value else { panic!("{value}") };
    ndjson::draft(kind, body, HERE)
}

#[test]
fn a_line_is_the_product_of_the_api_without_what_is_of_its_shop() {
    let product = json!({
        "id": "prod_1", "version": 3, "name": "Men's Café Mug", "categoryIds": ["cat_1"],
        "categories": ["mugs", {"id": "cat_2", "slug": "blue"}],
        "variants": [{"id": "var_1", "sku": "M", "onHand": 4, "price": null}, {"sku": "N"}],
    });
    let draft = line(Kind::Products, product).unwrap();
    assert_eq!(draft.slug, "mens-cafe-mug");
    let slugs: Vec<&str> = draft.shelves.as_ref().unwrap().iter().map(|shelf| shelf.slug.as_str()).collect();
    assert_eq!(slugs, ["mugs", "blue"]);
    assert_eq!(
        Value::Object(draft.body),
        json!({
            "id": "prod_1", "version": 3, "name": "Men's Café Mug", "slug": "mens-cafe-mug",
            "variants": [{"sku": "M", "price": null}, {"sku": "N"}],
        })
    );
    assert_eq!(draft.stock.len(), 1);
    assert_eq!((draft.stock[0].sku.as_str(), draft.stock[0].on_hand), ("M", 4));
    // Ids stand where nothing is named by slug.
    let draft = line(Kind::Products, json!({"slug": "a", "categoryIds": ["cat_1"]})).unwrap();
    assert_eq!((draft.body["categoryIds"].clone(), draft.shelves), (json!(["cat_1"]), None));
}

#[test]
fn a_category_names_its_parent_by_slug() {
    let shelves = |value: Value| line(Kind::Categories, value).unwrap().shelves;
    assert_eq!(shelves(json!({"slug": "a", "parent": "b"})).unwrap()[0].slug, "b");
    assert_eq!(shelves(json!({"slug": "a", "parent": null})), Some(Vec::new()));
    assert_eq!(shelves(json!({"slug": "a"})), None);
}

#[test]
fn what_a_line_has_wrong_is_pointed_at() {
    for (value, pointer) in [
        (json!({"name": "日本"}), "/slug"),
        (json!({"slug": 3}), "/slug"),
        (json!({"slug": "a", "categories": "b"}), "/categories"),
        (json!({"slug": "a", "categories": ["b", 3]}), "/categories/1"),
        (json!({"slug": "a", "variants": [{"sku": "A", "onHand": -1}]}), "/variants/0/onHand"),
    ] {
        let mistake = line(Kind::Products, value).unwrap_err();
        assert_eq!((mistake.row, mistake.pointer.as_str()), (3, pointer));
    }
}

fn read(bytes: &[u8]) -> (Vec<u64>, Vec<Mistake>, Option<ImportError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ndjson");
    std::fs::write(&path, bytes).unwrap();
    let (mut drafts, mut mistakes, mut error) = (Vec::new(), Vec::new(), None);
    for item in ndjson::Reader::open(&path, Kind::Products).unwrap() {
        match item {
            Ok(Item::Draft(draft)) => drafts.push(draft.place.row),
            Ok(Item::Refused(told)) => mistakes.extend(told),
            Ok(Item::Mistake(_) | Item::Warning(_)) => panic!("lines are read or refused"),
            Err(ended) => error = Some(ended),
        }
    }
    (drafts, mistakes, error)
}

#[test]
fn a_broken_line_stops_nothing() {
    let long = "x".repeat(9 * 1024 * 1024);
    let file =
        format!("\u{feff}{{\"slug\":\"a\"}}\r\n\n{{oops\n{long}\n[]\n{{\"slug\":\"b\"}}\n{{\"slug\":\"c\"}}");
    let mut bytes = file.into_bytes();
    bytes.extend(b"\n\xff\xfe\n{\"slug\":\"d\"}\n");
    let (drafts, mistakes, error) = read(&bytes);
    assert_eq!(drafts, [1, 6, 7, 9]);
    let told: Vec<(u64, &str)> = mistakes.iter().map(|it| (it.row, it.code.as_str())).collect();
    assert_eq!(
        told,
        [(3, "malformed_json"), (4, "payload_too_large"), (5, "malformed_json"), (8, "malformed_json")]
    );
    assert!(error.is_none());
    let (_, _, error) = read(b"[\n{\"slug\":\"a\"}\n]\n");
    assert!(error.is_some_and(|error| error.to_string().contains("jq -c")));
}

/// An API that is empty, and answers bulk requests as it is told to.
struct Fake<F>(F);

impl<F: Fn(&Value) -> (u16, Value) + Sync> SystemApi for Fake<F> {
    async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        _: &[(&str, &str)],
    ) -> Result<(u16, Value), SystemApiError> {
        match (method, path) {
            ("POST", "/products/bulk") => Ok((self.0)(&body.unwrap())),
            ("GET", path) if path.starts_with("/inventory") => Ok((404, json!({"code": "not_found"}))),
            ("GET", _) => Ok((200, json!([]))),
            other => panic!("{other:?}"),
        }
    }
}

fn options(file: PathBuf, kind: Kind) -> Options {
    Options {
        file,
        kind,
        format: Format::Ndjson,
        existing: Existing::Update,
        stock: StockMode::New,
        category_from: None,
        currency: Currency::USD,
        dry_run: false,
    }
}

/// Imports these lines and answers the report with the rows that were told.
async fn imported(
    api: &impl SystemApi,
    lines: &[Value],
    dry_run: bool,
) -> Result<(Report, Vec<(u64, String)>), ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ndjson");
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let options = Options { dry_run, ..options(file, Kind::Products) };
    let journal = Journal::open(folder.path(), "x").unwrap();
    let mut told = Vec::new();
    let report = run(api, &options, Some(&journal).filter(|_| !dry_run), |it| {
        if let Told::Mistakes(mistakes) = it {
            told.extend(mistakes.iter().map(|it| (it.row, it.code.clone())));
        }
        Ok(())
    })
    .await?;
    Ok((report, told))
}

fn products(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({"slug": format!("p{number}"), "name": "P"})).collect()
}

fn slugs(body: &Value) -> Vec<String> {
    let operations = body["operations"].as_array().unwrap().iter();
    operations.map(|it| it["data"]["slug"].as_str().unwrap().to_owned()).collect()
}

fn all_created(body: &Value) -> (u16, Value) {
    let results: Vec<Value> =
        slugs(body).iter().map(|slug| json!({"status": 201, "id": format!("prod_{slug}")})).collect();
    (200, json!({"results": results}))
}

#[tokio::test]
async fn a_product_that_a_plugin_chokes_on_does_not_take_others_with_it() {
    let made = Mutex::new(Vec::new());
    let api = Fake(|body: &Value| {
        if slugs(body).contains(&"p31".to_owned()) {
            return (502, json!({"code": "plugin_failed", "detail": "It is a trap."}));
        }
        made.lock().unwrap().extend(slugs(body));
        all_created(body)
    });
    let (report, told) = imported(&api, &products(150), false).await.unwrap();
    assert_eq!((report.created, report.refused), (149, 1));
    assert_eq!(told, [(32, "plugin_failed".to_owned())]);
    let mut made = made.lock().unwrap().clone();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 149);
}

#[tokio::test]
async fn an_api_that_is_busy_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let api = Fake(|body: &Value| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => (503, json!({"code": "overloaded"})),
        _ => all_created(body),
    });
    let (report, told) = imported(&api, &products(3), false).await.unwrap();
    assert_eq!((report.created, told, asked.into_inner()), (3, Vec::new(), 2));
}

#[tokio::test]
async fn a_dry_run_that_was_taken_in_earnest_ends_at_once() {
    let ended = imported(&Fake(all_created), &products(3), true).await;
    assert!(matches!(ended, Err(ImportError::TrialCommitted)));
}

#[tokio::test]
async fn a_dry_run_is_one_atomic_request_that_cannot_come_about() {
    let api = Fake(|body: &Value| {
        assert_eq!(body["mode"], "atomic");
        let operations = body["operations"].as_array().unwrap();
        let [.., one, two] = operations.as_slice() else { panic!("{body}") };
        assert_eq!(one["data"]["variants"][0]["sku"], two["data"]["variants"][0]["sku"]);
        let problem = |code: &str| json!({"status": 409, "problem": {"code": code, "status": 409}});
        let mut results = vec![problem("conflict"); operations.len() - 1];
        results.push(problem("already_exists"));
        (200, json!({"results": results}))
    });
    let (report, told) = imported(&api, &products(120), true).await.unwrap();
    assert_eq!((report.created, told), (120, Vec::new()));
}
