//! `wares:hooks`.

use pricing_model::{self as model, Source};

use crate::{
    codes,
    plugin::{
        bindings::{
            exports::wares::{payment::provider as to_provider, shipping::rates as to_rates},
            wares::{
                hooks::hooks::{self, Host},
                payment::provider,
                pricing::rule,
                shipping::rates,
                types::types::Problem,
            },
        },
        call::LoadedPlugin,
        descriptor::Hook,
        hooks::{HookReach, PaymentFailure, PriceFailure, PricedCart, Pricing, Provider, offers},
        instance::CallState,
        outcome::{CallError, Failure, Stop},
    },
};

type Answered<T, E = Problem> = wasmtime::Result<Result<T, E>>;

/// Most lines of a cart.
const LINES: usize = 2_000;
/// Attributes by which who asks is told which component answered.
const PLUGIN_ID: &str = "plugin-id";
const PLUGIN_VERSION: &str = "plugin-version";
const DIGEST: &str = "digest";
const CONFIG_DIGEST: &str = "config-digest";
/// And by which it tells which one offered the chosen shipping option.
const SHIPPING_DIGEST: &str = "shipping-digest";
const SHIPPING_CONFIG_DIGEST: &str = "shipping-config-digest";
const VERBS: [&str; 4] = ["authorize", "capture", "refund", "void"];
const KINDS: [&str; 4] = ["authorization", "capture", "refund", "void"];

impl Host for CallState {
    async fn price_cart(&mut self, cart: rule::Cart) -> Answered<hooks::Priced> {
        self.budget.spend(cart.lines.len() * 100)?;
        let reach = match self.reach(Hook::Pricing)? {
            Ok(reach) => reach,
            Err(problem) => return Ok(Err(problem)),
        };
        if cart.lines.len() > LINES {
            return Ok(Err(refusal("plugin_failed", format!("a cart has at most {LINES} lines"))));
        }
        let shipping = cart.shipping.as_ref().and_then(|chosen| {
            let plugin = reach.generation.plugins.get(&chosen.plugin_id)?;
            Some(answering(plugin, &cart.attrs))
        });
        let cart = from_guest(cart);
        let pricing = Pricing {
            runtime: &reach.runtime,
            rules: reach.generation.hooks.of(Hook::Pricing),
            shipping: shipping.unwrap_or_default(),
            settings: reach.runtime.pricing,
            request_id: &self.request_id,
            deadline: reach.deadline,
        };
        let priced = match pricing.run(cart).await {
            Ok(priced) => priced,
            Err(PriceFailure::Cart(model::InputError::TooLarge)) => {
                let detail = format!("An amount is above {}, the most there can be.", model::AMOUNT_MAX);
                return Ok(Err(refusal("amount_out_of_range", detail)));
            }
            Err(PriceFailure::Cart(error)) => return Ok(Err(refusal("plugin_failed", error.to_string()))),
            Err(PriceFailure::Rule { plugin, error }) => {
                return Ok(Err(failed(Hook::Pricing, &plugin, &error)));
            }
        };
        let answer = to_guest(priced);
        self.budget.spend_bytes(answer.replay.len())?;
        Ok(Ok(answer))
    }

    async fn ship(&mut self, parcel: rates::Parcel) -> Answered<hooks::ShippingOptions> {
        self.budget.spend(0)?;
        let reach = match self.reach(Hook::Shipping)? {
            Ok(reach) => reach,
            Err(problem) => return Ok(Err(problem)),
        };
        let parcel = to_rates::Parcel {
            currency: parcel.currency,
            country: parcel.country,
            region: parcel.region,
            postal_code: parcel.postal_code,
            weight_grams: parcel.weight_grams,
            quantity: parcel.quantity,
            value: parcel.value,
            groups: parcel.groups,
            config: Vec::new(),
            attrs: Vec::new(),
        };
        let offered = match offers(&reach, &parcel, &self.request_id).await {
            Ok(offered) => offered,
            Err(failure) => return Ok(Err(failed(Hook::Shipping, &failure.plugin, &failure.error))),
        };
        let options = offered.rates.into_iter().map(|(plugin, rate)| hooks::ShippingOption {
            rate: rates::Rate {
                code: rate.code,
                name: rate.name,
                price: rate.price,
                attrs: vec![(CONFIG_DIGEST.to_owned(), plugin.source().config_digest)],
            },
            plugin_id: plugin.id().to_owned(),
            plugin_version: plugin.version().to_owned(),
            digest: plugin.prepared.digest.clone(),
        });
        Ok(Ok(hooks::ShippingOptions { options: options.collect(), problems: offered.problems }))
    }

