//! How a collection lies in the database.
//!
//! A collection of the store is a collection of MongoDB with the same name, one record for each document:
//!
//! | Member | What it holds |
//! |---|---|
//! | `_id` | The id |
//! | `doc` | The document with all members, as JSON would have them |
//! | `k` | For every multi field that holds something: its distinct values |
//! | `t` | For every searchable word: the word `w` and its weight `n` |
//! | `s` | The revision of the declaration that `k` and `t` follow |
//! | `touched` | Changed by a check, so that it conflicts with every other write |
//!
//! Single fields are compared and indexed where they are, in `doc`: a commit makes sure that a declared path
//! goes through no array and holds its kind, null or nothing, and then MongoDB compares as the model does.
//! The way through arrays is where the two differ, so multi fields have `k`.
//!
//! The database refuses a record whose `s` is not the current revision. This is how a host that does not know
//! of a new declaration yet learns of it before it can do harm.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, raw::CStr, rawdoc};
use serde_json::{Map, Value};
use store_model::{
    Access, CollectionSchema, FieldKind, Scalar,
    evaluate::values_at,
    schema::{Field, HOST_MEMBERS},
    text::document_tokens,
};

use super::{
    bson::{body_to_bson, scalar_to_bson},
    fault::Fault,
};

/// The collections of the store by name.
pub(super) type Tables = HashMap<String, Arc<Table>>;

/// A collection as it is declared.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: Arc<CollectionSchema>,
    /// A declaration that is about to replace this one. Records follow both.
    pub(super) next: Option<Arc<CollectionSchema>>,
    pub(super) revision: i32,
}

/// An index that follows from a declaration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableIndex {
    /// Tells everything about the index, so that indexes are the same when their names are.
    pub(super) name: String,
    keys: Document,
    /// A unique index covers the records that match this.
    pub(super) unique: Option<Document>,
}

/// All our indexes are called so; others belong to the owner of the database and are left alone.
pub(super) const INDEX_PREFIX: &str = "wares ";

impl Table {
    /// Where the values of a field lie. Declared paths hold nothing that would have to be escaped.
    pub(super) fn key(&self, path: &str) -> String {
        key(&self.schema, path)
    }

    pub(super) fn is_multi(&self, path: &str) -> bool {
        self.schema.field(path).is_some_and(|field| field.multi)
    }

    /// The record of a document.
    pub(super) fn record(&self, id: &str, document: &Map<String, Value>) -> Result<RawDocumentBuf, Fault> {
        let mut record = rawdoc! { "_id": id, "s": self.revision };
        record.append(mongodb::bson::raw::cstr!("doc"), body_to_bson(document)?);
        let (values, tokens) = self.derived(document)?;
        if !values.is_empty() {
            record.append(mongodb::bson::raw::cstr!("k"), values);
        }
        if !tokens.is_empty() {
            record.append(mongodb::bson::raw::cstr!("t"), tokens);
        }
        Ok(record)
    }

    /// The members `k` and `t` of a record.
    pub(super) fn derived(
        &self,
        document: &Map<String, Value>,
    ) -> Result<(RawDocumentBuf, RawArrayBuf), Fault> {
        let mut values = RawDocumentBuf::new();
        for schema in [Some(&self.schema), self.next.as_ref()].into_iter().flatten() {
            for field in schema.fields.iter().filter(|field| field.multi) {
                let name = multi_name(&field.path);
                let known = |old: &CollectionSchema| old.field(&field.path).is_some_and(|field| field.multi);
                let repeated = !Arc::ptr_eq(schema, &self.schema) && known(&self.schema);
                let distinct: BTreeSet<Scalar> =
                    values_at(schema, document, &field.path).into_iter().collect();
                if distinct.is_empty() || repeated {
                    continue;
                }
                let mut array = RawArrayBuf::new();
                for value in distinct {
                    array.push(mongodb::bson::RawBson::try_from(scalar_to_bson(&value))?);
                }
                let name: &CStr = name.as_str().try_into()?;
                values.append(name, array);
            }
        }
        let mut tokens = RawArrayBuf::new();
        for (word, weight) in document_tokens(self.next.as_ref().unwrap_or(&self.schema), document) {
            tokens.push(rawdoc! { "w": word, "n": i64::from(weight) });
        }
        Ok((values, tokens))
    }

    /// All indexes of the collection.
    pub(super) fn indexes(&self) -> Vec<TableIndex> {
        indexes(&self.schema)
    }
}

