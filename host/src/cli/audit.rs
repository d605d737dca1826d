//! `wares audit`.

use std::process::ExitCode;

use serde_json::json;

use super::{Failure, Output, arguments::PlaceArguments};
use crate::{
    audit::{AuditLog, AuditReport},
    clock::Clock,
    config::Config,
    control::ControlClient,
    store::{Store, idempotency},
};

/// How many problems are printed; the rest is counted.
const SHOWN_PROBLEMS: usize = 20;

pub(super) async fn verify(place: &PlaceArguments, output: Output) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&place.overrides())?.config;
    let report = match ControlClient::connect(&config.store.data_dir).await? {
        Some(client) => client.audit_verify().await?,
        None => in_store(&mut config).await?,
    };
    let AuditReport { seals, sealed_entries, unsealed_entries, problems } = &report;
    let text = format!(
        "{sealed_entries} entries below {seals} seals are as they were written; {unsealed_entries} are not sealed yet."
    );
    output.answer(&text, &json!(report));
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    problems.iter().take(SHOWN_PROBLEMS).for_each(|problem| output.warning(problem));
    Err(Failure::new(
        format!("the audit log is not what was sealed: {} problems", problems.len()),
        "Keep the store as it is, and compare it with a backup.",
    ))
}

/// Reads the log when no host runs.
async fn in_store(config: &mut Config) -> Result<AuditReport, Failure> {
    let store_config = config.store.store_config();
    if !store_config.exists() {
        let cause = format!("there is no store in {store_config}");
        return Err(Failure::new(cause, "Name the folder that has one with --data-dir."));
    }
    config.prepare()?;
    let store = Store::open(store_config, Clock::system()).await?;
    let checked = check(&store, config).await;
    store.close().await;
    checked
}

async fn check(store: &Store, config: &Config) -> Result<AuditReport, Failure> {
    const CHECK_DISK: &str = "Check the disk, then try again.";
    // A store from before the log was sealed.
    let mut collections = idempotency::host_collections();
    collections.push(AuditLog::schema());
    let declared = store.collections_declare_host(collections).await;
    declared.map_err(|error| Failure::of(&error, CHECK_DISK))?;
    let log = AuditLog::new(store.clone(), &config.auth, &config.store.data_dir);
    log.verify().await.map_err(|error| Failure::of(&error, CHECK_DISK))
}
