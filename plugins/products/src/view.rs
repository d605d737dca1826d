//! The response made from a stored product: its bytes, with the computed `price` put into every variant.
//!
//! A read names only the members that decide, and copies all others without looking at them.

use plugin_sdk::{Context, Document, Problem};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    model::{ProductInput, ProductStatus},
    prices::COMPUTED,
    rules::{PriceTerms, Quoted, quote},
};

/// For whom a product is shown: the currency, the moment, and whether drafts are.
pub(crate) struct Viewer {
    pub(crate) currency: String,
    pub(crate) now: String,
    pub(crate) sees_all: bool,
}

#[derive(Deserialize)]
struct StoredProduct<'d> {
    status: ProductStatus,
    #[serde(borrow)]
    variants: Vec<StoredVariant<'d>>,
    /// What nobody is shown; always behind the variants.
    #[serde(borrow, rename = "_computed")]
    computed: Option<&'d RawValue>,
}

/// The variants one by one.
#[derive(Deserialize)]
struct StoredVariants<'d> {
    status: ProductStatus,
    #[serde(borrow)]
    variants: Vec<&'d RawValue>,
}

#[derive(Deserialize)]
struct IdentifiedVariant<'d> {
    id: String,
    #[serde(borrow)]
    prices: &'d RawValue,
}

/// A variant as a read shows it.
pub(crate) struct ShownVariant {
    pub(crate) id: String,
    pub(crate) json: String,
    /// When its price changes by itself.
    pub(crate) until: Option<String>,
}

#[derive(Deserialize)]
struct StoredVariant<'d> {
    #[serde(borrow)]
    prices: &'d RawValue,
}

/// Currencies and times are stored in forms that JSON never escapes, so they can be borrowed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredPrice<'d> {
    amount: i64,
    currency: &'d str,
    compare_at: Option<i64>,
    min_quantity: Option<i64>,
    customer_group: Option<IgnoredAny>,
    starts_at: Option<&'d str>,
    ends_at: Option<&'d str>,
}

impl Viewer {
    /// Writes the product to the end of `out`, and answers whether this viewer may see it; if not, nothing is
    /// written. `until` becomes the earlier one of itself and the end of a price shown.
    pub(crate) fn show(
        &self,
        ctx: &Context<'_>,
        document: &Document,
        out: &mut String,
        until: &mut Option<String>,
    ) -> Result<bool, Problem> {
        let stored: StoredProduct<'_> = ctx.read("products", document)?;
        if !self.sees_all && stored.status != ProductStatus::Active {
            return Ok(false);
        }
        let json = document.json.as_str();
        let mut copied = 0;
        for variant in stored.variants {
            copied = self.push_priced(json, copied, variant.prices, out, until)?;
        }
        if let Some(computed) = stored.computed.map(RawValue::get) {
            let start = computed.as_ptr() as usize - json.as_ptr() as usize;
            let member = format!(",\"{COMPUTED}\":");
            out.push_str(json[copied..start].strip_suffix(&member).unwrap_or_default());
            copied = start + computed.len();
        }
        out.push_str(&json[copied..]);
        Ok(true)
    }

    /// The product's variants as a read shows them; `None` when this viewer may not see the product.
    pub(crate) fn variants(
        &self,
        ctx: &Context<'_>,
        document: &Document,
    ) -> Result<Option<Vec<ShownVariant>>, Problem> {
        let stored: StoredVariants<'_> = ctx.read("products", document)?;
        if !self.sees_all && stored.status != ProductStatus::Active {
            return Ok(None);
        }
        let show = |raw: &RawValue| {
            let variant: IdentifiedVariant<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
            let (mut json, mut until) = (String::with_capacity(raw.get().len() + 64), None);
            let copied = self.push_priced(raw.get(), 0, variant.prices, &mut json, &mut until)?;
            json.push_str(&raw.get()[copied..]);
            Ok(ShownVariant { id: variant.id, json, until })
        };
        stored.variants.into_iter().map(show).collect::<Result<_, _>>().map(Some)
    }

