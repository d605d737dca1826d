//! The response made from a stored product: its bytes, with the computed `price` and `availability` put into every
//! variant.
//!
//! A read names only the members that decide, and copies all others without looking at them.

use std::borrow::Cow;

use plugin_sdk::{
    Context, Document, Problem, StoreError,
    list_price::{PriceTerms, Quoted, StoredPrice, quote},
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    availability::Stock,
    model::{Availability, Backorder, ProductInput, ProductStatus},
    prices::COMPUTED,
};

/// For whom a product is shown: the currency, the moment, the groups, and whether drafts are.
pub(crate) struct Viewer {
    pub(crate) currency: String,
    pub(crate) now: String,
    pub(crate) sees_all: bool,
    /// Whose prices the viewer has besides everybody's.
    pub(crate) groups: Vec<String>,
}

/// What a read looks at in a stored product.
#[derive(Deserialize)]
pub(crate) struct Seen<'d> {
    status: ProductStatus,
    #[serde(borrow)]
    variants: Vec<SeenVariant<'d>>,
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
struct Identified {
    id: String,
}

/// A variant as a read shows it.
pub(crate) struct ShownVariant {
    pub(crate) id: String,
    pub(crate) json: String,
    /// When its price changes by itself.
    pub(crate) until: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenVariant<'d> {
    #[serde(borrow)]
    sku: Cow<'d, str>,
    #[serde(borrow)]
    prices: &'d RawValue,
    track_inventory: bool,
    backorder: Backorder,
}

impl<'d> Seen<'d> {
    pub(crate) fn of(ctx: &Context<'_>, document: &'d Document) -> Result<Self, StoreError> {
        ctx.read("products", document)
    }

    /// The SKUs whose stock counts.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &str> {
        self.variants.iter().filter(|variant| variant.track_inventory).map(|variant| &*variant.sku)
    }
}

impl Viewer {
    /// Whether this viewer may see the product.
    pub(crate) fn may_see(&self, seen: &Seen<'_>) -> bool {
        self.sees_all || seen.status == ProductStatus::Active
    }

