//! What a plugin declares about itself, besides its routes.

use store_model::{Access, FieldKind};

/// A collection that the plugin owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    pub(crate) name: &'static str,
    pub(crate) id_prefix: &'static str,
    pub(crate) owner: Option<&'static str>,
    pub(crate) fields: Vec<store_model::Field>,
    pub(crate) indexes: Vec<Vec<&'static str>>,
    pub(crate) text: Vec<(&'static str, u32)>,
}

impl Collection {
    /// A collection whose generated ids start with `id_prefix` and an underscore.
    pub fn new(name: &'static str, id_prefix: &'static str) -> Self {
        Self { name, id_prefix, owner: None, fields: Vec::new(), indexes: Vec::new(), text: Vec::new() }
    }

    /// Names the field that holds the owning customer's id. On customer calls the host then restricts every read and
    /// write to the caller's own documents.
    pub fn owner(mut self, path: &'static str) -> Self {
        self.owner = Some(path);
        self
    }

    /// Declares a field that filters and sorts may name.
    pub fn field(self, path: &'static str, kind: FieldKind, access: Access) -> Self {
        self.push(path, kind, access, false)
    }

    /// Declares a field whose path crosses an array, such as `tags` or `variants.sku`. It cannot be sorted by.
    pub fn multi_field(self, path: &'static str, kind: FieldKind, access: Access) -> Self {
        self.push(path, kind, access, true)
    }

    /// Declares a compound index. It changes no answer, only speed.
    pub fn index(mut self, fields: &[&'static str]) -> Self {
        self.indexes.push(fields.to_vec());
        self
    }

    /// Makes a field searchable by full text with a weight from 1 to 100.
    pub fn text(mut self, path: &'static str, weight: u32) -> Self {
        self.text.push((path, weight));
        self
    }

    fn push(mut self, path: &'static str, kind: FieldKind, access: Access, multi: bool) -> Self {
        self.fields.push(store_model::Field { path: path.to_owned(), kind, multi, access });
        self
    }

    /// The declaration as the store knows it.
    pub fn schema(&self) -> store_model::CollectionSchema {
        store_model::CollectionSchema {
            name: self.name.to_owned(),
            id_prefix: self.id_prefix.to_owned(),
            owner: self.owner.map(str::to_owned),
            fields: self.fields.clone(),
            indexes: self
                .indexes
                .iter()
                .map(|fields| store_model::Index {
                    fields: fields.iter().map(|&field| field.to_owned()).collect(),
                })
                .collect(),
            text: self
                .text
                .iter()
                .map(|&(path, weight)| store_model::TextField { path: path.to_owned(), weight })
                .collect(),
        }
    }
}

/// A permission that the plugin's routes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub name: &'static str,
    pub description: &'static str,
}

/// Something the plugin wants to use and does not own. `config/plugins.toml` must grant it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    pub(crate) kind: &'static str,
    pub(crate) target: &'static str,
    pub(crate) rights: Vec<&'static str>,
}

impl Capability {
    /// Reading another plugin's collection, or that of [accounts](crate::identity::ACCOUNTS).
    pub fn store_read(collection: &'static str) -> Self {
        Self { kind: "store", target: collection, rights: vec!["read"] }
    }

    /// Reading and writing another plugin's collection.
    pub fn store_write(collection: &'static str) -> Self {
        Self { kind: "store", target: collection, rights: vec!["read", "write"] }
    }

    /// Making and changing accounts, and reading them from [`ACCOUNTS`](crate::identity::ACCOUNTS).
    pub fn identity() -> Self {
        Self { kind: "identity", target: "", rights: Vec::new() }
    }

    /// Asking other plugins: `pricing`, `shipping` or `payment`.
    pub fn hook(name: &'static str) -> Self {
        Self { kind: "hooks", target: name, rights: Vec::new() }
    }

    /// Requests to a host of the internet, such as `api.stripe.com`; see [`http_client`](crate::http_client).
    pub fn http_client(host: &'static str) -> Self {
        Self { kind: "http-client", target: host, rights: Vec::new() }
    }

    /// Using a secret without seeing it, in headers and for signatures; see [`secrets`](crate::secrets).
    pub fn secret(name: &'static str) -> Self {
        Self { kind: "secrets", target: name, rights: Vec::new() }
    }

    /// The plugin loads also where this is not granted; using it then is [`StoreError::Denied`](crate::StoreError).
    pub fn optional(mut self) -> Self {
        self.rights.push("optional");
        self
    }
}
