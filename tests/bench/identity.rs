//! What it costs to know who calls (the token's signature, and session, account and roles from the store), what logins
//! cost, and what a flood of them does to who only looks at products.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use host::identity::{AccountKind, Audience, NewAccount, Origin};
use platform_tests::{
    client::Client,
    host::{ADMIN_PASSWORD, TestHost, TestHostBuilder},
};
use secrecy::SecretString;
use serde_json::json;

use crate::table::{Table, median};

const ROUNDS: usize = 5;
const CALLS: u32 = 5_000;
/// Who log in at the same time, and for how long.
const PEOPLE: usize = 4;
const LOGIN_TIME: Duration = Duration::from_secs(4);
/// Refused logins of a kind, and reads during a flood.
const REFUSED: usize = 200;
const READS: usize = 500;
/// Who flood.
const FLOOD: usize = 32;

pub(crate) async fn run(table: &mut Table) {
    let host =
        TestHostBuilder::shop().configure(|config| config.rate_limits.auth_per_minute = 0).start().await;
    for number in 0..PEOPLE {
        create(&host, AccountKind::Customer, &format!("person{number}@example.com"), &[]).await;
    }
    authentication(table, &host).await;
    logins(table, &host).await;
    refusals(table, &host).await;
    flood(table, &host).await;
    drop(host.stop().await);
}

async fn create(host: &TestHost, kind: AccountKind, email: &str, roles: &[&str]) {
    let roles = roles.iter().map(|&role| role.to_owned()).collect();
    let new = NewAccount { email: email.to_owned(), name: "Ada".to_owned(), kind, roles };
    host.app.identity().account_create(new, SecretString::from(ADMIN_PASSWORD)).await.unwrap();
}

async fn authentication(table: &mut Table, host: &TestHost) {
    create(host, AccountKind::Admin, "ada@example.com", &["catalog-manager"]).await;
    let identity = host.app.identity();
    let password = SecretString::from(ADMIN_PASSWORD);
    let login = identity.login(Audience::Admin, "ada@example.com", password, &Origin::command("bench")).await;
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
}

async fn login(client: &Client, email: &str, password: &str) -> u16 {
    let body = json!({"email": email, "password": password});
    client.post("/auth/customer/login", &body).await.status.as_u16()
}

/// Logins over HTTP, beside what hashing alone allows.
async fn logins(table: &mut Table, host: &TestHost) {
    let begun = Instant::now();
    let done = join_all((0..PEOPLE).map(|number| async move {
        let (client, email) = (host.anonymous(), format!("person{number}@example.com"));
        let mut done = 0;
        while begun.elapsed() < LOGIN_TIME {
            assert_eq!(login(&client, &email, ADMIN_PASSWORD).await, 200);
            done += 1;
        }
        done
    }));
    let per_second = f64::from(done.await.iter().sum::<u32>()) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let hashed = join_all((0..PEOPLE).map(|_| async move {
        let mut done = 0;
        while begun.elapsed() < LOGIN_TIME {
            host.app.identity().password_hash(SecretString::from(ADMIN_PASSWORD)).await.unwrap();
            done += 1;
        }
        done
    }));
    let hashes = f64::from(hashed.await.iter().sum::<u32>()) / begun.elapsed().as_secs_f64();
    table.row(
        "Logins, over HTTP and durable",
        format!("{per_second:.0}/s"),
        format!("{hashes:.0} hashes/s and nothing else"),
        per_second / hashes,
        "",
    );
}

/// Whether a refused login tells by its time whether the person exists.
async fn refusals(table: &mut Table, host: &TestHost) {
    let client = host.anonymous();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..REFUSED {
        // Each once, because failures slow down what comes after them.
        let email = format!("known{number}@example.com");
        create(host, AccountKind::Customer, &email, &[]).await;
        for (email, times) in [(email, &mut known), (format!("unknown{number}@example.com"), &mut unknown)] {
            let started = Instant::now();
            let status = login(&client, &email, "a wrong password").await;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            assert!([401, 429].contains(&status), "{status}");
            // Failures behind one address slow each other down, too.
            host.clock.advance(Duration::from_secs(3_600));
        }
    }
    let (known, unknown) = (median(known), median(unknown));
    table.row(
        "Refused login of a known person",
        format!("{known:.2} ms"),
        format!("{unknown:.2} ms of an unknown one"),
        known / unknown,
        "≈ 1.00",
    );
}

/// The latest one of a hundred product reads, alone and while many log in.
async fn flood(table: &mut Table, host: &TestHost) {
    let product = json!({"name": "Cup", "status": "active", "variants": [{"sku": "CUP"}]});
    let (_, product) = host.app.system_request("POST", "/products", Some(product)).await;
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let late = async || {
        let (client, mut times) = (host.anonymous(), Vec::with_capacity(READS));
        for _ in 0..READS {
            let started = Instant::now();
            client.get(&path).await.expect(200);
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        times[READS * 99 / 100]
    };
    let calm = late().await;
    let flooding = async {
        join_all((0..FLOOD).map(|number| async move {
            let (client, email) = (host.anonymous(), format!("person{}@example.com", number % PEOPLE));
            loop {
                login(&client, &email, ADMIN_PASSWORD).await;
            }
        }))
        .await;
    };
    let flooded = tokio::select! {
        flooded = late() => flooded,
        () = flooding => unreachable!("a flood does not end"),
    };
    table.row(
        "Product read during a flood of logins, p99",
        format!("{flooded:.1} ms"),
        format!("{calm:.1} ms without it"),
        flooded / calm,
        "",
    );
}
