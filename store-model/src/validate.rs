//! What is checked before anything is looked up or stored.

mod document;
mod query;
mod stored;

pub use document::{
    DOCUMENT_BSON_BYTES, DOCUMENT_BYTES, DOCUMENT_DEPTH, ID_BYTES, bson_bytes, check_document, check_id,
};
pub use query::{PreparedQuery, check_aggregate, check_facets, check_filter, check_query, check_scope};
pub use stored::check_stored;