    async fn payment_methods(&mut self) -> wasmtime::Result<Vec<hooks::PaymentMethod>> {
        self.budget.spend(0)?;
        let Ok(reach) = self.reach(Hook::Payment)? else { return Ok(Vec::new()) };
        let providers = reach.generation.hooks.of(Hook::Payment).iter();
        Ok(providers
            .map(|plugin| hooks::PaymentMethod {
                provider: plugin.id().to_owned(),
                title: configured_title(plugin).unwrap_or_else(|| plugin.prepared.descriptor.title.clone()),
            })
            .collect())
    }

    async fn pay(
        &mut self,
        provider: String,
        verb: String,
        operation: provider::Operation,
    ) -> Answered<provider::Outcome, provider::Error> {
        self.budget.spend(0)?;
        if !VERBS.contains(&verb.as_str()) {
            let problem = refusal("plugin_failed", format!("`{verb}` is nothing that providers do"));
            return Ok(Err(provider::Error::Invalid(problem)));
        }
        let reach = match self.provider_reach()? {
            Ok(reach) => reach,
            Err(problem) => return Ok(Err(provider::Error::Invalid(problem))),
        };
        let Some(found) = Provider::find(&reach, &provider, &self.request_id) else {
            return Ok(Err(provider::Error::Invalid(absent(&provider))));
        };
        Ok(outcome(&found, found.pay(&verb, to_operation(operation)).await))
    }

    async fn payment_status(
        &mut self,
        provider: String,
        kind: String,
        operation: provider::Operation,
    ) -> Answered<provider::Outcome, provider::Error> {
        self.budget.spend(0)?;
        if !KINDS.contains(&kind.as_str()) {
            let problem = refusal("plugin_failed", format!("`{kind}` is no kind of operation"));
            return Ok(Err(provider::Error::Invalid(problem)));
        }
        let reach = match self.provider_reach()? {
            Ok(reach) => reach,
            Err(problem) => return Ok(Err(provider::Error::Invalid(problem))),
        };
        let Some(found) = Provider::find(&reach, &provider, &self.request_id) else {
            return Ok(Err(provider::Error::Invalid(absent(&provider))));
        };
        Ok(outcome(&found, found.status(&kind, to_operation(operation)).await))
    }

    async fn parse_webhook(
        &mut self,
        provider: String,
        webhook: provider::Webhook,
    ) -> Answered<Vec<provider::Notice>, provider::WebhookError> {
        self.budget.spend(webhook.body.len())?;
        let malformed = |why: String| Ok(Err(provider::WebhookError::Malformed(why)));
        let reach = match self.provider_reach()? {
            Ok(reach) => reach,
            Err(problem) => return malformed(problem.detail.unwrap_or_default()),
        };
        // The contract has no word for a provider that could not look at it. The call ends with 503, and whoever sent
        // the webhook sends it again.
        let unheard = |failure, why: String| Err(Stop::new(failure, why).into());
        let Some(found) = Provider::find(&reach, &provider, &self.request_id) else {
            return unheard(Failure::BreakerOpen, format!("there is no payment provider `{provider}`"));
        };
        let webhook =
            to_provider::Webhook { headers: webhook.headers, body: webhook.body, config: Vec::new() };
        match found.parse_webhook(webhook).await {
            Ok(Ok(notices)) => {
                let notices = notices.into_iter().map(|it| notice(&found, it)).collect();
                self.granted()?.by_provider = true;
                Ok(Ok(notices))
            }
            Ok(Err(to_provider::WebhookError::Unauthenticated(why))) => {
                Ok(Err(provider::WebhookError::Unauthenticated(why)))
            }
            Ok(Err(to_provider::WebhookError::Malformed(why))) => malformed(why),
            Err(error) => {
                let why =
                    format!("the payment plugin `{provider}` could not read the webhook ({})", error.failure);
                let is_load = error.failure == Failure::Overload;
                unheard(if is_load { Failure::Overload } else { Failure::BreakerOpen }, why)
            }
        }
    }
}

