//! Bindings generated from the WIT contract.
#![allow(
    unsafe_code,
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code that crosses the component boundary"
)]

wit_bindgen::generate!({
    world: "endpoint",
    path: "../wit",
    pub_export_macro: true,
    default_bindings_module: "plugin_sdk::bindings",
    generate_all,
});
