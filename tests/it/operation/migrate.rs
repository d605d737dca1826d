//! `wares db migrate`.

use hyper::Method;
use platform_tests::{process::Place, shop::product, store::mongod};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_moves_to_an_empty_store_with_all_its_hashes() {
    let place = Place::new();
    place.create_admin();
    let server = place.serve_with(&["--seed"]);
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("moved");
    let migrate = ["db", "migrate", "--to", to.to_str().unwrap()];
    let refused = place.refusal(&migrate);
    assert!(refused.contains("a host runs on the store"), "{refused}");
    assert!(!to.exists());
    let category = server.anonymous().get("/categories?limit=5").await.expect(200);
    server.stop();

    let before = place.answer(&["db", "verify"]);
    let told = place.run(&migrate);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("every collection has the same hash in both"), "{told:?}");
    assert!(told.stderr.contains("Copying: 100 %") && told.stderr.contains("Comparing: 100 %"), "{told:?}");
    let moved = Place::with_data_dir(folder, to.clone());
    assert_eq!(moved.answer(&["db", "verify"]), before);
    assert_eq!(place.answer(&["db", "verify"]), before);

    let refused = place.refusal(&migrate);
    assert!(refused.contains("not empty"), "{refused}");
    let server = moved.serve();
    assert_eq!(server.anonymous().get("/categories?limit=5").await.expect(200), category);
    server.login().await;
    let refused = place.refusal(&migrate);
    assert!(refused.contains("in use by another server"), "{refused}");
    server.stop();
}

/// From the embedded store to MongoDB, by a backup that is taken there while the shop sells, and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_shop_moves_to_mongodb_and_back() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let place = Place::new();
    place.create_admin();
    let server = place.serve_with(&["--seed"]);
    let category = server.anonymous().get("/categories?limit=5").await.expect(200);
    server.stop();
    let before = place.answer(&["db", "verify"]);
    let told = place.run(&["db", "migrate", "--to", &database.uri]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("every collection has the same hash in both"), "{told:?}");
    let refused = place.refusal(&["db", "migrate", "--to", &database.uri]);
    assert!(refused.contains("not empty"), "{refused}");

    let mut moved = Place::new();
    moved.set_environment("MONGODB_URI", database.uri.clone());
    let same = |place: &Place| place.answer(&["db", "verify"])["collections"].clone();
    assert_eq!(same(&moved), before["collections"]);
    let server = moved.serve();
    assert_eq!(server.anonymous().get("/categories?limit=5").await.expect(200), category);
    let token = server.login().await;
    let client = server.with_token(Some(&token));
    let selling = tokio::spawn(async move {
        let mut known = Vec::new();
        for number in 0.. {
            let name = format!("Sold {number}");
            let Some(answer) =
                client.try_send(client.request(Method::POST, "/products").json(&product(&name, &name))).await
            else {
                return known;
            };
            known.push(answer.expect(201)["id"].as_str().unwrap().to_owned());
        }
        known
    });
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop.ndjson");
    let told = moved.run(&["db", "backup", file.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{told:?}");
    server.stop();
    assert!(!selling.await.unwrap().is_empty());

    let back = Place::new();
    let told = back.run(&["db", "restore", file.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(back.answer(&["db", "verify"])["problems"], json!([]));
    assert_eq!(same(&back), back.answer(&["db", "verify", file.to_str().unwrap()])["collections"]);
    let server = back.serve();
    assert_eq!(server.anonymous().get("/categories?limit=5").await.expect(200), category);
    server.stop();
}

#[test]
fn a_target_that_is_none_is_told() {
    let place = Place::new();
    place.create_admin();
    let refused = place.refusal(&["db", "migrate", "--to", "mongodb://ada:secret@127.0.0.1:1/shop"]);
    assert!(refused.contains("cannot be reached") && refused.contains("127.0.0.1:1"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    for to in ["", place.data_dir().to_str().unwrap()] {
        let wrong = place.run(&["db", "migrate", "--to", to]);
        assert_eq!(wrong.code, Some(2), "{to}: {wrong:?}");
    }
    let verified = place.answer(&["db", "verify"]);
    assert_eq!(verified["problems"], json!([]));
    let empty = Place::new();
    assert!(empty.refusal(&["db", "migrate", "--to", "elsewhere"]).contains("there is no store in"));
    assert!(!empty.path().join("elsewhere").exists());
}
