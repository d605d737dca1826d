//! Pricing an order again from what was kept with it: the cart, the components and the configurations.
//!
//! What is loaded now takes no part, unless it is the same component. Rules are pure, so whoever has the record and the
//! components gets the same price, to the byte.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use pricing_model::{Applied, Priced, PricedLine, Totals};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    active_set::{self, ActiveSetError},
    admission::Gate,
    aot::AotCache,
    call::{LoadedPlugin, PluginRuntime},
    component::{ComponentError, Prepared, prepare},
    configs,
    generation::Generation,
    grants::Grants,
    hooks::{PriceFailure, PriceRecord, Pricing, RuleUse},
    instance::PluginName,
};
use crate::{
    breaker::Breakers,
    config::{LimitsConfig, PluginsConfig},
    store::{ReadError, Store},
};

const ORDERS: &str = "orders";
/// A replay is nobody's request; fuel bounds it.
const TIME: Duration = Duration::from_secs(60);
/// More than any limit under which the price was made: what is left decides nothing.
const FUEL: u64 = u64::MAX / 4;
const BYTES: usize = 256 * 1024 * 1024;

/// An order, priced again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    pub order: String,
    pub number: String,
    pub currency: String,
    /// What the order came to, in minor units.
    pub charged: i64,
    /// What it comes to now.
    pub found: i64,
    /// Whether everything is the same, every adjustment of every line.
    pub same: bool,
    /// The rules that took part.
    pub rules: Vec<ReplayedRule>,
}

/// A rule that took part, and which component and configuration of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedRule {
    pub id: String,
    pub version: String,
    pub digest: String,
    pub config_digest: String,
    pub outcome: String,
}

