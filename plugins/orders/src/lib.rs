//! Carts, quotes, orders and what becomes of them: payments, fulfilments, returns, history, figures.
//!
//! An order is one document: its payments, fulfilments and returns are in it, so whatever is done to it is one commit
//! under its version, and what follows from them ([`ledger::derive`]) is brought up to date in the same commit. Its stock
//! is in one reservation beside it ([`stock`]).
//!
//! Nothing outside is called between a read and the commit that relies on it. Moving money takes three steps: a commit
//! writes the transaction down as pending, the provider is called, a commit records what it said. What a crash leaves
//! between them carries a due time, and the scheduled operation that looks after due orders asks the provider.
//!
//! Documents of guests belong to who knows something: a cart to the holder of its token, an order also to who knows its
//! number and its e-mail address. The host restricts customers and guests to their own.

mod carts;
mod catalogue;
mod checkout;
mod coupons;
mod dashboard;
mod document;
mod fulfillments;
mod history;
mod imports;
pub mod ledger;
pub mod model;

mod offer;
mod orders;
mod payments;
mod quotes;
mod reconcile;
mod release;
mod returns;
mod routes;
mod settlement;
mod shipping;
pub mod stock;
mod transactions;
mod transitions;
mod webhooks;

#[cfg(test)]
mod payment_tests;
#[cfg(test)]
mod shop;

use plugin_sdk::{
    Access, Capability, Collection, FieldError, FieldKind, Permission, Plugin, Router, Value, config::read,
    export_plugin, identity::ACCOUNTS, json, money::currency_exponent,
};
use serde::Deserialize;

pub(crate) const CARTS: &str = "carts";
pub(crate) const QUOTES: &str = "quotes";
pub(crate) const COUPONS: &str = "coupons";
pub(crate) const COUPON_USES: &str = "coupon_uses";
pub(crate) const ORDERS: &str = "orders";
pub(crate) const RESERVATIONS: &str = "reservations";
pub(crate) const HISTORY: &str = "order_history";
/// What providers told of payments that were not found.
pub(crate) const NOTICES: &str = "payment_notices";
/// Of the plugin `inventory`.
pub(crate) const INVENTORY: &str = "inventory";
pub(crate) const MOVEMENTS: &str = "inventory_movements";
/// Of the plugin `products`.
pub(crate) const PRODUCTS: &str = "products";

/// The plugin.
pub struct Orders;

/// What the operator configures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The currency of carts that do not ask for one.
    pub default_currency: String,
    /// How long a cart is kept after its last change, in days.
    pub cart_days: i64,
    /// How long a quoted price holds, in minutes.
    pub quote_minutes: i64,
    /// How long stock is held for a customer who has something to do before an order is paid, in minutes.
    pub reservation_minutes: i64,
    /// How long to wait before an operation whose outcome never came is asked about, in seconds.
    pub outcome_seconds: i64,
    /// The shop's time zone, for figures by day: minutes ahead of UTC.
    pub time_zone_minutes: i32,
    /// Up to how many pieces stock is low, in the figures.
    pub low_stock: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_currency: "USD".to_owned(),
            cart_days: 30,
            quote_minutes: 10,
            reservation_minutes: 10,
            outcome_seconds: 60,
            time_zone_minutes: 0,
            low_stock: 5,
        }
    }
}

impl Plugin for Orders {
    const ID: &'static str = "orders";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "Orders";

    fn routes(router: &mut Router) {
        routes::all(router);
    }