    /// Copies `json` from `from` up to the end of `prices`, which is a part of it, puts the price that applies right
    /// behind, and answers where the copy ended.
    fn push_priced(
        &self,
        json: &str,
        from: usize,
        prices: &RawValue,
        out: &mut String,
        until: &mut Option<String>,
    ) -> Result<usize, Problem> {
        let raw = prices.get();
        let prices: Vec<StoredPrice<'_>> = serde_json::from_str(raw).map_err(unreadable)?;
        let quoted = quote(prices.iter().map(StoredPrice::terms), &self.currency, &self.now);
        let end = raw.as_ptr() as usize - json.as_ptr() as usize + raw.len();
        out.push_str(&json[from..end]);
        out.push_str(",\"price\":");
        push_price(&quoted, out);
        sooner(until, quoted.until);
        Ok(end)
    }

    /// The members of a product that is being written which differ from the stored ones: the variants with their
    /// prices, in the order in which a read shows their members.
    pub(crate) fn overlay(&self, product: &ProductInput) -> Value {
        let variants: Vec<Value> = product
            .variants
            .iter()
            .map(|variant| {
                let quoted = quote(variant.prices.iter().map(PriceTerms::from), &self.currency, &self.now);
                let mut shown = Map::new();
                let Value::Object(members) = json!(variant) else { return Value::Null };
                for (name, value) in members {
                    let last = name == "prices";
                    shown.insert(name, value);
                    if last {
                        shown.insert("price".to_owned(), json!(quoted.price));
                    }
                }
                Value::Object(shown)
            })
            .collect();
        json!({ "variants": variants })
    }
}

impl<'d> StoredPrice<'d> {
    fn terms(&self) -> PriceTerms<'d> {
        PriceTerms {
            amount: self.amount,
            currency: self.currency,
            compare_at: self.compare_at,
            min_quantity: self.min_quantity,
            for_group: self.customer_group.is_some(),
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        }
    }
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::new(502, "plugin_failed").detail(error.to_string())
}

fn push_price(quoted: &Quoted, out: &mut String) {
    match serde_json::to_string(&quoted.price) {
        Ok(price) => out.push_str(&price),
        Err(_) => out.push_str("null"),
    }
}

pub(crate) fn sooner(until: &mut Option<String>, other: Option<String>) {
    if let Some(other) = other
        && until.as_ref().is_none_or(|until| other < *until)
    {
        *until = Some(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::mock::MockHost;

    fn shown(product: &Value, sees_all: bool) -> (Option<String>, Option<String>) {
        let host = MockHost::new::<crate::Products>();
        let ctx = Context::new(&host, b"");
        let document = Document { id: "prod_1".to_owned(), version: 1, json: product.to_string() };
        let viewer =
            Viewer { currency: "USD".to_owned(), now: "2026-01-01T00:00:00.000Z".to_owned(), sees_all };
        let (mut out, mut until) = (String::new(), None);
        let visible = viewer.show(&ctx, &document, &mut out, &mut until).unwrap();
        (visible.then_some(out), until)
    }

    #[test]
    fn prices_are_put_in_and_the_rest_is_copied() {
        let product = json!({
            "status": "active",
            "name": "a \"b\" \u{1F455} \\",
            "variants": [
                {"sku": "A", "prices": [{"amount": 5, "currency": "USD", "compareAt": 9}], "metadata": {"prices": []}},
                {"prices": [], "sku": "B"},
            ],
            "last": [1.50, null],
        });
        let (out, until) = shown(&product, false);
        let mut expected = product;
        expected["variants"][0]["price"] = json!({"amount": 5, "currency": "USD", "compareAt": 9});
        expected["variants"][1]["price"] = json!(null);
        let out: Value = serde_json::from_str(&out.unwrap()).unwrap();
        assert_eq!(out, expected);
        assert_eq!(until, None);
    }

    #[test]
    fn the_earliest_end_of_a_price_is_told() {
        let price = |ends_at: &str| json!({"amount": 5, "currency": "USD", "endsAt": ends_at});
        let product = json!({"status": "active", "variants": [
            {"prices": [price("2026-03-01T00:00:00.000Z")]},
            {"prices": [price("2026-02-01T00:00:00.000Z")]},
        ]});
        assert_eq!(shown(&product, false).1.as_deref(), Some("2026-02-01T00:00:00.000Z"));
    }

    #[test]
    fn drafts_are_shown_to_staff_only() {
        let product = json!({"status": "draft", "variants": []});
        assert_eq!(shown(&product, false).0, None);
        assert!(shown(&product, true).0.is_some());
    }
}
