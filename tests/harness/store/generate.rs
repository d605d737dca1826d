//! Generated documents, filters and queries over one collection.
//!
//! Values come from small pools, so that documents collide, match and tie. About one in ten is one that must
//! be refused.

use proptest::{
    collection::vec,
    option,
    prelude::{BoxedStrategy, Just, Strategy, any},
    prop_oneof,
    sample::select,
};
use serde_json::{Map, Value, json};
use store_model::{
    Access, Aggregate, CollectionSchema, Direction, Facet, Facets, Field, FieldKind, Filter, GroupKey, Index,
    Measure, Query, Scalar, Scope, SortKey, TextField,
};

/// The collection that everything generated here is about.
pub fn schema() -> CollectionSchema {
    CollectionSchema {
        owner: Some("owner".to_owned()),
        fields: vec![
            Field::integer("n", Access::Index),
            Field::text("s", Access::Index),
            Field::text("u", Access::Unique),
            Field::boolean("b", Access::Scan),
            Field::timestamp("at", Access::Index),
            Field::text("deep.k", Access::Scan),
            Field::text("tags", Access::Index).multi(),
            Field::text("variants.sku", Access::Unique).multi(),
            Field::integer("variants.n", Access::Scan).multi(),
        ],
        indexes: vec![Index { fields: vec!["b".to_owned(), "n".to_owned()] }],
        text: vec![
            TextField { path: "name".to_owned(), weight: 10 },
            TextField { path: "tags".to_owned(), weight: 3 },
            TextField { path: "variants.title".to_owned(), weight: 5 },
        ],
        ..CollectionSchema::new("things", "thing")
    }
}

const TEXTS: [&str; 9] = ["", "a", "ab", "abc", "b", "Äb", "a%", "a_b", "\u{10ffff}"];
const INTEGERS: [i64; 6] = [i64::MIN, -1, 0, 1, 2, i64::MAX];
const TIMES: [&str; 3] = ["2026-11-23T09:00:00.000Z", "2026-11-23T23:30:00.000Z", "1969-12-31T00:00:00.000Z"];
const WORDS: [&str; 6] = ["red", "Red shoe", "shoes", "crème brûlée", "", "re"];
const OWNERS: [&str; 2] = ["ann", "bob"];
const PATHS: [&str; 14] = [
    "id",
    "version",
    "createdAt",
    "updatedAt",
    "owner",
    "n",
    "s",
    "u",
    "b",
    "at",
    "deep.k",
    "tags",
    "variants.sku",
    "variants.n",
];

fn pool(values: impl IntoIterator<Item = Value>) -> impl Strategy<Value = Value> + Clone {
    select(values.into_iter().collect::<Vec<_>>())
}

fn texts() -> impl Strategy<Value = Value> + Clone {
    pool(TEXTS.map(Value::from))
}

