//! One host declares at a time.
//!
//! The lease is a document with the time until which it is somebody's. It is the server's time that counts,
//! and whoever dies with it loses it soon.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{commit::PATIENCE, fault::Fault};

const COLLECTION: &str = "wares.leases";
const ID: &str = "declaring";
/// How long a lease lasts without being renewed.
const LASTS_MS: i64 = 15_000;
const RENEWED: Duration = Duration::from_secs(5);
const ASKED: Duration = Duration::from_millis(100);
/// How long another host's declaration is waited for.
const WAIT: Duration = Duration::from_secs(60);

pub(super) struct Lease {
    leases: Collection<Document>,
    holder: String,
    renewing: JoinHandle<()>,
}

impl Lease {
    pub(super) async fn take(database: &Database) -> Result<Self, Fault> {
        let leases = database.collection::<Document>(COLLECTION);
        let holder = ulid::Ulid::generate().to_string();
        let free = doc! { "_id": ID, "until": mongodb::bson::DateTime::from_millis(0) };
        let insert = leases.insert_one(free);
        match timeout(PATIENCE, async { insert.await }).await.map_err(|_| Fault::Late)?.map_err(Fault::from) {
            Err(fault) if !fault.is_duplicate() => return Err(fault),
            _ => {}
        }
        let until = Instant::now() + WAIT;
        let over = doc! { "_id": ID, "$expr": { "$lt": ["$until", "$$NOW"] } };
        loop {
            let take = leases.update_one(over.clone(), hold(&holder));
            let taken = timeout(PATIENCE, async { take.await }).await.map_err(|_| Fault::Late)??;
            if taken.matched_count > 0 {
                break;
            }
            if Instant::now() >= until {
                return Err(Fault::Late);
            }
            sleep(ASKED).await;
        }
        let renewing = tokio::spawn(renew(leases.clone(), holder.clone()));
        Ok(Self { leases, holder, renewing })
    }

    pub(super) async fn give_back(self) -> Result<(), Fault> {
        self.renewing.abort();
        let own = doc! { "_id": ID, "holder": &self.holder };
        let free = doc! { "$set": { "until": mongodb::bson::DateTime::from_millis(0) } };
        self.leases.update_one(own, free).await?;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn hold(holder: &str) -> Vec<Document> {
    vec![doc! { "$set": { "until": { "$add": ["$$NOW", LASTS_MS] }, "holder": { "$literal": holder } } }]
}

async fn renew(leases: Collection<Document>, holder: String) {
    loop {
        sleep(RENEWED).await;
        let own = doc! { "_id": ID, "holder": &holder };
        if let Err(error) = leases.update_one(own, hold(&holder)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "The lease was not renewed");
        }
    }
}
