//! Which configurations are accepted.

use plugin_sdk::{Value, json, mock::schema_faults, pricing::PricingRule};

use super::{accepted, config, with};
use crate::Tax;

#[test]
fn the_schema_accepts_every_member() {
    let full = json!({
        "pricesInclude": true,
        "defaultCountry": "DE",
        "rates": [{
            "country": "DE", "region": "Helgoland", "taxClass": "", "name": "None", "code": "none", "ppm": 1_000_000,
        }],
        "exemptGroups": ["embassies"],
        "shippingTaxClass": "reduced",
        "taxShipping": false,
    });
    for config in [full, config(), json!({})] {
        accepted(&config);
    }
}

#[test]
fn the_schema_refuses_and_says_where() {
    let rate = |member: &str, value: Value| {
        let mut rate = json!({"country": "DE", "name": "VAT", "ppm": 1});
        rate[member] = value;
        json!({ "rates": [rate] })
    };
    for (wrong, at) in [
        (json!({"pricesInclude": "yes"}), "/pricesInclude"),
        (json!({"defaultCountry": "de"}), "/defaultCountry"),
        (json!({"exemptGroups": [""]}), "/exemptGroups/0"),
        (json!({"rate": []}), ""),
        (json!({"rates": [{"country": "DE", "name": "VAT"}]}), "/rates/0"),
        (rate("country", json!("DEU")), "/rates/0/country"),
        (rate("region", json!("")), "/rates/0/region"),
        (rate("name", json!("")), "/rates/0/name"),
        (rate("code", json!("")), "/rates/0/code"),
        (rate("ppm", json!(-1)), "/rates/0/ppm"),
        (rate("ppm", json!(1_000_001)), "/rates/0/ppm"),
        (rate("ppm", json!(0.19)), "/rates/0/ppm"),
        (rate("percent", json!(19)), "/rates/0"),
    ] {
        let faults = schema_faults(&Tax::config_schema().unwrap(), &wrong).join("\n");
        assert!(faults.contains(&format!("`{at}`: ")), "{wrong} is wrong at {at}, not at {faults}");
    }
}

#[test]
fn what_the_schema_cannot_say_is_told_with_pointers() {
    let rate = |country: &str, region: Option<&str>, class: &str| {
        let mut rate = json!({"country": country, "taxClass": class, "name": "VAT", "ppm": 1});
        if let Some(region) = region {
            rate["region"] = json!(region);
        }
        rate
    };
    let bavaria = || rate("DE", Some("Bayern"), "");
    let blank = |member: &str| {
        let mut rate = bavaria();
        rate[member] = json!("  ");
        json!({ "rates": [rate] })
    };
    for (wrong, at) in [
        (with(json!({"defaultCountry": "DK"})), "/defaultCountry"),
        (json!({"rates": [bavaria(), rate("XX", None, "")]}), "/rates/1/country"),
        (json!({"rates": [rate("DE", None, "a"), rate("DE", None, "a")]}), "/rates/1"),
        (json!({"rates": [bavaria(), rate("DE", Some("bayern "), "")]}), "/rates/1"),
        (blank("region"), "/rates/0/region"),
        (blank("name"), "/rates/0/name"),
        (blank("code"), "/rates/0/code"),
    ] {
        assert_eq!(schema_faults(&Tax::config_schema().unwrap(), &wrong), Vec::<String>::new());
        let errors = Tax::validate_config(wrong.to_string().as_bytes()).unwrap_err();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, [at], "{wrong}");
    }
    accepted(&json!({"rates": [bavaria(), rate("DE", None, ""), rate("AT", Some("Bayern"), "")]}));
}
