//! What it costs to know who calls: the token's signature, and session, account and roles from the store.

use std::time::Instant;

use host::identity::{AccountKind, Audience, NewAccount, Origin};
use platform_tests::host::{ADMIN_PASSWORD, TestHostBuilder};
use secrecy::SecretString;

use crate::table::{Table, median};

const ROUNDS: usize = 5;
const CALLS: u32 = 5_000;

pub(crate) async fn run(table: &mut Table) {
    let host = TestHostBuilder::empty().start().await;
    let identity = host.app.identity();
    let new = NewAccount {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        kind: AccountKind::Admin,
        roles: vec!["catalog-manager".to_owned()],
    };
    let password = || SecretString::from(ADMIN_PASSWORD);
    identity.account_create(new, password()).await.unwrap();
    let origin = Origin::command("bench");
    let login = identity.login(Audience::Admin, "ada@example.com", password(), &origin).await;
    let token = login.ok().unwrap().access_token;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..CALLS {
            identity.authenticate(&token).await.unwrap();
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    let micros = median(rounds);
    table.row(
        "Authenticating a request",
        format!("{micros:.1} µs"),
        "30 µs, the goal".to_owned(),
        micros / 30.0,
        "≤ 1.00",
    );
    drop(host.stop().await);
}
