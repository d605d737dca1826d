//! From the file to batches that can be one request: a thread of its own reads ahead by a few of them.

use std::{collections::HashSet, sync::Arc, thread};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Draft, Format, ImportError, Item, Kind, Mistake, Options, journal::Done, ndjson, shopify,
    shopify::Settings,
};

/// Most operations of a bulk request, less two that a dry run needs.
const DRAFTS_MAX: usize = 98;

/// Most calls into the host that a batch may cost its plugin, by estimate. The default budget is 1 000.
const WEIGHT_MAX: usize = 600;

/// Largest batch, in bytes: well below the limits of bodies and answers.
const BYTES_MAX: usize = 512 * 1024;

/// Batches that wait to be sent.
const AHEAD: usize = 2;

/// What is sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    /// What could not be read, among these drafts.
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
    /// How many products or categories could not be read.
    pub(super) refused: u64,
    /// What it writes, by slug and SKU.
    pub(super) makes: HashSet<String>,
    /// What must be written before.
    needs: HashSet<String>,
    /// The last line of it.
    pub(super) line: u64,
    weight: usize,
    bytes: usize,
}

impl Batch {
    /// Whether this batch has to wait until another is done: it is about the same products, or below its categories.
    pub(super) fn follows(&self, other: &Self) -> bool {
        self.makes.iter().chain(&self.needs).any(|name| other.makes.contains(name))
    }

    /// The names alone, for those who wait.
    pub(super) fn names(&self) -> Self {
        Self { makes: self.makes.clone(), ..Self::default() }
    }

    fn takes(&self, draft: &Draft, cost: &Cost) -> bool {
        self.drafts.is_empty()
            || (self.drafts.len() < DRAFTS_MAX
                && self.weight + cost.weight <= WEIGHT_MAX
                && self.bytes + cost.bytes <= BYTES_MAX
                && !self.makes.contains(&slug_name(&draft.slug))
                && !cost.needs.iter().any(|name| self.makes.contains(name)))
    }

    fn add(&mut self, draft: Draft, cost: Cost) {
        self.line = draft.end_line;
        self.weight += cost.weight;
        self.bytes += cost.bytes;
        self.makes.insert(slug_name(&draft.slug));
        self.makes.extend(skus(&draft).map(|sku| format!("sku {sku}")));
        self.needs.extend(cost.needs);
        self.drafts.push(draft);
    }
}

/// What a draft adds to a batch.
struct Cost {
    weight: usize,
    bytes: usize,
    needs: Vec<String>,
}

impl Cost {
    fn of(draft: &Draft, kind: Kind) -> Self {
        let shelves = draft.shelves.as_deref().unwrap_or_default();
        let needs = match kind {
            Kind::Products | Kind::Users | Kind::Orders => Vec::new(),
            Kind::Categories => shelves.iter().map(|shelf| slug_name(&shelf.slug)).collect(),
        };
        let bytes = serde_json::to_vec(&draft.body).map_or(0, |json| json.len());
        Self { weight: 8 + skus(draft).count() + shelves.len(), bytes, needs }
    }
}

fn slug_name(slug: &str) -> String {
    format!("slug {slug}")
}

pub(super) fn skus(draft: &Draft) -> impl Iterator<Item = &str> {
    let variants = draft.body.get("variants").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    variants.iter().filter_map(|variant| variant["sku"].as_str())
}

type Source = Box<dyn Iterator<Item = Result<Item, ImportError>> + Send>;

/// Opens the file and reads it in batches, without what is done already.
pub(super) fn batches(
    options: &Options,
    done: Option<Arc<Done>>,
) -> Result<mpsc::Receiver<Result<Batch, ImportError>>, ImportError> {
    let settings = Settings { currency: options.currency, category_from: options.category_from };
    let source: Source = match (options.format, options.kind) {
        (Format::Ndjson, kind) => {
            Box::new(ndjson::Reader::open(&options.file, kind).map_err(ImportError::Read)?)
        }
        (Format::ShopifyCsv, _) => Box::new(shopify::Reader::open(&options.file, settings)?),
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let kind = options.kind;
    let reader = thread::Builder::new().name("import-reader".to_owned());
    reader
        .spawn(move || {
            // Nobody listens any more: the import has ended early.
            let _ = read(source, kind, done.as_deref(), |batch| sender.blocking_send(batch).is_ok());
        })
        .map_err(ImportError::Read)?;
    Ok(receiver)
}

/// Cuts what is read into batches; `None` when `send` wants no more.
fn read(
    source: impl Iterator<Item = Result<Item, ImportError>>,
    kind: Kind,
    done: Option<&Done>,
    send: impl Fn(Result<Batch, ImportError>) -> bool,
) -> Option<()> {
    let more = |batch| send(batch).then_some(());
    let mut batch = Batch::default();
    for item in source {
        match item {
            Err(error) => {
                more(Ok(batch))?;
                return more(Err(error));
            }
            Ok(Item::Warning(warning)) => batch.warnings.push(warning),
            Ok(Item::Mistake(mistake)) => batch.mistakes.push(mistake),
            Ok(Item::Refused(mistakes)) => {
                batch.mistakes.extend(mistakes);
                batch.refused += 1;
            }
            Ok(Item::Draft(draft)) if done.is_some_and(|done| done.contains(draft.index)) => {
                batch.line = draft.end_line;
            }
            Ok(Item::Draft(draft)) => {
                let cost = Cost::of(&draft, kind);
                if !batch.takes(&draft, &cost) {
                    more(Ok(std::mem::take(&mut batch)))?;
                }
                batch.add(*draft, cost);
            }
        }
        // A file that is broken from end to end must not fill the memory either.
        if batch.mistakes.len() >= 1_000 {
            more(Ok(std::mem::take(&mut batch)))?;
        }
    }
    more(Ok(batch))
}
