//! The staff's operations on coupons.

use plugin_sdk::{
    Context, Document, FieldError, FieldOperation, Filter, Problem, Refusal, Reply, Request, Result, Value,
    commit::taken, json, patch::merged_document, time,
};

use crate::{
    COUPONS,
    coupons::settled,
    model::{Coupon, CouponInput},
};

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let page = ctx.find_raw(COUPONS, &request.list().and(Filter::all()))?;
    Reply::raw_page(&page, |document, out| {
        out.push_str(&document.json);
        Ok(())
    })
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let document = stored(ctx, &request)?;
    Ok(Reply::raw_resource(document.json, document.version))
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input = checked(request.json()?)?;
    let mut coupon = json!(input);
    coupon["used"] = json!(0);
    let id = ctx.new_id("cpn")?;
    let mut commit = ctx.commit();
    let made = commit.insert_with_id(COUPONS, &id, &coupon);
    let headers = vec![("location".to_owned(), format!("/coupons/{id}"))];
    commit
        .answer(201, made, None::<&()>, headers)
        .map_err(|error| taken(error, "code", |_| "/code".to_owned()))
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let document = stored(ctx, &request)?;
    request.check_version(document.version)?;
    let coupon: Coupon = ctx.read(COUPONS, &document)?;
    let settable = json!({
        "code": coupon.code,
        "ruleId": coupon.rule_id,
        "limit": coupon.limit,
        "perCustomer": coupon.per_customer,
        "startsAt": coupon.starts_at,
        "endsAt": coupon.ends_at,
    });
    let version = document.version;
    let settable = Document { json: settable.to_string(), ..document };
    let input = checked(merged_document(&settable, request.value()?)?)?;

    // Not the whole document: uses are counted meanwhile.
    let Value::Object(members) = json!(input) else { return Err(Problem::new(502, "plugin_failed")) };
    let set = |(path, value)| FieldOperation::set(path, value);
    let mut commit = ctx.commit();
    let changed = commit.update(COUPONS, &coupon.id, members.into_iter().map(set).collect());
    commit.expect_version(changed, version);
    let reply = commit.answer(200, changed, None::<&()>, Vec::new());
    reply.map_err(|error| taken(error, "code", |_| "/code".to_owned()))
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let document = stored(ctx, &request)?;
    request.check_version(document.version)?;
    let mut commit = ctx.commit();
    let deleted = commit.delete(COUPONS, &document.id);
    commit.guard(deleted, Filter::eq("used", 0_i64));
    if let Some(version) = request.if_match {
        commit.expect_version(deleted, version);
    }
    commit.answer_empty().map_err(|error| match error.refusal() {
        Some((_, Refusal::Guard)) => {
            let detail = "Orders were made with the coupon. Let it end instead.";
            Problem::new(409, "reference_in_use").detail(detail)
        }
        _ => error.into(),
    })
}

fn stored(ctx: &Context<'_>, request: &Request) -> Result<Document> {
    ctx.get_raw(COUPONS, request.param("id"))?.ok_or_else(Problem::not_found)
}

/// The coupon in its stored form: the code in capitals, times in UTC.
fn checked(mut input: CouponInput) -> Result<CouponInput> {
    let mut errors = Vec::new();
    input.code = settled(&input.code);
    settle(&mut input.starts_at, "/startsAt", &mut errors);
    settle(&mut input.ends_at, "/endsAt", &mut errors);
    if let (true, Some(starts_at), Some(ends_at)) = (errors.is_empty(), &input.starts_at, &input.ends_at)
        && ends_at <= starts_at
    {
        errors.push(FieldError::invalid("/endsAt", "The end is after the start."));
    }
    if errors.is_empty() { Ok(input) } else { Err(Problem::validation(errors)) }
}

fn settle(moment: &mut Option<String>, pointer: &str, errors: &mut Vec<FieldError>) {
    let Some(text) = moment else { return };
    match time::normalised(text) {
        Some(normalised) => *text = normalised,
        None => errors.push(FieldError::invalid(pointer, format!("`{text}` is no RFC 3339 time."))),
    }
}
