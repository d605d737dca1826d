//! Users: the account and the profile beside it.

use plugin_sdk::{
    Commit, Context, Filter, Found, Problem, Reply, Request, Result, StoreError, Stored, Value, WriteRef,
    commit::taken,
    identity::{ACCOUNTS, Account},
    json,
    patch::merged,
};

use crate::{
    PROFILES, addresses,
    model::{AccountMembers, ExportedSession, Profile, Registration, User, UserExport, UserInput},
};

pub(crate) fn list(ctx: &Context<'_>, mut request: Request) -> Result<Reply> {
    let page: Found<Account> = ctx.find(ACCOUNTS, &request.list().and(Filter::all()))?;
    let ids: Vec<String> = page.items.iter().map(|account| account.id.clone()).collect();
    let mut profiles = ctx.get_many::<Profile>(PROFILES, &ids)?.into_iter();
    Ok(Reply::page(page, |account| {
        let profile = profiles.next().flatten();
        User::new(account.data, profile.as_ref().map(|it| (&it.data, it.version)))
    }))
}

pub(crate) fn read(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let user = Person::read(ctx, subject(&request))?.user();
    Ok(Reply::resource(&user, user.version))
}

pub(crate) fn create(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let input: Registration = request.json()?;
    let members = AccountMembers {
        email: &input.email,
        name: &input.name,
        phone: input.phone.as_deref(),
        accepts_marketing: input.accepts_marketing,
        security: &input.security,
    };
    let addresses = addresses::saved(ctx, input.addresses)?;
    let account = ctx.account_create(&members)?;
    let owner = account.id.clone();
    let profile = Profile { owner, metadata: input.metadata, addresses, ..Profile::default() };
    let mut commit = ctx.commit();
    let written = commit.insert_with_id(PROFILES, &account.id, &profile);
    commit.event_with("user.created", written, &json!({"id": account.id, "kind": account.kind}));
    let headers = vec![("location".to_owned(), format!("/users/{}", account.id))];
    let reply = commit.answer(201, written, Some(&shown(&account)), headers);
    reply.map_err(email_taken)
}

pub(crate) fn replace(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, |_| request.json())
}

pub(crate) fn patch(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    change(ctx, &request, |user| {
        let current = UserInput::of(user);
        merged(&current, request.value()?)
    })
}

pub(crate) fn delete(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let person = Person::read(ctx, subject(&request))?;
    request.check_version(person.version())?;
    ctx.account_delete(&person.account.id)?;
    let mut commit = ctx.commit();
    if person.profile.is_none() {
        // So that there is something to be deleted, which the event is about.
        commit.insert_with_id(PROFILES, &person.account.id, &person.profile_or_new());
    }
    let deleted = commit.delete(PROFILES, &person.account.id);
    if let Some(profile) = &person.profile {
        commit.expect_version(deleted, profile.version);
    }
    commit.event_with("user.deleted", deleted, &person.event());
    Ok(commit.answer_empty()?)
}

pub(crate) fn export(ctx: &Context<'_>, request: Request) -> Result<Reply> {
    let person = Person::read(ctx, subject(&request))?;
    let sessions = ctx.account_sessions(&person.account.id)?;
    let sessions: Vec<ExportedSession> =
        sessions.into_iter().filter_map(|session| serde_json::from_value(session).ok()).collect();
    let addresses = person.profile.as_ref().map(|profile| profile.data.addresses.clone()).unwrap_or_default();
    Ok(Reply::ok(&UserExport { exported_at: ctx.now(), user: person.user(), addresses, sessions }))
}

/// Commits what `input` makes of the user.
fn change(
    ctx: &Context<'_>,
    request: &Request,
    input: impl FnOnce(&User) -> Result<UserInput>,
) -> Result<Reply> {
    let person = Person::read(ctx, subject(request))?;
    request.check_version(person.version())?;
    let input = input(&person.user())?;
    let members = AccountMembers {
        email: &input.email,
        name: &input.name,
        phone: input.phone.as_deref(),
        accepts_marketing: input.accepts_marketing,
        security: &input.security,
    };
    let account = ctx.account_change(&person.account.id, &members)?;
    let profile = Profile { metadata: input.metadata, ..person.profile_or_new() };
    let (commit, written) = person.save(ctx, &profile);
    commit.answer(200, written, Some(&shown(&account)), Vec::new()).map_err(email_taken)
}

/// Whom a request is about: the caller where no id is named.
fn subject(request: &Request) -> &str {
    match request.param("id") {
        "" => request.caller.subject.as_deref().unwrap_or_default(),
        id => id,
    }
}

/// An account, and its profile when there is one yet.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) profile: Option<Stored<Profile>>,
}

impl Person {
    /// The person with this id; on customer calls the host lets only the caller be found.
    pub(crate) fn read(ctx: &Context<'_>, id: &str) -> Result<Self> {
        let account = ctx.get::<Account>(ACCOUNTS, id)?.ok_or_else(Problem::not_found)?;
        let profile = ctx.get::<Profile>(PROFILES, id)?;
        Ok(Self { account: account.data, profile })
    }

    pub(crate) fn version(&self) -> u64 {
        self.profile.as_ref().map_or(0, |profile| profile.version)
    }

    fn user(&self) -> User {
        User::new(self.account.clone(), self.profile.as_ref().map(|it| (&it.data, it.version)))
    }

    pub(crate) fn profile_or_new(&self) -> Profile {
        match &self.profile {
            Some(profile) => profile.data.clone(),
            None => Profile { owner: self.account.id.clone(), ..Profile::default() },
        }
    }

    /// What events tell of the person: nothing that names it.
    fn event(&self) -> Value {
        json!({"id": self.account.id, "kind": self.account.kind})
    }

    /// Begins a commit that puts the profile in the place of the one that was read, with whatever account change was
    /// prepared.
    pub(crate) fn save<'h>(&self, ctx: &Context<'h>, profile: &Profile) -> (Commit<'h>, WriteRef) {
        let mut commit = ctx.commit();
        let written = match &self.profile {
            None => commit.insert_with_id(PROFILES, &self.account.id, profile),
            Some(before) => {
                let replaced = commit.replace(PROFILES, &self.account.id, profile);
                commit.expect_version(replaced, before.version);
                replaced
            }
        };
        commit.event_with("user.updated", written, &self.event());
        (commit, written)
    }
}

/// The account's part of the answer; the rest is the profile as it is stored.
fn shown(account: &Account) -> Value {
    json!({
        "kind": account.kind,
        "email": account.email,
        "name": account.name,
        "phone": account.phone,
        "status": account.status,
        "emailVerified": account.email_verified,
        "groups": account.groups,
        "roles": account.roles,
        "acceptsMarketing": account.accepts_marketing,
        "createdAt": account.created_at,
        "lastLoginAt": account.last_login_at,
    })
}

fn email_taken(error: StoreError) -> Problem {
    taken(error, "email", |_| "/email".to_owned())
}
