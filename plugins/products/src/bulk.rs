//! Many products in one request.

use std::collections::BTreeSet;

use plugin_sdk::{
    Change, Commit, Context, Problem, Reply, Request, Result, StoreError, WriteRef,
    bulk::{self, BulkResource, Operation},
    patch::merged_document,
};

use crate::{
    handlers::existing,
    save::{Deleting, Saving},
};

pub(crate) fn bulk(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    bulk::answer(ctx, &request, &BulkProducts)
}

struct BulkProducts;

impl BulkResource for BulkProducts {
    type Change = ProductChange;

    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<ProductChange> {
        let save = |saving: Saving| ProductChange::Save(Box::new(saving));
        Ok(match operation {
            Operation::Create { data } => save(Saving::prepare(ctx, bulk::data(data)?, None)?),
            Operation::Update { id, data } => {
                let (current, document) = existing(ctx, &id)?;
                save(Saving::prepare(ctx, merged_document(&document, data)?, Some(current))?)
            }
            Operation::Delete { id } => ProductChange::Delete(Deleting::prepare(ctx, existing(ctx, &id)?.1)?),
        })
    }

    /// Products of one name would take turns at being refused for their slug.
    fn unite(&self, ctx: &Context<'_>, changes: &mut [ProductChange]) -> Result<(), (usize, Problem)> {
        let mut slugs = BTreeSet::new();
        for (index, change) in changes.iter_mut().enumerate() {
            if let ProductChange::Save(saving) = change {
                saving.differ(ctx, &mut slugs).map_err(|error| (index, error.into()))?;
            }
        }
        Ok(())
    }
}

enum ProductChange {
    Save(Box<Saving>),
    Delete(Deleting),
}

impl ProductChange {
    fn inner(&self) -> &dyn Change {
        match self {
            Self::Save(saving) => saving,
            Self::Delete(deleting) => deleting,
        }
    }
}

impl Change for ProductChange {
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
        match self {
            Self::Save(saving) => saving.refused(ctx, write, error),
            Self::Delete(deleting) => deleting.refused(ctx, write, error),
        }
    }
}
