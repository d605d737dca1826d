//! The hooks of a mock host: native rules and rates, priced by the same sums as on the real host, and a provider that
//! the test plays.

use std::cell::RefCell;

use pricing_model::{Adjustment, Cart, InputError, Settings, SharedSource, Source, Sums};
use serde_json::json;

use super::MockHost;
use crate::{
    Context, Problem,
    hooks::Hooks,
    payment::{Kind, Notice, Operation, Outcome, PaymentError, PaymentMethod, State, Webhook, WebhookError},
    pricing::{Asked, PricedCart, PricingRule},
    shipping::{Parcel, Rate, ShippingOption, ShippingOptions, ShippingRates},
};

/// A call that reached the payment provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPayment {
    pub provider: String,
    /// Whether it was asked what became of the operation.
    pub status: bool,
    pub kind: Kind,
    pub operation: Operation,
}

type Provider = Box<dyn FnMut(&RecordedPayment) -> Result<Outcome, PaymentError>>;
type Webhooks = Box<dyn Fn(&Webhook) -> Result<Vec<Notice>, WebhookError>>;
type AdjustFn = fn(&Cart, &[u8]) -> Result<Vec<Adjustment>, Problem>;
type OptionsFn = fn(&Context<'_>, &Parcel) -> Result<Vec<Rate>, Problem>;

#[derive(Default)]
pub(super) struct MockHooks {
    rules: RefCell<Vec<(Source, AdjustFn, Vec<u8>)>>,
    rates: RefCell<Vec<(Source, OptionsFn, Vec<u8>)>>,
    methods: RefCell<Vec<PaymentMethod>>,
    provider: RefCell<Option<Provider>>,
    webhooks: RefCell<Option<Webhooks>>,
    calls: RefCell<Vec<RecordedPayment>>,
}

impl MockHost {
    /// Adds a pricing rule behind those that are there.
    pub fn add_rule<R: PricingRule>(&self, config: &serde_json::Value) {
        let rule = (source(R::ID, R::VERSION), R::adjust as AdjustFn, config.to_string().into_bytes());
        self.hooks.rules.borrow_mut().push(rule);
    }

    /// Takes all pricing rules away.
    pub fn clear_rules(&self) {
        self.hooks.rules.borrow_mut().clear();
    }

    /// Adds a plugin that offers shipping methods.
    pub fn add_rates<R: ShippingRates>(&self, config: &serde_json::Value) {
        let rates = (source(R::ID, R::VERSION), R::options as OptionsFn, config.to_string().into_bytes());
        self.hooks.rates.borrow_mut().push(rates);
    }

    /// Adds a payment provider; all of them answer by what was given to [`provide`](Self::provide), and with success
    /// before.
    pub fn add_provider(&self, id: &str) {
        let method = PaymentMethod { provider: id.to_owned(), title: id.to_owned() };
        self.hooks.methods.borrow_mut().push(method);
    }

    /// How providers answer from now on.
    pub fn provide(&self, provider: impl FnMut(&RecordedPayment) -> Result<Outcome, PaymentError> + 'static) {
        *self.hooks.provider.borrow_mut() = Some(Box::new(provider));
    }

    /// How webhooks are read from now on.
    pub fn read_webhooks(&self, read: impl Fn(&Webhook) -> Result<Vec<Notice>, WebhookError> + 'static) {
        *self.hooks.webhooks.borrow_mut() = Some(Box::new(read));
    }

    /// What reached providers so far.
    pub fn payment_calls(&self) -> Vec<RecordedPayment> {
        self.hooks.calls.borrow().clone()
    }

    fn call_provider(&self, call: RecordedPayment) -> Result<Outcome, PaymentError> {
        self.hooks.calls.borrow_mut().push(call.clone());
        if !self.hooks.methods.borrow().iter().any(|method| method.provider == call.provider) {
            let problem = Problem::new(503, "plugin_unavailable").detail("There is no such provider.");
            return Err(PaymentError::Invalid(problem));
        }
        let outcome = match self.hooks.provider.borrow_mut().as_mut() {
            Some(provider) => provider(&call)?,
            None => Outcome::new(State::Succeeded, format!("ref_{}", call.operation.payment_id)),
        };
        Ok(Outcome { source: Some(source(&call.provider, "1.0.0")), ..outcome })
    }
}

fn source(id: &str, version: &str) -> Source {
    Source {
        plugin_id: id.to_owned(),
        plugin_version: version.to_owned(),
        digest: "0".repeat(64),
        config_digest: "1".repeat(64),
    }
}

impl Hooks for MockHost {
    fn price(&self, cart: &Cart, shipping: Option<&Source>) -> Result<PricedCart, Problem> {
        let chosen = cart.shipping.as_ref().map(|chosen| source(&chosen.plugin_id, ""));
        let shipping = shipping.cloned().or(chosen).unwrap_or_default();
        let mut sums =
            Sums::new(cart, Settings::default(), &shipping.into()).map_err(|error| match error {
                InputError::TooLarge => Problem::new(422, "amount_out_of_range").detail(error.to_string()),
                error => Problem::new(502, "plugin_failed").detail(error.to_string()),
            })?;
        let mut shown = cart.clone();
        shown.lines.sort_by(|a, b| a.id.cmp(&b.id));
        let mut plugins = Vec::new();
        for (source, adjust, config) in self.hooks.rules.borrow().iter() {
            shown.so_far = sums.so_far();
            let adjustments = adjust(&shown, config)?;
            let shared: SharedSource = source.clone().into();
            sums.apply(&adjustments, &shared).map_err(|error| {
                Problem::new(502, "plugin_output_invalid").detail(format!("`{}`: {error}", source.plugin_id))
            })?;
            plugins.push(Asked { source: source.clone(), outcome: "applied".to_owned() });
        }
        Ok(PricedCart { priced: sums.finish(), plugins, problems: Vec::new(), replay: json!({"cart": cart}) })
    }

    fn ship(&self, parcel: &Parcel) -> Result<ShippingOptions, Problem> {
        let mut answer = ShippingOptions::default();
        for (source, options, config) in self.hooks.rates.borrow().iter() {
            let rates = options(&Context::new(self, config), parcel)?;
            let options = rates.into_iter().map(|rate| ShippingOption { rate, source: source.clone() });
            answer.options.extend(options);
        }
        Ok(answer)
    }

    fn payment_methods(&self) -> Result<Vec<PaymentMethod>, Problem> {
        Ok(self.hooks.methods.borrow().clone())
    }

    fn pay(&self, provider: &str, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        let (provider, operation) = (provider.to_owned(), operation.clone());
        self.call_provider(RecordedPayment { provider, status: false, kind, operation })
    }

    fn payment_status(
        &self,
        provider: &str,
        kind: Kind,
        operation: &Operation,
    ) -> Result<Outcome, PaymentError> {
        let (provider, operation) = (provider.to_owned(), operation.clone());
        self.call_provider(RecordedPayment { provider, status: true, kind, operation })
    }

    fn parse_webhook(&self, _provider: &str, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        match self.hooks.webhooks.borrow().as_ref() {
            Some(read) => read(webhook),
            None => Err(WebhookError::Malformed("nobody reads webhooks".to_owned())),
        }
    }
}
