//! `wares import` and `wares export`, beside a server and without one.

use std::{fs, time::Duration};

use platform_tests::{
    client::Client,
    process::{Ended, Place, Server},
    wait::within,
};
use serde_json::{Value, json};

/// Runs an import with `--json` and answers its report, the list of errors, and its exit code.
pub(super) fn import(place: &Place, arguments: &[&str]) -> (Value, Vec<Value>, Option<i32>) {
    let list = place.path().join("errors.ndjson");
    let ended = place.run(&[&["--json", "import"], arguments, &["--errors", "errors.ndjson"]].concat());
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {ended:?}"));
    (report, lines(&fs::read_to_string(list).unwrap()), ended.code)
}

#[track_caller]
pub(super) fn succeeds(place: &Place, arguments: &[&str]) -> Value {
    let (report, mistakes, code) = import(place, arguments);
    assert_eq!((code, mistakes), (Some(0), Vec::new()), "{report}");
    report
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Row, column or else pointer, and code.
pub(super) fn told(mistakes: &[Value]) -> Vec<(u64, &str, &str)> {
    fn one(it: &Value) -> (u64, &str, &str) {
        let place = it["column"].as_str().or(it["pointer"].as_str());
        (it["row"].as_u64().unwrap(), place.unwrap(), it["code"].as_str().unwrap())
    }
    mistakes.iter().map(one).collect()
}

fn export(place: &Place, what: &str) -> String {
    let ended = place.run(&["export", what]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// The hash of everything that the store holds.
fn store_hash(place: &Place) -> Value {
    place.answer(&["db", "verify"])["hash"].clone()
}

async fn admin(place: &Place, server: &Server) -> Client {
    place.create_admin();
    server.with_token(Some(&server.login().await))
}

const LINES: &str = r#"{"slug":"kettle","name":"Kettle","status":"active","variants":[{"sku":"K","prices":[{"amount":4900,"currency":"USD"}],"onHand":3}],"categories":["kitchen"]}
{"slug":"kettle-2","name":"Kettle","variants":[{"sku":"K"}]}
{oops
{"slug":"Not A Slug","name":"Cup"}
{"slug":"cup","name":"Cup","colour":"red"}
{"slug":"pot","name":"Pot","categories":["nowhere"]}
{"slug":"pan","name":"Pan","status":"active"}
{"id":"prod_x","slug":"mug","name":"Mug","version":7,"variants":[{"id":"var_x","sku":"M","price":null,"availability":"out"}]}
"#;

const REFUSED: [(u64, &str, &str); 6] = [
    (2, "/variants/0/sku", "already_exists"),
    (3, "", "malformed_json"),
    (4, "/slug", "validation_failed"),
    (5, "/colour", "unknown_field"),
    (6, "/categories/0", "validation_failed"),
    (7, "/variants", "validation_failed"),
];

#[tokio::test(flavor = "multi_thread")]
async fn broken_lines_are_told_and_a_dry_run_tells_the_same() {
    let place = Place::new();
    fs::write(place.path().join("categories.ndjson"), "{\"slug\":\"kitchen\",\"name\":\"Kitchen\"}\n")
        .unwrap();
    fs::write(place.path().join("products.ndjson"), LINES).unwrap();
    assert_eq!(succeeds(&place, &["categories", "categories.ndjson"])["created"], 1);

    let before = store_hash(&place);
    let (dry, foretold, code) = import(&place, &["products", "products.ndjson", "--dry-run"]);
    assert_eq!(
        (code, &dry["created"], &dry["refused"]),
        (Some(1), &json!(2), &json!(6)),
        "{dry} {foretold:?}"
    );
    assert_eq!(store_hash(&place), before, "a dry run writes nothing");

    let server = place.serve();
    let (again, beside, _) = import(&place, &["products", "products.ndjson", "--dry-run"]);
    assert_eq!((&again, &beside), (&dry, &foretold));
    let (report, mistakes, code) = import(&place, &["products", "products.ndjson"]);
    assert_eq!(told(&mistakes), REFUSED);
    assert_eq!(mistakes, foretold);
    assert_eq!((code, &report["created"], &report["stocked"]), (Some(1), &json!(2), &json!(1)));
    let kettle = server.anonymous().get("/products/by-slug/kettle?expand=categories").await.expect(200);
    assert_eq!(
        (&kettle["categories"][0]["slug"], &kettle["variants"][0]["availability"]),
        (&json!("kitchen"), &json!("low"))
    );

    // Once more: what is there is changed, in earnest as in the dry run, and its stock is left alone.
    let (dry, _, _) = import(&place, &["products", "products.ndjson", "--dry-run"]);
    let (report, mistakes, _) = import(&place, &["products", "products.ndjson"]);
    for report in [dry, report] {
        assert_eq!(
            (&report["created"], &report["updated"], &report["stocked"]),
            (&json!(0), &json!(2), &json!(0))
        );
    }
    assert_eq!(told(&mistakes), REFUSED);
    let (report, _, _) = import(&place, &["products", "products.ndjson", "--existing", "skip"]);
    assert_eq!((&report["updated"], &report["skipped"]), (&json!(0), &json!(2)));
    let (_, mistakes, _) = import(&place, &["products", "products.ndjson", "--existing", "fail"]);
    assert_eq!(told(&mistakes)[0], (1, "/slug", "already_exists"));
    assert!(fs::read_dir(place.data_dir().join("imports")).unwrap().next().is_none(), "no journal is left");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_catalogue_goes_from_one_shop_to_another() {
    let place = Place::new();
    place.answer(&["seed"]);
    let (categories, products) = (export(&place, "categories"), export(&place, "products"));
    assert!(categories.lines().count() > 60 && products.lines().count() > 250);
    assert!(products.contains("\"onHand\":"));

    let other = Place::new();
    fs::write(other.path().join("c.ndjson"), &categories).unwrap();
    fs::write(other.path().join("p.ndjson"), &products).unwrap();
    let server = other.serve();
    let report = succeeds(&other, &["categories", "c.ndjson"]);
    assert_eq!(report["created"], categories.lines().count());
    let dry = succeeds(&other, &["products", "p.ndjson", "--dry-run"]);
    let report = succeeds(&other, &["products", "p.ndjson"]);
    assert_eq!((&report["created"], &report["stocked"]), (&json!(products.lines().count()), &json!(659)));
    assert_eq!(dry["created"], report["created"]);
    assert_eq!(export(&other, "categories"), categories);
    assert_eq!(export(&other, "products"), products);
    // And over itself.
    let again = succeeds(&other, &["products", "p.ndjson"]);
    assert_eq!((&again["created"], &again["updated"]), (&json!(0), &report["created"]));
    succeeds(&other, &["categories", "c.ndjson"]);
    assert_eq!(export(&other, "products"), products);
    server.stop();
    assert_eq!(export(&other, "categories"), categories);

    // A file gets its name when it is whole, and nothing in its place is lost by mistake.
    let first = other.run(&["export", "products", "out.csv", "--format", "shopify-csv"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let refused = other.refusal(&["export", "products", "out.csv", "--format", "shopify-csv"]);
    assert!(refused.contains("--force"), "{refused}");
    let sheet = Place::new();
    fs::copy(other.path().join("out.csv"), sheet.path().join("in.csv")).unwrap();
    let report = succeeds(&sheet, &["products", "in.csv"]);
    assert_eq!(report["created"], products.lines().count());
}

const SHEET: &str = "\u{feff}Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Image Src,Mood,Status\r
tee,Tee,\"<p>Soft,\r
warm</p>\",Acme,Shirts,\"a, b\",TRUE,Size,S,TEE-S,shopify,5,19.90,https://cdn.example.com/1.jpg,happy,active\r
tee,,,,,,,,M,TEE-M,shopify,0,19.999,,,\r
tee,,,,,,,,L,TEE-L,shopify,2,21,https://cdn.example.com/2.jpg,,\r
tee,,,,,,,,,,,,,https://cdn.example.com/3.jpg,,\r
mug,Mug,,Acme,Cups,,TRUE,Title,Default Title,,shopify,4,7,,,active\r
jug,Jug,,Acme,Cups,,TRUE,Title,Default Title,TEE-S,,,7,,,active\r
bag,Bag,,,Bags,,TRUE,,,BAG,,,3,no address,,active\r
tee,,,,,,,Size,XL,TEE-XL,shopify,9,22,,,\r
";

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_of_shopify_is_imported() {
    let place = Place::new();
    let server = place.serve();
    let client = admin(&place, &server).await;
    fs::write(place.path().join("sheet.csv"), SHEET).unwrap();
    let arguments = ["products", "sheet.csv", "--category-from", "type"];
    let before = documents(&client).await;
    let (dry, foretold, _) = import(&place, &[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(documents(&client).await, before);
    assert_eq!(
        (&dry["created"], &dry["untried"], &dry["categoriesCreated"]),
        (&json!(2), &json!(1), &json!(3))
    );

    let (report, mistakes, code) = import(&place, &arguments);
    // The description has a line break, which makes no row.
    let expected = vec![
        (3, "Variant Price", "validation_failed"),
        (7, "Variant SKU", "already_exists"),
        (8, "Image Src", "validation_failed"),
    ];
    assert_eq!((told(&mistakes), code), (expected, Some(1)));
    assert_eq!(mistakes, foretold);
    let counts =
        ["created", "updated", "refused", "stocked", "categoriesCreated"].map(|name| report[name].clone());
    assert_eq!(counts, [2, 1, 2, 4, 3].map(|count| json!(count)), "{report}");
    let tee = client.get("/products/by-slug/tee").await.expect(200);
    let skus: Vec<&str> =
        tee["variants"].as_array().unwrap().iter().map(|it| it["sku"].as_str().unwrap()).collect();
    // What comes back later changes the product; a sheet takes nothing away.
    assert_eq!(skus, ["TEE-XL", "TEE-S", "TEE-L"]);
    assert_eq!(tee["options"], json!([{"name": "Size", "values": ["XL", "S", "L"]}]));
    assert_eq!((&tee["description"], &tee["tags"]), (&json!("<p>Soft,\r\nwarm</p>"), &json!(["a", "b"])));
    assert_eq!((tee["media"].as_array().unwrap().len(), &tee["attributes"]), (3, &json!({"vendor": "Acme"})));
    assert_eq!(client.get("/inventory/TEE-S").await.expect(200)["onHand"], 5);
    assert_eq!(client.get("/inventory/mug").await.expect(200)["onHand"], 4);
    let shirts = client.get("/products?category=shirts").await.expect(200);
    assert_eq!(shirts.as_array().unwrap().len(), 1);

    // A second sheet with other numbers, and with some of the columns only.
    let second = "Title,URL handle,SKU,Price,Inventory quantity,Option1 name,Option1 value\nTee!,tee,TEE-S,18,7,Size,S\n";
    fs::write(place.path().join("second.csv"), second).unwrap();
    assert_eq!(succeeds(&place, &["products", "second.csv"])["stocked"], 0);
    assert_eq!(
        succeeds(&place, &["products", "second.csv", "--stock", "set", "--currency", "eur"])["stocked"],
        1
    );
    let changed = client.get("/products/by-slug/tee").await.expect(200);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Tee!"), &tee["description"]));
    assert_eq!(
        changed["variants"][0]["prices"],
        json!([{"amount": 1800, "currency": "EUR"}, {"amount": 1800, "currency": "USD"}])
    );
    assert_eq!(changed["variants"][0]["id"], tee["variants"][1]["id"]);
    assert_eq!(client.get("/inventory/TEE-S").await.expect(200)["onHand"], 7);
    server.stop();

    let ended = place.run(&["import", "products", "sheet.csv"]);
    assert_eq!(ended.code, Some(1));
    for part in [
        "warning: columns that are not known are left out: `Mood`",
        "row 3, `tee`, column Variant Price",
        "USD",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

/// What the shop shows of itself.
async fn documents(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/products", "/categories", "/inventory", "/inventory/movements"] {
        all.push(client.get(&format!("{path}?limit=100")).await.expect(200));
    }
    all
}

const PRODUCTS: usize = 400;

/// A sheet of products with two variants each, whose stock tells their number.
fn large_sheet() -> String {
    let mut text =
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n"
            .to_owned();
    for number in 0..PRODUCTS {
        text += &format!("item-{number},Item {number},Size,S,I{number}-S,{},1.50\n", number + 1);
        text += &format!("item-{number},,,M,I{number}-M,{},2\n", number + 2);
    }
    text
}

/// Starts an import and kills it when its journal has grown by so many batches.
pub(super) async fn killed(place: &Place, arguments: &[&str], batches: usize) {
    let done = || {
        let folder = fs::read_dir(place.data_dir().join("imports"));
        let journals = folder.into_iter().flatten().map(|entry| fs::read_to_string(entry.unwrap().path()));
        journals.map_while(Result::ok).map(|text| text.matches("\nd ").count()).sum::<usize>()
    };
    let before = done();
    let mut child = place.command(&[&["import"], arguments].concat()).spawn().unwrap();
    within(Duration::from_secs(60), "the import's next batch", async || {
        assert!(child.try_wait().unwrap().is_none(), "the import was too fast to be killed");
        done() >= before + batches
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_and_does_nothing_twice() {
    let place = Place::new();
    fs::write(place.path().join("large.csv"), large_sheet()).unwrap();
    // Without a server it is the store itself that is killed.
    killed(&place, &["products", "large.csv"], 1).await;
    let server = place.serve();
    let client = admin(&place, &server).await;
    killed(&place, &["products", "large.csv"], 1).await;
    let arguments = ["--json", "import", "products", "large.csv", "--existing", "fail"];
    // Other options make it another import, which knows nothing of the first.
    let other = place.run(&arguments);
    assert_eq!(other.code, Some(1), "{other:?}");

    let ended: Ended = place.run(&["--json", "import", "products", "large.csv"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(report["doneBefore"].as_u64().unwrap() > 0, "{report}");
    assert!(ended.stderr.contains("Going on with an import"), "{}", ended.stderr);
    let total = async |path: &str| {
        let answer = client.get(path).await;
        answer.header("x-total-count").unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(total("/products").await, PRODUCTS);
    assert_eq!(total("/inventory").await, 2 * PRODUCTS);
    assert_eq!(total("/inventory/movements").await, 2 * PRODUCTS, "no stock came twice");
    for number in 0..PRODUCTS {
        let level = client.get(&format!("/inventory/I{number}-M")).await.expect(200);
        assert_eq!(level["onHand"], number + 2);
    }
    server.stop();
    assert_eq!(place.run(&["db", "verify"]).code, Some(0));
}

#[test]
fn wrong_calls_and_wrong_files_are_told_apart() {
    let place = Place::new();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("products.txt", "x");
    write("products.csv", "slug,name\na,A\n");
    write("array.ndjson", "[\n{}\n]\n");
    for wrong in [
        &["import", "products", "products.txt"][..],
        &["import", "products", "products.csv", "--currency", "YEN"],
        &["import", "products", "products.csv", "--existing", "maybe"],
        &["import", "invoices", "products.csv"],
        &["import", "orders"],
        &["import", "products"],
        &["export"],
    ] {
        assert_eq!(place.run(wrong).code, Some(2), "{wrong:?}");
    }
    for (arguments, part) in [
        (&["import", "products", "nowhere.csv"][..], "nowhere.csv"),
        (&["import", "products", "products.csv"], "no product CSV of Shopify"),
        (&["import", "products", "array.ndjson"], "jq -c"),
        (&["import", "products", "products.csv", "--errors", "no/where.csv"], "no/where.csv"),
    ] {
        let told = place.refusal(arguments);
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
    let empty = Place::new();
    assert!(empty.refusal(&["export", "products"]).contains("there is no store"));
}
