//! Whether a declaration is well-formed.

use std::collections::HashSet;

use super::{Access, CollectionSchema, Field, FieldKind, HOST_MEMBERS, SchemaError};
use crate::path::is_declarable;

/// Most fields, compound indexes and text fields. Every one of them makes every write slower.
const FIELDS: usize = 64;
const INDEXES: usize = 16;
const INDEX_FIELDS: usize = 6;
const TEXT_FIELDS: usize = 16;
/// Most indexes that all of it makes, without those of the host. MongoDB has 64 in a collection.
const INDEXES_MADE: usize = 60;

impl CollectionSchema {
    /// Checks a plugin's declaration. Names that start with `_` belong to the host and are refused.
    pub fn validate(&self) -> Result<(), SchemaError> {
        if self.name.starts_with('_') {
            return Err(self.error("names that start with `_` are reserved for the host"));
        }
        self.validate_host()
    }

    /// Checks a declaration of the host itself, whose names may start with `_`.
    pub fn validate_host(&self) -> Result<(), SchemaError> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 40
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if !is_name(&self.name) {
            return Err(self.error("a name has 1 to 40 lower-case letters, digits and `_`"));
        }
        if !is_name(&self.id_prefix) || self.id_prefix.len() > 16 {
            return Err(self.error("an id prefix has 1 to 16 lower-case letters, digits and `_`"));
        }
        self.validate_fields()?;
        self.validate_owner()?;
        self.validate_indexes()?;
        self.validate_text()?;
        self.validate_made()
    }

    /// An index for each field that has one, and a second one where a single field is unique: one keeps the
    /// values apart, the other delivers sorted pages.
    fn validate_made(&self) -> Result<(), SchemaError> {
        let made = |field: &Field| match field.access {
            Access::Scan => 0,
            Access::Unique if !field.multi => 2,
            Access::Index | Access::Unique => 1,
        };
        let fields: usize = self.supplied_fields().iter().map(made).sum();
        if fields + self.indexes.len() > INDEXES_MADE {
            return Err(
                self.error(&format!("more than {INDEXES_MADE} indexes, of which a unique field is two"))
            );
        }
        Ok(())
    }

    fn validate_fields(&self) -> Result<(), SchemaError> {
        if self.fields.len() > FIELDS {
            return Err(self.error(&format!("more than {FIELDS} fields")));
        }
        let mut seen = HashSet::new();
        for field in &self.fields {
            let path = &field.path;
            self.validate_path(path)?;
            let is_host = |first: &str| HOST_MEMBERS.iter().any(|member| member.eq_ignore_ascii_case(first));
            if path.split('.').next().is_some_and(is_host) {
                return Err(self.error(&format!("`{path}` is kept and declared by the host")));
            }
            // Names of tables, indexes and columns are the same to SQLite whatever their case.
            if !seen.insert(path.to_ascii_lowercase()) {
                return Err(self.error(&format!("`{path}` is declared twice, or again in another case")));
            }
            if field.access == Access::Unique && field.kind == FieldKind::Boolean {
                return Err(self.error(&format!("`{path}` is a boolean and cannot be unique")));
            }
        }
        Ok(())
    }

    fn validate_owner(&self) -> Result<(), SchemaError> {
        let Some(owner) = &self.owner else { return Ok(()) };
        self.validate_path(owner)?;
        let is_other = |field: &Field| field.path != *owner && field.path.eq_ignore_ascii_case(owner);
        if self.fields.iter().any(is_other) {
            return Err(self.error(&format!("the owner field `{owner}` is declared again in another case")));
        }
        match self.field(owner) {
            Some(field) if field.kind == FieldKind::Text && !HOST_MEMBERS.contains(&owner.as_str()) => Ok(()),
            _ => Err(self.error(&format!("the owner field `{owner}` must be a text, or several"))),
        }
    }

    fn validate_indexes(&self) -> Result<(), SchemaError> {
        if self.indexes.len() > INDEXES {
            return Err(self.error(&format!("more than {INDEXES} compound indexes")));
        }
        for index in &self.indexes {
            if index.fields.is_empty() || index.fields.len() > INDEX_FIELDS {
                return Err(self.error(&format!("a compound index has 1 to {INDEX_FIELDS} fields")));
            }
            for path in &index.fields {
                match self.field(path) {
                    Some(field) if !field.multi => {}
                    Some(_) => return Err(self.error(&format!("`{path}` is multi and cannot be compound"))),
                    None => return Err(self.error(&format!("the index field `{path}` is not declared"))),
                }
            }
        }
        Ok(())
    }

    fn validate_text(&self) -> Result<(), SchemaError> {
        if self.text.len() > TEXT_FIELDS {
            return Err(self.error(&format!("more than {TEXT_FIELDS} text fields")));
        }
        for field in &self.text {
            self.validate_path(&field.path)?;
            if !(1..=100).contains(&field.weight) {
                return Err(self.error(&format!("the weight of `{}` is not 1 to 100", field.path)));
            }
        }
        Ok(())
    }

    fn validate_path(&self, path: &str) -> Result<(), SchemaError> {
        if is_declarable(path) {
            return Ok(());
        }
        Err(self.error(&format!("`{path}` is not a dotted path of letters, digits, `_` and `-`")))
    }

    fn error(&self, message: &str) -> SchemaError {
        SchemaError { collection: self.name.clone(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Index, TextField};

    fn schema() -> CollectionSchema {
        CollectionSchema {
            owner: Some("customerId".to_owned()),
            fields: vec![
                Field::text("slug", Access::Unique),
                Field::text("variants.sku", Access::Unique).multi(),
                Field::integer("price", Access::Index),
            ],
            indexes: vec![Index { fields: vec!["price".to_owned(), "createdAt".to_owned()] }],
            text: vec![TextField { path: "name.en".to_owned(), weight: 10 }],
            ..CollectionSchema::new("products", "prod")
        }
    }

    #[test]
    fn a_sound_declaration_is_accepted() {
        schema().validate().unwrap();
    }

    #[test]
    fn names_with_an_underscore_first_are_reserved() {
        let schema = CollectionSchema::host("jobs", "job");
        assert!(schema.validate().is_err());
        schema.validate_host().unwrap();
    }

    #[test]
    fn unsound_declarations_are_refused() {
        let broken: Vec<fn(&mut CollectionSchema)> = vec![
            |schema| schema.name = "Products".to_owned(),
            |schema| schema.id_prefix = String::new(),
            |schema| schema.owner = Some("price".to_owned()),
            |schema| schema.owner = Some("id".to_owned()),
            |schema| schema.fields.push(Field::text("slug", Access::Scan)),
            |schema| schema.fields.push(Field::text("Slug", Access::Scan)),
            |schema| schema.owner = Some("SLUG".to_owned()),
            |schema| schema.fields.push(Field::text("version", Access::Scan)),
            |schema| schema.fields.push(Field::timestamp("createdat", Access::Scan)),
            |schema| schema.fields.push(Field::text("a..b", Access::Scan)),
            |schema| schema.fields.push(Field::text("a'b", Access::Scan)),
            |schema| schema.fields.push(Field::boolean("flag", Access::Unique)),
            |schema| schema.indexes.push(Index { fields: vec!["variants.sku".to_owned()] }),
            |schema| schema.indexes.push(Index { fields: vec!["nowhere".to_owned()] }),
            |schema| schema.text[0].weight = 0,
            |schema| schema.fields.extend((0..30).map(|n| Field::text(&format!("u{n}"), Access::Unique))),
        ];
        for (number, breaking) in broken.into_iter().enumerate() {
            let mut schema = schema();
            breaking(&mut schema);
            assert!(schema.validate().is_err(), "case {number}");
        }
    }
}
