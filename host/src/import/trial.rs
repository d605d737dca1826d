//! The dry run: asking the API what it would do, without it.
//!
//! The rules are the plugins', and there is no way to ask them but to ask for a commit. So the batch is asked for as one
//! `atomic` request whose last two operations create the same SKU. SKUs are unique, so the last write of the commit is
//! refused, and with it all of it is undone, whatever the others are. Until then every rule has been applied, those of
//! the store too: the refusal that comes back names what would be refused in earnest. What it names is left out, and the
//! rest is asked for again, until nothing but the last operation is refused.
//!
//! What rows of one file do to each other is kept in mind here: in a dry run an earlier one was never written.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};
use ulid::Ulid;

use super::{
    Draft, ImportError, Kind,
    answers::Refusal,
    batch::skus,
    send::{Attempt, Outcome, Sending, Work, bulk, leave_out},
};
use crate::seed::SystemApi;

/// What earlier rows of the file would have made, as hashes: 16 bytes for a SKU, so that a million is no burden.
#[derive(Debug, Default)]
pub(super) struct Planned {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slugs: HashSet<u64>,
    /// Which row has a name that no other row may have.
    rows: HashMap<u64, u64>,
    /// With the slugs of their products.
    skus: HashMap<u64, u64>,
}

impl Planned {
    /// Whether an earlier row would have created this, so that it cannot be tried alone.
    pub(super) fn continues(&self, draft: &Draft) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).slugs.contains(&hash(&draft.slug))
    }

    /// Whether another row of the file has this name already, and keeps it in mind if not. The same row may ask again.
    pub(super) fn repeats(&self, draft: &Draft) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.rows.entry(hash(&draft.slug)).or_insert(draft.index) != draft.index
    }

    /// The variant whose SKU an earlier product would have.
    fn taken(&self, draft: &Draft) -> Option<(usize, String)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let other = |sku: &str| inner.skus.get(&hash(sku)).is_some_and(|slug| *slug != hash(&draft.slug));
        skus(draft).enumerate().find(|(_, sku)| other(sku)).map(|(index, sku)| (index, sku.to_owned()))
    }

    fn add(&self, draft: &Draft, creates: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let slug = hash(&draft.slug);
        if creates {
            inner.slugs.insert(slug);
        }
        inner.skus.extend(skus(draft).map(|sku| (hash(sku), slug)));
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Tries what is to be sent, and counts it as if it had been.
pub(super) async fn attempt<A: SystemApi>(
    work: &Work<'_, A>,
    sending: Vec<Sending>,
    outcome: &mut Outcome,
) -> Result<Attempt, ImportError> {
    let kind = work.options.kind;
    let mut rest = Vec::new();
    for it in sending {
        match work.planned.taken(&it.draft) {
            Some((index, sku)) => {
                let message = format!("`{sku}` is already in use.");
                outcome.refuse(vec![it.draft.mistake(
                    &format!("/variants/{index}/sku"),
                    "already_exists",
                    &message,
                )]);
            }
            None => rest.push(it),
        }
    }
    if kind == Kind::Categories {
        // A move is the only change of the trees that an atomic request may have; that it makes no cycle shows in earnest.
        for it in rest.iter_mut().filter(|it| !it.creates) {
            if let Some(data) = it.operation["data"].as_object_mut() {
                data.shift_remove("parentId");
            }
        }
    }
    while !rest.is_empty() {
        let operations: Vec<&Value> = rest.iter().map(|it| &it.operation).collect();
        let (status, answer) = failing(work.api, kind, &operations).await?;
        if status != 200 {
            match leave_out(rest, Refusal::of(status, &answer), outcome) {
                Ok(left) => rest = left,
                Err(attempt) => return Ok(attempt),
            }
            continue;
        }
        let (mut left, mut trouble) = (Vec::new(), None);
        let asked = rest.len();
        let undone = undone(&answer["results"], asked)?;
        for (index, it) in rest.into_iter().enumerate() {
            match refusal_of(&answer["results"][index], undone)? {
                None => left.push(it),
                Some(refusal) if refusal.is_trouble() => {
                    trouble = Some(refusal);
                    left.push(it);
                }
                Some(refusal) => outcome.refuse(refusal.mistakes(&it.draft, "")),
            }
        }
        if let Some(refusal) = trouble {
            return Ok(Attempt::Trouble(left.into_iter().map(|it| it.draft).collect(), refusal));
        }
        rest = left;
        if rest.len() == asked {
            break;
        }
    }
    for it in rest {
        outcome.count(it.creates);
        work.planned.add(&it.draft, it.creates);
        if kind == Kind::Categories && it.creates {
            work.shelves.add(&it.draft.slug, None).await;
        }
    }
    Ok(Attempt::Settled)
}

/// Tries one category.
pub(super) async fn category(api: &impl SystemApi, body: Value) -> Result<Result<(), Refusal>, ImportError> {
    let operation = json!({"op": "create", "data": body});
    let (status, answer) = failing(api, Kind::Categories, &[&operation]).await?;
    if status != 200 {
        return Ok(Err(Refusal::of(status, &answer)));
    }
    let undone = undone(&answer["results"], 1)?;
    Ok(refusal_of(&answer["results"][0], undone)?.map_or(Ok(()), Err))
}

/// Asks for these operations in a commit that cannot come about.
async fn failing(
    api: &impl SystemApi,
    kind: Kind,
    operations: &[&Value],
) -> Result<(u16, Value), ImportError> {
    let name = format!("dry-run-{}", Ulid::generate().to_string().to_lowercase());
    let twice: Vec<Value> = (1..=2)
        .map(|number| {
            let data = match kind {
                Kind::Products => {
                    json!({"name": name, "slug": format!("{name}-{number}"), "variants": [{"sku": name}]})
                }
                Kind::Categories | Kind::Users | Kind::Orders => json!({"name": name, "slug": name}),
            };
            json!({"op": "create", "data": data})
        })
        .collect();
    let operations: Vec<&Value> = operations.iter().copied().chain(&twice).collect();
    bulk(api, kind, &json!({"mode": "atomic", "operations": operations})).await
}

/// How this answer says that an operation was not done because another failed: that is what became of the first of the
/// two operations that cannot go together.
fn undone(results: &Value, asked: usize) -> Result<&Value, ImportError> {
    let (first, second) = (&results[asked], &results[asked + 1]);
    if first["status"] == 409 && first["problem"]["code"] == "conflict" {
        return Ok(&first["problem"]);
    }
    let status = |result: &Value| result["status"].as_u64().unwrap_or(500);
    if status(first) < 300 || status(second) < 300 {
        return Err(ImportError::TrialCommitted);
    }
    // A plugin that refuses this for reasons of its own cannot be asked in this way.
    let refusal = Refusal::of(u16::try_from(status(first)).unwrap_or(500), &first["problem"]);
    Err(refusal.ends("the dry run"))
}

/// Why an operation would not be done; none where it would.
fn refusal_of(result: &Value, undone: &Value) -> Result<Option<Refusal>, ImportError> {
    let status = result["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    if status < 300 {
        return Err(ImportError::TrialCommitted);
    }
    let problem = &result["problem"];
    Ok((problem != undone).then(|| Refusal::of(status, problem)))
}