/// A member that is often missing, sometimes null, and sometimes wrong.
fn member(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<(&'static str, Value)>> {
    let wrong = pool([json!(1.5), json!([["x"]]), json!({"x": [1]}), json!("x\0"), json!(7), json!("x")]);
    prop_oneof![
        20 => value.prop_map(Some),
        6 => Just(None),
        3 => Just(Some(Value::Null)),
        1 => wrong.prop_map(Some),
    ]
    .prop_map(move |value| value.map(|value| (name, value)))
    .boxed()
}

/// The body of a document.
pub fn body() -> BoxedStrategy<Map<String, Value>> {
    let variant =
        (option::of(pool(["x1", "x2", "x3", "x4", "x5", "x6"].map(Value::from))), 0..6_usize, 0..6_usize)
            .prop_map(|(sku, n, title)| {
                let mut variant = json!({"n": INTEGERS[n], "title": WORDS[title]});
                if let Some(sku) = sku {
                    variant["sku"] = sku;
                }
                variant
            });
    let variants = vec(prop_oneof![9 => variant, 1 => pool([json!(null), json!(5), json!({})])], 0..3);
    let tags =
        vec(prop_oneof![8 => texts(), 2 => pool(WORDS.map(Value::from)), 1 => Just(Value::Null)], 0..4);
    let unique = (0..40_u32).prop_map(|n| json!(format!("u{n}")));
    (
        member("n", pool(INTEGERS.map(Value::from))),
        member("s", texts()),
        member("u", unique),
        member("b", any::<bool>().prop_map(Value::from)),
        member("at", pool(TIMES.map(Value::from))),
        member("deep", texts().prop_map(|k| json!({"k": k}))),
        member("tags", tags.prop_map(Value::from)),
        member("variants", variants.prop_map(Value::from)),
        member("name", pool(WORDS.map(Value::from))),
        member("owner", pool(OWNERS.map(Value::from))),
        member("free", pool([json!(1.25), json!({"z": [1, {"y": null}]}), json!(u64::MAX), json!({"$": 1})])),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j, k)| {
            let members = [a, b, c, d, e, f, g, h, i, j];
            // Undeclared members are mostly sound, so the refused ones among them are thinned out.
            let k = k.filter(|(_, value)| value.as_u64().is_none() || members[0].is_none());
            members.into_iter().chain([k]).flatten().map(|(name, value)| (name.to_owned(), value)).collect()
        })
        .boxed()
}

fn values_of(path: &str) -> Vec<Scalar> {
    let schema = schema();
    match schema.field(path).map(|field| field.kind) {
        _ if path == "id" => ["t1", "t2", "t9"].map(Scalar::from).to_vec(),
        _ if path == "variants.sku" => ["x1", "x2", "x3"].map(Scalar::from).to_vec(),
        _ if path == "u" => ["u1", "u2", "u30"].map(Scalar::from).to_vec(),
        Some(FieldKind::Integer) => INTEGERS.map(Scalar::from).to_vec(),
        Some(FieldKind::Boolean) => vec![Scalar::Boolean(true), Scalar::Boolean(false)],
        Some(FieldKind::Timestamp) => TIMES.map(Scalar::from).to_vec(),
        _ => TEXTS.iter().chain(&OWNERS).map(|text| Scalar::from(*text)).collect(),
    }
}

fn path_and_value() -> impl Strategy<Value = (String, Scalar)> {
    select(PATHS.to_vec()).prop_flat_map(|path| {
        let sound = select(values_of(path));
        // A value of another kind makes the filter one that must be refused.
        let value = prop_oneof![40 => sound, 5 => Just(Scalar::Null), 1 => Just(Scalar::from("x\0"))];
        (Just(path.to_owned()), value)
    })
}

fn leaf() -> BoxedStrategy<Filter> {
    let several = select(PATHS.to_vec()).prop_flat_map(|path| {
        let value = prop_oneof![9 => select(values_of(path)), 1 => Just(Scalar::Null)];
        (Just(path.to_owned()), vec(value, 0..4))
    });
    let textual = (
        select(vec!["s", "u", "deep.k", "tags", "variants.sku", "owner", "id", "at", "createdAt"]),
        select([TEXTS.to_vec(), vec!["2026-11", "t1", "x", "u1"]].concat()),
    )
        .prop_map(|(path, text)| (path.to_owned(), text.to_owned()));
    prop_oneof![
        (path_and_value(), 0..6_u8).prop_map(|((path, value), operator)| match operator {
            0 => Filter::Eq(path, value),
            1 => Filter::Ne(path, value),
            2 => Filter::Gt(path, value),
            3 => Filter::Gte(path, value),
            4 => Filter::Lt(path, value),
            _ => Filter::Lte(path, value),
        }),
        (several, any::<bool>()).prop_map(|((path, values), within)| match within {
            true => Filter::In(path, values),
            false => Filter::Nin(path, values),
        }),
        (textual, any::<bool>()).prop_map(|((path, text), prefix)| match prefix {
            true => Filter::Prefix(path, text),
            false => Filter::Contains(path, text),
        }),
        (select(PATHS.to_vec()), any::<bool>()).prop_map(|(path, is)| Filter::Exists(path.to_owned(), is)),
    ]
    .boxed()
}

