//! Making, changing and deleting accounts: who may set what, and the writes to do it.
//!
//! What is prepared here joins a commit of the caller's, so that an account and what others keep of a person change
//! together. When that commit is refused because of a version, the change has to be prepared anew.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use store_model::{CommitRefused, Document, FieldOperation, Filter, Operation, Query, Refusal, Write};

use crate::store::CommitError;

use super::{
    AccountError, AccountKind, AccountStatus, Identity, NewAccount, SessionView, User,
    account::{self, Account, EPOCH, PASSWORD_HASH},
    one_time, password,
    permission::allows,
    role::SUPERADMIN,
    session::{self, set},
    state,
};

/// What staff need to make and change the accounts of others.
pub const USERS_WRITE: &str = "users:write";
/// Most sessions, and most one-use tokens, that are deleted with their account; the others end by themselves.
const WITH_ACCOUNT: u32 = 400;

/// For whom an account is made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Editor<'a> {
    /// A command or an import: may do everything.
    Host,
    /// Somebody who is not logged in.
    Anonymous,
    /// The account itself.
    Customer(&'a str),
    /// Staff or a service account, with what they may do.
    Staff(&'a [String]),
}

impl Editor<'_> {
    pub(super) fn holds(self, permission: &str) -> bool {
        match self {
            Self::Host => true,
            Self::Staff(permissions) => allows(permissions, permission),
            Self::Anonymous | Self::Customer(_) => false,
        }
    }
}

/// Members of an account that are to be set; those that are absent stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AccountMembers {
    pub email: Option<String>,
    pub name: Option<String>,
    pub kind: Option<AccountKind>,
    pub status: Option<AccountStatus>,
    pub email_verified: Option<bool>,
    pub roles: Option<Vec<String>>,
    pub groups: Option<Vec<String>>,
    /// `Some(None)` takes it away.
    #[serde(deserialize_with = "given")]
    pub phone: Option<Option<String>>,
    pub accepts_marketing: Option<bool>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl AccountMembers {
    fn over(self, before: &User) -> Result<User, AccountError> {
        let mut user = before.clone();
        user.email = self.email.unwrap_or(user.email);
        user.name = self.name.unwrap_or(user.name);
        user.kind = self.kind.unwrap_or(user.kind);
        user.status = self.status.unwrap_or(user.status);
        user.email_verified = self.email_verified.unwrap_or(user.email_verified);
        user.roles = self.roles.unwrap_or(user.roles);
        user.groups = self.groups.unwrap_or(user.groups);
        user.phone = self.phone.unwrap_or(user.phone);
        user.accepts_marketing = self.accepts_marketing.unwrap_or(user.accepts_marketing);
        user.checked()
    }
}

/// An account as a commit will leave it, and the writes that do so.
#[derive(Debug, Clone)]
pub struct AccountPrepared {
    pub user: User,
    pub writes: Vec<Write>,
}

