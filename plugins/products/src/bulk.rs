//! Many products in one request.

use std::collections::BTreeSet;

use plugin_sdk::{
    Context, Problem, Reply, Request, Result,
    bulk::{self, BulkResource, Operation},
    change::SaveOrDelete,
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

type ProductChange = SaveOrDelete<Saving, Deleting>;

impl BulkResource for BulkProducts {
    type Change = ProductChange;

    fn prepare(&self, ctx: &Context<'_>, operation: Operation) -> Result<ProductChange> {
        Ok(match operation {
            Operation::Create { data } => ProductChange::save(Saving::prepare(ctx, bulk::data(data)?, None)?),
            Operation::Update { id, data } => {
                let (current, document) = existing(ctx, &id)?;
                let input = merged_document(&document, data)?;
                ProductChange::save(Saving::prepare(ctx, input, Some(current))?)
            }
            Operation::Delete { id } => ProductChange::Delete(Deleting::prepare(ctx, existing(ctx, &id)?.1)?),
        })
    }

    /// Products of one name would take turns at being refused for their slug.
    fn unite(&self, _ctx: &Context<'_>, changes: &mut [ProductChange]) -> Result<(), (usize, Problem)> {
        let mut slugs = BTreeSet::new();
        for change in changes {
            if let ProductChange::Save(saving) = change {
                saving.differ(&mut slugs);
            }
        }
        Ok(())
    }
}
