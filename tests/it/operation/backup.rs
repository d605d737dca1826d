//! `wares db backup` and `wares db verify`: beside a selling host and without one.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use host::{
    audit::AuditReport,
    backup::{Checker, Chunks},
    control::{
        ControlHandlers, ControlServer, HostStatus, Refused, SystemRequest, SystemResponse, UserCreate,
    },
    identity::User,
};
use hyper::Method;
use platform_tests::{
    backup::{documents, timeless},
    client::Client,
    process::Place,
    random,
    shop::{id, product},
    sizes::DAMAGED_BACKUPS,
    wait::eventually,
};
use proptest::prelude::RngExt;
use serde_json::Value;

/// Creates products until it is told to stop.
async fn sell(client: Client, name: String, stop: Arc<AtomicBool>, sold: Arc<Mutex<Vec<String>>>) {
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("{name}n{number}");
        let draft = client.request(Method::POST, "/products").json(&product(&key, &key));
        let created = client.send(draft.header("idempotency-key", &key)).await.expect(201);
        sold.lock().unwrap().push(id(&created).to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_selling_shop_is_of_one_moment_and_restores_to_that_shop() {
    let place = Place::new();
    place.create_admin();
    let server = place.serve();
    let client = server.with_token(Some(&server.login().await));
    let (stop, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(sell(client.clone(), format!("w{writer}"), stop.clone(), sold.clone())))
        .collect();
    let count = || sold.lock().unwrap().len();
    eventually("something is sold", async || count() > 30).await;
    let before: Vec<String> = sold.lock().unwrap().clone();
    let file = place.path().join("shop.ndjson");
    let taken = place.answer(&["db", "backup", file.to_str().unwrap()]);
    let after = count();
    eventually("selling goes on", async || count() > after).await;
    let verified = place.answer(&["db", "verify"]);
    assert_eq!(verified["problems"], serde_json::json!([]));
    stop.store(true, Ordering::Relaxed);
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    server.stop();
    assert!(before.len() < after, "nothing was sold during the backup");

    // Every sale is one commit over four collections.
    let stored = documents(&file);
    let ids = |collection: &str, member: &str| -> BTreeSet<String> {
        let text = |document: &Value| document[member].as_str().unwrap().to_owned();
        stored[collection].iter().map(text).collect()
    };
    let products = ids("products", "id");
    let lost: Vec<&String> = before.iter().filter(|id| !products.contains(*id)).collect();
    assert!(lost.is_empty(), "sold before the backup and not in it: {lost:?}");
    assert_eq!(ids("_events", "subject"), products);
    assert_eq!(stored["_idempotency"].len(), products.len());
    // Logins are kept too.
    let sales = stored["_audit"].iter().filter(|entry| entry["operationId"] == "createProduct").count();
    assert_eq!(sales, products.len());

    let other = Place::new();
    let restored = other.answer(&["db", "restore", file.to_str().unwrap()]);
    let mut expected = taken;
    expected.as_object_mut().unwrap().remove("file");
    assert_eq!(restored, expected);
    let mut verified = other.answer(&["db", "verify"]);
    assert_eq!(verified["problems"].as_array_mut().map(std::mem::take), Some(Vec::new()));
    assert_eq!(verified["collections"], restored["collections"]);
    let again = other.path().join("again.ndjson");
    other.answer(&["db", "backup", again.to_str().unwrap()]);
    assert_eq!(timeless(&again), timeless(&file));

    let server = other.serve();
    let client = server.with_token(Some(&server.login().await));
    for document in &stored["products"] {
        let served = client.get(&format!("/products/{}", id(document))).await.expect(200);
        assert_eq!((&served["name"], &served["version"]), (&document["name"], &document["version"]));
        assert_eq!(served["updatedAt"], document["updatedAt"]);
    }
    // A repeat of what was sold before the backup gets its answer.
    let first = stored["products"].iter().find(|product| id(product) == before[0]).unwrap();
    let key = first["name"].as_str().unwrap();
    let draft = client.request(Method::POST, "/products").json(&product(key, key));
    let repeated = client.send(draft.header("idempotency-key", key)).await;
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"), "{}", repeated.text());
    assert_eq!(id(&repeated.expect(201)), before[0]);
    client.post("/products", &product("new", "NEW")).await.expect(201);
    server.stop();
}

/// All pages of the products, and the categories.
async fn catalogue(client: &Client) -> Vec<Value> {
    let mut all = vec![client.get("/categories/tree").await.expect(200)];
    let mut path = "/products?limit=100&count=none".to_owned();
    loop {
        let answer = client.get(&path).await;
        let next = answer.header("x-next-cursor").map(str::to_owned);
        all.push(answer.expect(200));
        match next {
            Some(cursor) => path = format!("/products?limit=100&count=none&cursor={cursor}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_shop_is_the_same_after_a_restore() {
    let (place, other) = (Place::new(), Place::new());
    let server = place.serve_with(&["--seed"]);
    let before = catalogue(&server.anonymous()).await;
    assert!(before.len() > 3, "{} pages", before.len());
    server.stop();
    let file = place.path().join("shop.ndjson");
    let shown = file.to_str().unwrap();
    let taken = place.answer(&["db", "backup", shown]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let checked = place.answer(&["db", "verify", shown]);
    assert_eq!((&checked["hash"], &checked["collections"]), (&taken["hash"], &taken["collections"]));
    other.answer(&["db", "restore", shown]);
    let server = other.serve();
    assert_eq!(catalogue(&server.anonymous()).await, before);
    let search = server.anonymous().get("/products?q=tea&limit=1").await;
    assert_ne!(search.expect(200), serde_json::json!([]));
    server.stop();
    let checked = other.run(&["doctor", "--listen", "127.0.0.1:0"]);
    assert!(checked.stdout.contains("complete and consistent"), "{checked:?}");
}

#[test]
fn a_backup_replaces_no_file_unless_it_is_told_to() {
    let place = Place::new();
    let missing = place.refusal(&["db", "backup", "shop.ndjson"]);
    assert!(missing.contains("there is no store in") && missing.contains("--data-dir"), "{missing}");
    assert!(!place.data_dir().join("wares.db").exists());
    place.create_admin();
    let file = place.path().join("shop.ndjson");
    fs::write(&file, "mine").unwrap();
    let refused = place.refusal(&["db", "backup", "shop.ndjson"]);
    assert!(refused.contains("`shop.ndjson` is there already") && refused.contains("--force"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    place.answer(&["db", "backup", "--force", "shop.ndjson"]);
    let lines = timeless(&file);
    assert!(lines.iter().any(|line| line.contains("admin@example.com")));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = place.refusal(&["db", "backup", "nowhere/shop.ndjson"]);
    assert!(refused.contains("cannot write `nowhere/shop.ndjson`"), "{refused}");

    let streamed = place.run(&["--quiet", "db", "backup", "-"]);
    assert_eq!((streamed.code, streamed.stderr.as_str()), (Some(0), ""));
    let copy = place.path().join("copy.ndjson");
    fs::write(&copy, &streamed.stdout).unwrap();
    assert_eq!(timeless(&copy), lines);
    let files = fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name());
    let left: Vec<_> = files.filter(|name| name.to_str().unwrap().ends_with(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A host whose backup begins and does not go on.
#[derive(Default)]
struct Stuck {
    asked: AtomicBool,
}

impl ControlHandlers for Stuck {
    async fn backup(&self) -> Result<Chunks, Refused> {
        self.asked.store(true, Ordering::SeqCst);
        let header = Bytes::from(
            "{\"waresBackup\":{\"format\":1,\"version\":\"0\",\"createdAt\":\"\",\"collections\":1,\"documents\":1}}\n",
        );
        Ok(stream::once(async { Ok(header) }).chain(stream::pending()).boxed())
    }

    async fn order_replay(&self, _: String) -> Result<host::plugin::Replayed, Refused> {
        panic!("nobody asks")
    }

    async fn audit_verify(&self) -> Result<AuditReport, Refused> {
        panic!("nobody asks")
    }

    async fn verify(&self) -> Result<Vec<String>, Refused> {
        panic!("nobody asks")
    }

    async fn user_create(&self, _: UserCreate) -> Result<User, Refused> {
        panic!("nobody asks")
    }

    async fn system_request(&self, _: SystemRequest) -> SystemResponse {
        panic!("nobody asks")
    }

    async fn status(&self) -> HostStatus {
        panic!("nobody asks")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_stopped_leaves_no_file() {
    let place = Place::new();
    let folder = place.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let files = || fs::read_dir(&folder).unwrap().count();
    for host_stops in [false, true] {
        let host = Arc::new(Stuck::default());
        let server = ControlServer::bind(place.data_dir(), host.clone()).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut stop = Some(stop);
        let serving = tokio::spawn(server.serve(async move { drop(stopped.await) }));
        let backup = place.command(&["db", "backup", "backups/shop.ndjson"]).spawn().unwrap();
        // The command may have its file before it has asked the host.
        eventually("the backup begins", async || files() == 1 && host.asked.load(Ordering::SeqCst)).await;
        assert!(!folder.join("shop.ndjson").exists());
        if host_stops {
            drop(stop.take());
        } else {
            let interrupt = Command::new("kill").args(["-INT", &backup.id().to_string()]).status();
            assert!(interrupt.unwrap().success());
        }
        let ended = tokio::task::spawn_blocking(|| backup.wait_with_output().unwrap()).await.unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains(if host_stops { "not complete" } else { "was stopped" }), "{told}");
        assert_eq!(files(), 0);
        drop(stop);
        serving.await.unwrap();
    }
}

#[test]
fn a_backup_for_a_reader_who_goes_away_fails() {
    let place = Place::new();
    place.create_admin();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = place.command(&["db", "backup", "-"]).stdout(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Turns a bit, cuts, or moves lines.
fn damaged(sound: &[u8], rng: &mut impl RngExt) -> (String, Vec<u8>) {
    let mut lines: Vec<&[u8]> = sound.split_inclusive(|byte| *byte == b'\n').collect();
    let (one, other) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len() - 1));
    let other = if other >= one { other + 1 } else { other };
    let at = rng.random_range(0..sound.len());
    match rng.random_range(0..6) {
        0 | 1 => {
            let bit = rng.random_range(0..8);
            let mut bytes = sound.to_vec();
            bytes[at] ^= 1 << bit;
            (format!("bit {bit} of byte {at} is turned"), bytes)
        }
        2 => (format!("it is cut at {at}"), sound[..at].to_vec()),
        3 => {
            lines.swap(one, other);
            (format!("lines {one} and {other} are swapped"), lines.concat())
        }
        4 => {
            lines.remove(one);
            (format!("line {one} is missing"), lines.concat())
        }
        _ => {
            lines.insert(other, lines[one]);
            (format!("line {one} is there again at {other}"), lines.concat())
        }
    }
}

fn check(bytes: &[u8]) -> Result<u64, host::backup::Damage> {
    let mut checker = Checker::new();
    checker.push(bytes)?;
    checker.finish().map(|contents| contents.documents())
}

#[test]
fn a_damaged_backup_is_refused_before_anything_is_written() {
    let place = Place::new();
    for name in ["ada", "grace", "edsger"] {
        let email = format!("{name}@example.com");
        let create = ["user", "create", "--kind", "admin", "--role", "superadmin", "--email", &email];
        let created = platform_tests::process::ended(place.command(&create), "correct horse battery staple");
        assert_eq!(created.code, Some(0), "{created:?}");
    }
    let streamed = place.run(&["db", "backup", "-"]);
    let sound = streamed.stdout.into_bytes();
    assert!(check(&sound).unwrap() >= 3);
    let mut runner = random::runner(1);
    let other = Place::new();
    for round in 0..DAMAGED_BACKUPS.get() {
        let (how, bytes) = damaged(&sound, runner.rng());
        let damage = check(&bytes).expect_err(&how);
        assert!(damage.line > 0 && !damage.message.is_empty());
        if round % 100 == 0 {
            let file = other.path().join("damaged.ndjson");
            fs::write(&file, bytes).unwrap();
            for command in [&["db", "restore", "damaged.ndjson"][..], &["db", "verify", "damaged.ndjson"]] {
                let refused = other.refusal(command);
                assert!(refused.contains(&damage.to_string()), "{how}: {refused}");
            }
            assert!(!other.data_dir().join("wares.db").exists(), "{how}");
        }
    }
}
