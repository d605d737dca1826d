//! A change of one resource that can be committed alone or together with others.
//!
//! A handler that writes one resource prepares a [`Change`] and passes it to [`commit`]. The same change serves
//! [`bulk`](crate::bulk), which puts many of them into one commit or commits them one by one.

use crate::{Commit, Context, Problem, Reply, Result, StoreError, WriteRef};

/// Most times that a commit is tried, besides those that several changes in one commit need.
pub(crate) const TRIES_MAX: usize = 16;

/// A change of one resource, checked against the store as it was.
pub trait Change {
    /// The resource's id.
    fn id(&self) -> &str;

    /// How the change is answered: 201 for a new resource, 200 for a changed one, 204 for one that is gone.
    fn status(&self) -> u16;

    /// The resource's version after the change; `None` when it is gone.
    fn version(&self) -> Option<u64>;

    /// Adds the change's writes and events, and answers the write of the resource itself.
    fn write(&self, commit: &mut Commit<'_>) -> WriteRef;

    /// Write number `write` of this change, counted from 0, was refused. `Ok` means that the change has adapted itself
    /// and the commit may be tried again.
    fn refused(&mut self, _ctx: &Context<'_>, _write: usize, error: StoreError) -> Result<()> {
        Err(error.into())
    }

    /// Called once before the first commit, when everything has been prepared: for changes that announce themselves
    /// with a commit of their own.
    fn begin(&mut self, _ctx: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// Takes back what [`begin`](Self::begin) did, when the change does not come about.
    fn abandon(&self, _ctx: &Context<'_>) {}
}

impl<C: Change + ?Sized> Change for Box<C> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn status(&self) -> u16 {
        (**self).status()
    }

    fn version(&self) -> Option<u64> {
        (**self).version()
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        (**self).write(commit)
    }

    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        (**self).refused(ctx, write, error)
    }

    fn begin(&mut self, ctx: &Context<'_>) -> Result<()> {
        (**self).begin(ctx)
    }

    fn abandon(&self, ctx: &Context<'_>) {
        (**self).abandon(ctx);
    }
}

/// A change that saves a resource, new or not, or deletes it, where others have to know which.
pub enum SaveOrDelete<S, D> {
    /// Boxed, because it has all of the resource.
    Save(Box<S>),
    Delete(D),
}

impl<S, D> SaveOrDelete<S, D> {
    pub fn save(saving: S) -> Self {
        Self::Save(Box::new(saving))
    }
}

impl<S: Change, D: Change> SaveOrDelete<S, D> {
    fn inner(&self) -> &dyn Change {
        match self {
            Self::Save(saving) => &**saving,
            Self::Delete(deleting) => deleting,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Change {
        match self {
            Self::Save(saving) => &mut **saving,
            Self::Delete(deleting) => deleting,
        }
    }
}

impl<S: Change, D: Change> Change for SaveOrDelete<S, D> {
    fn id(&self) -> &str {
        self.inner().id()
    }

    fn status(&self) -> u16 {
        self.inner().status()
    }

    fn version(&self) -> Option<u64> {
        self.inner().version()
    }

    fn write(&self, commit: &mut Commit<'_>) -> WriteRef {
        self.inner().write(commit)
    }

    fn refused(&mut self, ctx: &Context<'_>, write: usize, error: StoreError) -> Result<()> {
        self.inner_mut().refused(ctx, write, error)
    }

    fn begin(&mut self, ctx: &Context<'_>) -> Result<()> {
        self.inner_mut().begin(ctx)
    }

    fn abandon(&self, ctx: &Context<'_>) {
        self.inner().abandon(ctx);
    }
}

/// Commits a change with its answer, as often as the change adapts itself to what it was refused for.
pub fn commit<C: Change>(
    ctx: &Context<'_>,
    change: &mut C,
    mut answer: impl FnMut(&C, Commit<'_>, WriteRef) -> Result<Reply, StoreError>,
) -> Result<Reply> {
    let outcome = change.begin(ctx).and_then(|()| {
        for _ in 0..TRIES_MAX {
            let mut commit = ctx.commit();
            let written = change.write(&mut commit);
            let error = match answer(change, commit, written) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match error.refusal().map(|(write, _)| write) {
                Some(write) => change.refused(ctx, write, error)?,
                None => return Err(error.into()),
            }
        }
        Err(tired())
    });
    outcome.inspect_err(|_| change.abandon(ctx))
}

pub(crate) fn tired() -> Problem {
    Problem::conflict("Others keep changing what this depends on. Try again in a moment.")
}
