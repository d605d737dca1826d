//! Pricing a cart with the chain of rules.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use pricing_model::{Adjustment, Cart, InputError, Money, Priced, Settings, Source, Sums, Value};
use serde::{Deserialize, Serialize};

use super::{is_its_own, tell};
use crate::plugin::{
    bindings::exports::wares::pricing::rule as guest,
    call::{Invocation, LoadedPlugin, PluginRuntime},
    descriptor::Hook,
    grants::OnFailure,
    instance::{Asked, Bound, Reach},
    outcome::{CallError, Failure},
};

/// Most adjustments of one rule.
const ADJUSTMENTS: usize = 20_000;

/// A cart on its way through the rules.
pub(in crate::plugin) struct Pricing<'p> {
    pub(in crate::plugin) runtime: &'p PluginRuntime,
    pub(in crate::plugin) rules: &'p [Arc<LoadedPlugin>],
    /// Whose the chosen shipping option is.
    pub(in crate::plugin) shipping: Source,
    pub(in crate::plugin) settings: Settings,
    pub(in crate::plugin) request_id: &'p Arc<str>,
    pub(in crate::plugin) deadline: Instant,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::plugin) struct PricedCart {
    pub(in crate::plugin) priced: Priced,
    pub(in crate::plugin) rules: Vec<RuleUse>,
    /// A sentence each.
    pub(in crate::plugin) problems: Vec<String>,
    pub(in crate::plugin) record: PriceRecord,
}

/// A rule that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) struct RuleUse {
    #[serde(flatten)]
    pub(in crate::plugin) source: Source,
    /// `applied`, `skipped` or `last_good`.
    pub(in crate::plugin) outcome: String,
}

/// Everything that a price follows from, to be kept with it, and a hash of what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) struct PriceRecord {
    pub(in crate::plugin) cart: Cart,
    pub(in crate::plugin) settings: Settings,
    pub(in crate::plugin) shipping: Source,
    pub(in crate::plugin) rules: Vec<RuleUse>,
    /// BLAKE3 of the priced cart as JSON.
    pub(in crate::plugin) result: String,
}

/// Why a cart has no price.
#[derive(Debug)]
pub(in crate::plugin) enum PriceFailure {
    Cart(InputError),
    Rule { plugin: String, error: CallError },
}

impl Pricing<'_> {
    /// Asks rule after rule. What a rule answers is taken whole or not at all.
    ///
    /// # Errors
    /// A cart that makes no sense, or a rule that fails and must not.
    pub(in crate::plugin) async fn run(self, cart: Cart) -> Result<PricedCart, PriceFailure> {
        let shipping = self.shipping.clone().into();
        let mut sums = Sums::new(&cart, self.settings, &shipping).map_err(PriceFailure::Cart)?;
        let mut shown = cart.clone();
        shown.lines.sort_by(|a, b| a.id.cmp(&b.id));
        let input = blake3::hash(&serde_json::to_vec(&shown).unwrap_or_default());
        let mut rules = Vec::with_capacity(self.rules.len());
        let mut problems = Vec::new();
        for rule in self.rules {
            let policy = rule.hook(Hook::Pricing).on_failure;
            let error = match self.ask(rule, &shown, &input, &mut sums).await {
                Ok(()) => {
                    rules.push(RuleUse { source: rule.source(), outcome: "applied".to_owned() });
                    continue;
                }
                Err(error) => error,
            };
            let failure = |error| PriceFailure::Rule { plugin: rule.id().to_owned(), error };
            if !is_its_own(&error, self.deadline) {
                return Err(failure(error));
            }
            let told = tell(Hook::Pricing, rule.id(), &error, policy);
            match (policy, &rule.last_good) {
                (OnFailure::Skip, _) => {
                    problems.push(told);
                    rules.push(RuleUse { source: rule.source(), outcome: "skipped".to_owned() });
                }
                (OnFailure::LastGood, Some(former)) => {
                    self.ask(former, &shown, &input, &mut sums).await.map_err(failure)?;
                    problems.push(told);
                    rules.push(RuleUse { source: former.source(), outcome: "last_good".to_owned() });
                }
                _ => return Err(failure(error)),
            }
        }
        let priced = sums.finish();
        let result = result_hash(&priced);
        let record = PriceRecord {
            cart,
            settings: self.settings,
            shipping: self.shipping,
            rules: rules.clone(),
            result,
        };
        Ok(PricedCart { priced, rules, problems, record })
    }

    async fn ask(
        &self,
        rule: &LoadedPlugin,
        cart: &Cart,
        input: &blake3::Hash,
        sums: &mut Sums,
    ) -> Result<(), CallError> {
        let Some(indices) = &rule.prepared.roles.rule else {
            return Err(CallError::new(Failure::Output, "it is no pricing rule"));
        };
        let _permit = self.runtime.rule_gate.enter(1).await?;
        let lines = cart.lines.len() as u64;
        let fuel = rule.limits.fuel.saturating_add(rule.limits.fuel_per_line.saturating_mul(lines));
        let seed = blake3::keyed_hash(input.as_bytes(), rule.prepared.digest.as_bytes());
        let invocation = Invocation {
            engine: &self.runtime.rule_engine,
            plugin: rule,
            operation: "hook:pricing",
            request_id: self.request_id,
            reach: Reach::Nothing,
            bound: Bound::Fuel(fuel, Some(Asked { at_ms: cart.at_ms, seed: *seed.as_bytes() })),
            deadline: self.deadline,
            lent: true,
        };
        let asked = to_guest(cart, sums, rule);
        let source = rule.source().into();
        let call = async |store: &mut wasmtime::Store<_>, instance: &wasmtime::component::Instance| {
            let guest = indices.load(&mut *store, instance)?;
            guest.call_adjust(store, &asked).await
        };
        let check = async |answer: Result<Vec<guest::Adjustment>, guest::Problem>, _: &_| match answer {
            Ok(adjustments) if adjustments.len() > ADJUSTMENTS => {
                Err(CallError::new(Failure::Output, format!("{} adjustments", adjustments.len())))
            }
            Ok(adjustments) => {
                let adjustments: Vec<Adjustment> = adjustments.into_iter().map(from_guest).collect();
                sums.apply(&adjustments, &source)
                    .map_err(|error| CallError::new(Failure::Output, error.to_string()))
            }
            Err(problem) => {
                let detail = problem.detail.unwrap_or_default();
                Err(CallError::new(Failure::Refused, format!("{}: {detail}", problem.code)))
            }
        };
        self.runtime.invoke(invocation, call, check, |()| "ok").await
    }
}

