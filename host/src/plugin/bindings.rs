//! Bindings generated from the WIT contract, for everything this host implements.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package wares:host;
        world host {
            import wares:log/log@1.0.0;
            import wares:store/store@1.0.0;
            import wares:identity/identity@1.0.0;
            import wares:hooks/hooks@1.0.0;
            import wares:http-client/http-client@1.0.0;
            import wares:secrets/secrets@1.0.0;
            export wares:lifecycle/lifecycle@1.0.0;
            export wares:http/handler@1.0.0;
            export wares:pricing/rule@1.0.0;
            export wares:shipping/rates@1.0.0;
            export wares:payment/provider@1.0.0;
        }
    ",
    world: "wares:host/host",
    imports: { default: async | trappable },
    exports: { default: async },
});
