//! The OpenAPI document: what the host and the loaded plugins answer, made from what they check requests against.
//!
//! It knows no HTTP server and no WebAssembly: a generation goes in, a document comes out, in an order that does not
//! depend on chance. Deliberately absent: anything written by hand about a plugin's routes.

mod compatible;
mod host_routes;
mod operation;
mod parameters;
mod problems;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::plugin::Generation;

pub use compatible::to_3_0;

/// What is told of the host itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Where clients reach the API, such as `https://api.example.com/api/v1`.
    pub server: String,
    /// The version of the host.
    pub version: &'static str,
}

/// The documents of a generation, ready to be sent.
#[derive(Debug)]
pub struct Documents {
    pub generation: u64,
    /// OpenAPI 3.1.
    pub current: Document,
    /// OpenAPI 3.0.
    pub compatible: Document,
}

#[derive(Debug)]
pub struct Document {
    pub json: Bytes,
    /// A strong tag, with its quotes.
    pub etag: String,
}

impl Documents {
    pub fn of(generation: &Generation, about: &About) -> Self {
        let current = document(generation, about);
        let compatible = Document::of(&to_3_0(&current));
        Self { generation: generation.id, current: Document::of(&current), compatible }
    }
}

impl Document {
    fn of(document: &Value) -> Self {
        let json = Bytes::from(document.to_string());
        let etag = format!("\"{}\"", &blake3::hash(&json).to_hex()[..16]);
        Self { json, etag }
    }
}

/// The document of a generation, as OpenAPI 3.1.
pub fn document(generation: &Generation, about: &About) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    host_routes::add(&mut paths, &mut schemas, &mut tags);
    for plugin in generation.plugins.values() {
        let descriptor = &plugin.prepared.descriptor;
        for (name, schema) in &descriptor.schemas {
            schemas.insert(name.clone(), schema.clone());
        }
        for route in &descriptor.routes {
            let tag = operation::tag(&route.path);
            tags.entry(tag).or_insert_with(|| descriptor.title.clone());
            let operation = operation::of(route, plugin.id(), plugin.version(), generation);
            paths.entry(route.path.clone()).or_default().insert(route.method.to_lowercase(), operation);
        }
    }
    schemas.insert("Problem".to_owned(), problems::schema());
    let responses = problems::shared(&mut paths);
    let tags: Vec<Value> = tags
        .into_iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wares",
            "version": about.version,
            "summary": "A commerce API whose endpoints are plugins",
            "description": "Made from the host and the plugins that are loaded at this moment. Lists are JSON arrays \
                            with their total and their next page in headers; every refusal is an RFC 9457 problem \
                            document with a code of a closed list.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": about.server, "description": "This host" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "securitySchemes": {
                "bearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token that a login answers."
                }
            }
        }
    })
}
