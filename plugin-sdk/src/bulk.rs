//! Many creations, changes and deletions of one resource in one request.
//!
//! A plugin says with [`BulkResource`] how one operation becomes a [`Change`], declares the route with
//! [`Route::bulk_body`](crate::router::Route::bulk_body) and answers it with [`answer`]. In the mode `atomic` all changes are
//! one commit; in the mode `independent` each is its own, in the order of the request, and sees those before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    Context, Problem, Reply, Request, Result,
    change::{Change, TRIES_MAX, tired},
    http::path_problem,
    schema::all_required,
};

/// Most operations in one request.
pub const OPERATIONS_MAX: usize = 100;

/// Most times that an operation is prepared again because its resource has changed meanwhile.
const RENEWALS_MAX: usize = 8;

/// How the operations of a request belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All are done or none is.
    #[default]
    Atomic,
    /// Each is done or refused by itself.
    Independent,
}

/// One thing to do. `data` fits the schema that the route declares for it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    Create {
        data: Value,
    },
    /// `data` is a merge patch.
    Update {
        id: String,
        data: Value,
    },
    Delete {
        id: String,
    },
}

impl Operation {
    /// The id of an existing resource.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Create { .. } => None,
            Self::Update { id, .. } | Self::Delete { id } => Some(id),
        }
    }
}

/// A new resource's data as `T`, or a 422 with a pointer to what does not fit.
pub fn data<T: DeserializeOwned>(data: Value) -> Result<T> {
    serde_path_to_error::deserialize(data).map_err(path_problem)
}

/// A resource that can be written in bulk.
pub trait BulkResource {
    type Change: Change;

    /// Checks one operation against the store, without writing anything.
    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<Self::Change>;

    /// Checks whether these changes can be one commit, and lets them take notice of each other; called whenever one of
    /// them was prepared. No two are about the same resource. Answers which one cannot, and why.
    fn unite(&self, _ctx: &Context<'_>, _changes: &mut [Self::Change]) -> Result<(), (usize, Problem)> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    mode: Mode,
    operations: Vec<Operation>,
}

/// What became of a bulk request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BulkResults {
    /// One for each operation, in their order.
    pub results: Vec<BulkResult>,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = all_required)]
pub struct BulkResult {
    /// The operation's position in the request, from 0.
    pub index: usize,
    /// The status that the operation would have been answered with alone.
    pub status: u16,
    /// Null when nothing was created.
    pub id: Option<String>,
    /// The resource's version after the operation; null when it is gone or when the operation failed.
    pub version: Option<u64>,
    /// Why it was not done, as problem details. The pointers of its errors start at the operation's `data`.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub problem: Option<Value>,
}

impl BulkResult {
    fn done(index: usize, change: &impl Change) -> Self {
        let id = Some(change.id().to_owned());
        Self { index, status: change.status(), id, version: change.version(), problem: None }
    }

    fn failed(index: usize, id: Option<&str>, problem: &Problem) -> Self {
        let id = id.map(str::to_owned);
        Self { index, status: problem.status, id, version: None, problem: Some(document(problem)) }
    }
}

/// A problem as a member of a result; the pointers of its errors start at the operation's `data`.
fn document(problem: &Problem) -> Value {
    let errors: Vec<Value> = problem
        .errors
        .iter()
        .map(|it| json!({"pointer": it.pointer, "code": it.code, "message": it.message}))
        .collect();
    let mut document = json!({
        "type": format!("urn:wares:problem:{}", problem.code),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": errors,
    });
    if let Some(members) = document.as_object_mut() {
        members.extend(problem.extras.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    document
}

/// Answers a bulk request: 200 with a result for each operation.
pub fn answer<R: BulkResource>(ctx: &Context<'_>, request: &Request, resource: &R) -> Result<Reply> {
    let body: Body = request.json()?;
    match body.mode {
        Mode::Atomic => Atomic { ctx, resource, operations: &body.operations }.run(),
        Mode::Independent => independent(ctx, resource, &body.operations),
    }
}

fn results(outcomes: &[BulkResult]) -> BulkResults {
    BulkResults { results: outcomes.to_vec() }
}

/// One after the other. The answer goes with the commit of the last operation, so that it is stored with it.
fn independent<R: BulkResource>(ctx: &Context<'_>, resource: &R, operations: &[Operation]) -> Result<Reply> {
    let mut outcomes: Vec<BulkResult> = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let last = index + 1 == operations.len();
        match alone(ctx, resource, operation, last.then_some(outcomes.as_slice()), index) {
            Ok(Done::Answered(reply)) => return Ok(reply),
            Ok(Done::Applied(outcome)) => outcomes.push(outcome),
            Err(problem) => outcomes.push(BulkResult::failed(index, operation.id(), &problem)),
        }
    }
    Ok(Reply::ok(&results(&outcomes)))
}

enum Done {
    Applied(BulkResult),
    Answered(Reply),
}

/// Does one operation. With the outcomes of all others its commit answers the request.
fn alone<R: BulkResource>(
    ctx: &Context<'_>,
    resource: &R,
    operation: &Operation,
    others: Option<&[BulkResult]>,
    index: usize,
) -> Result<Done> {
    let mut renewals = 0;
    loop {
        let mut change = resource.prepare(ctx, operation.clone())?;
        let mut outcome = None;
        let done = crate::change::commit(ctx, &mut change, |change, commit, _| {
            let this = BulkResult::done(index, change);
            match others {
                Some(others) => {
                    let all: Vec<BulkResult> = others.iter().cloned().chain([this]).collect();
                    commit.answer_json(200, &results(&all))
                }
                None => {
                    outcome = Some(this);
                    commit.apply().map(|_| Reply::Committed)
                }
            }
        });
        match (done, outcome) {
            (Ok(_), Some(outcome)) => return Ok(Done::Applied(outcome)),
            (Ok(reply), None) => return Ok(Done::Answered(reply)),
            (Err(problem), _) if problem.code == "version_conflict" && renewals < RENEWALS_MAX => {
                renewals += 1
            }
            (Err(problem), _) => return Err(problem),
        }
    }
}

struct Atomic<'r, R> {
    ctx: &'r Context<'r>,
    resource: &'r R,
    operations: &'r [Operation],
}

