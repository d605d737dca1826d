//! An import from its first batch to its last.

use std::collections::VecDeque;

use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};

use super::{
    ImportError, Journal, Kind, Mistake, Options, Report, StockMode,
    answers::Refusal,
    batch::{Batch, batches},
    send::{self, Outcome, Work},
    shelves::Shelves,
    trial::Planned,
};
use crate::seed::SystemApi;

/// Batches that are sent side by side.
const PARALLEL: usize = 4;

/// What is told while an import runs, in the order of the file.
pub enum Told<'t> {
    /// Everything up to this line is done.
    Line(u64),
    Mistakes(&'t [Mistake]),
    Warning(&'t str),
}

/// Imports a file. A row that is refused stops nothing; an API that does not answer ends it, and the journal knows how
/// far it came. A dry run has no journal.
///
/// # Errors
/// What keeps the import from going on.
pub async fn run(
    api: &impl SystemApi,
    options: &Options,
    journal: Option<&Journal>,
    mut tell: impl FnMut(Told<'_>) -> Result<(), ImportError>,
) -> Result<Report, ImportError> {
    check(api, options.kind).await?;
    let mut receiver = batches(options, journal.map(|journal| journal.done().clone()))?;
    let (shelves, planned) = (Shelves::default(), Planned::default());
    let wants_stock = options.kind == Kind::Products && options.stock != StockMode::Leave;
    let stock = wants_stock && api.request("GET", "/inventory?limit=1", None).await?.0 == 200;
    if wants_stock && !stock {
        tell(Told::Warning("nobody keeps stock in this shop: what the file says of it is left out"))?;
    }
    let work = Work { api, options, journal, shelves: &shelves, planned: &planned, stock };
    let mut report = Report {
        dry_run: options.dry_run,
        done_before: journal.map_or(0, |journal| journal.done().count()),
        ..Report::default()
    };
    let mut flight = FuturesOrdered::new();
    let mut names: VecDeque<Batch> = VecDeque::new();
    while let Some(batch) = receiver.recv().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                // What is under way is finished, so that it need not be done again.
                while let Some(outcome) = flight.next().await {
                    add(&mut report, &outcome?, &mut tell)?;
                }
                return Err(error);
            }
        };
        // Two rows about one product are done in their order.
        while names.len() == PARALLEL || names.iter().any(|earlier| batch.follows(earlier)) {
            let Some(outcome) = flight.next().await else { break };
            names.pop_front();
            add(&mut report, &outcome?, &mut tell)?;
        }
        names.push_back(batch.names());
        flight.push_back(send::send(&work, batch).boxed());
    }
    while let Some(outcome) = flight.next().await {
        add(&mut report, &outcome?, &mut tell)?;
    }
    report.categories_created = shelves.created().await;
    Ok(report)
}

fn add(
    report: &mut Report,
    outcome: &Outcome,
    tell: &mut impl FnMut(Told<'_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    report.created += outcome.created;
    report.updated += outcome.updated;
    report.skipped += outcome.skipped;
    report.refused += outcome.refused;
    report.stocked += outcome.stocked;
    report.untried += outcome.untried;
    report.mistakes += outcome.mistakes.len() as u64;
    for warning in &outcome.warnings {
        tell(Told::Warning(warning))?;
    }
    if !outcome.mistakes.is_empty() {
        tell(Told::Mistakes(&outcome.mistakes))?;
    }
    match outcome.line {
        // Nothing but what could not be read.
        0 => Ok(()),
        line => tell(Told::Line(line)),
    }
}

/// Looks whether there is somebody to take it. Without the plugins every row would be refused, and nothing would say why.
async fn check(api: &impl SystemApi, kind: Kind) -> Result<(), ImportError> {
    let needed: &[Kind] = match kind {
        Kind::Products => &[Kind::Categories, Kind::Products],
        Kind::Categories => &[Kind::Categories],
        Kind::Users => &[Kind::Users],
        Kind::Orders => &[Kind::Orders],
    };
    for kind in needed {
        let path = send::path(*kind);
        let (status, problem) = api.request("GET", &format!("{path}?limit=1"), None).await?;
        if status != 200 {
            return Err(Refusal::of(status, &problem).ends(&format!("GET {path}")));
        }
    }
    Ok(())
}