    /// Writes the product to the end of `out`. `until` becomes the earliest of itself, the
    /// end of a price shown, and the end of a reservation that makes a difference.
    pub(crate) fn show<'d>(
        &self,
        document: &'d Document,
        seen: &Seen<'d>,
        stock: &Stock,
        out: &mut String,
        until: &mut Option<String>,
    ) -> Result<(), Problem> {
        let json = document.json.as_str();
        let mut copied = 0;
        for variant in &seen.variants {
            copied = self.push_computed(json, copied, variant, stock, out, until)?;
        }
        if let Some(computed) = seen.computed.map(RawValue::get) {
            let start = computed.as_ptr() as usize - json.as_ptr() as usize;
            let member = format!(",\"{COMPUTED}\":");
            out.push_str(json[copied..start].strip_suffix(&member).unwrap_or_default());
            copied = start + computed.len();
        }
        out.push_str(&json[copied..]);
        Ok(())
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
        let seen = Seen::of(ctx, document)?;
        let stock = Stock::read(ctx, seen.counted())?;
        let show = |raw: &RawValue| {
            let json = raw.get();
            let identified: Identified = serde_json::from_str(json).map_err(unreadable)?;
            let variant: SeenVariant<'_> = serde_json::from_str(json).map_err(unreadable)?;
            let (mut out, mut until) = (String::with_capacity(json.len() + 96), None);
            let copied = self.push_computed(json, 0, &variant, &stock, &mut out, &mut until)?;
            out.push_str(&json[copied..]);
            Ok(ShownVariant { id: identified.id, json: out, until })
        };
        stored.variants.into_iter().map(show).collect::<Result<_, _>>().map(Some)
    }

    /// Copies `json` from `from` up to the end of the variant's prices, which are a part of it, puts what is computed
    /// right behind, and answers where the copy ended.
    fn push_computed(
        &self,
        json: &str,
        from: usize,
        variant: &SeenVariant<'_>,
        stock: &Stock,
        out: &mut String,
        until: &mut Option<String>,
    ) -> Result<usize, Problem> {
        let raw = variant.prices.get();
        let prices: Vec<StoredPrice<'_>> = serde_json::from_str(raw).map_err(unreadable)?;
        let quoted = quote(prices.iter().map(StoredPrice::terms), &self.currency, &self.groups, 1, &self.now);
        let end = raw.as_ptr() as usize - json.as_ptr() as usize + raw.len();
        out.push_str(&json[from..end]);
        out.push_str(",\"price\":");
        push_price(&quoted, out);
        out.push_str(",\"availability\":");
        push_availability(stock.of(&variant.sku, variant.track_inventory, variant.backorder), out);
        sooner(until, quoted.until);
        sooner(until, stock.until(&variant.sku));
        Ok(end)
    }

    /// The members of a product that is being written which differ from the stored ones: the variants with what is
    /// computed, in the order in which a read shows their members.
    pub(crate) fn overlay(&self, product: &ProductInput, stock: &Stock) -> Value {
        let variants: Vec<Value> = product
            .variants
            .iter()
            .map(|variant| {
                let quoted = quote(
                    variant.prices.iter().map(PriceTerms::from),
                    &self.currency,
                    &self.groups,
                    1,
                    &self.now,
                );
                let mut shown = Map::new();
                let Value::Object(members) = json!(variant) else { return Value::Null };
                for (name, value) in members {
                    let last = name == "prices";
                    shown.insert(name, value);
                    if last {
                        shown.insert("price".to_owned(), json!(quoted.price));
                        let available = stock.of(&variant.sku, variant.track_inventory, variant.backorder);
                        shown.insert("availability".to_owned(), json!(available));
                    }
                }
                Value::Object(shown)
            })
            .collect();
        json!({ "variants": variants })
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

fn push_availability(availability: Availability, out: &mut String) {
    // A unit variant is a text.
    out.push_str(&json!(availability).to_string());
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
        let viewer = Viewer {
            currency: "USD".to_owned(),
            now: "2026-01-01T00:00:00.000Z".to_owned(),
            sees_all,
            groups: Vec::new(),
        };
        let (mut out, mut until) = (String::new(), None);
        let seen = Seen::of(&ctx, &document).unwrap();
        if !viewer.may_see(&seen) {
            return (None, None);
        }
        let stock = Stock::read(&ctx, seen.counted()).unwrap();
        viewer.show(&document, &seen, &stock, &mut out, &mut until).unwrap();
        (Some(out), until)
    }

    #[test]
    fn prices_are_put_in_and_the_rest_is_copied() {
        let product = json!({
            "status": "active",
            "name": "a \"b\" \u{1F455} \\",
            "variants": [
                {
                    "sku": "A", "prices": [{"amount": 5, "currency": "USD", "compareAt": 9}], "trackInventory": true,
                    "backorder": "deny", "metadata": {"prices": []},
                },
                {"trackInventory": false, "backorder": "allow", "prices": [], "sku": "\u{1F455}\""},
            ],
            "last": [1.50, null],
        });
        let (out, until) = shown(&product, false);
        let mut expected = product;
        expected["variants"][0]["price"] = json!({"amount": 5, "currency": "USD", "compareAt": 9});
        expected["variants"][1]["price"] = json!(null);
        // The test's host has no stock, so nobody counts.
        expected["variants"][0]["availability"] = json!("in_stock");
        expected["variants"][1]["availability"] = json!("in_stock");
        let out: Value = serde_json::from_str(&out.unwrap()).unwrap();
        assert_eq!(out, expected);
        assert_eq!(until, None);
    }

    #[test]
    fn the_earliest_end_of_a_price_is_told() {
        let price = |ends_at: &str| json!({"amount": 5, "currency": "USD", "endsAt": ends_at});
        let variant = |ends_at: &str| json!({"sku": ends_at, "prices": [price(ends_at)], "trackInventory": true, "backorder": "deny"});
        let product = json!({"status": "active", "variants": [
            variant("2026-03-01T00:00:00.000Z"),
            variant("2026-02-01T00:00:00.000Z"),
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
