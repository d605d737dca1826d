//! The documents of the durability suites, and the process that writes them until it is killed.
#![allow(clippy::print_stdout, reason = "the writing process acknowledges on its standard output")]

use std::path::Path;

use host::{clock::Clock, store::Store};
use serde_json::{Value, json};
use store_model::{Access, CollectionSchema, Field, TextField, Write};

use super::{backend::open_embedded, write::insert};

pub const COLLECTION: &str = "things";
/// Set in the writing process: the data directory.
pub const DIRECTORY: &str = "WARES_TEST_WRITER_DIRECTORY";
/// Set in the writing process: keeps the ids of several runs in one directory apart.
pub const RUN: &str = "WARES_TEST_WRITER_RUN";

const WRITERS: u32 = 8;

/// Every kind of index: a single, a unique, a side table and tokens.
pub fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![
            Field::text("slug", Access::Unique),
            Field::text("group", Access::Index),
            Field::text("variants.sku", Access::Unique).multi(),
        ],
        text: vec![TextField { path: "name".to_owned(), weight: 1 }],
        ..CollectionSchema::new(COLLECTION, "thing")
    }
}

pub fn document(id: &str, group: &str) -> Write {
    let skus: Vec<Value> = (0..2).map(|number| json!({"sku": format!("{id}-{number}")})).collect();
    let body = json!({"slug": id, "group": group, "name": format!("thing {id}"), "variants": skus});
    insert(COLLECTION, id, body)
}

/// The ids of the documents of a transaction.
pub fn transaction(group: &str) -> [String; 3] {
    [0, 1, 2].map(|number| format!("{group}.{number}"))
}

pub async fn open(directory: &Path) -> Store {
    let store = open_embedded(directory, Clock::system()).await;
    store.collections_declare(vec![schema()]).await.unwrap();
    store
}

/// Writes until it is killed, and prints a line for everything that was acknowledged: `one <id>` or
/// `three <group>`.
pub fn write_until_killed(directory: &Path, run: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(directory).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(store.clone(), format!("r{run}w{writer}"))))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Store, name: String) {
    for number in 0_u64.. {
        let group = format!("{name}n{number}");
        let (writes, line) = if number % 3 == 0 {
            let writes = transaction(&group).iter().map(|id| document(id, &group)).collect();
            (writes, format!("three {group}"))
        } else {
            (vec![document(&group, "none")], format!("one {group}"))
        };
        store.commit(writes).await.unwrap();
        println!("{line}");
    }
}
