//! A batch on its way into the shop: what exists is looked up, the rest is one bulk request, and then comes the stock.
//!
//! Where the API cannot take a batch, it gets halves of it: one product that a plugin chokes on does not take others
//! with it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    Draft, Existing, ImportError, Journal, Kind, Mistake, Options, StockMode,
    answers::{Refusal, is_slug},
    batch::Batch,
    orders,
    shelves::Shelves,
    shopify, stock,
    trial::{self, Planned},
    users,
};
use crate::seed::SystemApi;

/// Most times that a batch is tried while the API is busy, and that a single product is which the API fails at.
const BUSY_TRIES: u32 = 6;
const FAILED_TRIES: u32 = 2;

/// What all batches of an import share.
pub(super) struct Work<'w, A> {
    pub(super) api: &'w A,
    pub(super) options: &'w Options,
    /// None in a dry run.
    pub(super) journal: Option<&'w Journal>,
    pub(super) shelves: &'w Shelves,
    /// What a dry run would have made.
    pub(super) planned: &'w Planned,
    /// Whether somebody keeps stock.
    pub(super) stock: bool,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) skipped: u64,
    pub(super) refused: u64,
    pub(super) stocked: u64,
    pub(super) untried: u64,
    pub(super) line: u64,
}

/// A draft with the operation that it becomes.
pub(super) struct Sending {
    pub(super) draft: Draft,
    pub(super) operation: Value,
    pub(super) creates: bool,
}

/// How an attempt ended.
pub(super) enum Attempt {
    Settled,
    /// These are still to be done, and why they are not.
    Trouble(Vec<Draft>, Refusal),
}

pub(super) async fn send<A: SystemApi>(work: &Work<'_, A>, batch: Batch) -> Result<Outcome, ImportError> {
    let Batch { drafts, mistakes, warnings, refused, line, .. } = batch;
    let mut outcome = Outcome { mistakes, warnings, refused, line, ..Outcome::default() };
    let (mut begun, mut tries) = (BTreeSet::new(), 0);
    let mut queue = VecDeque::from([drafts]);
    while let Some(drafts) = queue.pop_front() {
        if drafts.is_empty() {
            continue;
        }
        let (mut rest, refusal) = match attempt(work, drafts, &mut begun, &mut outcome).await? {
            Attempt::Settled => {
                tries = 0;
                continue;
            }
            Attempt::Trouble(rest, refusal) => (rest, refusal),
        };
        tries += 1;
        if rest.len() > 1 && !refusal.is_busy() {
            let back = rest.split_off(rest.len() / 2);
            queue.push_front(back);
            queue.push_front(rest);
        } else if refusal.is_trouble() && tries < (if refusal.is_busy() { BUSY_TRIES } else { FAILED_TRIES })
        {
            pause(tries).await;
            queue.push_front(rest);
        } else if refusal.is_busy() {
            return Err(refusal.ends(&format!("POST {}/bulk", path(work.options.kind))));
        } else {
            tries = 0;
            for draft in rest {
                outcome.refuse(refusal.mistakes(&draft, ""));
            }
        }
    }
    outcome.mistakes.sort_by_key(|mistake| (mistake.row, mistake.line));
    Ok(outcome)
}

/// Waits a moment that grows with the tries.
pub(super) async fn pause(tries: u32) {
    tokio::time::sleep(Duration::from_millis(100) * 2_u32.saturating_pow(tries.min(6))).await;
}

impl Outcome {
    pub(super) fn refuse(&mut self, mistakes: Vec<Mistake>) {
        self.refused += 1;
        self.mistakes.extend(mistakes);
    }

    pub(super) fn count(&mut self, creates: bool) {
        if creates {
            self.created += 1;
        } else {
            self.updated += 1;
        }
    }
}

pub(super) fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Products => "/products",
        Kind::Categories => "/categories",
        Kind::Users => "/users",
        Kind::Orders => "/orders",
    }
}

