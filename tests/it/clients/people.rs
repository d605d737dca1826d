//! People who register, log in and see only themselves, by a script that knows the API from its document alone.

use std::{fs, process::Command};

use platform_tests::{
    host::TestHostBuilder,
    packages::{run, source},
    sizes::PEOPLE,
};
use serde_json::{Value, json};

/// Records of the kind that public samples have.
fn people(count: u32) -> Value {
    let names = ["O'Neil", "Müller", "李", "de la Cruz"];
    let person = |number: u32| {
        let last = names[number as usize % names.len()];
        json!({
            "firstName": format!("First{number}"),
            "lastName": last,
            "email": format!("Person.{number}+shop@Example.com"),
            "phone": format!("+81 965-431-{number:04}"),
            "username": format!("person{number}"),
            "password": format!("pass{number}"),
            "birthDate": "1996-5-30",
        })
    };
    json!({"users": (0..count).map(person).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn people_register_and_see_only_themselves() {
    let host =
        TestHostBuilder::shop().configure(|config| config.rate_limits.auth_per_minute = 0).start().await;
    let file = host.data_dir().join("people.json");
    fs::write(&file, people(PEOPLE.get()).to_string()).unwrap();
    let api = format!("{}/api/v1", host.origin());
    let running = tokio::task::spawn_blocking(move || {
        run(Command::new("node").arg(source("people").join("register.mjs")).arg(file).arg(api))
    });
    let said = running.await.unwrap().unwrap_or_else(|failure| panic!("{failure}"));
    assert!(said.contains(&format!("{} people registered", PEOPLE.get())), "{said}");
}
