//! An uncached product read through its plugin, against a native axum handler on the same store.

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use host::store::Store;
use platform_tests::host::TestHost;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    load::requests_per_second,
    table::{Table, median},
};

const ROUNDS: usize = 3;
const PRODUCTS: usize = 40;

pub(crate) async fn run(table: &mut Table) {
    let host = TestHost::shop().await;
    let mut id = String::new();
    for number in 0..PRODUCTS {
        let (status, product) = host.app.system_request("POST", "/products", Some(product(number))).await;
        assert_eq!(status, 201, "{product}");
        id = product["id"].as_str().unwrap().to_owned();
    }
    let native = Router::new().route("/products/{id}", get(native_read)).with_state(host.app.store().clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let native_url = format!("http://{}/products/{id}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, native).await.unwrap() });
    let (mut plugin, mut baseline, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plugin.push(requests_per_second(&format!("{}/api/v1/products/{id}", host.origin())).await);
        baseline.push(requests_per_second(&native_url).await);
        list.push(requests_per_second(&format!("{}/api/v1/products?limit=20", host.origin())).await);
    }
    serving.abort();
    let (plugin, baseline, list) = (median(plugin), median(baseline), median(list));
    table.row(
        "Product read, uncached",
        format!("{plugin:.0}/s through its plugin"),
        format!("{baseline:.0}/s, native axum, same store"),
        plugin / baseline,
        "≥ 0.50",
    );
    table.row(
        "List of 20 products, uncached",
        format!("{list:.0}/s through its plugin"),
        format!("{baseline:.0}/s, native read of one"),
        list / baseline,
        "",
    );
    drop(host.stop().await);
}

async fn native_read(State(store): State<Store>, Path(id): Path<String>) -> Response {
    match store.document_get_many("products", &[id], None).await {
        Ok(documents) => match documents.into_iter().next().flatten() {
            Some(document) => ([(header::CONTENT_TYPE, "application/json")], document.json).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn product(number: usize) -> serde_json::Value {
    let variants = ["S", "M", "L"].map(|size| {
        json!({
            "sku": format!("LS-{number}-{size}"),
            "optionValues": {"Size": size},
            "prices": [{"amount": 6900, "currency": "USD"}, {"amount": 6500, "currency": "EUR"}],
            "weightGrams": 240
        })
    });
    json!({
        "name": format!("Linen shirt {number}"),
        "description": "A shirt of washed linen with a straight hem. Cut wide, so that it can be worn open.",
        "status": "active",
        "tags": ["linen", "summer"],
        "options": [{"name": "Size", "values": ["S", "M", "L"]}],
        "variants": variants,
        "attributes": {"material": "linen"}
    })
}