    fn collections() -> Vec<Collection> {
        vec![
            Collection::new(CARTS, "cart")
                .owner("_owner")
                .field("_activeOf", FieldKind::Text, Access::Unique)
                .field("expiresAt", FieldKind::Timestamp, Access::Scan)
                .field("status", FieldKind::Text, Access::Scan)
                .index(&["status", "expiresAt"]),
            Collection::new(QUOTES, "quo").owner("_owner").field(
                "expiresAt",
                FieldKind::Timestamp,
                Access::Index,
            ),
            Collection::new(COUPONS, "cpn")
                .field("code", FieldKind::Text, Access::Unique)
                .field("ruleId", FieldKind::Text, Access::Index)
                .field("used", FieldKind::Integer, Access::Scan)
                .field("limit", FieldKind::Integer, Access::Scan)
                .field("startsAt", FieldKind::Timestamp, Access::Scan)
                .field("endsAt", FieldKind::Timestamp, Access::Index),
            Collection::new(COUPON_USES, "cpu").field("couponId", FieldKind::Text, Access::Index).field(
                "used",
                FieldKind::Integer,
                Access::Scan,
            ),
            Collection::new(ORDERS, "ord")
                .owner("_owners")
                .multi_field("_owners", FieldKind::Text, Access::Index)
                .field("number", FieldKind::Text, Access::Unique)
                .field("placedAt", FieldKind::Timestamp, Access::Index)
                .field("status", FieldKind::Text, Access::Index)
                .field("paymentStatus", FieldKind::Text, Access::Index)
                .field("fulfillmentStatus", FieldKind::Text, Access::Index)
                .field("currency", FieldKind::Text, Access::Scan)
                .field("customerId", FieldKind::Text, Access::Index)
                .field("email", FieldKind::Text, Access::Index)
                .field("totals.grand.amount", FieldKind::Integer, Access::Index)
                .field("_hidden", FieldKind::Boolean, Access::Scan)
                .field("_dueAt", FieldKind::Timestamp, Access::Index)
                .multi_field("payments.id", FieldKind::Text, Access::Unique)
                .multi_field("_references", FieldKind::Text, Access::Index)
                .multi_field("fulfillments.id", FieldKind::Text, Access::Unique)
                .multi_field("returns.id", FieldKind::Text, Access::Unique)
                .multi_field("items.sku", FieldKind::Text, Access::Index)
                .multi_field("items.quantity", FieldKind::Integer, Access::Scan)
                .multi_field("items.total.amount", FieldKind::Integer, Access::Scan)
                .text("number", 10)
                .text("email", 5)
                .index(&["status", "placedAt"])
                .index(&["customerId", "placedAt"]),
            Collection::new(RESERVATIONS, "rsv")
                .field("orderId", FieldKind::Text, Access::Index)
                .field("state", FieldKind::Text, Access::Scan)
                .field("expiresAt", FieldKind::Timestamp, Access::Scan)
                .multi_field("items.sku", FieldKind::Text, Access::Index)
                .index(&["state", "expiresAt"]),
            Collection::new(NOTICES, "ntc").field("dueAt", FieldKind::Timestamp, Access::Index),
            Collection::new(HISTORY, "hst")
                .owner("_owners")
                .multi_field("_owners", FieldKind::Text, Access::Scan)
                .field("orderId", FieldKind::Text, Access::Index)
                .field("type", FieldKind::Text, Access::Scan)
                .index(&["orderId", "createdAt"]),
        ]
    }

    fn permissions() -> Vec<Permission> {
        vec![
            Permission { name: "orders:read", description: "See orders and their history." },
            Permission {
                name: "orders:write",
                description: "Make and change orders, move them on, and handle returns.",
            },
            Permission {
                name: "payments:write",
                description: "Capture, void, refund and look after payments.",
            },
            Permission { name: "fulfillments:write", description: "Pack, send and deliver parcels." },
            Permission { name: "coupons:read", description: "See coupons." },
            Permission { name: "coupons:write", description: "Make and change coupons." },
            Permission { name: "dashboard:read", description: "See the shop's figures." },
        ]
    }

    fn capabilities() -> Vec<Capability> {
        vec![
            Capability::store_read(PRODUCTS),
            Capability::store_write(INVENTORY),
            Capability::store_write(MOVEMENTS),
            Capability::store_read(ACCOUNTS).optional(),
            Capability::hook("pricing"),
            Capability::hook("shipping"),
            Capability::hook("payment"),
        ]
    }

    fn config_schema() -> Option<Value> {
        let default = Config::default();
        let whole = |about: &str, minimum: i64, maximum: i64, default: i64| {
            json!({
                "description": about, "type": "integer", "minimum": minimum, "maximum": maximum, "default": default,
            })
        };
        Some(json!({
            "type": "object",
            "properties": {
                "defaultCurrency": {
                    "description": "ISO 4217 code: the currency of carts that do not ask for one.",
                    "type": "string",
                    "pattern": "^[A-Z]{3}$",
                    "default": default.default_currency,
                },
                "cartDays": whole("Days for which a cart is kept after its last change.", 1, 3_650, default.cart_days),
                "quoteMinutes": whole("Minutes for which a quoted price holds.", 1, 1_440, default.quote_minutes),
                "reservationMinutes": whole(
                    "Minutes for which stock is held while a customer has something to do before an order is paid.",
                    1, 10_080, default.reservation_minutes,
                ),
                "outcomeSeconds": whole(
                    "Seconds after which a payment whose outcome never came is asked about.",
                    5, 86_400, default.outcome_seconds,
                ),
                "timeZoneMinutes": whole(
                    "Minutes that the shop's time zone is ahead of UTC, for figures by day.",
                    -840, 840, i64::from(default.time_zone_minutes),
                ),
                "lowStock": whole("Up to how many pieces stock is low, in the figures.", 0, 1_000_000_000, default.low_stock),
            },
            "additionalProperties": false,
        }))
    }

    fn validate_config(config: &[u8]) -> Result<(), Vec<FieldError>> {
        let config: Config = read(config).map_err(|problem| problem.errors)?;
        let code = &config.default_currency;
        // One without a minor unit, such as gold's, is no money that anything costs.
        if currency_exponent(code).is_some() {
            return Ok(());
        }
        let message = format!("`{code}` is no currency of ISO 4217 that prices are in.");
        Err(vec![FieldError::invalid("/defaultCurrency", message)])
    }
}

export_plugin!(Orders);
