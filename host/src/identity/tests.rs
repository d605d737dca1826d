use std::{sync::Arc, time::Duration};

use store_model::{FieldOperation, Operation, Write};

use crate::{
    clock::{Clock, ManualClock},
    mail::Mailer,
    store::{Store, StoreConfig, idempotency},
};

use super::*;

const PASSWORD: &str = "correct horse battery staple";

struct Shop {
    identity: Identity,
    store: Store,
    time: ManualClock,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(AuthConfig {
            jwt_secret: Some("a secret of a test, long enough".to_owned().into()),
            ..Default::default()
        })
        .await
    }

    async fn open_with(config: AuthConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, time) = Clock::manual(1_795_424_400_000);
        let store = Store::open(StoreConfig::embedded(folder.path()), clock).await.unwrap();
        // Security is audited in the commits of what happens.
        store.collections_declare_host(idempotency::host_collections()).await.unwrap();
        let identity = Identity::open(store.clone(), &config, Mailer::off()).await.unwrap();
        Self { identity, store, time, _folder: folder }
    }

    async fn create(&self, email: &str, roles: &[&str]) -> Result<User, AccountError> {
        let new = NewAccount {
            email: email.to_owned(),
            name: "Ada".to_owned(),
            kind: AccountKind::Admin,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        self.identity.account_create(new, secret(PASSWORD)).await
    }

    async fn login_admin(&self, email: &str, password: SecretString) -> Result<Login, LoginError> {
        self.identity.login(Audience::Admin, email, password, &Origin::command("test")).await
    }

    async fn set(&self, user: &User, path: &str, value: serde_json::Value) {
        let write = Write {
            collection: "_accounts".to_owned(),
            id: user.id.clone(),
            operation: Operation::Update(vec![FieldOperation::Set { path: path.to_owned(), value }]),
            expected_version: None,
            guard: None,
            scope: None,
            embeds: Vec::new(),
        };
        self.store.commit(vec![write]).await.unwrap();
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

#[tokio::test]
async fn an_administrator_logs_in_and_is_recognised() {
    let shop = Shop::open().await;
    assert!(!shop.identity.has_admin().await.unwrap());
    let user = shop.create("Ada@Example.com", &["catalog-manager"]).await.unwrap();
    assert!(shop.identity.has_admin().await.unwrap());
    assert_eq!((user.email.as_str(), user.version), ("ada@example.com", 1));
    let login = shop.login_admin(" ADA@example.com", secret(PASSWORD)).await.ok().unwrap();
    assert_eq!((login.expires_in_s, &login.user.id), (900, &user.id));
    assert!(!serde_json::to_string(&login.user).unwrap().contains("argon2"));
    let principal = shop.identity.authenticate(&login.access_token).await.unwrap();
    assert_eq!((principal.id.as_str(), principal.kind), (user.id.as_str(), PrincipalKind::Admin));
    assert!(principal.allows("products:write") && !principal.allows("users:write"));
    shop.time.advance(Duration::from_secs(905));
    let expired = shop.identity.authenticate(&login.access_token).await;
    assert!(matches!(expired, Err(AuthError::Expired)));
}

#[tokio::test]
async fn unknown_people_wrong_passwords_and_nonsense_are_alike() {
    let shop = Shop::open().await;
    shop.create("ada@example.com", &["superadmin"]).await.unwrap();
    let long = "x".repeat(5000);
    for (email, password) in [
        ("bob@example.com", PASSWORD),
        ("ada@example.com", "correct horse battery stapl"),
        ("ada@example.com", ""),
        ("ada@example.com", long.as_str()),
        ("not an address", PASSWORD),
        ("", ""),
        ("a\0@b", PASSWORD),
    ] {
        let result = shop.login_admin(email, secret(password)).await;
        assert!(matches!(result, Err(LoginError::InvalidCredentials)), "{email}");
    }
}

#[tokio::test]
async fn an_address_is_taken_in_any_spelling() {
    let shop = Shop::open().await;
    shop.create("ada@example.com", &[]).await.unwrap();
    let error = shop.create("ADA@example.com", &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "an account with the email address `ada@example.com` exists already");
    let error = shop.create("ada", &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "`ada` is not an email address");
}

#[tokio::test]
async fn of_two_accounts_at_once_with_one_address_one_is_made() {
    let shop = Arc::new(Shop::open().await);
    let create = || {
        let shop = shop.clone();
        tokio::spawn(async move { shop.create("ada@example.com", &[]).await.is_ok() })
    };
    let (first, second) = (create(), create());
    assert_ne!(first.await.unwrap(), second.await.unwrap());
}

#[tokio::test]
async fn a_short_password_is_refused() {
    let shop = Shop::open().await;
    let new = NewAccount {
        email: "a@b.c".to_owned(),
        name: String::new(),
        kind: AccountKind::Admin,
        roles: Vec::new(),
    };
    let error = shop.identity.account_create(new, secret("short")).await.unwrap_err();
    assert!(matches!(error, AccountError::Password(PasswordRejected::TooShort)));
}

#[tokio::test]
async fn disabling_an_account_and_taking_a_role_work_at_once() {
    let shop = Shop::open().await;
    let user = shop.create("ada@example.com", &["superadmin"]).await.unwrap();
    let login = shop.login_admin("ada@example.com", secret(PASSWORD)).await.ok().unwrap();
    let token = login.access_token;
    shop.set(&user, "roles", serde_json::json!([])).await;
    let principal = shop.identity.authenticate(&token).await.unwrap();
    assert!(!principal.allows("products:write"));
    shop.set(&user, "status", "disabled".into()).await;
    assert!(matches!(shop.identity.authenticate(&token).await, Err(AuthError::Revoked)));
    let login = shop.login_admin("ada@example.com", secret(PASSWORD)).await;
    assert!(matches!(login, Err(LoginError::Disabled)));
    let wrong = shop.login_admin("ada@example.com", secret("wrong")).await;
    assert!(matches!(wrong, Err(LoginError::InvalidCredentials)));
}

#[tokio::test]
async fn a_customer_cannot_log_in_as_staff() {
    let shop = Shop::open().await;
    let new = NewAccount {
        email: "eve@example.com".to_owned(),
        name: String::new(),
        kind: AccountKind::Customer,
        roles: Vec::new(),
    };
    shop.identity.account_create(new, secret(PASSWORD)).await.unwrap();
    let login = shop.login_admin("eve@example.com", secret(PASSWORD)).await;
    assert!(matches!(login, Err(LoginError::InvalidCredentials)));
}

#[tokio::test]
async fn without_a_secret_nothing_opens() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::embedded(folder.path()), Clock::system()).await.unwrap();
    let result = Identity::open(store, &AuthConfig::default(), Mailer::off()).await;
    assert!(matches!(result, Err(IdentityError::NoSecret)));
}
