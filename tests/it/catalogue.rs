//! Products, categories and stock, through every route they have, on both stores.
//!
//! What each rule of the API's contract is held by:
//!
//! | Rule | Tests |
//! |---|---|
//! | JSON: strict, unknown members, `readOnly` members, RFC 3339 times | `bad_input`, `products::what_was_read_can_be_sent_back`, `conventions` |
//! | Ids: prefixed, sortable; natural keys unique | `conventions`, `products::slugs_and_skus_are_unique_…`, `products::of_many_who_want_a_sku_…` |
//! | Money: integers of the minor unit | `conventions`, `bad_input::what_does_not_fit_…` |
//! | Lists, paging, sorting, filtering, `fields` | `lists`; other dialects also in `clients::published` |
//! | `expand` | `expand` |
//! | Create, replace, change | `products`, `variants`, `categories`: `…_lives_through_every_route` |
//! | Bulk | `bulk` |
//! | Delete: archived, refused, reparented | `products`, `categories`, `availability` |
//! | Concurrency: `ETag`, `If-Match`, `If-None-Match`, `HEAD` | `conditional` |
//! | Idempotency | `idempotency`, `inventory::stock_is_adjusted_once_per_key`, `variants::a_repeated_creation_…` |
//! | Errors: problem documents everywhere, pointers | `bad_input`; every refusal in any test (`expect_problem`) |
//! | Tracing, negotiation, compression, addresses | `front::negotiation`; CORS in `front::browsers` |
//! | Caching headers | `conditional` |
//! | Access, and that nothing tells of what one may not see | `access`, `products::the_public_sees_active_products_only` |
//! | The price that applies; price filters | `products::the_price_is_…`, `prices` |
//! | Availability; SKUs with movements | `availability` |
//! | Categories: trees, cycles, slugs, moves | `categories` |
//! | Inventory: levels, movements, their sums | `inventory` |
//! | Values are never queries | `injection` |
//! | Too much of anything | `too_much`, `bad_input::large_and_foreign_bodies_…`, `front::slow`, `front::smuggling` |
//! | The documents | `documents`, `clients::generators`, `clients::schemathesis` |
//!
//! Quotas (`RateLimit`) are in `identity`. Not there yet, and so without a test: `Deprecation` and `Sunset`, `X-Cache`.

mod access;
mod availability;
mod bad_input;
mod bulk;
mod categories;
mod conditional;
mod conventions;
mod expand;
mod facets;
mod idempotency;
mod injection;
mod inventory;
mod lists;
mod media;
mod prices;
mod products;
mod too_much;
mod variants;