async fn attempt<A: SystemApi>(
    work: &Work<'_, A>,
    drafts: Vec<Draft>,
    begun: &mut BTreeSet<u64>,
    outcome: &mut Outcome,
) -> Result<Attempt, ImportError> {
    let found = match look_up(work, &drafts).await? {
        Ok(found) => found,
        Err(refusal) => return Ok(Attempt::Trouble(drafts, refusal)),
    };
    let customers = match work.options.kind {
        Kind::Orders => match orders::customers(work.api, &drafts).await? {
            Ok(customers) => customers,
            Err(refusal) => return Ok(Attempt::Trouble(drafts, refusal)),
        },
        _ => HashMap::new(),
    };
    let (mut sending, mut settled) = (Vec::new(), Vec::new());
    for mut draft in drafts {
        if work.options.kind == Kind::Orders && work.planned.repeats(&draft) {
            let message = format!("`{}` stands in another row, too.", draft.slug);
            outcome.refuse(vec![draft.mistake("/number", "already_exists", &message)]);
            continue;
        }
        let existing = found.get(&draft.slug);
        // What an earlier try was about to create is not somebody else's.
        let own = begun.contains(&draft.index) || work.journal.is_some_and(|it| it.was_begun(draft.index));
        match (existing, work.options.existing) {
            (Some(_), Existing::Skip) if !own => {
                outcome.skipped += 1;
                settled.push(draft.index);
                continue;
            }
            (Some(_), Existing::Fail) if !own => {
                let message = format!("`{}` is there already.", draft.slug);
                let pointer = if work.options.kind == Kind::Orders { "/number" } else { "/slug" };
                outcome.refuse(vec![draft.mistake(pointer, "already_exists", &message)]);
                continue;
            }
            _ => {}
        }
        let dry_run = work.options.dry_run;
        if let Err(mistakes) = work.shelves.put(work.api, &mut draft, work.options.kind, dry_run).await? {
            outcome.refuse(mistakes);
            continue;
        }
        if existing.is_none() && dry_run && work.planned.continues(&draft) {
            outcome.untried += 1;
            continue;
        }
        let operation = match work.options.kind {
            Kind::Users => users::operation(&draft, existing),
            Kind::Orders => orders::operation(&draft, &customers),
            Kind::Products | Kind::Categories => operation(&mut draft, existing),
        };
        match operation {
            Ok(operation) => sending.push(Sending { draft, operation, creates: existing.is_none() || own }),
            Err(mistake) => outcome.refuse(vec![*mistake]),
        }
    }
    if work.options.dry_run && is_by_one(work.options.kind) {
        sending.iter().for_each(|it| outcome.count(it.creates));
        return Ok(Attempt::Settled);
    }
    if work.options.dry_run {
        return trial::attempt(work, sending, outcome).await;
    }
    let creating: Vec<u64> = sending.iter().filter(|it| it.creates).map(|it| it.draft.index).collect();
    begun.extend(&creating);
    if let Some(journal) = work.journal {
        journal.begin(&creating).map_err(ImportError::Journal)?;
        journal.finish(&settled).map_err(ImportError::Journal)?;
    }
    let results = match work.options.kind {
        Kind::Users => users::write(work.api, &sending).await?,
        Kind::Orders => orders::write(work.api, &sending).await?,
        Kind::Products | Kind::Categories => return write(work, sending, outcome).await,
    };
    written(work, sending, &results, outcome).await
}

/// Whether these are written one by one, without a bulk request that could be tried.
fn is_by_one(kind: Kind) -> bool {
    matches!(kind, Kind::Users | Kind::Orders)
}

/// What the shop has of these, by slug.
async fn look_up<A: SystemApi>(
    work: &Work<'_, A>,
    drafts: &[Draft],
) -> Result<Result<HashMap<String, Value>, Refusal>, ImportError> {
    let kind = work.options.kind;
    let slugs: Vec<&str> =
        drafts.iter().map(|it| it.slug.as_str()).filter(|slug| is_by_one(kind) || is_slug(slug)).collect();
    if slugs.is_empty() {
        return Ok(Ok(HashMap::new()));
    }
    // Only a sheet is merged here; a line is merged by the API.
    let fields = if drafts.iter().any(|draft| draft.sheet.is_some()) { "" } else { "&fields=id,slug" };
    let path = path(kind);
    match kind {
        Kind::Users => return users::look_up(work.api, &slugs).await,
        Kind::Orders => return orders::look_up(work.api, &slugs).await,
        Kind::Products | Kind::Categories => {}
    }
    let query = format!("{path}?limit=100&count=none{fields}&filter[slug][in]={}", slugs.join(","));
    match work.api.request("GET", &query, None).await? {
        (200, Value::Array(items)) => {
            let by_slug = |item: Value| Some((item["slug"].as_str()?.to_owned(), item));
            Ok(Ok(items.into_iter().filter_map(by_slug).collect()))
        }
        (404, problem) => Err(Refusal::of(404, &problem).ends(&format!("GET {path}"))),
        (status, problem) => Ok(Err(Refusal::of(status, &problem))),
    }
}

/// What is asked of the API.
fn operation(draft: &mut Draft, existing: Option<&Value>) -> Result<Value, Box<Mistake>> {
    let whole = draft.sheet.as_ref().is_none_or(shopify::Sheet::is_whole);
    match existing {
        Some(current) => {
            let data = shopify::merged(draft, current);
            Ok(json!({"op": "update", "id": current["id"], "data": data}))
        }
        None if !whole => {
            let message = "A new product has a title in its first row.";
            Err(Box::new(draft.mistake("/name", "validation_failed", message)))
        }
        None if draft.sheet.is_some() => Ok(json!({"op": "create", "data": shopify::completed(draft)})),
        None => Ok(json!({"op": "create", "data": draft.body})),
    }
}

