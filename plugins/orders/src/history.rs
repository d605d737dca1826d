//! What happened to an order.

use plugin_sdk::{Context, Filter, Reply, Request, Result, SortKey, Value};

use crate::{
    HISTORY,
    document::{check_access, visible},
    model,
};

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    check_access(&request.caller, "orders:read")?;
    let order = visible(ctx, request.param("id"))?;
    let mut query = request.list().and(Filter::eq("orderId", order.order.id.as_str()));
    if query.sort.is_empty() {
        query.sort.push(SortKey::ascending("createdAt"));
    }
    let found = ctx.find::<Value>(HISTORY, &query)?;
    Ok(Reply::page(found, |entry| model::shown(&entry.data)))
}
