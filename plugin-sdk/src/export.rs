//! The plugin trait, and how a plugin becomes a component.

use crate::{
    Collection, Context, FieldError, Permission, Problem, Reply, Request, Router, bindings, convert,
    descriptor::Capability, host::Host, router::RouteDescription,
};
use bindings::exports::wares::{http::handler, lifecycle::lifecycle};

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
pub fn describe_routes<P: Plugin>() -> (Vec<RouteDescription>, Vec<(String, String)>) {
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

/// Makes the plugin type, named without a path, the component's exports. Native builds ignore it, so that tests link.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ident) => {
        // Native builds have no exports; naming the plugin keeps its code alive there for tests and lints.
        #[cfg(not(target_family = "wasm"))]
        const _: &str = <$plugin as $crate::Plugin>::ID;

        #[cfg(target_family = "wasm")]
        mod wares_component {
            type Exported = $crate::export::Component<super::$plugin>;
            $crate::bindings::export!(Exported with_types_in $crate::bindings);
        }
    };
}
