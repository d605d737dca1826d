//! Declaring collections in the model.

use std::{collections::HashMap, sync::Arc};

use super::{Collection, MemoryStore};
use crate::{
    evaluate::values_at,
    schema::{Access, CollectionSchema, DeclareRefused, Violations},
    validate::check_document,
    value::Scalar,
    write::Refusal,
};

impl MemoryStore {
    /// Declares plugins' collections, all or none. Collections that are not named stay as they are.
    pub fn declare(&mut self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareRefused> {
        schemas.iter().try_for_each(CollectionSchema::validate)?;
        self.declare_checked(schemas)
    }

    /// The same for collections of the host, whose names may start with `_`.
    pub fn declare_host(&mut self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareRefused> {
        schemas.iter().try_for_each(CollectionSchema::validate_host)?;
        self.declare_checked(schemas)
    }

    fn declare_checked(&mut self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareRefused> {
        for schema in &schemas {
            if let Some(collection) = self.collections.get(&schema.name) {
                check_stored(schema, collection)?;
            }
        }
        for schema in schemas {
            let schema = Arc::new(schema);
            self.collections
                .entry(schema.name.clone())
                .and_modify(|collection| collection.schema = schema.clone())
                .or_insert_with(|| Collection { schema, documents: Default::default() });
        }
        Ok(())
    }
}

fn check_stored(schema: &CollectionSchema, collection: &Collection) -> Result<(), DeclareRefused> {
    let mut violations = Violations::new(schema);
    for (id, document) in &collection.documents {
        if let Err(refusal) = check_document(schema, document) {
            violations.add(id, &refusal);
        }
    }
    violations.finish()?;
    for field in schema.fields.iter().filter(|field| field.access == Access::Unique) {
        let mut holders: HashMap<Scalar, &String> = HashMap::new();
        for (id, document) in &collection.documents {
            for value in values_at(schema, document, &field.path) {
                if let Some(holder) = holders.get(&value) {
                    let (path, holder) = (field.path.clone(), (*holder).clone());
                    violations.add(id, &Refusal::Unique { path, value, id: holder });
                } else {
                    holders.insert(value, id);
                }
            }
        }
        violations.finish()?;
    }
    Ok(())
}
