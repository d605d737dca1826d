use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    audit::AuditReport,
    backup::Chunks,
    identity::{AccountKind, AccountStatus, User},
    plugin::Replayed,
};

use super::*;

struct Fake;

impl ControlHandlers for Fake {
    async fn user_create(&self, request: UserCreate) -> Result<User, Refused> {
        if request.password.len() < 12 {
            return Err(Refused { message: "the password is too short".to_owned() });
        }
        Ok(User {
            id: "usr_1".to_owned(),
            kind: request.account.kind,
            email: request.account.email,
            name: request.account.name,
            status: AccountStatus::Active,
            roles: request.account.roles,
            groups: Vec::new(),
            email_verified: false,
            phone: None,
            accepts_marketing: false,
            version: 1,
            created_at: String::new(),
            updated_at: String::new(),
            last_login_at: None,
        })
    }

    async fn system_request(&self, request: SystemRequest) -> SystemResponse {
        SystemResponse { status: 201, body: json!({"path": request.path, "body": request.body}) }
    }

    async fn status(&self) -> HostStatus {
        HostStatus {
            version: "0".to_owned(),
            pid: 1,
            url: "http://here".to_owned(),
            environment: "development".to_owned(),
            plugins: json!([]),
        }
    }

    /// A first chunk, and then nothing for ever.
    async fn backup(&self) -> Result<Chunks, Refused> {
        let first = stream::once(async { Ok(Bytes::from("first\n")) });
        Ok(first.chain(stream::pending()).boxed())
    }

    async fn audit_verify(&self) -> Result<AuditReport, Refused> {
        Ok(AuditReport::default())
    }

    async fn order_replay(&self, order: String) -> Result<Replayed, Refused> {
        Err(Refused { message: format!("there is no order `{order}`") })
    }

    async fn verify(&self) -> Result<Vec<String>, Refused> {
        Err(Refused { message: "the disk is on fire".to_owned() })
    }
}

fn user_create(password: &str) -> UserCreate {
    UserCreate {
        account: NewAccount {
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            kind: AccountKind::Admin,
            roles: vec!["superadmin".to_owned()],
        },
        password: password.to_owned(),
    }
}

#[tokio::test]
async fn commands_reach_a_running_host() {
    let folder = tempfile::tempdir().unwrap();
    let server = ControlServer::bind(folder.path(), Arc::new(Fake)).unwrap();
    let mode = fs::metadata(folder.path().join("wares.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move { stopped.await.unwrap_or(()) }));

    let client = ControlClient::connect(folder.path()).await.unwrap().unwrap();
    assert_eq!(client.status().await.unwrap().url, "http://here");
    assert_eq!(
        client.user_create(&user_create("long enough to pass")).await.unwrap().email,
        "ada@example.com"
    );
    let refused = client.user_create(&user_create("short")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the password is too short");
    let request = SystemRequest {
        method: "POST".to_owned(),
        path: "/products".to_owned(),
        body: Some(json!({"a": 1})),
        headers: Vec::new(),
    };
    let response = client.system_request(&request).await.unwrap();
    assert_eq!(
        response,
        SystemResponse { status: 201, body: json!({"path": "/products", "body": {"a": 1}}) }
    );

    let refused = client.verify().await.unwrap_err();
    assert_eq!(refused.to_string(), "the disk is on fire");
    let mut backup = client.backup().await.unwrap();
    assert_eq!(backup.next().await.unwrap().unwrap(), "first\n");

    let second = ControlServer::bind(folder.path(), Arc::new(Fake));
    assert!(matches!(second, Err(ControlError::InUse(_))));

    // A backup ends with the host, and does not keep it from stopping.
    stop.send(()).unwrap();
    serving.await.unwrap();
    assert!(backup.next().await.is_none());
    assert!(ControlClient::connect(folder.path()).await.unwrap().is_none());
    assert!(!folder.path().join("wares.sock").exists());
}

#[tokio::test]
async fn a_socket_left_behind_is_recognised_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wares.sock");
    // A listener that is dropped leaves its file, as a killed host does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(ControlClient::connect(folder.path()).await.unwrap().is_none());
    let server = ControlServer::bind(folder.path(), Arc::new(Fake)).unwrap();
    assert!(ControlClient::connect(folder.path()).await.unwrap().is_some());
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn no_folder_means_no_host() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ControlClient::connect(&folder.path().join("missing")).await.unwrap().is_none());
    assert!(ControlServer::bind(&folder.path().join("missing"), Arc::new(Fake)).is_err());
}