/// Names a priced cart by all that it has.
pub(in crate::plugin) fn result_hash(priced: &Priced) -> String {
    let by_id: BTreeMap<&str, &pricing_model::PricedLine> =
        priced.lines.iter().map(|line| (line.id.as_str(), line)).collect();
    let whole = (by_id, &priced.adjustments, priced.totals);
    blake3::hash(&serde_json::to_vec(&whole).unwrap_or_default()).to_hex().to_string()
}

fn to_guest(cart: &Cart, sums: &Sums, rule: &LoadedPlugin) -> guest::Cart {
    let line = |line: &pricing_model::Line| guest::Line {
        id: line.id.clone(),
        product_id: line.product_id.clone(),
        variant_id: line.variant_id.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_class: line.tax_class.clone(),
        weight_grams: line.weight_grams,
        category_ids: line.category_ids.clone(),
        attrs: Vec::new(),
    };
    let coupon =
        |it: &pricing_model::Coupon| guest::Coupon { code: it.code.clone(), rule_id: it.rule_id.clone() };
    guest::Cart {
        currency: cart.currency.clone(),
        at_ms: cart.at_ms,
        customer: cart.customer.clone(),
        groups: cart.groups.clone(),
        coupons: cart.coupons.iter().map(coupon).collect(),
        country: cart.country.clone(),
        region: cart.region.clone(),
        postal_code: cart.postal_code.clone(),
        lines: cart.lines.iter().map(line).collect(),
        shipping: cart.shipping.as_ref().map(|chosen| guest::Shipping {
            code: chosen.code.clone(),
            amount: chosen.amount,
            plugin_id: chosen.plugin_id.clone(),
        }),
        so_far: sums
            .so_far()
            .into_iter()
            .map(|sum| guest::Subtotal { line: sum.line, kind: sum.kind, amount: sum.amount })
            .collect(),
        config: rule.config.clone(),
        attrs: Vec::new(),
    }
}

fn from_guest(adjustment: guest::Adjustment) -> Adjustment {
    Adjustment {
        lines: adjustment.lines,
        kind: adjustment.kind,
        code: adjustment.code,
        reason: adjustment.reason,
        value: match adjustment.value {
            guest::Value::Amount(money) => {
                Value::Amount(Money { amount: money.amount, currency: money.currency })
            }
            guest::Value::Rate(rate) => Value::Rate(rate),
        },
        coupon: adjustment.coupon,
    }
}
