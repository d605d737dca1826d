//! Changing roles.
//!
//! Nobody gives what they do not hold. Somebody always is a superadmin. A role that somebody has stays. Each of these
//! depends on several documents, so whatever may break one of them renews the stamp of [`super::state`] in its commit.

use store_model::{CommitRefused, Operation, Refusal, Write};

use crate::store::{AnswerPlan, CommitError, ReadError, Transaction};

use super::{
    AccountError, Editor, Identity, KnownPermission, Principal, Role, RoleContent, permission, role, state,
};

/// How often a change is tried anew when another one came between.
const ATTEMPTS: usize = 8;

/// Why a role was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    #[error("there is no such role")]
    NotFound,
    #[error("the role has version {current}, not {expected}")]
    Version { expected: u64, current: u64 },
    /// `superadmin` and `customer` stay as they are, and built-in roles are not deleted.
    #[error("a built-in role stays")]
    Fixed,
    #[error("somebody has the role")]
    InUse,
    /// Which of the permissions, from 0.
    #[error("permission {0} does not exist")]
    UnknownPermission(usize),
    #[error("permission {0} is not held by who gives it")]
    NotHeld(usize),
    #[error("the roles cannot be read")]
    Read(#[source] ReadError),
    #[error("the role cannot be stored")]
    Commit(#[source] CommitError),
}

impl Identity {
    /// The role with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn role(&self, id: &str) -> Result<Option<Role>, ReadError> {
        self.inner.roles.by_id(id).await
    }

    /// Makes a role with a given id. `known` are the permissions that exist.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn role_create(
        &self,
        id: &str,
        content: &RoleContent,
        by: &Principal,
        known: &[KnownPermission],
        transaction: &Transaction,
        answer: Option<AnswerPlan>,
    ) -> Result<Role, RoleError> {
        check_permissions(&content.permissions, &[], by, known)?;
        let insert = Write::new(role::COLLECTION, id, Operation::Insert(content.body(false)));
        let writes = vec![insert, state::changed(None)];
        let documents = transaction
            .commit(&self.inner.store, writes, Vec::new(), answer)
            .await
            .map_err(RoleError::Commit)?;
        documents.first().and_then(Option::as_ref).and_then(role::read).ok_or(RoleError::NotFound)
    }

    /// Replaces what is said of a role. With `expected`, only that version.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn role_replace(
        &self,
        id: &str,
        content: &RoleContent,
        expected: Option<u64>,
        by: &Principal,
        known: &[KnownPermission],
        transaction: &Transaction,
    ) -> Result<Role, RoleError> {
        for _ in 0..ATTEMPTS {
            let current = self.role(id).await.map_err(RoleError::Read)?.ok_or(RoleError::NotFound)?;
            if let Some(expected) = expected.filter(|expected| *expected != current.version) {
                return Err(RoleError::Version { expected, current: current.version });
            }
            if role::is_fixed(id) {
                return Err(RoleError::Fixed);
            }
            check_permissions(&content.permissions, &current.permissions, by, known)?;
            let body = content.body(current.built_in);
            let mut replace = Write::new(role::COLLECTION, id, Operation::Replace(body));
            // What was looked at is what is replaced: another's change may have taken a permission away.
            replace.expected_version = Some(current.version);
            let writes = vec![replace, state::changed(None)];
            match transaction.commit(&self.inner.store, writes, Vec::new(), None).await {
                Ok(documents) => {
                    let role = documents.first().and_then(Option::as_ref).and_then(role::read);
                    return role.ok_or(RoleError::NotFound);
                }
                Err(CommitError::Refused(CommitRefused { write: 0, reason: Refusal::Version { .. } })) => {}
                Err(CommitError::Refused(CommitRefused { write: 0, reason: Refusal::NotFound })) => {
                    return Err(RoleError::NotFound);
                }
                Err(error) => return Err(RoleError::Commit(error)),
            }
        }
        Err(RoleError::Commit(contended()))
    }

    /// Deletes a role that nobody has.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn role_delete(
        &self,
        id: &str,
        expected: Option<u64>,
        transaction: &Transaction,
        answer: Option<AnswerPlan>,
    ) -> Result<(), RoleError> {
        for _ in 0..ATTEMPTS {
            let stamp = state::read(&self.inner.store).await.map_err(RoleError::Read)?;
            let current = self.role(id).await.map_err(RoleError::Read)?.ok_or(RoleError::NotFound)?;
            if let Some(expected) = expected.filter(|expected| *expected != current.version) {
                return Err(RoleError::Version { expected, current: current.version });
            }
            if current.built_in {
                return Err(RoleError::Fixed);
            }
            if self.inner.accounts.role_is_held(id, None, false).await.map_err(RoleError::Read)? {
                return Err(RoleError::InUse);
            }
            let mut delete = Write::new(role::COLLECTION, id, Operation::Delete);
            delete.expected_version = Some(current.version);
            let writes = vec![delete, state::changed(Some(stamp))];
            match transaction.commit(&self.inner.store, writes, Vec::new(), answer.clone()).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(CommitRefused {
                    write: 0 | 1,
                    reason: Refusal::Version { .. } | Refusal::NotFound,
                })) => {}
                Err(error) => return Err(RoleError::Commit(error)),
            }
        }
        Err(RoleError::Commit(contended()))
    }

    /// The writes that hold roles in place while they are given.
    pub(super) async fn roles_given(
        &self,
        roles: &[String],
        by: Editor<'_>,
    ) -> Result<Vec<Write>, AccountError> {
        if let Some(role) = self.inner.roles.missing(roles).await.map_err(AccountError::Read)? {
            let known = match by {
                Editor::Host => {
                    let ids = self.inner.roles.ids().await.map_err(AccountError::Read)?;
                    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
                }
                // Not everybody who gives roles may see them.
                _ => "those of `GET /roles`".to_owned(),
            };
            return Err(AccountError::UnknownRole { role, known });
        }
        let mut checks = Vec::with_capacity(roles.len());
        for id in roles {
            let role = self.role(id).await.map_err(AccountError::Read)?;
            let role = role.ok_or_else(|| AccountError::RoleNotHeld(id.clone()))?;
            if !role.permissions.iter().all(|permission| by.holds(permission)) {
                return Err(AccountError::RoleNotHeld(id.clone()));
            }
            let mut check = Write::new(role::COLLECTION, id, Operation::Check);
            // What the role allows is what was compared.
            check.expected_version = Some(role.version);
            checks.push(check);
        }
        Ok(checks)
    }
}

/// Permissions that are there already may stay, whoever edits the rest.
fn check_permissions(
    wanted: &[String],
    held_by_role: &[String],
    by: &Principal,
    known: &[KnownPermission],
) -> Result<(), RoleError> {
    for (position, permission) in wanted.iter().enumerate() {
        if held_by_role.contains(permission) {
            continue;
        }
        if !permission::is_known(permission, known) {
            return Err(RoleError::UnknownPermission(position));
        }
        if !by.allows(permission) {
            return Err(RoleError::NotHeld(position));
        }
    }
    Ok(())
}

/// Other changes came between again and again.
fn contended() -> CommitError {
    CommitError::Refused(CommitRefused { write: 0, reason: Refusal::Guard })
}
