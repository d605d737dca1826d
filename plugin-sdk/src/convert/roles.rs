//! The roles without routes: from the generated types to the plugin's and back.

mod pricing {
    use pricing_model as model;

    use crate::{
        bindings::pricing_rule::exports::wares::pricing::rule as wit, convert, export::RuleComponent,
        pricing::PricingRule,
    };

    impl<R: PricingRule> wit::Guest for RuleComponent<R> {
        fn adjust(cart: wit::Cart) -> Result<Vec<wit::Adjustment>, wit::Problem> {
            let config = cart.config;
            let cart = model::Cart {
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
                so_far: cart
                    .so_far
                    .into_iter()
                    .map(|sum| model::Subtotal { line: sum.line, kind: sum.kind, amount: sum.amount })
                    .collect(),
            };
            match R::adjust(&cart, &config) {
                Ok(adjustments) => Ok(adjustments.into_iter().map(adjustment).collect()),
                Err(problem) => Err(convert::problem(problem)),
            }
        }
    }

    fn line(line: wit::Line) -> model::Line {
        model::Line {
            id: line.id,
            product_id: line.product_id,
            variant_id: line.variant_id,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price,
            tax_class: line.tax_class,
            weight_grams: line.weight_grams,
            category_ids: line.category_ids,
        }
    }

    fn adjustment(adjustment: model::Adjustment) -> wit::Adjustment {
        wit::Adjustment {
            lines: adjustment.lines,
            kind: adjustment.kind,
            code: adjustment.code,
            reason: adjustment.reason,
            value: match adjustment.value {
                model::Value::Amount(money) => {
                    wit::Value::Amount(wit::Money { amount: money.amount, currency: money.currency })
                }
                model::Value::Rate(rate) => wit::Value::Rate(rate),
            },
            coupon: adjustment.coupon,
            attrs: Vec::new(),
        }
    }
}

mod shipping {
    use crate::{
        Context,
        bindings::shipping_rates::exports::wares::shipping::rates as wit,
        convert::{self, ComponentHost},
        export::RatesComponent,
        shipping::{Parcel, ShippingRates},
    };

    impl<R: ShippingRates> wit::Guest for RatesComponent<R> {
        fn options(parcel: wit::Parcel) -> Result<Vec<wit::Rate>, wit::Problem> {
            let config = parcel.config;
            let parcel = Parcel {
                currency: parcel.currency,
                country: parcel.country,
                region: parcel.region,
                postal_code: parcel.postal_code,
                weight_grams: parcel.weight_grams,
                quantity: parcel.quantity,
                value: parcel.value,
                groups: parcel.groups,
            };
            match R::options(&Context::new(&ComponentHost, &config), &parcel) {
                Ok(rates) => Ok(rates
                    .into_iter()
                    .map(|rate| wit::Rate {
                        code: rate.code,
                        name: rate.name,
                        price: wit::Money { amount: rate.price.amount, currency: rate.price.currency },
                        attrs: Vec::new(),
                    })
                    .collect()),
                Err(problem) => Err(convert::problem(problem)),
            }
        }
    }
}

mod payment {
    use crate::{
        Context, Money, Problem,
        bindings::payment_provider::exports::wares::payment::provider as wit,
        convert::{self, ComponentHost},
        export::ProviderComponent,
        payment::{Kind, Operation, Outcome, PaymentError, PaymentProvider, Webhook, WebhookError},
    };

    type Answer = Result<wit::Outcome, wit::Error>;

    impl<P: PaymentProvider> wit::Guest for ProviderComponent<P> {
        fn authorize(operation: wit::Operation) -> Answer {
            run(operation, P::authorize)
        }

        fn capture(operation: wit::Operation) -> Answer {
            run(operation, P::capture)
        }

        fn refund(operation: wit::Operation) -> Answer {
            run(operation, P::refund)
        }

        fn void(operation: wit::Operation) -> Answer {
            run(operation, P::void)
        }

        fn status(kind: String, operation: wit::Operation) -> Answer {
            run(operation, |ctx, operation| match Kind::parse(&kind) {
                Some(kind) => P::status(ctx, kind, operation),
                None => {
                    let problem = Problem::new(502, "plugin_failed").detail(format!("`{kind}` is no kind."));
                    Err(PaymentError::Invalid(problem))
                }
            })
        }

        fn parse_webhook(webhook: wit::Webhook) -> Result<Vec<wit::Notice>, wit::WebhookError> {
            let config = webhook.config;
            let webhook = Webhook { headers: webhook.headers, body: webhook.body };
            match P::parse_webhook(&Context::new(&ComponentHost, &config), &webhook) {
                Ok(notices) => Ok(notices
                    .into_iter()
                    .map(|notice| wit::Notice {
                        id: notice.id,
                        kind: notice.kind.as_str().to_owned(),
                        payment_id: notice.payment_id,
                        outcome: outcome(notice.outcome),
                        amount: notice
                            .amount
                            .map(|money| wit::Money { amount: money.amount, currency: money.currency }),
                    })
                    .collect()),
                Err(WebhookError::Unauthenticated(why)) => Err(wit::WebhookError::Unauthenticated(why)),
                Err(WebhookError::Malformed(why)) => Err(wit::WebhookError::Malformed(why)),
                // The contract has no case for it: a call that ends badly is told to the sender as 503.
                Err(WebhookError::Unavailable(why)) => panic!("the webhook cannot be looked at now: {why}"),
            }
        }
    }

    fn run(
        operation: wit::Operation,
        verb: impl FnOnce(&Context<'_>, &Operation) -> Result<Outcome, PaymentError>,
    ) -> Answer {
        let config = operation.config;
        let operation = Operation {
            order_id: operation.order_id,
            payment_id: operation.payment_id,
            reference: operation.reference,
            amount: Money::new(operation.amount.amount, operation.amount.currency),
            token: operation.token,
            idempotency_key: operation.idempotency_key,
        };
        match verb(&Context::new(&ComponentHost, &config), &operation) {
            Ok(answer) => Ok(outcome(answer)),
            Err(PaymentError::Declined(why)) => Err(wit::Error::Declined(why)),
            Err(PaymentError::Unknown(why)) => Err(wit::Error::Unknown(why)),
            Err(PaymentError::Invalid(problem)) => Err(wit::Error::Invalid(convert::problem(problem))),
        }
    }

    fn outcome(outcome: Outcome) -> wit::Outcome {
        let captured = outcome.captured.then(|| ("captured".to_owned(), "true".to_owned()));
        let code = outcome.code.map(|code| ("code".to_owned(), code));
        wit::Outcome {
            state: outcome.state.as_str().to_owned(),
            reference: outcome.reference,
            next_action: outcome.next_action.map(|action| action.to_string().into_bytes()),
            attrs: captured.into_iter().chain(code).collect(),
        }
    }
}
