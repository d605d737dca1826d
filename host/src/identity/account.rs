//! Accounts: documents of the host's own collection `_accounts`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store_model::{Access, CollectionSchema, Document, Field, Filter, Query, Scalar, TextField};

use crate::store::{ReadError, Store};

use super::AccountError;

pub(super) const COLLECTION: &str = "_accounts";
const NAME_MAX_CHARACTERS: usize = 200;
const PHONE_MAX_BYTES: usize = 40;
const GROUPS_MAX: usize = 50;
const GROUP_MAX_BYTES: usize = 64;
/// The longest address that mail can be sent to (RFC 5321).
const EMAIL_MAX_BYTES: usize = 254;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    Customer,
    Admin,
}

impl AccountKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    Active,
    Disabled,
}

impl AccountStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// What an account shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: String,
    pub kind: AccountKind,
    pub email: String,
    pub name: String,
    pub status: AccountStatus,
    pub roles: Vec<String>,
    /// What the shop sorts its customers into, for prices and rules.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether somebody who reads mail at the address said so.
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub accepts_marketing: bool,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<String>,
}

/// An account to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccount {
    /// Stored in lower case.
    pub email: String,
    pub name: String,
    pub kind: AccountKind,
    #[serde(default)]
    pub roles: Vec<String>,
}

/// An account as stored. Not `Debug`: it holds the hash.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    #[serde(flatten)]
    user: User,
    #[serde(rename = "_passwordHash")]
    password_hash: String,
    /// Counts what ends all sessions: a new password, disabling, logging out everywhere. A session lives only while it
    /// has its account's number.
    #[serde(default, rename = "_epoch")]
    epoch: i64,
}

/// The member that counts what ends all sessions. Members that start with `_` are for this module alone.
pub(super) const EPOCH: &str = "_epoch";
pub(super) const PASSWORD_HASH: &str = "_passwordHash";

impl Account {
    pub(super) fn id(&self) -> &str {
        &self.user.id
    }

    pub(super) fn kind(&self) -> AccountKind {
        self.user.kind
    }

    pub(super) fn is_active(&self) -> bool {
        self.user.status == AccountStatus::Active
    }

    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// Holds while the account is active and its sessions have not been ended since it was read.
    pub(super) fn unchanged(&self) -> Filter {
        let epoch = if self.epoch == 0 { Scalar::Null } else { Scalar::Integer(self.epoch) };
        Filter::And(vec![
            Filter::Eq(EPOCH.to_owned(), epoch),
            Filter::eq("status", AccountStatus::Active.as_str()),
        ])
    }

    pub(super) fn password_hash(&self) -> &str {
        &self.password_hash
    }

    pub(super) fn into_user(self) -> User {
        self.user
    }
}

impl User {
    /// A customer of whom nothing is known yet.
    pub(super) fn blank(id: String, now: String) -> Self {
        Self {
            id,
            kind: AccountKind::Customer,
            email: String::new(),
            name: String::new(),
            status: AccountStatus::Active,
            roles: Vec::new(),
            groups: Vec::new(),
            email_verified: false,
            phone: None,
            accepts_marketing: false,
            version: 1,
            created_at: now.clone(),
            updated_at: now,
            last_login_at: None,
        }
    }

    /// The account in its stored form, or why it cannot be.
    pub(super) fn checked(mut self) -> Result<Self, AccountError> {
        self.email = fold_email(&self.email);
        self.name = self.name.trim().to_owned();
        self.phone = self.phone.map(|phone| phone.trim().to_owned()).filter(|phone| !phone.is_empty());
        if !is_email(&self.email) {
            return Err(AccountError::InvalidEmail(self.email));
        }
        if self.name.chars().count() > NAME_MAX_CHARACTERS || has_control(&self.name) {
            return Err(AccountError::InvalidName(NAME_MAX_CHARACTERS));
        }
        if self.phone.as_ref().is_some_and(|phone| phone.len() > PHONE_MAX_BYTES || has_control(phone)) {
            return Err(AccountError::InvalidPhone(PHONE_MAX_BYTES));
        }
        if self.kind == AccountKind::Customer && !self.roles.is_empty() {
            return Err(AccountError::CustomerWithRoles);
        }
        self.roles.sort();
        self.roles.dedup();
        self.groups.sort();
        self.groups.dedup();
        if self.groups.len() > GROUPS_MAX || !self.groups.iter().all(|group| is_group(group)) {
            return Err(AccountError::InvalidGroups(GROUPS_MAX));
        }
        Ok(self)
    }

    /// What is stored of it, beside what the store keeps itself.
    pub(super) fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        for (name, value) in [
            ("kind", json!(self.kind)),
            ("email", json!(self.email)),
            ("name", json!(self.name)),
            ("status", json!(self.status)),
            ("roles", json!(self.roles)),
            ("groups", json!(self.groups)),
            ("emailVerified", json!(self.email_verified)),
            ("phone", json!(self.phone)),
            ("acceptsMarketing", json!(self.accepts_marketing)),
        ] {
            body.insert(name.to_owned(), value);
        }
        body
    }
}