/// Why an order cannot be priced again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no order `{0}`")]
    NoOrder(String),
    #[error("the order has no record of its price; it was imported, or made by an older version")]
    NoRecord,
    #[error("the component {digest} of `{plugin}` is not in the store any more")]
    NoComponent { plugin: String, digest: String },
    #[error("the configuration {digest} of `{plugin}` is not in the store any more")]
    NoConfig { plugin: String, digest: String },
    #[error("the component of `{plugin}` does not load: {reason}")]
    Component { plugin: String, reason: ComponentError },
    #[error("`{plugin}` does not answer as it did: {reason}")]
    Rule { plugin: String, reason: String },
    #[error("the cart that was kept is refused: {0}")]
    Cart(String),
    #[error("the store cannot be read")]
    Read(#[from] ReadError),
    #[error("a component cannot be read")]
    Components(#[from] ActiveSetError),
}

/// Prices an order again, which is named by its id or its number.
///
/// # Errors
/// What is missing, or a rule that does not answer any more.
pub async fn replay(
    runtime: &PluginRuntime,
    aot: Option<&Arc<AotCache>>,
    config: &PluginsConfig,
    loaded: &Generation,
    order: &str,
) -> Result<Replayed, ReplayError> {
    let document =
        find(&runtime.store, order).await?.ok_or_else(|| ReplayError::NoOrder(order.to_owned()))?;
    let record: PriceRecord =
        serde_json::from_value(document["_replay"].clone()).map_err(|_| ReplayError::NoRecord)?;
    let mut rules = Vec::new();
    for rule in record.rules.iter().filter(|rule| rule.outcome != "skipped") {
        let prepared = loaded.plugins.values().map(|plugin| &plugin.prepared);
        let same = prepared.into_iter().find(|prepared| prepared.digest == rule.source.digest).cloned();
        let prepared = match same {
            Some(prepared) => prepared,
            None => from_store(runtime, aot, config, rule).await?,
        };
        rules.push(configured(runtime, config, prepared, rule).await?);
    }
    let pricing = Pricing {
        runtime,
        rules: &rules,
        shipping: record.shipping.clone(),
        settings: record.settings,
        request_id: &Arc::from("replay"),
        deadline: Instant::now() + TIME,
    };
    let priced = pricing.run(record.cart.clone()).await.map_err(|failure| match failure {
        PriceFailure::Cart(error) => ReplayError::Cart(error.to_string()),
        PriceFailure::Rule { plugin, error } => ReplayError::Rule { plugin, reason: error.to_string() },
    })?;
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    let charged = document["totals"]["grand"]["amount"].as_i64().unwrap_or_default();
    let found = priced.priced.totals.grand;
    Ok(Replayed {
        order: text("id"),
        number: text("number"),
        currency: text("currency"),
        charged,
        found,
        same: priced.record.result == record.result && is_charged(&document, &priced.priced),
        rules: record.rules.into_iter().map(shown).collect(),
    })
}

/// Whether an order says what this price says, line by line and adjustment by adjustment.
fn is_charged(order: &Value, priced: &Priced) -> bool {
    let amount = |money: &Value| money["amount"].as_i64();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_adjusted = |told: &Value, applied: &[Applied]| {
        let told = list(told);
        let same = |(told, it): (&Value, &Applied)| {
            let source = &it.source.0;
            let texts = [
                ("kind", it.kind.as_str()),
                ("code", &it.code),
                ("pluginId", &source.plugin_id),
                ("pluginVersion", &source.plugin_version),
                ("digest", &source.digest),
                ("configDigest", &source.config_digest),
            ];
            texts.into_iter().all(|(name, text)| told[name] == text)
                // Of shipping it is the option's name, which is no rule's.
                && (it.reason.is_empty() || told["reason"] == it.reason.as_str())
                && told["couponCode"].as_str() == it.coupon.as_deref()
                && amount(&told["amount"]) == Some(it.amount)
        };
        told.len() == applied.len() && told.iter().zip(applied).all(same)
    };
    let lines = list(&order["items"]);
    let is_line = |(told, line): (&Value, &PricedLine)| {
        told["id"] == line.id.as_str()
            && amount(&told["total"]) == Some(line.total)
            && is_adjusted(&told["adjustments"], &line.adjustments)
    };
    let gross = |line: &Value| amount(&line["unitPrice"])?.checked_mul(line["quantity"].as_i64()?);
    let items: Option<i64> = lines.iter().map(gross).sum();
    let Totals { items: sum, discount, surcharge, shipping, tax, tax_included, grand } = priced.totals;
    let totals = [
        ("items", sum),
        ("discount", discount),
        ("surcharge", surcharge),
        ("shipping", shipping),
        ("tax", tax),
        ("taxIncluded", tax_included),
        ("grand", grand),
    ];
    lines.len() == priced.lines.len()
        && lines.iter().zip(&priced.lines).all(is_line)
        && items == Some(sum)
        && is_adjusted(&order["adjustments"], &priced.adjustments)
        && totals.into_iter().all(|(name, sum)| amount(&order["totals"][name]) == Some(sum))
}

fn shown(rule: RuleUse) -> ReplayedRule {
    ReplayedRule {
        id: rule.source.plugin_id,
        version: rule.source.plugin_version,
        digest: rule.source.digest,
        config_digest: rule.source.config_digest,
        outcome: rule.outcome,
    }
}

async fn find(store: &Store, order: &str) -> Result<Option<Value>, ReplayError> {
    let parsed = |json: &str| serde_json::from_str::<Value>(json).ok();
    let by_id = store.document_get_many(ORDERS, &[order.to_owned()], None).await;
    if let Ok(mut found) = by_id
        && let Some(document) = found.pop().flatten()
    {
        return Ok(parsed(&document.json));
    }
    let query = store_model::Query {
        filter: store_model::Filter::eq("number", order),
        limit: 1,
        ..store_model::Query::default()
    };
    let page = store.document_find(ORDERS, &query).await?;
    Ok(page.documents.first().and_then(|document| parsed(&document.json)))
}

async fn from_store(
    runtime: &PluginRuntime,
    aot: Option<&Arc<AotCache>>,
    config: &PluginsConfig,
    rule: &RuleUse,
) -> Result<Arc<Prepared>, ReplayError> {
    let source = &rule.source;
    let plugin = || source.plugin_id.clone();
    let bytes = active_set::get_component(&runtime.store, &source.digest)
        .await?
        .ok_or_else(|| ReplayError::NoComponent { plugin: plugin(), digest: source.digest.clone() })?;
    let prepared = prepare(runtime, aot, config, bytes).await;
    prepared.map(Arc::new).map_err(|reason| ReplayError::Component { plugin: plugin(), reason })
}

async fn configured(
    runtime: &PluginRuntime,
    config: &PluginsConfig,
    prepared: Arc<Prepared>,
    rule: &RuleUse,
) -> Result<Arc<LoadedPlugin>, ReplayError> {
    let source = &rule.source;
    let plugin = || source.plugin_id.clone();
    let configuration = configs::kept(&runtime.store, &source.config_digest)
        .await?
        .ok_or_else(|| ReplayError::NoConfig { plugin: plugin(), digest: source.config_digest.clone() })?;
    let gate = || Gate::new(1, TIME, "a replay");
    Ok(Arc::new(LoadedPlugin {
        name: Arc::new(PluginName {
            id: source.plugin_id.clone(),
            version: prepared.descriptor.version.to_string(),
        }),
        prepared,
        grants: Arc::new(Grants::default()),
        limits: LimitsConfig {
            fuel: FUEL,
            memory_bytes: config.most_memory_bytes(),
            host_call_bytes: BYTES,
            response_bytes: BYTES,
            ..config.limits.clone()
        },
        config: configuration,
        config_digest: source.config_digest.clone(),
        config_version: 0,
        counters: Arc::default(),
        hooks: BTreeMap::new(),
        last_good: None,
        gate: gate(),
        provider_gate: gate(),
        breakers: Arc::new(Breakers::new(config.breaker.clone())),
    }))
}