impl CallState {
    /// The way to the plugins of a hook, when it was granted.
    fn reach(&mut self, hook: Hook) -> wasmtime::Result<Result<HookReach, Problem>> {
        let granted = self.granted()?;
        match &granted.hooks {
            Some(reach) if granted.grants.may_call(hook) => Ok(Ok(reach.clone())),
            _ => {
                self.denied = true;
                let detail = format!("the plugin was not granted the hook `{}`", hook.as_str());
                Ok(Err(refusal("plugin_failed", detail)))
            }
        }
    }

    /// The same for payment providers, in operations that say so.
    fn provider_reach(&mut self) -> wasmtime::Result<Result<HookReach, Problem>> {
        Ok(self.reach(Hook::Payment)?.and_then(|reach| {
            if reach.calls_providers {
                return Ok(reach);
            }
            Err(refusal("plugin_failed", "the operation does not say that it calls providers".to_owned()))
        }))
    }
}

/// What the operator calls a way to pay: the `title` of its plugin's configuration.
fn configured_title(plugin: &LoadedPlugin) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Titled {
        title: String,
    }
    let titled: Titled = serde_json::from_slice(&plugin.config).ok()?;
    Some(titled.title).filter(|title| !title.trim().is_empty())
}

/// Which component of a plugin these attributes name: the active one, or the one before it, which answers in its place
/// where the policy says so.
fn answering(plugin: &LoadedPlugin, attrs: &[(String, String)]) -> Source {
    let attr = |wanted: &str| attrs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let is_meant = |source: &Source| {
        attr(SHIPPING_DIGEST) == Some(&source.digest)
            && attr(SHIPPING_CONFIG_DIGEST) == Some(&source.config_digest)
    };
    let former = plugin.last_good.as_ref().map(|former| former.source());
    former.filter(is_meant).unwrap_or_else(|| plugin.source())
}

fn refusal(code: &str, detail: String) -> Problem {
    let status = codes::code(code).map_or(500, |code| code.status);
    Problem { status, code: code.to_owned(), detail: Some(detail), errors: Vec::new(), extras: None }
}

/// What the client is told of a plugin that failed and must not.
fn failed(hook: Hook, plugin: &str, error: &CallError) -> Problem {
    let code = match error.failure {
        Failure::Timeout => "plugin_timeout",
        Failure::Overload => "overloaded",
        Failure::BreakerOpen => "plugin_unavailable",
        Failure::Output => "plugin_output_invalid",
        _ => "plugin_failed",
    };
    refusal(code, format!("The {} plugin `{plugin}` could not answer.", hook.as_str()))
}

fn absent(provider: &str) -> Problem {
    refusal("plugin_unavailable", format!("There is no payment provider `{provider}`."))
}

fn outcome(
    provider: &Provider<'_>,
    answer: Result<to_provider::Outcome, PaymentFailure>,
) -> Result<provider::Outcome, provider::Error> {
    match answer {
        Ok(outcome) => Ok(from_outcome(provider, outcome)),
        Err(PaymentFailure::Answered(to_provider::Error::Declined(why))) => {
            Err(provider::Error::Declined(why))
        }
        Err(PaymentFailure::Answered(to_provider::Error::Unknown(why))) => Err(provider::Error::Unknown(why)),
        Err(PaymentFailure::Answered(to_provider::Error::Invalid(problem))) => {
            Err(provider::Error::Invalid(problem))
        }
        Err(PaymentFailure::Unknown(why)) => Err(provider::Error::Unknown(why)),
        Err(PaymentFailure::NotSent(error)) => {
            Err(provider::Error::Invalid(failed(Hook::Payment, provider.id(), &error)))
        }
    }
}

