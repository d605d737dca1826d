//! Queries as pipelines: pages and counts.

use mongodb::bson::{Bson, Document, doc};
use store_model::{
    Direction, Query, Scalar,
    order::OrderKey,
    schema::HOST_MEMBERS,
    text::{TextQuery, WHOLE_WORD, prefix_successor},
    validate::PreparedQuery,
};

use super::{
    bson::scalar_to_bson,
    filter::{all, query as to_query},
    table::{Table, least_of},
};

/// The pipelines whose results make up the page, one after the other. What follows the order (offset and
/// limit) is left to [`rest`].
///
/// After a cursor, "all keys greater" is a chain of alternatives: same first key and greater second, greater
/// first, and so on, with null on its own. Each as its own pipeline is one range of an index, and since they
/// follow each other in the order, their results need no merging.
pub(super) fn page_pipelines(table: &Table, query: &Query, prepared: &PreparedQuery) -> Vec<Vec<Document>> {
    let matching = to_query(table, &query.filter, query.scope.as_ref(), prepared.text.as_ref());
    let ranks = prepared.order.keys.contains(&OrderKey::Rank);
    let rank = prepared.text.as_ref().filter(|_| ranks).map(rank);
    let pipeline = |fields: Vec<Document>, ranked: Vec<Document>, keys: &[OrderKey]| {
        let mut parts = vec![matching.clone()];
        parts.extend(fields);
        let mut pipeline = vec![doc! { "$match": all(parts) }];
        if let Some(rank) = &rank {
            pipeline.push(doc! { "$set": { "rank": rank.clone() } });
        }
        if !ranked.is_empty() {
            pipeline.push(doc! { "$match": all(ranked) });
        }
        pipeline.push(doc! { "$sort": order(table, keys) });
        pipeline
    };
    let keys = &prepared.order.keys;
    let Some(after) = &prepared.after else {
        return vec![pipeline(Vec::new(), Vec::new(), keys)];
    };
    let mut pipelines = Vec::new();
    for (depth, key) in keys.iter().enumerate().rev() {
        let same: Vec<(&OrderKey, Document)> = keys
            .iter()
            .zip(after)
            .take(depth)
            .map(|(key, value)| (key, doc! { name(table, key): { "$eq": scalar_to_bson(value) } }))
            .collect();
        for beyond in beyond(table, key, &after[depth]) {
            let conditions = same.iter().cloned().chain([(key, beyond)]);
            let (ranked, fields): (Vec<_>, Vec<_>) =
                conditions.partition(|(key, _)| matches!(key, OrderKey::Rank));
            let only = |conditions: Vec<(&OrderKey, Document)>| {
                conditions.into_iter().map(|(_, condition)| condition).collect()
            };
            pipelines.push(pipeline(only(fields), only(ranked), &keys[depth..]));
        }
    }
    pipelines
}

/// What is after a value in the order of one key: at most the other values, and null.
fn beyond(table: &Table, key: &OrderKey, value: &Scalar) -> Vec<Document> {
    let name = name(table, key);
    match (key.direction(), value.is_null()) {
        (Direction::Ascending, false) => vec![doc! { name: { "$gt": scalar_to_bson(value) } }],
        // Null is the least: everything else comes after it ascending, and it after everything descending.
        (Direction::Ascending, true) => vec![doc! { name: { "$gte": least(table, key) } }],
        (Direction::Descending, true) => Vec::new(),
        (Direction::Descending, false) => {
            let less = doc! { &name: { "$lt": scalar_to_bson(value) } };
            if is_nullable(key) { vec![less, doc! { name: { "$eq": Bson::Null } }] } else { vec![less] }
        }
    }
}

/// The end of a pipeline: which part of the results, and what of them.
pub(super) fn rest(offset: u32, limit: usize) -> Vec<Document> {
    let mut rest = Vec::new();
    if offset > 0 {
        rest.push(doc! { "$skip": i64::from(offset) });
    }
    rest.push(doc! { "$limit": limit as i64 });
    rest.push(doc! { "$project": { "_id": 0, "doc": 1, "rank": 1 } });
    rest
}

/// The pipeline that counts.
pub(super) fn count_pipeline(matching: Document) -> Vec<Document> {
    vec![doc! { "$match": matching }, doc! { "$count": "n" }]
}

/// The rank of a document that matches: for every word the best weight.
fn rank(text: &TextQuery) -> Document {
    let weights = |condition: Document, times: Bson| {
        let matching = doc! { "$filter": { "input": "$t", "as": "x", "cond": condition } };
        doc! { "$map": { "input": matching, "as": "x", "in": { "$multiply": ["$$x.n", times] } } }
    };
    let words = |words: &[String]| -> Vec<Bson> {
        words.iter().map(|word| Bson::Document(doc! { "$literal": word })).collect()
    };
    let mut sum = Vec::new();
    if !text.exact.is_empty() {
        let matching = doc! { "$in": ["$$x.w", words(&text.exact)] };
        sum.push(doc! { "$sum": weights(matching, Bson::Int64(WHOLE_WORD)) });
    }
    if let Some(prefix) = &text.prefix {
        let mut range = vec![doc! { "$gte": ["$$x.w", { "$literal": prefix }] }];
        if let Some(end) = prefix_successor(prefix) {
            range.push(doc! { "$lt": ["$$x.w", { "$literal": end }] });
        }
        let whole = doc! { "$eq": ["$$x.w", { "$literal": prefix }] };
        let times = doc! { "$cond": [whole, WHOLE_WORD, 1_i64] };
        sum.push(doc! { "$max": weights(doc! { "$and": range }, Bson::Document(times)) });
    }
    if sum.is_empty() {
        doc! { "$literal": 0_i64 }
    } else {
        doc! { "$add": sum }
    }
}

fn order(table: &Table, keys: &[OrderKey]) -> Document {
    let direction = |key: &OrderKey| match key.direction() {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    keys.iter().map(|key| (name(table, key), Bson::Int32(direction(key)))).collect()
}

fn name(table: &Table, key: &OrderKey) -> String {
    match key {
        OrderKey::Rank => "rank".to_owned(),
        OrderKey::Field(key) => table.key(&key.path),
    }
}

fn least(table: &Table, key: &OrderKey) -> Bson {
    match key {
        OrderKey::Rank => Bson::Int64(0),
        OrderKey::Field(key) => {
            table.schema.field(&key.path).map_or(Bson::MinKey, |field| least_of(field.kind))
        }
    }
}

fn is_nullable(key: &OrderKey) -> bool {
    match key {
        OrderKey::Rank => false,
        OrderKey::Field(key) => !HOST_MEMBERS.contains(&key.path.as_str()),
    }
}
