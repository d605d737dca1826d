//! Asking other plugins, by way of the host: what a cart comes to, how it can be sent, and moving money.
//!
//! A plugin asks for [`Capability::hook`](crate::Capability::hook) to use one.

use crate::{
    Context, Problem,
    host::Host,
    payment::{Kind, Notice, Operation, Outcome, PaymentError, PaymentMethod, Webhook, WebhookError},
    pricing::{Cart, PricedCart, Source},
    shipping::{Parcel, ShippingOptions},
};

/// What plugins answer for others. In components these are calls into the host; in native tests a
/// [`MockHost`](crate::mock::MockHost) answers with the plugins it was given.
pub trait Hooks {
    /// `shipping` is which component answered the chosen shipping option.
    fn price(&self, cart: &Cart, shipping: Option<&Source>) -> Result<PricedCart, Problem>;
    fn ship(&self, parcel: &Parcel) -> Result<ShippingOptions, Problem>;
    fn payment_methods(&self) -> Result<Vec<PaymentMethod>, Problem>;
    fn pay(&self, provider: &str, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError>;
    fn payment_status(
        &self,
        provider: &str,
        kind: Kind,
        operation: &Operation,
    ) -> Result<Outcome, PaymentError>;
    fn parse_webhook(&self, provider: &str, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError>;
}

impl Context<'_> {
    /// What a cart comes to with all pricing rules.
    ///
    /// # Errors
    /// What the client is told: a rule that failed and must not, or amounts that are too large.
    pub fn price(&self, cart: &Cart) -> Result<PricedCart, Problem> {
        hooks(self.host)?.price(cart, None)
    }

    /// The same for a cart with a chosen shipping option of this component. Where that is the former version of a plugin,
    /// the adjustment for shipping names it and not the one that failed.
    ///
    /// # Errors
    /// Those of [`price`](Self::price).
    pub fn price_with_shipping(&self, cart: &Cart, shipping: &Source) -> Result<PricedCart, Problem> {
        hooks(self.host)?.price(cart, Some(shipping))
    }

    /// The ways in which a parcel can be sent, by all shipping plugins.
    ///
    /// # Errors
    /// A plugin that failed and must not.
    pub fn ship(&self, parcel: &Parcel) -> Result<ShippingOptions, Problem> {
        hooks(self.host)?.ship(parcel)
    }

    /// The payment providers that are active.
    ///
    /// # Errors
    /// The host has none to ask.
    pub fn payment_methods(&self) -> Result<Vec<PaymentMethod>, Problem> {
        hooks(self.host)?.payment_methods()
    }

    /// Has a provider move money. Only in operations that say they
    /// [call providers](crate::router::Route::calls_providers), and never between reads and the commit that relies on
    /// them.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn pay(&self, provider: &str, kind: Kind, operation: &Operation) -> Result<Outcome, PaymentError> {
        hooks(self.host).map_err(PaymentError::Invalid)?.pay(provider, kind, operation)
    }

    /// Asks a provider what became of an operation, which is the same as it was.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn payment_status(
        &self,
        provider: &str,
        kind: Kind,
        operation: &Operation,
    ) -> Result<Outcome, PaymentError> {
        hooks(self.host).map_err(PaymentError::Invalid)?.payment_status(provider, kind, operation)
    }

    /// Has a provider read a webhook.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn parse_webhook(&self, provider: &str, webhook: &Webhook) -> Result<Vec<Notice>, WebhookError> {
        let hooks = hooks(self.host).map_err(|problem| WebhookError::Malformed(problem.code))?;
        hooks.parse_webhook(provider, webhook)
    }
}

/// Not a method of the real host, which is a trait object: only plugins that ask would have the imports then.
#[cfg(target_family = "wasm")]
fn hooks(_host: &dyn Host) -> Result<&'static dyn Hooks, Problem> {
    Ok(&crate::convert::ComponentHooks)
}

#[cfg(not(target_family = "wasm"))]
fn hooks(host: &dyn Host) -> Result<&dyn Hooks, Problem> {
    host.hooks().ok_or_else(|| Problem::new(502, "plugin_failed").detail("This host has no hooks."))
}