impl Identity {
    /// Creates an account, for a command of the host's own.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn account_create(
        &self,
        new: NewAccount,
        password: SecretString,
    ) -> Result<User, AccountError> {
        let members = AccountMembers {
            email: Some(new.email),
            name: Some(new.name),
            kind: Some(new.kind),
            roles: Some(new.roles),
            ..AccountMembers::default()
        };
        // What is wrong with the rest is told before a password is hashed.
        let blank = User::blank(String::new(), String::new());
        let email = members.clone().over(&blank)?.email;
        let hash = self.password_hash(password).await?;
        let prepared = self.account_create_prepare(members, hash, Editor::Host).await?;
        let results = self.inner.store.commit(prepared.writes).await.map_err(|error| match error {
            CommitError::Refused(CommitRefused { reason: Refusal::Unique { .. }, .. }) => {
                AccountError::EmailTaken(email)
            }
            error => AccountError::Store(error),
        })?;
        let account = results.first().and_then(Option::as_ref).and_then(account::read);
        account.map(Account::into_user).ok_or(AccountError::Internal)
    }

    /// The hash of a password that somebody chose. Passwords are checked for their length only: 12 characters or more.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn password_hash(&self, password: SecretString) -> Result<String, AccountError> {
        password::check(&password).map_err(AccountError::Password)?;
        self.inner.passwords.hash(password).await.map_err(|error| match error {
            password::HashError::Busy => AccountError::Busy,
            password::HashError::Failed => AccountError::Internal,
        })
    }

    /// A hash that another shop made: argon2id, or bcrypt, which is replaced at the next login.
    ///
    /// # Errors
    /// What is neither.
    pub fn password_hash_imported(&self, hash: String) -> Result<String, AccountError> {
        if password::is_known_hash(&hash) { Ok(hash) } else { Err(AccountError::UnknownHash) }
    }

    /// The writes that make an account with this hash of its password.
    ///
    /// # Errors
    /// Why it cannot be. That the address is taken shows in the commit.
    pub async fn account_create_prepare(
        &self,
        members: AccountMembers,
        password_hash: String,
        by: Editor<'_>,
    ) -> Result<AccountPrepared, AccountError> {
        let store = &self.inner.store;
        let blank = User::blank(store.id_new("usr"), store.clock().timestamp());
        let user = members.over(&blank)?;
        check_settable(&blank, &user, by)?;
        let mut body = user.body();
        body.insert(PASSWORD_HASH.to_owned(), json!(password_hash));
        let mut writes = vec![Write::new(account::COLLECTION, &user.id, Operation::Insert(body))];
        if !user.roles.is_empty() {
            writes.extend(self.roles_given(&user.roles, by).await?);
            writes.push(state::changed(None));
        }
        Ok(AccountPrepared { user, writes })
    }

    /// The writes that change an account.
    ///
    /// # Errors
    /// Why it cannot be changed so.
    pub async fn account_change_prepare(
        &self,
        id: &str,
        members: AccountMembers,
        by: Editor<'_>,
    ) -> Result<AccountPrepared, AccountError> {
        let (account, stamp) = self.account_for(id, by).await?;
        let before = account.user();
        let proved = members.email_verified == Some(true) && !before.email_verified;
        let mut user = members.over(before)?;
        check_settable(before, &user, by)?;
        if user.kind != before.kind {
            return Err(AccountError::KindStays);
        }
        // What was said of the old address is not said of the new one.
        if user.email != before.email && !proved {
            user.email_verified = false;
        }
        let (was, is) = (before.body(), user.body());
        let mut operations: Vec<FieldOperation> = is
            .into_iter()
            .filter(|(name, value)| was.get(name) != Some(value))
            .map(|(name, value)| set(&name, value))
            .collect();
        self.check_outranked(&account, stamp, by).await?;
        if operations.is_empty() {
            // Whatever changes with it, changes of an account that there is.
            let writes = vec![Write::new(account::COLLECTION, id, Operation::Check)];
            return Ok(AccountPrepared { user, writes });
        }
        if user.status == AccountStatus::Disabled && before.status == AccountStatus::Active {
            // A session that was ended stays so when the account is enabled again.
            operations.push(ended());
        }
        let mut update = Write::new(account::COLLECTION, id, Operation::Update(operations));
        update.expected_version = Some(before.version);
        let mut writes = vec![update];
        let may_more = !(before.roles.is_empty() && user.roles.is_empty());
        if may_more && (user.roles != before.roles || user.status != before.status) {
            let added: Vec<String> =
                user.roles.iter().filter(|role| !before.roles.contains(role)).cloned().collect();
            writes.extend(self.roles_given(&added, by).await?);
            let stays = is_superadmin(&user);
            writes.push(self.superadmins_stay(&account, stays, stamp).await?);
        }
        user.version = before.version + 1;
        user.updated_at = self.inner.store.clock().timestamp();
        Ok(AccountPrepared { user, writes })
    }

    /// The writes that delete an account with its sessions and one-use tokens.
    ///
    /// # Errors
    /// Why it cannot be deleted.
    pub async fn account_delete_prepare(&self, id: &str, by: Editor<'_>) -> Result<Vec<Write>, AccountError> {
        let (account, stamp) = self.account_for(id, by).await?;
        self.check_outranked(&account, stamp, by).await?;
        let mut delete = Write::new(account::COLLECTION, id, Operation::Delete);
        delete.expected_version = Some(account.user().version);
        let mut writes = vec![delete];
        if !account.user().roles.is_empty() {
            writes.push(self.superadmins_stay(&account, false, stamp).await?);
        }
        let query = Query {
            filter: Filter::eq("accountId", id),
            fields: vec!["accountId".to_owned()],
            limit: WITH_ACCOUNT,
            ..Query::default()
        };
        for collection in [session::COLLECTION, one_time::COLLECTION] {
            let found = self.inner.store.document_find(collection, &query).await;
            for Document { id, version, .. } in found.map_err(AccountError::Read)?.documents {
                let mut end = Write::new(collection, id, Operation::Delete);
                end.expected_version = Some(version);
                writes.push(end);
            }
        }
        Ok(writes)
    }

    /// The living sessions of an account, the newest first.
    ///
    /// # Errors
    /// That there is none for this caller.
    pub async fn account_sessions(&self, id: &str, by: Editor<'_>) -> Result<Vec<SessionView>, AccountError> {
        let (account, _) = self.account_for(id, by).await?;
        let sessions = session::living(&self.inner.store, &account).await.map_err(AccountError::Read)?;
        Ok(sessions.into_iter().map(|session| session.view(None)).collect())
    }

    /// The account with this id if it is the caller's to see, and the stamp of who may do what.
    async fn account_for(&self, id: &str, by: Editor<'_>) -> Result<(Account, u64), AccountError> {
        let reaches = match by {
            Editor::Host | Editor::Staff(_) => true,
            Editor::Customer(own) => own == id,
            Editor::Anonymous => false,
        };
        if !reaches {
            return Err(AccountError::NotFound);
        }
        let places = [state::place(), (account::COLLECTION, id.to_owned())];
        let found = self.inner.store.document_get_each(&places).await.map_err(AccountError::Read)?;
        let account = found[1].as_ref().and_then(account::read).ok_or(AccountError::NotFound)?;
        Ok((account, state::stamp(found[0].as_ref())))
    }

    /// Refuses staff the account of somebody who may do more than they: with its address they could log in as it.
    async fn check_outranked(
        &self,
        account: &Account,
        stamp: u64,
        by: Editor<'_>,
    ) -> Result<(), AccountError> {
        if matches!(by, Editor::Host | Editor::Customer(_)) {
            return Ok(());
        }
        if !by.holds(USERS_WRITE) {
            return Err(AccountError::Outranks);
        }
        let permissions = self.inner.roles.permissions_of(&account.user().roles, stamp).await;
        let held = permissions.map_err(AccountError::Read)?.iter().all(|permission| by.holds(permission));
        if held { Ok(()) } else { Err(AccountError::Outranks) }
    }

    /// The write that goes with a change of who may do what. When the account `stays` no superadmin and was one, there
    /// must be another.
    async fn superadmins_stay(
        &self,
        account: &Account,
        stays: bool,
        stamp: u64,
    ) -> Result<Write, AccountError> {
        if stays || !is_superadmin(account.user()) {
            return Ok(state::changed(None));
        }
        let others = self.inner.accounts.role_is_held(SUPERADMIN, Some(account.id()), true).await;
        match others.map_err(AccountError::Read)? {
            true => Ok(state::changed(Some(stamp))),
            false => Err(AccountError::LastSuperadmin),
        }
    }
}

/// Ends every session of the account that it is applied to.
pub(super) fn ended() -> FieldOperation {
    FieldOperation::Increment { path: EPOCH.to_owned(), by: 1 }
}

/// Whether somebody may do everything, and can log in to do it.
fn is_superadmin(user: &User) -> bool {
    user.status == AccountStatus::Active && user.roles.iter().any(|role| role == SUPERADMIN)
}

/// Some members only staff may set. What is sent back as it was is no change.
fn check_settable(before: &User, after: &User, by: Editor<'_>) -> Result<(), AccountError> {
    if by.holds(USERS_WRITE) {
        return Ok(());
    }
    for (member, changed) in [
        ("kind", before.kind != after.kind),
        ("status", before.status != after.status),
        ("emailVerified", before.email_verified != after.email_verified),
        ("roles", before.roles != after.roles),
        ("groups", before.groups != after.groups),
    ] {
        if changed {
            return Err(AccountError::NotSettable(member));
        }
    }
    Ok(())
}
