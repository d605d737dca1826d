//! Passwords that are changed, forgotten and set anew, and addresses that are confirmed.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use host::identity::AccountKind;
use platform_tests::{
    client::Answer,
    host::{TestHost, TestHostBuilder},
    shop::documents,
    wait::eventually,
};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, customer, host, host_on_mongodb, login, me, refresh};

const NEW: &str = "a longer one than before";

on_each_backend!(
    host(), host_on_mongodb();
    a_changed_password_ends_the_other_sessions,
    a_forgotten_password_is_set_anew_once,
    a_token_used_twice_at_once_works_once,
    an_address_is_confirmed,
);

/// The tokens in the mails to an address, the oldest first.
fn mailed(host: &TestHost, to: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(host.data_dir().join("data/mail")) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    let mails = files.iter().map(|path| fs::read_to_string(path).unwrap());
    mails
        .filter(|mail| mail.contains(&format!("To: {to}")))
        .map(|mail| mail.lines().find(|line| line.starts_with("otk_")).unwrap().trim().to_owned())
        .collect()
}

async fn forgot(host: &TestHost, email: &str) -> Answer {
    host.anonymous().post("/auth/password/forgot", &json!({ "email": email })).await
}

/// Asks for a token and answers it.
async fn token(host: &TestHost, email: &str) -> String {
    let before = mailed(host, email).len();
    forgot(host, email).await.expect(202);
    eventually("the mail", async || mailed(host, email).len() > before).await;
    mailed(host, email).pop().unwrap()
}

async fn reset(host: &TestHost, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "newPassword": password });
    host.anonymous().post("/auth/password/reset", &body).await
}

async fn a_changed_password_ends_the_other_sessions(host: TestHost) {
    let first = customer(&host, "eve@example.com").await;
    let second = login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    let eve = client(&host, &second);
    let change = |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
    let refused = eve.post("/auth/password", &change("wrong", NEW)).await;
    refused.expect_problem(401, "invalid_credentials");
    let short = eve.post("/auth/password", &change(PASSWORD, "short")).await;
    short.expect_error_at(422, "validation_failed", "/newPassword", "validation_failed");
    eve.post("/auth/password", &change(PASSWORD, NEW)).await.expect(204);
    me(&eve).await.expect(200);
    refresh(&host, &second["refreshToken"]).await.expect(200);
    me(&client(&host, &first)).await.expect_problem(401, "token_revoked");
    refresh(&host, &first["refreshToken"]).await.expect_problem(401, "token_revoked");
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
    login(&host, "customer", "eve@example.com", NEW).await.expect(200);
}

async fn a_forgotten_password_is_set_anew_once(host: TestHost) {
    let tokens = customer(&host, "eve@example.com").await;
    let old = token(&host, "eve@example.com").await;
    let newer = token(&host, "eve@example.com").await;
    let stored = json!(documents(&host, "_one_time").await).to_string();
    assert!(!stored.contains(&old) && !stored.contains(&newer));
    for wrong in
        ["", "otk_", &format!("{}x", &newer[..newer.len() - 1]), tokens["refreshToken"].as_str().unwrap()]
    {
        reset(&host, wrong, NEW).await.expect_problem(401, "token_invalid");
    }
    reset(&host, &newer, "short").await.expect_problem(422, "validation_failed");
    // Guesses that were wrong before do not keep out who reads the mail.
    for _ in 0..5 {
        login(&host, "customer", "eve@example.com", "wrong").await.expect_problem(401, "invalid_credentials");
    }
    reset(&host, &newer, NEW).await.expect(204);
    reset(&host, &newer, NEW).await.expect_problem(401, "token_invalid");
    reset(&host, &old, NEW).await.expect_problem(401, "token_invalid");
    me(&client(&host, &tokens)).await.expect_problem(401, "token_revoked");
    refresh(&host, &tokens["refreshToken"]).await.expect_problem(401, "token_revoked");
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
    let user = login(&host, "customer", "eve@example.com", NEW).await.expect(200)["user"].clone();
    assert_eq!(user["emailVerified"], true, "who got the mail reads it");

    let late = token(&host, "eve@example.com").await;
    host.clock.advance(Duration::from_secs(3600));
    reset(&host, &late, NEW).await.expect_problem(401, "token_expired");
    host.clock.advance(Duration::from_secs(1));
    host.app.identity().sweep().await.unwrap();
    reset(&host, &late, NEW).await.expect_problem(401, "token_invalid");
    // Nobody is told whether there is an account.
    for email in ["nobody@example.com", "no address", ""] {
        forgot(&host, email).await.expect(202);
    }
}