/// All indexes that a declaration asks for.
///
/// An index that is not unique goes on with the id, so that it delivers sorted pages. A unique one leaves null
/// out, so it cannot; a single unique field has one of each.
pub(super) fn indexes(schema: &CollectionSchema) -> Vec<TableIndex> {
    let mut indexes: Vec<TableIndex> = Vec::new();
    let mut add = |label: String, keys: Document, unique: Option<Document>| {
        let kind = if unique.is_some() { "unique " } else { "" };
        let index = TableIndex { name: format!("{INDEX_PREFIX}{kind}{label}"), keys, unique };
        if indexes.iter().all(|known| known.name != index.name) {
            indexes.push(index);
        }
    };
    for field in schema.supplied_fields() {
        let key = key(schema, &field.path);
        let unique = field.access == Access::Unique;
        match (field.access, field.multi) {
            (Access::Scan, _) => continue,
            (_, true) => {
                let covered = unique.then(|| doc! { &key: { "$exists": true } });
                add(format!("{} multi", field.path), doc! { &key: 1 }, covered);
            }
            (_, false) => {
                if unique {
                    add(field.path.clone(), doc! { &key: 1 }, Some(doc! { &key: { "$gte": least(&field) } }));
                }
                add(field.path, doc! { &key: 1, "_id": 1 }, None);
            }
        }
    }
    for path in &HOST_MEMBERS[2..] {
        add((*path).to_owned(), doc! { key(schema, path): 1, "_id": 1 }, None);
    }
    for compound in &schema.indexes {
        let mut keys: Document =
            compound.fields.iter().map(|path| (key(schema, path), Bson::Int32(1))).collect();
        keys.insert("_id", 1);
        add(compound.fields.join(","), keys, None);
    }
    if !schema.text.is_empty() {
        add("text".to_owned() + " words", doc! { "t.w": 1 }, None);
    }
    indexes
}

impl TableIndex {
    /// The index as `createIndexes` wants it.
    pub(super) fn command(&self) -> Document {
        let mut index = doc! { "name": &self.name, "key": self.keys.clone() };
        if let Some(covered) = &self.unique {
            index.insert("unique", true);
            index.insert("partialFilterExpression", covered.clone());
        }
        index
    }
}

/// The least value of a field's kind: at least this and not null are the same.
pub(super) fn least_of(kind: FieldKind) -> Bson {
    match kind {
        FieldKind::Text | FieldKind::Timestamp => Bson::String(String::new()),
        FieldKind::Integer => Bson::Int64(i64::MIN),
        FieldKind::Boolean => Bson::Boolean(false),
    }
}

fn least(field: &Field) -> Bson {
    least_of(field.kind)
}

fn key(schema: &CollectionSchema, path: &str) -> String {
    match path {
        "id" => "_id".to_owned(),
        _ if schema.field(path).is_some_and(|field| field.multi) => format!("k.{}", multi_name(path)),
        _ => format!("doc.{path}"),
    }
}

/// The name of a multi field in `k`, where a dot would mean a way down.
pub(super) fn multi_name(path: &str) -> String {
    path.replace('.', "/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store_model::{Field, Index, TextField};

    use super::*;

    fn table() -> Table {
        let schema = CollectionSchema {
            fields: vec![
                Field::integer("n", Access::Index),
                Field::text("u", Access::Unique),
                Field::text("tags", Access::Scan).multi(),
                Field::text("v.sku", Access::Unique).multi(),
            ],
            indexes: vec![Index { fields: vec!["n".to_owned(), "createdAt".to_owned()] }],
            text: vec![TextField { path: "name".to_owned(), weight: 3 }],
            ..CollectionSchema::new("things", "thing")
        };
        Table { schema: Arc::new(schema), next: None, revision: 2 }
    }

    #[test]
    fn a_record_has_what_is_derived() {
        let document = json!({"id": "a", "tags": ["y", null, "x", "y"], "v": [{}], "name": "Red shoe"});
        let record = table().record("a", document.as_object().unwrap()).unwrap();
        let expected = rawdoc! {
            "_id": "a", "s": 2,
            "doc": {
                "id": "a", "tags": ["y", null, "x", "y"], "v": [{}], "name": "Red shoe",
            },
            "k": { "tags": ["x", "y"] },
            "t": [{ "w": "red", "n": 3_i64 }, { "w": "shoe", "n": 3_i64 }],
        };
        assert_eq!(record, expected);
        let empty = table().record("a", &Map::new()).unwrap();
        assert_eq!(empty, rawdoc! { "_id": "a", "s": 2, "doc": {} });
    }

    #[test]
    fn a_change_derives_for_both_declarations() {
        let mut table = table();
        let next = CollectionSchema {
            fields: vec![
                Field::text("tags", Access::Index).multi(),
                Field::text("more", Access::Index).multi(),
            ],
            ..CollectionSchema::new("things", "thing")
        };
        table.next = Some(Arc::new(next));
        let document = json!({"tags": ["x"], "v": [{"sku": "1"}], "more": ["z"], "name": "red"});
        let (values, tokens) = table.derived(document.as_object().unwrap()).unwrap();
        assert_eq!(values, rawdoc! { "tags": ["x"], "v/sku": ["1"], "more": ["z"] });
        assert!(tokens.is_empty());
    }

    #[test]
    fn a_name_tells_everything_about_an_index() {
        let names: Vec<String> = table().indexes().into_iter().map(|index| index.name).collect();
        let expected = [
            "wares n",
            "wares unique u",
            "wares u",
            "wares unique v.sku multi",
            "wares createdAt",
            "wares updatedAt",
            "wares n,createdAt",
            "wares text words",
        ];
        assert_eq!(names, expected);
    }
}
