use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;

/// An API of two collections, and of stock, that keeps what it is given.
#[derive(Default)]
struct Fake {
    items: Mutex<Vec<(String, Value)>>,
    posts: AtomicUsize,
}

impl SystemApi for Fake {
    async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        _: &[(&str, &str)],
    ) -> Result<(u16, Value), SystemApiError> {
        let mut items = self.items.lock().unwrap();
        if method == "GET" && path.starts_with("/inventory") {
            let known = path == "/inventory?limit=1"
                || items
                    .iter()
                    .any(|(_, item)| format!("/inventory/{}", item["sku"].as_str().unwrap_or("")) == path);
            return Ok(if known { (200, Value::Null) } else { (404, json!({"code": "not_found"})) });
        }
        if path == "/inventory/adjustments" {
            let body = body.unwrap();
            items.push((path.to_owned(), body.clone()));
            return Ok((200, body));
        }
        if method == "GET" {
            let (collection, slug) = path.split_once("/by-slug/").unwrap();
            let found = items.iter().find(|(known, item)| known == collection && item["slug"] == slug);
            return Ok(found.map_or((404, json!({"code": "not_found"})), |(_, item)| (200, item.clone())));
        }
        self.posts.fetch_add(1, Ordering::Relaxed);
        let mut item = body.unwrap();
        if item["name"] == "bad" {
            let errors = json!([{"pointer": "/name", "message": "is bad"}]);
            return Ok((422, json!({"code": "validation_failed", "errors": errors})));
        }
        item["id"] = json!(format!("id-{}", items.len()));
        items.push((path.to_owned(), item.clone()));
        Ok((201, item))
    }
}

const CATEGORIES: &str = r#"{"slug":"tea","name":"Tea","parentSlug":null}
{"slug":"green","name":"Green","parentSlug":"tea"}
"#;
const STOCK: &str = r#"{"sku":"SENCHA","onHand":12}
{"sku":"LOST","onHand":3}
"#;
const PRODUCTS: &str = r#"{"slug":"sencha","name":"Sencha","categorySlugs":["green","tea"],"variants":[{"sku":"SENCHA"}]}
{"slug":"bad","name":"bad","categorySlugs":[]}
{"slug":"lost","name":"Lost","categorySlugs":["nowhere"],"variants":[{"sku":"LOST"}]}
"#;