pub fn filter() -> BoxedStrategy<Filter> {
    let tree = leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::And),
            vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    });
    prop_oneof![1 => Just(Filter::all()), 3 => tree].boxed()
}

pub fn scope() -> BoxedStrategy<Option<Scope>> {
    let scope = vec(select(OWNERS.to_vec()), 1..3).prop_map(|owners| Scope {
        path: "owner".to_owned(),
        owners: owners.into_iter().map(Scalar::from).collect(),
    });
    option::weighted(0.2, scope).boxed()
}

pub fn query() -> BoxedStrategy<Query> {
    let path = prop_oneof![60 => select(PATHS[..11].to_vec()), 1 => Just("tags"), 1 => Just("nowhere")];
    let key = (path, any::<bool>()).prop_map(|(path, ascending)| SortKey {
        path: path.to_owned(),
        direction: if ascending { Direction::Ascending } else { Direction::Descending },
    });
    let text = select(vec!["red", "shoe", "RED sh", "sh red", "creme br", "", "b", "red red a", "zzz"]);
    let fields = vec(select(vec!["n", "variants", "createdAt", "nowhere"]).prop_map(str::to_owned), 1..3);
    (
        filter(),
        option::weighted(0.3, text.prop_map(str::to_owned)),
        vec(key, 0..4),
        1..8_u32,
        prop_oneof![4 => Just(0), 1 => 0..12_u32],
        prop_oneof![3 => Just(Vec::new()), 1 => fields],
        any::<bool>(),
        scope(),
    )
        .prop_map(|(filter, text, sort, limit, offset, fields, count, scope)| Query {
            filter,
            text,
            sort,
            limit,
            cursor: None,
            offset,
            fields,
            count,
            scope,
        })
        .boxed()
}

pub fn aggregate() -> BoxedStrategy<Aggregate> {
    let path = || {
        select(vec!["n", "s", "b", "at", "deep.k", "variants.n", "variants.title"]).prop_map(str::to_owned)
    };
    let key = prop_oneof![
        3 => path().prop_map(GroupKey::Field),
        1 => (-1500..1500_i32)
            .prop_map(|offset_minutes| GroupKey::Day { path: "at".to_owned(), offset_minutes }),
    ];
    let measure = prop_oneof![
        Just(Measure::Count),
        path().prop_map(Measure::Sum),
        path().prop_map(Measure::Min),
        path().prop_map(Measure::Max),
    ];
    let unwind = option::of(select(vec!["variants", "tags", "n"]).prop_map(str::to_owned));
    (filter(), unwind, vec(key, 0..3), vec(measure, 0..4), scope(), 1..6_u32)
        .prop_map(|(filter, unwind, group, measures, scope, limit)| Aggregate {
            filter,
            unwind,
            group,
            measures,
            scope,
            limit,
        })
        .boxed()
}

pub fn facets() -> BoxedStrategy<Facets> {
    let path = select(vec!["n", "s", "u", "at", "owner", "tags", "variants.sku", "b", "deep.k"]);
    let values = (path, option::weighted(0.3, select(vec!["", "a", "ab", "\u{10ffff}"])), 1..4_u32).prop_map(
        |(path, prefix, limit)| Facet::Values {
            path: path.to_owned(),
            prefix: prefix.map(str::to_owned),
            limit,
        },
    );
    let bounds = vec(select(INTEGERS.to_vec()), 1..4).prop_map(|mut bounds| {
        bounds.sort_unstable();
        bounds
    });
    let ranges = bounds.prop_map(|bounds| Facet::Ranges { path: "n".to_owned(), bounds });
    let text = option::weighted(0.3, select(vec!["red", "sh red", "b", ""]).prop_map(str::to_owned));
    (filter(), text, vec(prop_oneof![3 => values, 1 => ranges], 0..4), scope())
        .prop_map(|(filter, text, facets, scope)| Facets { filter, text, facets, scope })
        .boxed()
}
