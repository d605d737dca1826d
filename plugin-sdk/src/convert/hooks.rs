//! `wares:hooks`, from the side of the component that asks.

use pricing_model as model;

use crate::{
    FieldError, Money, Problem,
    bindings::endpoint::wares::{
        hooks::hooks as wit, payment::provider as wit_payment, pricing::rule as wit_pricing,
        shipping::rates as wit_shipping, types::types as wit_types,
    },
    hooks::Hooks,
    payment::{Kind, Notice, Operation, Outcome, PaymentError, PaymentMethod, State, Webhook, WebhookError},
    pricing::{Asked, PricedCart},
    shipping::{Parcel, Rate, ShippingOption, ShippingOptions},
};

/// Attributes of the host's, of which component an answer is.
const PLUGIN_ID: &str = "plugin-id";
const PLUGIN_VERSION: &str = "plugin-version";
const DIGEST: &str = "digest";
const CONFIG_DIGEST: &str = "config-digest";
/// And for the host, of which component the chosen shipping option is.
const SHIPPING_DIGEST: &str = "shipping-digest";
const SHIPPING_CONFIG_DIGEST: &str = "shipping-config-digest";

fn attr(attrs: &[(String, String)], wanted: &str) -> Option<String> {
    attrs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
}

/// The real host's hooks, across the component boundary.
pub(crate) struct ComponentHooks;

impl Hooks for ComponentHooks {
    fn price(&self, cart: &model::Cart, shipping: Option<&model::Source>) -> Result<PricedCart, Problem> {
        let attrs = shipping.map(|source| {
            let digest = (SHIPPING_DIGEST.to_owned(), source.digest.clone());
            vec![digest, (SHIPPING_CONFIG_DIGEST.to_owned(), source.config_digest.clone())]
        });
        let cart = wit_pricing::Cart { attrs: attrs.unwrap_or_default(), ..to_cart(cart) };
        wit::price_cart(&cart).map(priced).map_err(problem)
    }

    fn ship(&self, parcel: &Parcel) -> Result<ShippingOptions, Problem> {
        let parcel = wit_shipping::Parcel {
            currency: parcel.currency.clone(),
            country: parcel.country.clone(),
            region: parcel.region.clone(),
            postal_code: parcel.postal_code.clone(),
            weight_grams: parcel.weight_grams,
            quantity: parcel.quantity,
            value: parcel.value,
            groups: parcel.groups.clone(),
            config: Vec::new(),
            attrs: Vec::new(),
        };
        let answer = wit::ship(&parcel).map_err(problem)?;
        let option = |option: wit::ShippingOption| ShippingOption {
            source: model::Source {
                plugin_id: option.plugin_id,
                plugin_version: option.plugin_version,
                digest: option.digest,
                config_digest: attr(&option.rate.attrs, CONFIG_DIGEST).unwrap_or_default(),
            },
            rate: Rate {
                code: option.rate.code,
                name: option.rate.name,
                price: Money::new(option.rate.price.amount, option.rate.price.currency),
            },
        };
        Ok(ShippingOptions {
            options: answer.options.into_iter().map(option).collect(),
            problems: answer.problems,
        })
    }

    fn payment_methods(&self) -> Result<Vec<PaymentMethod>, Problem> {
        let method = |it: wit::PaymentMethod| PaymentMethod { provider: it.provider, title: it.title };
        Ok(wit::payment_methods().into_iter().map(method).collect())
    }

    fn pay(&self, provider: &str, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        wit::pay(provider, kind.verb(), &to_operation(operation)).map_err(payment_error).and_then(outcome)
    }

    fn payment_status(
        &self,
        provider: &str,
        kind: Kind,
        operation: &Operation,
    ) -> Result<Outcome, PaymentError> {
        wit::payment_status(provider, kind.as_str(), &to_operation(operation))
            .map_err(payment_error)
            .and_then(outcome)
    }

    fn parse_webhook(&self, provider: &str, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        let webhook = wit_payment::Webhook {
            headers: webhook.headers.clone(),
            body: webhook.body.clone(),
            config: Vec::new(),
        };
        match wit::parse_webhook(provider, &webhook) {
            Ok(notices) => notices.into_iter().map(notice).collect(),
            Err(wit_payment::WebhookError::Unauthenticated(why)) => Err(WebhookError::Unauthenticated(why)),
            Err(wit_payment::WebhookError::Malformed(why)) => Err(WebhookError::Malformed(why)),
        }
    }
}

