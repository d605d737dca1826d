//! `wares db migrate`.

use platform_tests::process::Place;
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

#[test]
fn a_target_that_is_none_is_told() {
    let place = Place::new();
    place.create_admin();
    let refused = place.refusal(&["db", "migrate", "--to", "mongodb://ada:secret@127.0.0.1/shop"]);
    assert!(refused.contains("MongoDB is not available in this build"), "{refused}");
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