/// Asks for all of it, each by itself, as often as something has to be left out first.
async fn write<A: SystemApi>(
    work: &Work<'_, A>,
    mut sending: Vec<Sending>,
    outcome: &mut Outcome,
) -> Result<Attempt, ImportError> {
    while !sending.is_empty() {
        let operations: Vec<&Value> = sending.iter().map(|it| &it.operation).collect();
        let (status, answer) =
            bulk(work.api, work.options.kind, &json!({"mode": "independent", "operations": operations}))
                .await?;
        if status == 200 {
            return written(work, sending, &answer["results"], outcome).await;
        }
        match leave_out(sending, Refusal::of(status, &answer), outcome) {
            Ok(rest) => sending = rest,
            Err(attempt) => return Ok(attempt),
        }
    }
    Ok(Attempt::Settled)
}

/// Asks for each by itself, so many side by side, and answers as a bulk request would. `request` says with which method
/// and path.
pub(super) async fn one_by_one(
    api: &impl SystemApi,
    sending: &[Sending],
    parallel: usize,
    request: fn(&Value) -> (&'static str, String),
) -> Result<Value, ImportError> {
    let operations: Vec<Value> = sending.iter().map(|it| it.operation.clone()).collect();
    let results: Vec<Result<Value, ImportError>> = stream::iter(operations)
        .map(|mut operation| async move {
            let (method, path) = request(&operation);
            let (status, answer) = api.request(method, &path, Some(operation["data"].take())).await?;
            Ok(match status {
                200 | 201 => json!({"status": status, "id": answer["id"]}),
                _ => json!({"status": status, "problem": answer}),
            })
        })
        .buffered(parallel)
        .collect()
        .await;
    results.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
}

pub(super) async fn bulk(
    api: &impl SystemApi,
    kind: Kind,
    body: &Value,
) -> Result<(u16, Value), ImportError> {
    let path = format!("{}/bulk", path(kind));
    match api.request("POST", &path, Some(body.clone())).await? {
        // Not one of the operations: the route is gone.
        (404, problem) => Err(Refusal::of(404, &problem).ends(&format!("POST {path}"))),
        answer => Ok(answer),
    }
}

/// After a refusal of the whole request: leaves out the operations that it names. A refusal that names none is trouble.
pub(super) fn leave_out(
    sending: Vec<Sending>,
    refusal: Refusal,
    outcome: &mut Outcome,
) -> Result<Vec<Sending>, Attempt> {
    let number =
        |pointer: &str| pointer.strip_prefix("/operations/")?.split('/').next()?.parse::<usize>().ok();
    let mut named: HashMap<usize, Refusal> = HashMap::new();
    for error in &refusal.errors {
        if let Some(index) = number(&error.pointer).filter(|index| *index < sending.len()) {
            let of_this = || Refusal { errors: Vec::new(), ..refusal.clone() };
            named.entry(index).or_insert_with(of_this).errors.push(error.clone());
        }
    }
    if named.is_empty() {
        return Err(Attempt::Trouble(sending.into_iter().map(|it| it.draft).collect(), refusal));
    }
    let mut rest = Vec::new();
    for (index, it) in sending.into_iter().enumerate() {
        match named.get(&index) {
            Some(refusal) => {
                outcome.refuse(refusal.mistakes(&it.draft, &format!("/operations/{index}/data")));
            }
            None => rest.push(it),
        }
    }
    Ok(rest)
}

/// Reads what became of each operation, and sees to the stock of what was done.
async fn written<A: SystemApi>(
    work: &Work<'_, A>,
    sending: Vec<Sending>,
    results: &Value,
    outcome: &mut Outcome,
) -> Result<Attempt, ImportError> {
    let (mut done, mut again, mut trouble) = (Vec::new(), Vec::new(), None);
    for (index, it) in sending.into_iter().enumerate() {
        let result = &results[index];
        let status = result["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
        if matches!(status, 200 | 201) {
            if work.options.kind == Kind::Categories {
                work.shelves.add(&it.draft.slug, result["id"].as_str().map(str::to_owned)).await;
            }
            outcome.count(it.creates);
            done.push(it.draft);
            continue;
        }
        let refusal = Refusal::of(status, &result["problem"]);
        if refusal.is_trouble() {
            again.push(it.draft);
            trouble = Some(refusal);
        } else {
            outcome.refuse(refusal.mistakes(&it.draft, ""));
        }
    }
    let mut unfinished = BTreeSet::new();
    if let Some(journal) = work.journal.filter(|_| work.stock && work.options.stock != StockMode::Leave) {
        let drafts: Vec<&Draft> = done.iter().collect();
        let (stocked, mistakes) = stock::adjust(work.api, journal.id(), work.options.stock, &drafts).await?;
        outcome.stocked += stocked;
        for (index, mistake) in mistakes {
            unfinished.insert(index);
            outcome.mistakes.push(mistake);
        }
    }
    if let Some(journal) = work.journal {
        let finished: Vec<u64> =
            done.iter().map(|draft| draft.index).filter(|index| !unfinished.contains(index)).collect();
        journal.finish(&finished).map_err(ImportError::Journal)?;
    }
    Ok(match trouble {
        Some(refusal) => Attempt::Trouble(again, refusal),
        None => Attempt::Settled,
    })
}
