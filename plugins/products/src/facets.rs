//! Facets: how the products that a list would show are distributed over categories, prices and the values of options.

use plugin_sdk::{
    Context, Facet, FacetCount, Facets, Problem, Reply, Request, Result, Scalar, schema::all_required,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    handlers::{PRODUCTS, condition, viewer},
    prices::{self, OPTIONS},
};

/// Most values that a facet shows.
const VALUES_MAX: u32 = 200;
/// As many as the store counts at once.
const FACETS_MAX: usize = 20;
const BOUNDS_MAX: usize = 100;
/// Names of facets that are fields.
const FIELDS: [&str; 3] = ["status", "tags", "taxClass"];

/// The names of facets in a query.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(crate) struct FacetNames(
    #[expect(dead_code, reason = "only described")]
    #[schemars(regex(
        pattern = r"^(category|price|status|tags|taxClass|option\.[^.,]+)(,(category|price|status|tags|taxClass|option\.[^.,]+)){0,19}$"
    ))]
    String,
);

/// The ends of ranges of prices in a query: whole numbers in ascending order, which no pattern can say.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(crate) struct PriceBounds(
    #[expect(dead_code, reason = "only described")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,15}(,[1-9][0-9]{0,15}){0,99}$"))]
    String,
);

/// How the products that match are distributed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProductFacets {
    /// In the order in which they were asked for.
    pub(crate) facets: Vec<ProductFacet>,
}

/// The distribution over the values of one facet, or over its ranges.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transform = all_required)]
pub(crate) struct ProductFacet {
    /// As it was asked for.
    pub(crate) name: String,
    /// The most frequent first, at most 200. Empty for `price`.
    pub(crate) values: Vec<ProductFacetValue>,
    /// Ascending, without those that have no products. Empty for all but `price`.
    pub(crate) ranges: Vec<ProductFacetRange>,
}

/// A value, and how many products have it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProductFacetValue {
    /// The id of a category, the value of an option, a tag.
    pub(crate) value: String,
    pub(crate) count: u64,
}

/// A range of prices, and how many products have theirs in it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transform = all_required)]
pub(crate) struct ProductFacetRange {
    /// The lowest price in it, in minor units.
    pub(crate) from: i64,
    /// The lowest price above it; null when there is no upper end.
    pub(crate) to: Option<i64>,
    pub(crate) count: u64,
}

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let viewer = viewer(ctx, &request)?;
    let names = names(request.query("facets").unwrap_or_default())?;
    let bounds = bounds(request.query("priceBounds"))?;
    let condition = condition(ctx, &request, &viewer)?;
    let mut list = request.list();
    let is_current = prices::settle(ctx, &mut list, &viewer.currency)?;
    if !is_current && names.iter().any(|name| name == prices::PRICE || name.starts_with("option.")) {
        prices::refresh(ctx)?;
    }
    let asked = names.iter().map(|name| {
        let values = |path: &str, prefix| Facet::Values { path: path.to_owned(), prefix, limit: VALUES_MAX };
        Ok(match name.split_once('.') {
            Some((_, option)) => values(OPTIONS, Some(format!("{option}."))),
            None if name == prices::PRICE => Facet::Ranges {
                path: prices::slot(ctx, &viewer.currency)?.to_owned(),
                bounds: bounds.clone(),
            },
            None if name == "category" => values("categoryIds", None),
            None => values(name, None),
        })
    });
    let asked = asked.collect::<Result<Vec<Facet>>>()?;
    let text = list.text.take();
    let filter = list.and(condition).filter;
    let counts = ctx.facets(PRODUCTS, &Facets { filter, text, facets: asked, scope: None })?;
    let facets = names.into_iter().zip(counts).map(|(name, counts)| shown(name, counts)).collect();
    Ok(Reply::ok(&ProductFacets { facets }))
}

/// The names of the facets that are asked for.
fn names(asked: &str) -> Result<Vec<String>> {
    let invalid = |message: String| Problem::invalid_parameter("facets", message);
    let mut names: Vec<String> = Vec::new();
    for name in asked.split(',') {
        let option = name.strip_prefix("option.");
        let is_known = FIELDS.contains(&name) || ["category", prices::PRICE].contains(&name);
        if !is_known && !option.is_some_and(|option| !option.is_empty() && !option.contains('.')) {
            return Err(invalid(format!(
                "There is no facet `{name}`: name `category`, `price`, `tags`, `status`, `taxClass` or `option.` with \
                 the name of an option."
            )));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.len() > FACETS_MAX {
        return Err(invalid(format!("At most {FACETS_MAX} facets.")));
    }
    Ok(names)
}

/// Where the ranges of prices end: 1, 2 and 5 times every power of ten where the request does not say.
fn bounds(asked: Option<&str>) -> Result<Vec<i64>> {
    let Some(asked) = asked else {
        let powers = (0..16).map(|power| 10_i64.pow(power));
        return Ok(powers.flat_map(|power| [power, 2 * power, 5 * power]).collect());
    };
    let invalid = || {
        let message =
            format!("Ascending whole numbers from 1 with commas between them, at most {BOUNDS_MAX}.");
        Problem::invalid_parameter("priceBounds", message)
    };
    let bounds: Vec<i64> =
        asked.split(',').map(|bound| bound.parse().map_err(|_| invalid())).collect::<Result<_>>()?;
    let ascending = bounds.is_sorted_by(|left, right| left < right);
    if ascending && bounds.len() <= BOUNDS_MAX && bounds.iter().all(|&bound| bound > 0) {
        Ok(bounds)
    } else {
        Err(invalid())
    }
}

fn shown(name: String, counts: Vec<FacetCount>) -> ProductFacet {
    let (mut values, mut ranges) = (Vec::new(), Vec::new());
    if name == prices::PRICE {
        for (position, range) in counts.iter().enumerate().filter(|(_, range)| range.documents > 0) {
            let first = |count: &FacetCount| match count.value {
                Scalar::Integer(first) => first,
                _ => 0,
            };
            let to = counts.get(position + 1).map(first);
            ranges.push(ProductFacetRange { from: first(range), to, count: range.documents });
        }
    } else {
        let option = name.strip_prefix("option.").map_or(0, |option| option.len() + 1);
        for FacetCount { value, documents } in counts {
            let Scalar::Text(value) = value else { continue };
            let value = value.get(option..).unwrap_or_default().to_owned();
            values.push(ProductFacetValue { value, count: documents });
        }
    }
    ProductFacet { name, values, ranges }
}