fn to_cart(cart: &model::Cart) -> wit_pricing::Cart {
    let line = |line: &model::Line| wit_pricing::Line {
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
    wit_pricing::Cart {
        currency: cart.currency.clone(),
        at_ms: cart.at_ms,
        customer: cart.customer.clone(),
        groups: cart.groups.clone(),
        coupons: cart
            .coupons
            .iter()
            .map(|coupon| wit_pricing::Coupon { code: coupon.code.clone(), rule_id: coupon.rule_id.clone() })
            .collect(),
        country: cart.country.clone(),
        region: cart.region.clone(),
        postal_code: cart.postal_code.clone(),
        lines: cart.lines.iter().map(line).collect(),
        shipping: cart.shipping.as_ref().map(|chosen| wit_pricing::Shipping {
            code: chosen.code.clone(),
            amount: chosen.amount,
            plugin_id: chosen.plugin_id.clone(),
        }),
        so_far: Vec::new(),
        config: Vec::new(),
        attrs: Vec::new(),
    }
}

fn priced(priced: wit::Priced) -> PricedCart {
    let applied = |applied: wit::Applied| model::Applied {
        kind: applied.kind,
        code: applied.code,
        reason: applied.reason,
        amount: applied.amount,
        coupon: applied.coupon,
        source: model::Source {
            plugin_id: applied.plugin_id,
            plugin_version: applied.plugin_version,
            digest: applied.digest,
            config_digest: applied.config_digest,
        }
        .into(),
    };
    let line = |line: wit::PricedLine| model::PricedLine {
        id: line.id,
        adjustments: line.adjustments.into_iter().map(applied).collect(),
        total: line.total,
    };
    let asked = |asked: wit::Asked| Asked {
        source: model::Source {
            plugin_id: asked.plugin_id,
            plugin_version: asked.plugin_version,
            digest: asked.digest,
            config_digest: asked.config_digest,
        },
        outcome: asked.outcome,
    };
    let totals = priced.totals;
    PricedCart {
        priced: model::Priced {
            lines: priced.lines.into_iter().map(line).collect(),
            adjustments: priced.adjustments.into_iter().map(applied).collect(),
            totals: model::Totals {
                items: totals.items,
                discount: totals.discount,
                surcharge: totals.surcharge,
                shipping: totals.shipping,
                tax: totals.tax,
                tax_included: totals.tax_included,
                grand: totals.grand,
            },
        },
        plugins: priced.plugins.into_iter().map(asked).collect(),
        problems: priced.problems,
        replay: serde_json::from_slice(&priced.replay).unwrap_or_default(),
    }
}

fn to_operation(operation: &Operation) -> wit_payment::Operation {
    wit_payment::Operation {
        order_id: operation.order_id.clone(),
        payment_id: operation.payment_id.clone(),
        reference: operation.reference.clone(),
        amount: wit_types::Money {
            amount: operation.amount.amount,
            currency: operation.amount.currency.clone(),
        },
        token: operation.token.clone(),
        idempotency_key: operation.idempotency_key.clone(),
        config: Vec::new(),
        attrs: Vec::new(),
    }
}

/// An answer that cannot be read says nothing about the money.
fn outcome(outcome: wit_payment::Outcome) -> Result<Outcome, PaymentError> {
    let Some(state) = State::parse(&outcome.state) else {
        return Err(PaymentError::Unknown(format!("the provider answered the state `{}`", outcome.state)));
    };
    let attrs = &outcome.attrs;
    let source = attr(attrs, DIGEST).map(|digest| model::Source {
        plugin_id: attr(attrs, PLUGIN_ID).unwrap_or_default(),
        plugin_version: attr(attrs, PLUGIN_VERSION).unwrap_or_default(),
        digest,
        config_digest: attr(attrs, CONFIG_DIGEST).unwrap_or_default(),
    });
    Ok(Outcome {
        state,
        captured: attr(attrs, "captured").is_some_and(|value| value == "true"),
        code: attr(attrs, "code"),
        source,
        next_action: outcome.next_action.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        reference: outcome.reference,
    })
}

fn notice(notice: wit_payment::Notice) -> Result<Notice, WebhookError> {
    let malformed = |what: String| WebhookError::Malformed(what);
    let kind = Kind::parse(&notice.kind).ok_or_else(|| malformed(format!("`{}` is no kind", notice.kind)))?;
    let outcome =
        outcome(notice.outcome).map_err(|_| malformed("the outcome has no known state".to_owned()))?;
    Ok(Notice {
        id: notice.id,
        kind,
        payment_id: notice.payment_id,
        outcome,
        amount: notice.amount.map(|money| Money::new(money.amount, money.currency)),
    })
}

fn payment_error(error: wit_payment::Error) -> PaymentError {
    match error {
        wit_payment::Error::Declined(why) => PaymentError::Declined(why),
        wit_payment::Error::Unknown(why) => PaymentError::Unknown(why),
        wit_payment::Error::Invalid(it) => PaymentError::Invalid(problem(it)),
    }
}

pub(super) fn problem(problem: wit_types::Problem) -> Problem {
    Problem {
        status: problem.status,
        code: problem.code,
        detail: problem.detail,
        errors: problem
            .errors
            .into_iter()
            .map(|error| FieldError { pointer: error.pointer, code: error.code, message: error.message })
            .collect(),
        extras: Box::new(
            problem.extras.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
        ),
    }
}
