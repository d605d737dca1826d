//! Hashing passwords keeps nobody from the catalogue.

use futures_util::future::join_all;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    shop::product,
};
use serde_json::json;

use super::people::{PASSWORD, login};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    a_flood_of_logins_leaves_the_catalogue_served,
);

/// A shop with a short queue before the hashing of passwords.
fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().configure(|config| {
        config.rate_limits.auth_per_minute = 0;
        config.auth.hash_queue = 4;
    })
}

async fn a_flood_of_logins_leaves_the_catalogue_served(mut host: TestHost) {
    let admin = host.admin().await;
    let made = admin.post("/products", &product("Cup", "CUP-1")).await.expect(201);
    let path = format!("/products/{}", made["id"].as_str().unwrap());
    let reader = host.anonymous();
    let emails: Vec<String> = (0..48).map(|number| format!("person{number}@example.com")).collect();
    let registers_and_logs_in = async |email: &str| {
        let person = json!({"email": email, "password": PASSWORD, "name": "Eve"});
        let registered = host.anonymous().post("/users", &person).await.status.as_u16();
        (registered, login(&host, "customer", email, PASSWORD).await.status.as_u16())
    };
    let flood = emails.iter().map(|email| registers_and_logs_in(email));
    let reads = async {
        for _ in 0..100 {
            reader.get(&path).await.expect(200);
            admin.get("/products").await.expect(200);
        }
    };
    let (flooded, ()) = futures_util::join!(join_all(flood), reads);
    assert!(flooded.iter().all(|(made, _)| [201, 429].contains(made)), "{flooded:?}");
    assert!(flooded.iter().all(|(_, login)| [200, 401, 429].contains(login)), "{flooded:?}");
    // Some were told to come back, so it was a flood.
    assert!(flooded.iter().any(|(made, _)| *made == 429), "{flooded:?}");
}
