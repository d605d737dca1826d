//! Commands beside a server and without one.

use platform_tests::{
    host::ADMIN_PASSWORD,
    process::{Ended, Place, ended},
};
use serde_json::{Value, json};

fn create(place: &Place, email: &str, role: &str, password: &str) -> Ended {
    let arguments = ["--json", "user", "create", "--kind", "admin", "--email", email, "--role", role];
    ended(place.command(&arguments), password)
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_created_beside_a_server_and_without_one() {
    let place = Place::new();
    let first = create(&place, "First@example.com", "superadmin", ADMIN_PASSWORD);
    assert_eq!(first.code, Some(0), "{first:?}");
    let user: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((&user["email"], &user["kind"]), (&json!("first@example.com"), &json!("admin")));
    assert!(!first.stdout.contains("assword") && !first.stderr.contains(ADMIN_PASSWORD));

    let server = place.serve();
    let second = create(&place, "second@example.com", "catalog-manager", &format!("{ADMIN_PASSWORD}\n"));
    assert_eq!(second.code, Some(0), "{second:?}");
    for email in ["first@example.com", "second@example.com"] {
        let login = json!({"email": email, "password": ADMIN_PASSWORD});
        server.anonymous().post("/auth/admin/login", &login).await.expect(200);
    }
    let refusals = |place: &Place| {
        for (email, role, password, code, part) in [
            ("FIRST@example.com", "superadmin", ADMIN_PASSWORD, 1, "first@example.com"),
            ("third@example.com", "emperor", ADMIN_PASSWORD, 1, "emperor"),
            ("third", "superadmin", ADMIN_PASSWORD, 1, "third"),
            ("third@example.com", "superadmin", "short", 1, "assword"),
            ("third@example.com", "superadmin", "", 2, "assword"),
        ] {
            let refused = create(place, email, role, password);
            assert_eq!(refused.code, Some(code), "{email} {role} {password}: {refused:?}");
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
            let error: Value = serde_json::from_str(refused.stderr.lines().last().unwrap()).unwrap();
            assert!(error["error"]["nextStep"].as_str().is_some_and(|step| step.ends_with('.')), "{error}");
        }
    };
    refusals(&place);
    server.stop();
    refusals(&place);
}

#[test]
fn a_wrong_call_is_told_apart_from_a_failure() {
    let place = Place::new();
    for wrong in [
        &["serve", "--lisen", "x"][..],
        &["server"],
        &["seed", "--from", "dummyjson"],
        &["seed", "--from", "shopify", "x.csv"],
        &["user", "create"],
        &["plugin", "check"],
    ] {
        let ended = place.run(wrong);
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{wrong:?}: {ended:?}");
    }
    let missing = place.run(&["seed", "--from", "dummyjson", "nowhere.json"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("nowhere.json"), "{}", missing.stderr);
}

const DUMMYJSON: &str = r#"{"products": [
    {"id": 1, "title": "Mascara", "description": "Volume.", "category": "beauty", "price": 9.99,
     "discountPercentage": 10.48, "rating": 2.56, "stock": 99, "tags": ["beauty", "mascara"], "brand": "Essence",
     "sku": "BEA-ESS-001", "weight": 4, "images": ["https://cdn.example.com/1.webp"], "thumbnail": "https://cdn.example.com/t.webp"},
    {"id": 2, "title": "Sofa", "description": "Soft.", "category": "furniture", "price": 2499.99, "stock": 1,
     "tags": ["furniture"], "sku": "FUR-SOF-002", "weight": 10, "images": [], "thumbnail": "https://cdn.example.com/2.webp"}
]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_catalogue_is_loaded_once() {
    let place = Place::new();
    std::fs::write(place.path().join("products.json"), DUMMYJSON).unwrap();
    let seed = ["--json", "seed", "--from", "dummyjson", "products.json"];
    let report = |seeded: Ended| -> Value {
        assert_eq!(seeded.code, Some(0), "{seeded:?}");
        serde_json::from_str(&seeded.stdout).unwrap()
    };
    let first = report(place.run(&seed));
    assert_eq!(
        (&first["productsCreated"], &first["categoriesCreated"], &first["stocked"], &first["refused"]),
        (&json!(2), &json!(2), &json!(2), &json!([]))
    );
    let server = place.serve();
    let again = report(place.run(&seed));
    assert_eq!(
        (&again["productsCreated"], &again["productsSkipped"], &again["stocked"]),
        (&json!(0), &json!(2), &json!(0))
    );
    let sofa = server.anonymous().get("/products?category=furniture").await.expect(200);
    assert_eq!(sofa[0]["variants"][0]["price"]["amount"], 249_999);
    assert_eq!(sofa[0]["variants"][0]["availability"], "low");
    server.stop();

    std::fs::write(place.path().join("products.json"), "{\"products\": [{").unwrap();
    let broken = place.run(&seed);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains("products.json"), "{}", broken.stderr);
}

#[test]
fn a_shop_without_its_plugins_is_told_to_be_one() {
    let place = Place::new();
    // Without grants the plugins are refused, because they ask for each other's collections.
    place.configure_whole("plugins.grants = \"nowhere.toml\"\nplugins.watch = false\n");
    let seeded = place.run(&["seed"]);
    assert_eq!(seeded.code, Some(1), "{seeded:?}");
    assert!(seeded.stderr.contains("nothing was loaded"), "{}", seeded.stderr);
    assert!(seeded.stderr.contains("wares plugin list"), "{}", seeded.stderr);
    let listed = place.run(&["plugin", "list"]);
    assert!(listed.stdout.contains("`products.wasm` is refused"), "{listed:?}");
}
