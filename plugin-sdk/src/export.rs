//! The plugin trait, and how a plugin becomes a component.

use crate::{
    Collection, Context, FieldError, Permission, Problem, Reply, Request, Router, bindings,
    convert::{self, About},
    descriptor::Capability,
    host::Host,
    payment::PaymentProvider,
    pricing::PricingRule,
    router::RoutesDescription,
    shipping::ShippingRates,
};
use bindings::{endpoint::exports::wares::http::handler, lifecycle::exports::wares::lifecycle::lifecycle};

/// A plugin. Every call gets a fresh instance, so nothing is remembered between calls except in the store.
pub trait Plugin: 'static {
    /// Kebab-case, unique on the host.
    const ID: &'static str;
    /// Semantic version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// For people.
    const TITLE: &'static str;

    /// Declares the routes with their handlers.
    fn routes(router: &mut Router);

    /// The collections the plugin owns.
    fn collections() -> Vec<Collection> {
        Vec::new()
    }

    /// The permissions its routes ask for.
    fn permissions() -> Vec<Permission> {
        Vec::new()
    }

    /// What it wants to use and does not own.
    fn capabilities() -> Vec<Capability> {
        Vec::new()
    }

    /// JSON Schema of its configuration; `None` when there is nothing to configure.
    fn config_schema() -> Option<serde_json::Value> {
        None
    }

    /// Accepts or refuses a configuration that already fits the schema.
    fn validate_config(_config: &[u8]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }
}

/// A plugin's routes and named schemas, for tests of the descriptor.
pub fn describe_routes<P: Plugin>() -> RoutesDescription {
    let mut router = Router::describe();
    P::routes(&mut router);
    router.into_description()
}

/// Runs the handler of an operation: what the component does, and what native tests do with a mock host.
pub fn call<P: Plugin>(host: &dyn Host, config: &[u8], request: Request) -> Result<Reply, Problem> {
    let mut router = Router::dispatch(&request.operation_id);
    P::routes(&mut router);
    match router.into_handler() {
        Some(handler) => handler(&Context::new(host, config), request),
        None => Err(Problem::new(502, "plugin_failed").detail("The plugin does not know this operation.")),
    }
}

/// The component around a plugin.
#[doc(hidden)]
pub struct Component<P>(std::marker::PhantomData<P>);

/// The component around a pricing rule.
#[doc(hidden)]
pub struct RuleComponent<R>(std::marker::PhantomData<R>);

/// The component around a plugin that offers shipping methods.
#[doc(hidden)]
pub struct RatesComponent<R>(std::marker::PhantomData<R>);

/// The component around a payment provider.
#[doc(hidden)]
pub struct ProviderComponent<P>(std::marker::PhantomData<P>);

impl<P: Plugin> lifecycle::Guest for Component<P> {
    fn describe() -> lifecycle::Descriptor {
        convert::descriptor::<P>()
    }

    fn validate_config(config: Vec<u8>) -> Result<(), Vec<lifecycle::FieldError>> {
        P::validate_config(&config).map_err(convert::field_errors)
    }
}

impl<P: Plugin> handler::Guest for Component<P> {
    fn handle(request: handler::Request) -> Result<handler::Reply, handler::Problem> {
        let (config, request) = convert::request(request);
        let reply = call::<P>(&convert::ComponentHost, &config, request).map_err(convert::problem)?;
        Ok(convert::reply(reply))
    }
}

impl<R: PricingRule> lifecycle::Guest for RuleComponent<R> {
    fn describe() -> lifecycle::Descriptor {
        let about =
            About { id: R::ID, version: R::VERSION, title: R::TITLE, config_schema: R::config_schema() };
        about.descriptor(&[], Vec::new())
    }

    fn validate_config(config: Vec<u8>) -> Result<(), Vec<lifecycle::FieldError>> {
        R::validate_config(&config).map_err(convert::field_errors)
    }
}

impl<R: ShippingRates> lifecycle::Guest for RatesComponent<R> {
    fn describe() -> lifecycle::Descriptor {
        let about =
            About { id: R::ID, version: R::VERSION, title: R::TITLE, config_schema: R::config_schema() };
        about.descriptor(&[], Vec::new())
    }

    fn validate_config(config: Vec<u8>) -> Result<(), Vec<lifecycle::FieldError>> {
        R::validate_config(&config).map_err(convert::field_errors)
    }
}

impl<P: PaymentProvider> lifecycle::Guest for ProviderComponent<P> {
    fn describe() -> lifecycle::Descriptor {
        let about =
            About { id: P::ID, version: P::VERSION, title: P::TITLE, config_schema: P::config_schema() };
        about.descriptor(&P::collections(), P::capabilities())
    }

    fn validate_config(config: Vec<u8>) -> Result<(), Vec<lifecycle::FieldError>> {
        P::validate_config(&config).map_err(convert::field_errors)
    }
}

/// Makes the plugin type, named without a path, the component's exports. Native builds ignore it, so that tests link.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ident) => {
        $crate::export_role!($plugin, Plugin, endpoint, export_endpoint, Component);
    };
}

/// The same for a pricing rule.
#[macro_export]
macro_rules! export_pricing_rule {
    ($plugin:ident) => {
        $crate::export_role!(
            $plugin,
            pricing::PricingRule,
            pricing_rule,
            export_pricing_rule_interface,
            RuleComponent
        );
    };
}

/// The same for a plugin that offers shipping methods.
#[macro_export]
macro_rules! export_shipping_rates {
    ($plugin:ident) => {
        $crate::export_role!(
            $plugin,
            shipping::ShippingRates,
            shipping_rates,
            export_shipping_rates_interface,
            RatesComponent
        );
    };
}

/// The same for a payment provider.
#[macro_export]
macro_rules! export_payment_provider {
    ($plugin:ident) => {
        $crate::export_role!(
            $plugin,
            payment::PaymentProvider,
            payment_provider,
            export_payment_provider_interface,
            ProviderComponent
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_role {
    ($plugin:ident, $($role:ident)::+, $bindings:ident, $export:ident, $component:ident) => {
        // Native builds have no exports; naming the plugin keeps its code alive there for tests and lints.
        #[cfg(not(target_family = "wasm"))]
        const _: &str = <$plugin as $crate::$($role)::+>::ID;

        #[cfg(target_family = "wasm")]
        mod wares_component {
            type Exported = $crate::export::$component<super::$plugin>;
            $crate::bindings::lifecycle::export_lifecycle!(
                Exported with_types_in $crate::bindings::lifecycle
            );
            $crate::bindings::$bindings::$export!(Exported with_types_in $crate::bindings::$bindings);
        }
    };
}