fn from_outcome(provider: &Provider<'_>, outcome: to_provider::Outcome) -> provider::Outcome {
    let Source { plugin_id, plugin_version, digest, config_digest } = provider.source();
    let source = [
        (PLUGIN_ID, plugin_id),
        (PLUGIN_VERSION, plugin_version),
        (DIGEST, digest),
        (CONFIG_DIGEST, config_digest),
    ];
    let own = source.map(|(name, value)| (name.to_owned(), value)).into_iter();
    // The first of a name counts, so a provider cannot say that it is another one.
    provider::Outcome {
        state: outcome.state,
        reference: outcome.reference,
        next_action: outcome.next_action,
        attrs: own.chain(outcome.attrs).collect(),
    }
}

fn notice(provider: &Provider<'_>, notice: to_provider::Notice) -> provider::Notice {
    provider::Notice {
        id: notice.id,
        kind: notice.kind,
        payment_id: notice.payment_id,
        outcome: from_outcome(provider, notice.outcome),
        amount: notice.amount,
    }
}

fn to_operation(operation: provider::Operation) -> to_provider::Operation {
    to_provider::Operation {
        order_id: operation.order_id,
        payment_id: operation.payment_id,
        reference: operation.reference,
        amount: operation.amount,
        token: operation.token,
        idempotency_key: operation.idempotency_key,
        config: Vec::new(),
        attrs: Vec::new(),
    }
}

fn from_guest(cart: rule::Cart) -> model::Cart {
    let line = |line: rule::Line| model::Line {
        id: line.id,
        product_id: line.product_id,
        variant_id: line.variant_id,
        sku: line.sku,
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_class: line.tax_class,
        weight_grams: line.weight_grams,
        category_ids: line.category_ids,
    };
    model::Cart {
        currency: cart.currency,
        at_ms: cart.at_ms,
        customer: cart.customer,
        groups: cart.groups,
        coupons: cart
            .coupons
            .into_iter()
            .map(|coupon| model::Coupon { code: coupon.code, rule_id: coupon.rule_id })
            .collect(),
        country: cart.country,
        region: cart.region,
        postal_code: cart.postal_code,
        lines: cart.lines.into_iter().map(line).collect(),
        shipping: cart.shipping.map(|chosen| model::Shipping {
            code: chosen.code,
            amount: chosen.amount,
            plugin_id: chosen.plugin_id,
        }),
        so_far: Vec::new(),
    }
}

fn to_guest(priced: PricedCart) -> hooks::Priced {
    let applied = |applied: model::Applied| {
        let source = applied.source.0;
        hooks::Applied {
            kind: applied.kind,
            code: applied.code,
            reason: applied.reason,
            amount: applied.amount,
            coupon: applied.coupon,
            plugin_id: source.plugin_id.clone(),
            plugin_version: source.plugin_version.clone(),
            digest: source.digest.clone(),
            config_digest: source.config_digest.clone(),
        }
    };
    let totals = priced.priced.totals;
    hooks::Priced {
        lines: priced
            .priced
            .lines
            .into_iter()
            .map(|line| hooks::PricedLine {
                id: line.id,
                adjustments: line.adjustments.into_iter().map(applied).collect(),
                total: line.total,
            })
            .collect(),
        adjustments: priced.priced.adjustments.into_iter().map(applied).collect(),
        totals: hooks::Totals {
            items: totals.items,
            discount: totals.discount,
            surcharge: totals.surcharge,
            shipping: totals.shipping,
            tax: totals.tax,
            tax_included: totals.tax_included,
            grand: totals.grand,
        },
        plugins: priced
            .rules
            .into_iter()
            .map(|rule| hooks::Asked {
                plugin_id: rule.source.plugin_id,
                plugin_version: rule.source.plugin_version,
                digest: rule.source.digest,
                config_digest: rule.source.config_digest,
                outcome: rule.outcome,
            })
            .collect(),
        problems: priced.problems,
        replay: serde_json::to_vec(&priced.record).unwrap_or_default(),
    }
}
