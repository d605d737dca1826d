//! The examples of `docs/PRICING.md` are configurations that are accepted.

use plugin_sdk::{Value, mock::schema_faults, pricing::PricingRule};

use crate::Tax;

const PRICING: &str = include_str!("../../../../docs/PRICING.md");

#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let blocks = PRICING.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let files = blocks.map(|block| toml::from_str::<Value>(block).unwrap());
    let configs: Vec<Value> =
        files.filter_map(|file| file.pointer("/plugins/pricing-tax/config").cloned()).collect();
    assert!(!configs.is_empty());
    for config in configs {
        assert_eq!(schema_faults(&Tax::config_schema().unwrap(), &config), Vec::<String>::new());
        assert_eq!(Tax::validate_config(config.to_string().as_bytes()), Ok(()));
    }
}
