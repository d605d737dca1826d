//! Bindings generated from the WIT contract. The worlds here have one exported interface each: a component exports
//! `lifecycle` and those of its roles, and the tool chain joins their worlds.
#![allow(
    unsafe_code,
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code that crosses the component boundary"
)]

/// Everything that is imported, and answering requests.
pub mod endpoint {
    wit_bindgen::generate!({
        inline: "
            package wares:sdk-endpoint;
            world endpoint {
                import wares:log/log@1.0.0;
                import wares:store/store@1.0.0;
                import wares:hooks/hooks@1.0.0;
                import wares:identity/identity@1.0.0;
                import wares:http-client/http-client@1.0.0;
                import wares:secrets/secrets@1.0.0;
                export wares:http/handler@1.0.0;
            }
        ",
        path: "../wit",
        world: "wares:sdk-endpoint/endpoint",
        pub_export_macro: true,
        export_macro_name: "export_endpoint",
        default_bindings_module: "plugin_sdk::bindings::endpoint",
        generate_all,
    });
}

/// What every plugin exports.
pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "
            package wares:sdk-lifecycle;
            world lifecycle {
                export wares:lifecycle/lifecycle@1.0.0;
            }
        ",
        path: "../wit",
        world: "wares:sdk-lifecycle/lifecycle",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "plugin_sdk::bindings::lifecycle",
        with: {
            "wares:types/types@1.0.0": crate::bindings::endpoint::wares::types::types,
        },
        generate_all,
    });
}

/// Pricing rules.
pub mod pricing_rule {
    wit_bindgen::generate!({
        inline: "
            package wares:sdk-pricing-rule;
            world pricing-rule {
                export wares:pricing/rule@1.0.0;
            }
        ",
        path: "../wit",
        world: "wares:sdk-pricing-rule/pricing-rule",
        pub_export_macro: true,
        export_macro_name: "export_pricing_rule_interface",
        default_bindings_module: "plugin_sdk::bindings::pricing_rule",
        with: {
            "wares:types/types@1.0.0": crate::bindings::endpoint::wares::types::types,
        },
        generate_all,
    });
}

/// Shipping rates.
pub mod shipping_rates {
    wit_bindgen::generate!({
        inline: "
            package wares:sdk-shipping-rates;
            world shipping-rates {
                export wares:shipping/rates@1.0.0;
            }
        ",
        path: "../wit",
        world: "wares:sdk-shipping-rates/shipping-rates",
        pub_export_macro: true,
        export_macro_name: "export_shipping_rates_interface",
        default_bindings_module: "plugin_sdk::bindings::shipping_rates",
        with: {
            "wares:types/types@1.0.0": crate::bindings::endpoint::wares::types::types,
        },
        generate_all,
    });
}

/// Payment providers.
pub mod payment_provider {
    wit_bindgen::generate!({
        inline: "
            package wares:sdk-payment-provider;
            world payment-provider {
                export wares:payment/provider@1.0.0;
            }
        ",
        path: "../wit",
        world: "wares:sdk-payment-provider/payment-provider",
        pub_export_macro: true,
        export_macro_name: "export_payment_provider_interface",
        default_bindings_module: "plugin_sdk::bindings::payment_provider",
        with: {
            "wares:types/types@1.0.0": crate::bindings::endpoint::wares::types::types,
        },
        generate_all,
    });
}
