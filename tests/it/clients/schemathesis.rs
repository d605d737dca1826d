//! schemathesis against a live server: it makes requests out of the API's document, good ones and bad ones, and
//! compares the answers with what the document says.
//!
//! What it expects besides the document is in `tests/clients/schemathesis`. All its checks are on; the seed is fixed,
//! so that a failure is there again in the next run. A failure comes with a `curl` command that shows it.

use std::{fs, process::Command};

use platform_tests::{
    packages::{self, python, run},
    process::{Place, Server},
    sizes::SCHEMATHESIS_EXAMPLES,
};
use serde_json::json;

const NAME: &str = "schemathesis";
const SEED: &str = "1";

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_is_answered_is_what_the_document_says() {
    conforms("staff").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_public_is_answered_is_what_the_document_says() {
    conforms("public").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_is_answered_is_what_the_document_says() {
    conforms("customer").await;
}

/// A customer's token.
async fn register(server: &Server) -> String {
    let person =
        json!({"email": "ada@example.org", "password": "correct horse battery staple", "name": "Ada"});
    server.anonymous().post("/users", &person).await.expect(201);
    let credentials = json!({"email": person["email"], "password": person["password"]});
    let login = server.anonymous().post("/auth/customer/login", &credentials).await.expect(200);
    login["accessToken"].as_str().unwrap().to_owned()
}

async fn conforms(caller: &str) {
    let Some(programs) = python(NAME) else { return };
    // A folder of its own, because schemathesis leaves files where it works.
    let folder = packages::workplace(NAME).join(caller);
    fs::create_dir_all(&folder).unwrap();
    for file in ["schemathesis.toml", "exceptions.py"] {
        fs::copy(packages::source(NAME).join(file), folder.join(file)).unwrap();
    }
    let place = Place::new();
    // The extended run takes longer than a token usually lasts.
    // Quotas have tests of their own.
    place.configure("auth.jwt_expiry = \"1d\"\nrate_limits.auth_per_minute = 0\n");
    let server = place.serve_with(&["--seed"]);
    place.create_admin();

    let examples = SCHEMATHESIS_EXAMPLES.get().to_string();
    let mut command = Command::new(programs.join("schemathesis"));
    command
        .args(["--config-file", "schemathesis.toml", "--no-color", "run"])
        .arg(format!("{}/openapi.json", server.origin()))
        .args(["--seed", SEED, "--max-examples", &examples])
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder);
    let token = match caller {
        "staff" => Some(server.login().await),
        "customer" => Some(register(&server).await),
        _ => None,
    };
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let said = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
    let said = said.unwrap_or_else(|failure| panic!("{failure}"));
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅  {phase}")), "the phase {phase} did not run: {said}");
    }
    server.signal("-TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for bad in ["ERROR", "panicked"] {
        assert!(!log.contains(bad), "{log}");
    }
}
