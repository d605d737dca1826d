//! Serving: the start, what keeps it from starting, the stop.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use platform_tests::{
    process::{Place, ended},
    shop::product,
    wait::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_server_answers_the_sample_shop() {
    let place = Place::new();
    let server = place.serve_with(&["--seed"]);
    let public = server.anonymous();
    assert_eq!(public.get("//livez").await.text(), "ok\n");
    let ready = public.get("//readyz").await.expect(200);
    assert_eq!(ready["ready"], true);
    let count = async |path: &str| {
        let answer = public.get(path).await;
        let total: u32 = answer.header("x-total-count").unwrap().parse().unwrap();
        answer.expect(200);
        total
    };
    let (products, categories) = (count("/products").await, count("/categories").await);
    assert!(products > 200 && categories > 50, "{products} products and {categories} categories");
    let first = public.get("/products?limit=1").await.expect(200);
    let by_slug = format!("/products/by-slug/{}", first[0]["slug"].as_str().unwrap());
    assert_eq!(public.get(&by_slug).await.expect(200), first[0]);
    let tree = public.get("/categories/tree").await.expect(200);
    assert!(tree.as_array().unwrap().len() > 1);
    server.stop();

    // Seeding again leaves what is there alone, by the server as by the command beside it.
    let server = place.serve_with(&["--seed"]);
    assert_eq!(
        server.anonymous().get("/products").await.header("x-total-count"),
        Some(&*products.to_string())
    );
    let seeded = place.run(&["--json", "seed"]);
    assert_eq!(seeded.code, Some(0), "{seeded:?}");
    let report: serde_json::Value = serde_json::from_str(&seeded.stdout).unwrap();
    assert_eq!((&report["productsCreated"], &report["categoriesCreated"]), (&0.into(), &0.into()));
    assert_eq!(
        server.anonymous().get("/products").await.header("x-total-count"),
        Some(&*products.to_string())
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_serves_one_server() {
    let place = Place::new();
    let server = place.serve();
    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    let told = format!("`{}` is in use by another server", place.data_dir().display());
    assert!(second.stderr.contains(&told), "{}", second.stderr);
    assert!(second.stderr.contains("--data-dir"), "{}", second.stderr);
    server.anonymous().get("/products").await.expect(200);
    server.stop();
    place.serve().stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let place = Place::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = place.run(&["serve", "--listen", &address]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&address) && refused.stderr.contains("--listen"), "{}", refused.stderr);
}

#[test]
fn a_database_that_is_damaged_is_named_and_left_alone() {
    for content in
        [b"My shopping list: milk, eggs. ".repeat(99), vec![0; 9000], b"SQLite format 3\0".repeat(500)]
    {
        let place = Place::new();
        let file = place.data_dir().join("wares.db");
        std::fs::write(&file, &content).unwrap();
        let refused = place.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(file.to_str().unwrap()), "{}", refused.stderr);
        let next_step = ["restore the last backup", "move the file away"];
        assert!(next_step.iter().any(|step| refused.stderr.contains(step)), "{}", refused.stderr);
        assert_eq!(std::fs::read(&file).unwrap(), content);
        let checked = place.run(&["doctor", "--listen", "127.0.0.1:0"]);
        assert_eq!(checked.code, Some(1));
        assert!(checked.stdout.contains(file.to_str().unwrap()), "{}", checked.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_in_flight_finish() {
    let place = Place::new();
    place.create_admin();
    let server = place.serve();
    let token = server.login().await;
    let body = product("Late", "LATE").to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let mut slow = TcpStream::connect(server.address()).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        slow,
        "POST /api/v1/products HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server asks for the body once the request is being answered.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&asked));
    slow.write_all(first.as_bytes()).unwrap();
    let silent = TcpStream::connect(server.address()).unwrap();

    let address = server.address();
    server.signal("-TERM");
    eventually("new connections are refused", async || TcpStream::connect(address).is_err()).await;
    slow.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    drop(silent);

    let server = place.serve();
    server.anonymous().get("/products/by-slug/late").await.expect(200);
    server.stop();
}

#[test]
fn a_configuration_that_is_wrong_is_explained() {
    let place = Place::new();
    let config = place.config().display().to_string();
    let cases = [
        ("server.lissten = \"x\"", vec!["server.lissten", "server.listen"]),
        ("[nonsense]\na = 1", vec!["nonsense.a"]),
        ("server.max_connections = \"many\"", vec!["server.max_connections", "\"many\"", "whole number"]),
        ("server.max_connections = -1", vec!["server.max_connections", "-1"]),
        ("server.listen = \"localhost\"", vec!["server.listen", "\"localhost\"", "127.0.0.1:8080"]),
        ("auth.jwt_expiry = \"soon\"", vec!["auth.jwt_expiry", "\"soon\"", "15m"]),
        ("plugins.limits.timeout_ms = true", vec!["plugins.limits.timeout_ms", "true"]),
        ("telemetry.format = \"xml\"", vec!["telemetry.format", "\"xml\"", "pretty"]),
        ("server = 5", vec!["server"]),
        ("x = ", vec!["TOML"]),
        ("store.redis_uri = \"redis://x\"", vec!["store.redis_uri", "not supported"]),
    ];
    for (text, expected) in cases {
        place.configure(text);
        let refused = place.run(&["config", "check"]);
        assert_eq!(refused.code, Some(1), "{text}: {refused:?}");
        for part in expected.iter().chain([&config.as_str()]) {
            assert!(refused.stderr.contains(part), "{text}: no {part} in {}", refused.stderr);
        }
    }
    place.configure("server.lissten = 5");
    assert_eq!(place.run(&["serve", "--listen", "127.0.0.1:0"]).code, Some(1));
    place.configure("");
    let cases = [
        ("JWT_EXPIRY", "soon", vec!["JWT_EXPIRY", "\"soon\"", "15m"]),
        ("API_VERSION", "../v1", vec!["API_VERSION", "../v1"]),
        ("WARES_ENV", "prod", vec!["WARES_ENV", "prod", "production"]),
        ("RUST_LOG", "info,,=", vec!["RUST_LOG"]),
        ("JWT_SECRET", "tiny-0451", vec!["JWT_SECRET"]),
        ("JWT_SECRET_FILE", "/nowhere/secret", vec!["JWT_SECRET_FILE", "/nowhere/secret"]),
        ("MONGODB_URI", "postgres://x", vec!["MONGODB_URI", "mongodb://"]),
        ("REDIS_URI", "redis://x", vec!["REDIS_URI", "not supported"]),
    ];
    for (name, value, expected) in cases {
        let mut command = place.command(&["config", "check"]);
        command.env(name, value);
        if name == "JWT_SECRET" {
            command.env("WARES_ENV", "production");
        }
        let refused = ended(command, "");
        assert_eq!(refused.code, Some(1), "{name}={value}: {refused:?}");
        for part in expected {
            assert!(refused.stderr.contains(part), "{name}={value}: no {part} in {}", refused.stderr);
        }
        assert!(name != "JWT_SECRET" || !refused.stderr.contains("tiny-0451"), "{}", refused.stderr);
    }
    let mut production = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    production.env("WARES_ENV", "production");
    let refused = ended(production, "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("JWT_SECRET"), "{}", refused.stderr);
}
