use iso_currency::Currency;
use serde_json::{Value, json};

use super::{super::CategoryFrom, *};

fn settings() -> Settings {
    Settings { currency: Currency::USD, category_from: None }
}

fn read_with(file: &[u8], settings: Settings) -> (Vec<Draft>, Vec<Mistake>, Vec<String>) {
    let (mut drafts, mut mistakes, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for item in Reader::new(file, settings).unwrap() {
        match item.unwrap() {
            Item::Draft(draft) => drafts.push(*draft),
            Item::Mistake(mistake) => mistakes.push(mistake),
            Item::Refused(told) => mistakes.extend(told),
            Item::Warning(warning) => warnings.push(warning),
        }
    }
    (drafts, mistakes, warnings)
}

fn read(file: &str) -> (Vec<Draft>, Vec<Mistake>) {
    let (drafts, mistakes, _) = read_with(file.as_bytes(), settings());
    (drafts, mistakes)
}

/// Row, column and message of each mistake.
fn told(mistakes: &[Mistake]) -> Vec<(u64, &str, &str)> {
    mistakes
        .iter()
        .map(|it| (it.row, it.column.as_deref().unwrap_or_default(), it.message.as_str()))
        .collect()
}

const SHIRT: &str = "\u{feff}Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Image Position,Image Alt Text,SEO Title,Variant Weight Unit,Status\r
shirt,Shirt,\"<p>Soft,\r
\"\"warm\"\"</p>\",Acme,Apparel > Shirts,Tops,\"cotton, new,, new\",TRUE,Size,S,Colour,Red,SH-S,185.5,shopify,12,deny,19.90,25,'4006381333931,https://x/b.jpg,2,Back,The shirt,g,active\r
shirt,,,,,,,,,M,,Red,SH-M,190,shopify,0,continue,19.9,0,,https://x/a.jpg,1,,,g,\r
shirt,,,,,,,,,,,,,,,,,,,,https://x/b.jpg,3,,,,\r
,,,,,,,,,,,,,,,,,,,,,,,,,\r
Mug--Blue,Mug,,,,,,FALSE,Title,Default Title,,,,,,7,,5,,,,,,,,\r
";

#[test]
fn rows_of_one_handle_become_a_product() {
    let (drafts, mistakes) = read(SHIRT);
    assert_eq!(mistakes, []);
    let [shirt, mug] = &drafts[..] else { panic!("{drafts:?}") };
    assert_eq!(
        Value::Object(shirt.body.clone()),
        json!({
            "slug": "shirt", "name": "Shirt", "description": "<p>Soft,\r\n\"warm\"</p>", "status": "active",
            "tags": ["cotton", "new"],
            "attributes": {"vendor": "Acme", "type": "Tops", "productCategory": "Apparel > Shirts"},
            "seo": {"title": "The shirt"},
            "options": [{"name": "Size", "values": ["S", "M"]}, {"name": "Colour", "values": ["Red"]}],
            "variants": [
                {
                    "sku": "SH-S", "optionValues": {"Size": "S", "Colour": "Red"}, "barcode": "4006381333931",
                    "prices": [{"amount": 1990, "currency": "USD", "compareAt": 2500}], "weightGrams": 186,
                    "trackInventory": true, "backorder": "deny",
                },
                {
                    "sku": "SH-M", "optionValues": {"Size": "M", "Colour": "Red"}, "barcode": null,
                    "prices": [{"amount": 1990, "currency": "USD"}], "weightGrams": 190,
                    "trackInventory": true, "backorder": "allow",
                },
            ],
            "media": [{"url": "https://x/a.jpg", "alt": ""}, {"url": "https://x/b.jpg", "alt": "Back"}],
        })
    );
    let stock: Vec<(&str, i64)> = shirt.stock.iter().map(|it| (it.sku.as_str(), it.on_hand)).collect();
    assert_eq!(stock, [("SH-S", 12), ("SH-M", 0)]);
    // The description has a line break, so rows and lines part.
    assert_eq!((shirt.place, shirt.end_line), (Place { row: 2, line: 2 }, 5));
    assert_eq!(mug.place, Place { row: 6, line: 7 });
    assert_eq!((mug.slug.as_str(), mug.index), ("mug-blue", 1));
    assert_eq!((&mug.body["status"], &mug.body["options"]), (&json!("draft"), &json!([])));
    assert_eq!(mug.body["variants"][0]["sku"], "mug-blue");
    assert_eq!(mug.stock, [], "what is not tracked has no stock");
}

#[test]
fn places_of_the_request_lead_back_to_cells() {
    let (drafts, _) = read(SHIRT);
    let at = |pointer: &str| {
        let mistake = drafts[0].mistake(pointer, "c", "m");
        (mistake.row, mistake.column.unwrap_or_default())
    };
    assert_eq!(at("/variants/1/sku"), (3, "Variant SKU".to_owned()));
    assert_eq!(at("/variants/0/prices/0/compareAt"), (2, "Variant Compare At Price".to_owned()));
    assert_eq!(at("/media/0/url"), (3, "Image Src".to_owned()));
    assert_eq!(at("/options/1/name"), (2, "Option2 Name".to_owned()));
    assert_eq!(at("/slug"), (2, "Handle".to_owned()));
    assert_eq!(at("/variants/9/sku"), (2, "Variant SKU".to_owned()));
    assert_eq!(at(""), (2, String::new()));
}

#[test]
fn a_broken_row_is_told_and_the_others_are_read() {
    let (drafts, mistakes) = read(
        "Handle,Title,Option1 Name,Option1 Value,SKU,Price,Inventory quantity,Status\n\
         a,A,Size,S,A-S,19.999,,\n\
         a,,,M,A-M,1,,\n\
         b,B,Size,S,B-S,1,-3,\n\
         b,,,M,B-M,\"1,50\",,\n\
         b,,,,B-L,1,,\n\
         c,C,,,C,1\n\
         d,D,,,D,1,,sold\n\
         ,,,,E,1,,\n\
         f_g,F,,,F,1,,\n\
         f-g,G,,,G,1,,\n",
    );
    assert_eq!(
        told(&mistakes),
        [
            (
                2,
                "Price",
                "`19.999` is no amount in USD, which is written like 12.50. The product is left out, with the 1 rows that \
                 belong to it."
            ),
            (
                4,
                "Inventory quantity",
                "`-3` is no number of pieces from 0 to 1000000000; the stock is left alone."
            ),
            (5, "Price", "`1,50` is no amount in USD, which is written like 12.50."),
            (6, "Option1 Value", "There is no value for the option `Size`."),
            (7, "", "The row has 6 cells, and the header 8."),
            (8, "Status", "`sold` is no status: active, draft or archived."),
            (9, "Title", "There is no handle, and no title of which one could be made."),
            (11, "Handle", "`f-g` becomes the slug `f-g`, which an earlier handle has become."),
        ]
    );
    let slugs: Vec<&str> = drafts.iter().map(|draft| draft.slug.as_str()).collect();
    assert_eq!(slugs, ["b", "f-g"]);
    assert_eq!(drafts[0].body["variants"].as_array().unwrap().len(), 1);
    // Numbers do not depend on what is broken.
    assert_eq!((drafts[0].index, drafts[1].index), (1, 5));
}

#[test]
fn bytes_that_are_no_text_break_their_row_only() {
    let file = [&b"Handle,Title\na,A\nb,B\xff\nc,C\n"[..]].concat();
    let (drafts, mistakes, _) = read_with(&file, settings());
    assert_eq!(told(&mistakes), [(3, "Title", "The cell is not UTF-8.")]);
    assert_eq!(drafts.len(), 2);
    // Columns that describe no variant leave the variants of the shop alone.
    assert!(!drafts[0].body.contains_key("variants") && !drafts[0].body.contains_key("status"));
    let completed = completed(&drafts[0]);
    assert_eq!((&completed["status"], &completed["variants"]), (&json!("active"), &json!([{"sku": "a"}])));
}

#[test]
fn a_quote_that_is_not_closed_does_not_fill_the_memory() {
    let file = format!("Handle,Title\na,\"A\n{}", "x".repeat(2 * ROW_BYTES + 1_000_000));
    let items: Vec<_> = Reader::new(file.as_bytes(), settings()).unwrap().collect();
    assert!(matches!(items.as_slice(), [Err(ImportError::Read(_))]));
}

#[test]
fn amounts_follow_the_currency() {
    for (currency, cell, amount) in [
        (Currency::JPY, "1200", Some(1200)),
        (Currency::KWD, "1.234", Some(1234)),
        (Currency::JPY, "1.5", None),
    ] {
        let file = format!("Handle,Title,Variant Price\na,A,{cell}\n");
        let (drafts, mistakes, _) = read_with(file.as_bytes(), Settings { currency, ..settings() });
        let found =
            drafts.first().map(|draft| draft.body["variants"][0]["prices"][0]["amount"].as_i64().unwrap());
        assert_eq!((found, mistakes.is_empty()), (amount, amount.is_some()), "{cell}");
    }
}

#[test]
fn categories_come_from_the_column_that_is_named() {
    let file = "Handle,Title,Type,Product Category\na,A,Hot Drinks,Home & Garden > Kitchen\nb,B,,\n";
    let from = |from| {
        let (drafts, _, _) = read_with(file.as_bytes(), Settings { category_from: Some(from), ..settings() });
        drafts
    };
    let drafts = from(CategoryFrom::ProductCategory);
    let shelf = &drafts[0].shelves.as_ref().unwrap()[0];
    assert_eq!(
        (shelf.slug.as_str(), &shelf.names),
        ("home-garden-kitchen", &vec!["Home & Garden".to_owned(), "Kitchen".to_owned()])
    );
    assert_eq!(drafts[0].body["attributes"], json!({"type": "Hot Drinks"}));
    assert_eq!(drafts[1].shelves, Some(Vec::new()));
    assert_eq!(from(CategoryFrom::Type)[0].shelves.as_ref().unwrap()[0].slug, "hot-drinks");
    assert_eq!(read(file).0[0].shelves, None);
}

#[test]
fn a_sheet_takes_nothing_away_from_a_product() {
    let (mut drafts, mistakes) = read(
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Variant Inventory Qty\n\
         a,New,Size,S,,2,https://x/2,3\n\
         a,,,L,A-L,3,,\n",
    );
    assert_eq!(mistakes, []);
    let current = json!({
        "id": "prod_1", "name": "Old",
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [
            {
                "id": "var_1", "sku": "OLD-S", "optionValues": {"Size": "S"}, "barcode": "1", "price": null,
                "prices": [{"amount": 1, "currency": "USD"}, {"amount": 9, "currency": "EUR"}, {"amount": 8, "currency": "USD", "minQuantity": 5}],
            },
            {"id": "var_2", "sku": "OLD-M", "optionValues": {"Size": "M"}, "prices": [], "availability": "out"},
        ],
        "media": [{"url": "https://x/1", "alt": "One"}, {"url": "https://x/2", "alt": "Two"}],
    });
    let merged = merged(&mut drafts[0], &current);
    assert_eq!(merged["options"], json!([{"name": "Size", "values": ["S", "L", "M"]}]));
    assert_eq!(
        merged["variants"],
        json!([
            {
                "id": "var_1", "sku": "OLD-S", "optionValues": {"Size": "S"}, "barcode": "1",
                "prices": [{"amount": 200, "currency": "USD"}, {"amount": 9, "currency": "EUR"}, {"amount": 8, "currency": "USD", "minQuantity": 5}],
            },
            {"sku": "A-L", "optionValues": {"Size": "L"}, "prices": [{"amount": 300, "currency": "USD"}]},
            {"id": "var_2", "sku": "OLD-M", "optionValues": {"Size": "M"}, "prices": []},
        ])
    );
    assert_eq!(
        merged["media"],
        json!([{"url": "https://x/2", "alt": ""}, {"url": "https://x/1", "alt": "One"}])
    );
    // The row without a SKU is about the variant with its option value.
    assert_eq!(drafts[0].stock[0].sku, "OLD-S");
}

#[test]
fn derived_skus_are_short_and_stable() {
    let long = "x".repeat(80);
    let sku = product::derived_sku(&long, std::iter::empty());
    assert_eq!((sku.len(), &sku), (64, &product::derived_sku(&long, std::iter::empty())));
    assert_eq!(product::derived_sku("shirt", ["Extra Large".to_owned()].iter()), "shirt-extra-large");
}

#[test]
fn what_is_written_is_read_again() {
    let (drafts, _) = read(SHIRT);
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Currency::USD);
    for draft in &drafts {
        let mut product = Value::Object(draft.body.clone());
        for count in &draft.stock {
            let index: usize = count.pointer.split('/').nth(2).unwrap().parse().unwrap();
            product["variants"][index]["onHand"] = json!(count.on_hand);
        }
        writer.product(&product).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    let (again, mistakes) = read(str::from_utf8(&out).unwrap());
    assert_eq!(mistakes, []);
    let mut shirt = drafts[0].body.clone();
    shirt["seo"]["description"] = Value::Null;
    assert_eq!(again[0].body, shirt);
    assert_eq!(again[0].stock.len(), 2);
    assert_eq!(again[1].body["variants"][0]["prices"], drafts[1].body["variants"][0]["prices"]);
}