/// The name of a group is a word for programs, such as `wholesale`.
fn is_group(group: &str) -> bool {
    !group.is_empty()
        && group.len() <= GROUP_MAX_BYTES
        && group.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn has_control(text: &str) -> bool {
    text.contains(char::is_control)
}

/// Addresses are compared in lower case.
pub(super) fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether mail could be sent there. Only a mail that arrives proves more.
pub(super) fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    email.len() <= EMAIL_MAX_BYTES
        && !local.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !local.contains('@')
        && !email.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}

pub(super) fn schema() -> CollectionSchema {
    let text = |path: &str, weight| TextField { path: path.to_owned(), weight };
    CollectionSchema {
        fields: vec![
            Field::text("email", Access::Unique),
            Field::text("name", Access::Index),
            Field::text("kind", Access::Index),
            Field::text("status", Access::Scan),
            Field::text("phone", Access::Index),
            Field::text("roles", Access::Index).multi(),
            Field::text("groups", Access::Index).multi(),
            // An index that halves what is looked at is not worth its writes.
            Field::boolean("emailVerified", Access::Scan),
            Field::boolean("acceptsMarketing", Access::Scan),
            Field::timestamp("lastLoginAt", Access::Index),
            Field::integer(EPOCH, Access::Scan),
        ],
        text: vec![text("name", 10), text("email", 5), text("phone", 2)],
        ..CollectionSchema::host("accounts", "usr")
    }
}

/// The accounts in the store.
pub(super) struct Accounts {
    store: Store,
}

impl Accounts {
    /// The collection is declared.
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(super) async fn by_id(&self, id: &str) -> Result<Option<Account>, ReadError> {
        let mut found = self.store.document_get_many(COLLECTION, &[id.to_owned()], None).await?;
        Ok(found.pop().flatten().as_ref().and_then(read))
    }

    pub(super) async fn by_email(&self, email: &str) -> Result<Option<Account>, ReadError> {
        // What can be no address is in no account; a NUL would not even be a valid operand.
        let email = fold_email(email);
        if !is_email(&email) {
            return Ok(None);
        }
        let query = Query { filter: Filter::eq("email", email), limit: 1, ..Query::default() };
        let page = self.store.document_find(COLLECTION, &query).await?;
        Ok(page.documents.first().and_then(read))
    }

    pub(super) async fn has_admin(&self) -> Result<bool, ReadError> {
        let filter = Filter::eq("kind", AccountKind::Admin.as_str());
        let query = Query { filter, limit: 1, fields: vec!["kind".to_owned()], ..Query::default() };
        Ok(!self.store.document_find(COLLECTION, &query).await?.documents.is_empty())
    }

    /// Whether anybody but this account has the role; with `active`, only who can use it counts.
    pub(super) async fn role_is_held(
        &self,
        role: &str,
        except: Option<&str>,
        active: bool,
    ) -> Result<bool, ReadError> {
        let mut clauses = vec![Filter::eq("roles", role)];
        if active {
            clauses.push(Filter::eq("status", AccountStatus::Active.as_str()));
        }
        let fields = vec!["status".to_owned()];
        let query = Query { filter: Filter::And(clauses), limit: 2, fields, ..Query::default() };
        let page = self.store.document_find(COLLECTION, &query).await?;
        Ok(page.documents.iter().any(|document| Some(document.id.as_str()) != except))
    }
}

/// A document that is no account counts as missing, and is logged: only a damaged database has one.
pub(super) fn read(document: &Document) -> Option<Account> {
    serde_json::from_str(&document.json)
        .inspect_err(
            |error| tracing::error!(user.id = document.id, %error, "Account `{}` is damaged", document.id),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_and_checked() {
        assert_eq!(fold_email(" Ada@Example.COM "), "ada@example.com");
        for good in ["a@b", "ada+shop@example.com", "ädä@exämple.com", "o'neil@mail.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@b",
            "a@",
            "a b@c",
            "a@b@c",
            "a@.b",
            "a@b.",
            "a\0@b",
            &format!("{}@b", "a".repeat(254)),
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn a_new_account_needs_an_address_and_customers_have_no_roles() {
        let new = |kind, roles: &[&str]| User {
            email: "Ada@Example.com".to_owned(),
            name: " Ada ".to_owned(),
            phone: Some(" ".to_owned()),
            kind,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..User::blank(String::new(), String::new())
        };
        let checked =
            new(AccountKind::Admin, &["superadmin", "catalog-manager", "superadmin"]).checked().unwrap();
        assert_eq!((checked.email.as_str(), checked.name.as_str()), ("ada@example.com", "Ada"));
        assert_eq!(
            (checked.roles, checked.phone),
            (vec!["catalog-manager".to_owned(), "superadmin".to_owned()], None)
        );
        assert!(matches!(
            new(AccountKind::Customer, &["superadmin"]).checked(),
            Err(AccountError::CustomerWithRoles)
        ));
    }
}