async fn a_token_used_twice_at_once_works_once(host: TestHost) {
    customer(&host, "eve@example.com").await;
    let token = token(&host, "eve@example.com").await;
    let answers = join_all((0..10).map(|_| reset(&host, &token, NEW))).await;
    let done = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(done, 1);
}

async fn an_address_is_confirmed(host: TestHost) {
    let eve = client(&host, &customer(&host, "eve@example.com").await);
    let request = || async { eve.send(eve.request(hyper::Method::POST, "/auth/email/verification")).await };
    request().await.expect(202);
    eventually("the mail", async || mailed(&host, "eve@example.com").len() == 1).await;
    let token = mailed(&host, "eve@example.com").pop().unwrap();
    // A token is for one thing.
    reset(&host, &token, NEW).await.expect_problem(401, "token_invalid");
    let confirm = || async { host.anonymous().post("/auth/email/verify", &json!({ "token": token })).await };
    confirm().await.expect(204);
    confirm().await.expect_problem(401, "token_invalid");
    assert_eq!(me(&eve).await.expect(200)["user"]["emailVerified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_mailbox_is_filled() {
    let host = host().await;
    account(&host, AccountKind::Customer, "eve@example.com", &[]).await;
    for number in 1..=5 {
        token(&host, "eve@example.com").await;
        assert_eq!(mailed(&host, "eve@example.com").len(), number);
    }
    forgot(&host, "eve@example.com").await.expect(202);
    // The next person's mail comes after it.
    account(&host, AccountKind::Customer, "bob@example.com", &[]).await;
    token(&host, "bob@example.com").await;
    assert_eq!(mailed(&host, "eve@example.com").len(), 5);
    host.clock.advance(Duration::from_secs(1));
    token(&host, "eve@example.com").await;
}

/// A mail server that takes everything, for one connection after the other.
async fn mail_server() -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
            let mut data: Option<String> = None;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match (&mut data, line.as_str()) {
                    (Some(text), ".") => {
                        sender.send(std::mem::take(text)).unwrap();
                        data = None;
                        "250 taken\r\n"
                    }
                    (Some(text), line) => {
                        text.push_str(line);
                        text.push('\n');
                        continue;
                    }
                    (None, "DATA") => {
                        data = Some(String::new());
                        "354 go on\r\n"
                    }
                    (None, "QUIT") => "221 bye\r\n",
                    (None, _) => "250 fine\r\n",
                };
                write.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (port, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_to_the_configured_server() {
    let (port, mut mails) = mail_server().await;
    let host = TestHostBuilder::empty()
        .configure(move |config| {
            config.mail.smtp_url = Some(format!("smtp://127.0.0.1:{port}").into());
            config.mail.from = "Shop <shop@example.com>".to_owned();
            config.mail.reset_url = "https://shop.example/reset?token={token}".to_owned();
        })
        .start()
        .await;
    account(&host, AccountKind::Customer, "eve@example.com", &[]).await;
    forgot(&host, "eve@example.com").await.expect(202);
    let mail = tokio::time::timeout(Duration::from_secs(10), mails.recv()).await.unwrap().unwrap();
    assert!(
        mail.contains("From: Shop <shop@example.com>") || mail.contains("From: \"Shop\" <shop@example.com>"),
        "{mail}"
    );
    // A long line is folded.
    let unfolded = mail.replace("=\n", "").replace("=3D", "=");
    assert!(unfolded.contains("https://shop.example/reset?token=otk_"), "{mail}");
    assert!(mailed(&host, "eve@example.com").is_empty());
    let audited: Vec<Value> = documents(&host, "_audit").await.into_values().collect();
    assert_eq!(audited[0]["operationId"], "forgetPassword");
}
