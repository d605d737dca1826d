//! The addresses that customers save. They are parts of the profile and have its version.

use plugin_sdk::{Context, Problem, Reply, Request, Result, address::Address, patch::merged};

use crate::{
    handlers::Person,
    model::{ADDRESSES_MAX, AddressInput, SavedAddress},
};

pub(crate) fn list(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let person = Person::read(ctx, own(&request))?;
    Ok(Reply::resource(&person.profile_or_new().addresses, person.version()))
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let person = Person::read(ctx, own(&request))?;
    let addresses = person.profile_or_new().addresses;
    let address = addresses.into_iter().find(|address| address.id == request.param("addressId"));
    Ok(Reply::resource(&address.ok_or_else(Problem::not_found)?, person.version()))
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let AddressInput { address } = request.json()?;
    check(&address)?;
    let saved = SavedAddress { id: ctx.new_id("adr")?, address };
    let headers = vec![("location".to_owned(), format!("/users/me/addresses/{}", saved.id))];
    change(ctx, &request, 201, headers, |addresses| {
        if addresses.len() >= ADDRESSES_MAX {
            return Err(Problem::conflict(format!(
                "There can be {ADDRESSES_MAX} addresses. Delete one first."
            )));
        }
        addresses.push(saved.clone());
        Ok(Some(saved))
    })
}

pub(crate) fn replace(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let AddressInput { address } = request.json()?;
    check(&address)?;
    change(ctx, &request, 200, Vec::new(), |addresses| {
        let saved = find(addresses, &request)?;
        saved.address = address;
        Ok(Some(saved.clone()))
    })
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, 200, Vec::new(), |addresses| {
        let saved = find(addresses, &request)?;
        let current = AddressInput { address: saved.address.clone() };
        let AddressInput { address } = merged(&current, request.value()?)?;
        check(&address)?;
        saved.address = address;
        Ok(Some(saved.clone()))
    })
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, 204, Vec::new(), |addresses| {
        find(addresses, &request)?;
        addresses.retain(|address| address.id != request.param("addressId"));
        Ok(None)
    })
}

/// The addresses that come with a registration.
pub(crate) fn saved(ctx: &Context<'_>, addresses: Vec<AddressInput>) -> Result<Vec<SavedAddress>> {
    let errors: Vec<_> = addresses
        .iter()
        .enumerate()
        .flat_map(|(index, input)| input.address.check(&format!("/addresses/{index}")))
        .collect();
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let ids = ctx.new_ids("adr", addresses.len())?;
    Ok(ids
        .into_iter()
        .zip(addresses)
        .map(|(id, AddressInput { address })| SavedAddress { id, address })
        .collect())
}

/// Whose addresses these are.
fn own(request: &Request) -> &str {
    request.caller.subject.as_deref().unwrap_or_default()
}

fn check(address: &Address) -> Result<()> {
    let errors = address.check("");
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

fn find<'a>(addresses: &'a mut [SavedAddress], request: &Request) -> Result<&'a mut SavedAddress> {
    addresses
        .iter_mut()
        .find(|address| address.id == request.param("addressId"))
        .ok_or_else(Problem::not_found)
}

/// Commits what `edit` makes of the addresses. It answers the one to show.
fn change(
    ctx: &Context<'_>,
    request: &Request,
    status: u16,
    headers: Vec<(String, String)>,
    edit: impl FnOnce(&mut Vec<SavedAddress>) -> Result<Option<SavedAddress>>,
) -> Result<Reply> {
    let person = Person::read(ctx, own(request))?;
    let mut profile = person.profile_or_new();
    let shown = edit(&mut profile.addresses)?;
    request.check_version(person.version())?;
    let (commit, written) = person.save(ctx, &profile);
    Ok(match &shown {
        Some(address) => commit.answer_part(status, written, address, headers)?,
        None => commit.answer_empty()?,
    })
}
