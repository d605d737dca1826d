//! The first stock of seeded products: one adjustment per SKU, where there is no level yet.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{ProductSeed, SystemApi, SystemApiError, load::refusal};

/// Whether somebody keeps stock. Without the inventory plugin a catalogue is loaded without it.
pub(super) async fn is_kept(api: &impl SystemApi) -> Result<bool, SystemApiError> {
    Ok(api.request("GET", "/inventory?limit=1", None).await?.0 == 200)
}

/// Stocks what has no level, and answers how many SKUs that were. `new` tells that the product was just made, so that
/// nothing need be looked up. What is refused goes to `refused`, in words.
pub(super) async fn fill(
    api: &impl SystemApi,
    product: &ProductSeed,
    new: bool,
    refused: &mut Vec<String>,
) -> Result<usize, SystemApiError> {
    let mut stocked = 0;
    for (sku, on_hand) in &product.stock {
        let path = format!("/inventory/{}", utf8_percent_encode(sku, NON_ALPHANUMERIC));
        if !new && api.request("GET", &path, None).await?.0 != 404 {
            continue;
        }
        let body = json!({"sku": sku, "delta": on_hand, "reason": "received", "reference": "seed"});
        match api.request("POST", "/inventory/adjustments", Some(body)).await? {
            (200, _) => stocked += 1,
            (status, problem) => refused.push(refusal("stock of", sku, status, &problem)),
        }
    }
    Ok(stocked)
}