#[tokio::test]
async fn seeding_twice_creates_everything_once() {
    let api = Fake::default();
    let catalogue = sample::catalogue(CATEGORIES, PRODUCTS, STOCK).unwrap();
    let mut steps = Vec::new();
    let report = load(&api, &catalogue, |done, total| steps.push((done, total))).await.unwrap();
    assert_eq!((report.categories_created, report.products_created, report.stocked), (2, 1, 1));
    assert_eq!(steps, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    let mut refused = report.refused;
    refused.sort();
    assert_eq!(
        refused,
        [
            "product `bad` was refused with 422 validation_failed: /name is bad",
            "product `lost`: its category `nowhere` is missing",
        ]
    );
    {
        let items = api.items.lock().unwrap();
        assert_eq!(items[1].1["parentId"], "id-0");
        assert_eq!(
            items[2].1,
            json!({
                "slug": "sencha", "name": "Sencha", "variants": [{"sku": "SENCHA"}], "categoryIds": ["id-1", "id-0"],
                "id": "id-2",
            })
        );
        let stock = json!({"sku": "SENCHA", "delta": 12, "reason": "received", "reference": "seed"});
        assert_eq!(items[3].1, stock);
    }
    let again = load(&api, &catalogue, |_, _| {}).await.unwrap();
    assert_eq!((again.categories_skipped, again.products_skipped), (2, 1));
    assert_eq!((again.categories_created, again.products_created, again.stocked), (0, 0, 0));
}

#[tokio::test]
async fn the_sample_shop_is_complete() {
    let api = Fake::default();
    let catalogue = sample_shop().unwrap();
    let report = load(&api, &catalogue, |_, _| {}).await.unwrap();
    assert_eq!(report.refused, Vec::<String>::new());
    assert!(report.categories_created >= 60 && report.products_created >= 250);
    let stock: Vec<i64> =
        catalogue.products.iter().flat_map(|it| &it.stock).map(|(_, count)| *count).collect();
    let count = |range: std::ops::RangeInclusive<i64>| stock.iter().filter(|it| range.contains(it)).count();
    assert_eq!((stock.len(), report.stocked), (659, 659));
    assert!(count(0..=0) > 20 && count(1..=5) > 20 && count(6..=200) > 500, "some are out, some are low");
}

#[test]
fn a_broken_line_is_named() {
    let error = sample::catalogue("{\"slug\":\"a\"}\n\n{oops\n", "", "").unwrap_err();
    assert!(error.to_string().starts_with("line 3: "), "{error}");
    let error = sample::catalogue("", "{\"slug\":\"a\",\"categorySlugs\":3}", "").unwrap_err();
    assert_eq!(error.to_string(), "line 1: `categorySlugs` is no list of texts");
}

#[test]
fn dummyjson_is_mapped() {
    let item = |id: u32, sku: &str| {
        json!({
            "id": id, "title": "Men's Watch", "description": "Ticks.", "category": "mens-watches", "price": 29.9,
            "tags": ["watches"], "brand": "Tick", "sku": sku, "stock": 7 * id, "warrantyInformation": "1 year", "rating": 4.2,
            "meta": {"barcode": "123"}, "images": ["https://example.com/1.webp"], "reviews": [{}]
        })
    };
    let text = json!([item(1, "W-1"), item(2, "W-2")]).to_string();
    let catalogue = dummyjson::catalogue(&text).unwrap();
    assert_eq!(catalogue.categories.len(), 1);
    assert_eq!(catalogue.categories[0].body["name"], "Mens watches");
    let slugs: Vec<&str> = catalogue.products.iter().map(|product| product.slug.as_str()).collect();
    assert_eq!(slugs, ["mens-watch", "mens-watch-w-2"]);
    assert_eq!(catalogue.products[1].body["slug"], "mens-watch-w-2");
    let body = &catalogue.products[0].body;
    assert_eq!(catalogue.products[0].category_slugs, ["mens-watches"]);
    assert_eq!(
        body["variants"],
        json!([{"sku": "W-1", "optionValues": {}, "prices": [{"amount": 2990, "currency": "USD"}], "barcode": "123"}])
    );
    assert_eq!(body["attributes"], json!({"brand": "Tick", "warranty": "1 year"}));
    assert_eq!(catalogue.products[1].stock, [("W-2".to_owned(), 14)]);
    assert_eq!(body["media"], json!([{"url": "https://example.com/1.webp", "alt": "Men's Watch"}]));
    assert_eq!(dummyjson::catalogue(&format!("{{\"products\":{text}}}")).unwrap(), catalogue);
    assert!(dummyjson::catalogue("{}").is_err());
}

const SPREE: &str = "\
slug,sku,name,price,compare_at_price,currency,status,description,tags,category1,option1_name,option1_value,image1_src,weight,weight_unit,track_inventory,custom_field.custom.wattage,inventory_count
kettle,KETTLE,Kettle,0,0,USD,active,Boils.,\"hot, water\",Kitchen -> Kettles,,,https://example.com/k.webp,,lb,,1400W,
kettle,KETTLE-RED,,79.99,99.99,USD,,,,,Colour,Red,https://example.com/r.webp,2,lb,TRUE,,12
kettle,KETTLE-BLUE,,79.99,0,USD,,,,,Colour,Blue,https://example.com/k.webp,2.5,lb,TRUE,,0
kettle,KETTLE-RED,,7999,0,JPY,,,,,,,,,,,,99
spoon,SPOON,Spoon,1.5,,USD,draft,,,Kitchen,,,,30,g,,,
";

#[test]
fn spree_rows_become_products_with_variants_and_prices() {
    let catalogue = spree::catalogue(SPREE).unwrap();
    let categories: Vec<(&str, Option<&str>)> = catalogue
        .categories
        .iter()
        .map(|category| (category.slug.as_str(), category.parent_slug.as_deref()))
        .collect();
    assert_eq!(categories, [("kitchen", None), ("kitchen-kettles", Some("kitchen"))]);
    let [kettle, spoon] = &catalogue.products[..] else { panic!("{:?}", catalogue.products) };
    assert_eq!(kettle.category_slugs, ["kitchen-kettles"]);
    assert_eq!(kettle.body["options"], json!([{"name": "Colour", "values": ["Red", "Blue"]}]));
    assert_eq!(
        kettle.body["variants"][0],
        json!({
            "sku": "KETTLE-RED",
            "optionValues": {"Colour": "Red"},
            "prices": [{"amount": 7999, "currency": "USD", "compareAt": 9999}, {"amount": 7999, "currency": "JPY"}],
            "weightGrams": 907,
            "trackInventory": true,
            "backorder": "deny",
        })
    );
    assert_eq!(kettle.body["variants"].as_array().unwrap().len(), 2);
    assert_eq!(kettle.body["tags"], json!(["hot", "water"]));
    assert_eq!(kettle.body["attributes"], json!({"wattage": "1400W"}));
    assert_eq!(kettle.body["media"].as_array().unwrap().len(), 2);
    assert_eq!(kettle.stock, [("KETTLE-RED".to_owned(), 12), ("KETTLE-BLUE".to_owned(), 0)]);
    assert_eq!(spoon.stock, []);
    assert_eq!(spoon.body["status"], "draft");
    assert_eq!(spoon.body["variants"][0]["prices"], json!([{"amount": 150, "currency": "USD"}]));
    assert_eq!(spoon.body["variants"][0]["weightGrams"], 30);
}

#[test]
fn spree_mistakes_are_named() {
    let wrong = |from: &str, to: &str| spree::catalogue(&SPREE.replace(from, to)).unwrap_err().to_string();
    assert_eq!(wrong("79.99,99.99", "79.999,99.99"), "`KETTLE-RED`: `79.999` is no amount in USD");
    assert_eq!(wrong(",JPY,", ",YEN,"), "`KETTLE-RED`: `YEN` is no currency");
    assert_eq!(wrong("Kettle,0", ",0"), "`kettle`: no row has a name");
    assert_eq!(wrong(",TRUE,,12", ",TRUE,,some"), "`KETTLE-RED`: `some` is no number of pieces");
    assert_eq!(wrong("2,lb", "2,stone"), "`KETTLE-RED`: `stone` is no weight unit");
    assert_eq!(
        wrong("slug,sku,name", "slug,sku,title"),
        "the file is not in the expected format: a Spree product CSV has a column `name`"
    );
}