impl<R: BulkResource> Atomic<'_, R> {
    fn run(&self) -> Result<Reply> {
        let (mut changes, mut failures) = (Vec::new(), Vec::new());
        for (index, operation) in self.operations.iter().enumerate() {
            match self.twice(index).map_or_else(|| self.prepare(operation), Err) {
                Ok(change) => changes.push(change),
                Err(problem) if problem.status >= 500 => return Err(problem),
                Err(problem) => failures.push((index, problem)),
            }
        }
        if failures.is_empty() {
            match self.commit(&mut changes) {
                Ok(reply) => return Ok(reply),
                Err((_, problem)) if problem.status >= 500 => return Err(problem),
                Err(failure) => failures.push(failure),
            }
        }
        Ok(self.refusal(&failures))
    }

    fn prepare(&self, operation: &Operation) -> Result<R::Change> {
        self.resource.prepare(self.ctx, operation.clone())
    }

    /// Why an operation cannot go together with an earlier one: which of the two counts would be a guess.
    fn twice(&self, index: usize) -> Option<Problem> {
        let id = self.operations[index].id()?;
        let first = self.operations[..index].iter().position(|it| it.id() == Some(id))?;
        Some(Problem::conflict(format!("Operation {first} is about the same resource.")))
    }

    /// Commits all changes, or answers which one failed and why.
    fn commit(&self, changes: &mut [R::Change]) -> Result<Reply, (usize, Problem)> {
        let outcome = self.begin(changes).and_then(|()| self.try_often(changes));
        outcome.inspect_err(|_| changes.iter().for_each(|change| change.abandon(self.ctx)))
    }

    fn begin(&self, changes: &mut [R::Change]) -> Result<(), (usize, Problem)> {
        self.resource.unite(self.ctx, changes)?;
        for (index, change) in changes.iter_mut().enumerate() {
            change.begin(self.ctx).map_err(|problem| (index, problem))?;
        }
        Ok(())
    }

    fn try_often(&self, changes: &mut [R::Change]) -> Result<Reply, (usize, Problem)> {
        // Each of several changes may have to adapt itself, one after the other.
        let tries = TRIES_MAX + 2 * changes.len();
        for _ in 0..tries {
            let mut commit = self.ctx.commit();
            let mut starts = Vec::with_capacity(changes.len());
            for change in changes.iter() {
                starts.push(commit.len());
                change.write(&mut commit);
            }
            let outcomes: Vec<BulkResult> =
                changes.iter().enumerate().map(|(index, change)| BulkResult::done(index, change)).collect();
            let error = match commit.answer_json(200, &results(&outcomes)) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some((write, _)) = error.refusal() else { return Err((0, error.into())) };
            let index = starts.partition_point(|&start| start <= write).saturating_sub(1);
            let settled = match changes[index].refused(self.ctx, write - starts[index], error) {
                Err(problem) if problem.code == "version_conflict" => self.renew(&mut changes[index], index),
                settled => settled,
            };
            settled.map_err(|problem| (index, problem))?;
            self.resource.unite(self.ctx, changes)?;
        }
        Err((0, tired()))
    }

    /// Somebody else has changed the resource: the operation starts from what it is now.
    fn renew(&self, change: &mut R::Change, index: usize) -> Result<()> {
        change.abandon(self.ctx);
        *change = self.prepare(&self.operations[index])?;
        change.begin(self.ctx)
    }

    /// Nothing was written: those that failed say why, the others that they were not done.
    fn refusal(&self, failures: &[(usize, Problem)]) -> Reply {
        let named: Vec<String> = failures.iter().map(|(index, _)| index.to_string()).collect();
        let plural = if named.len() == 1 { "operation" } else { "operations" };
        let undone = Problem::conflict(format!("Not done, because {plural} {} failed.", named.join(", ")));
        let outcomes: Vec<BulkResult> = self
            .operations
            .iter()
            .enumerate()
            .map(|(index, operation)| {
                let failure = failures.iter().find(|(failed, _)| *failed == index);
                BulkResult::failed(index, operation.id(), failure.map_or(&undone, |(_, problem)| problem))
            })
            .collect();
        Reply::ok(&results(&outcomes))
    }
}

#[cfg(test)]
mod tests;
