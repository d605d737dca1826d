//! `wares import users`, beside a server and without one.

use std::fs;

use platform_tests::process::{Place, Server};
use serde_json::{Value, json};

use super::import::{import, told};

const PASSWORD: &str = "correct horse battery staple";
/// Of the password, as another shop made it.
pub(super) const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";

fn lines() -> String {
    [
        json!({"id": "old-1", "email": "Ada@Example.com", "name": "Ada", "passwordHash": BCRYPT, "emailVerified": true,
               "groups": ["wholesale"], "createdAt": "2019-01-01T00:00:00Z", "addresses": [{"id": "old-7",
               "name": "Ada", "line1": "Hafenstr. 1", "city": "Kiel", "postalCode": "24103", "country": "DE"}]}),
        json!({"email": "bob@example.com", "name": "Bob"}),
        json!({"name": "Nobody"}),
        json!({"email": "not an address", "name": "Eve"}),
        json!({"email": "eve@example.com", "name": "Eve", "passwordHash": "5f4dcc3b5aa765d61d8327deb882cf99"}),
        json!({"email": "cy@example.com", "name": "Cy", "password": "short"}),
        json!({"email": "dee@example.com", "name": "Dee", "colour": "red"}),
        json!({"email": "root@example.com", "name": "Root", "kind": "admin", "roles": ["superadmin"],
               "passwordHash": BCRYPT}),
    ]
    .map(|line| line.to_string() + "\n")
    .concat()
}

const REFUSED: [(u64, &str, &str); 5] = [
    (3, "/email", "validation_failed"),
    (4, "/email", "validation_failed"),
    (5, "/passwordHash", "validation_failed"),
    (6, "/password", "validation_failed"),
    (7, "/colour", "unknown_field"),
];

pub(super) async fn login(server: &Server, flow: &str, email: &str) -> platform_tests::client::Answer {
    let body = json!({"email": email, "password": PASSWORD});
    server.anonymous().post(&format!("/auth/{flow}/login"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_with_their_passwords() {
    let place = Place::new();
    fs::write(place.path().join("people.ndjson"), lines()).unwrap();
    let (dry, mistakes, _) = import(&place, &["users", "people.ndjson", "--dry-run"]);
    assert_eq!((&dry["created"], told(&mistakes)), (&json!(7), REFUSED[..1].to_vec()), "{dry}");
    let (report, mistakes, code) = import(&place, &["users", "people.ndjson"]);
    assert_eq!((code, &report["created"], &report["refused"]), (Some(1), &json!(3), &json!(5)), "{report}");
    assert_eq!(told(&mistakes), REFUSED);

    let server = place.serve();
    let tokens = login(&server, "customer", "ada@example.com").await.expect(200);
    let ada = server.with_token(tokens["accessToken"].as_str());
    let user = ada.get("/users/me").await.expect(200);
    assert_eq!((&user["groups"], &user["emailVerified"]), (&json!(["wholesale"]), &json!(true)));
    assert_eq!(ada.get("/users/me/addresses").await.expect(200)[0]["city"], "Kiel");
    // The second time it is a hash of ours that is compared.
    login(&server, "customer", "ada@example.com").await.expect(200);
    login(&server, "customer", "bob@example.com").await.expect_problem(401, "invalid_credentials");
    let tokens = login(&server, "admin", "root@example.com").await.expect(200);
    let root = server.with_token(tokens["accessToken"].as_str());
    assert_eq!(root.get("/users").await.header("x-total-count"), Some("3"));

    // Beside the server, and once more: who is there is changed, and keeps the password.
    let changed = json!({"email": "ada@example.com", "name": "Ada L.", "password": "another one altogether"});
    fs::write(place.path().join("people.ndjson"), changed.to_string()).unwrap();
    let (report, mistakes, code) = import(&place, &["users", "people.ndjson"]);
    assert_eq!((code, &report["updated"], mistakes), (Some(0), &json!(1), Vec::<Value>::new()), "{report}");
    login(&server, "customer", "ada@example.com").await.expect(200);
    assert_eq!(ada.get("/users/me").await.expect(200)["name"], "Ada L.");
    let (report, _, _) = import(&place, &["users", "people.ndjson", "--existing", "skip"]);
    assert_eq!(report["skipped"], 1);
    // Nobody else brings a hash.
    let hashed = json!({"email": "x@example.com", "name": "X", "passwordHash": BCRYPT});
    let refused = root.post("/users", &hashed).await;
    drop(refused.expect_problem(422, "unknown_field"));
    server.stop();
    let ended = place.run(&["db", "backup", "backup.ndjson"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let backup = fs::read_to_string(place.path().join("backup.ndjson")).unwrap();
    let ada = backup.lines().find(|line| line.contains("ada@example.com")).unwrap();
    assert!(ada.contains("$argon2id$") && !ada.contains("$2b$"), "{ada}");
    let root = backup.lines().find(|line| line.contains("_accounts") || line.contains("root@example.com"));
    assert!(root.is_some());
}
