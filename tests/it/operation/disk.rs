//! D2 from outside: the disk is full.

use std::{
    fs::{self, File},
    io::Write,
};

use platform_tests::{
    process::{Place, SmallDisk},
    shop::{id, product, with},
};
use tempfile::TempDir;

/// Writes until nothing more fits.
fn fill(path: &std::path::Path) {
    let mut file = File::create(path).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![b'x'; size]).is_err() {
            size /= 2;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_loses_nothing_and_heals() {
    let Some(disk) = SmallDisk::mount(24) else {
        eprintln!("SKIPPED a_full_disk_is_told_loses_nothing_and_heals: this user may not mount a tmpfs");
        return;
    };
    let data_dir = disk.path().join("data");
    let place = Place::with_data_dir(TempDir::new().unwrap(), data_dir);
    place.create_admin();
    let server = place.serve();
    let client = server.with_token(Some(&server.login().await));
    let mut acknowledged = Vec::new();
    let mut number = 0;
    let mut create = async || {
        number += 1;
        let body = with(product("Cup", &format!("S{number}")), "description", "x".repeat(20_000));
        client.post("/products", &body).await
    };
    for _ in 0..5 {
        acknowledged.push(create().await.expect(201));
    }
    let ballast = disk.path().join("ballast");
    let mut refused = 0;
    for _ in 0..2 {
        fill(&ballast);
        // What the files have already allocated still takes some.
        for _ in 0..400 {
            let answer = create().await;
            if answer.status == 201 {
                acknowledged.push(answer.expect(201));
                continue;
            }
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
            assert_eq!(answer.expect_problem(503, "unavailable")["retryable"], true);
            refused += 1;
            if refused % 5 == 0 {
                break;
            }
        }
        assert!(refused > 0 && refused % 5 == 0, "the disk was never full");
        // Reading goes on.
        for product in &acknowledged {
            assert_eq!(client.get(&format!("/products/{}", id(product))).await.expect(200), *product);
        }
        assert_eq!(server.anonymous().get("//livez").await.status, 200);
        fs::remove_file(&ballast).unwrap();
        acknowledged.push(create().await.expect(201));
        server.anonymous().get("//readyz").await.expect(200);
    }
    // A kill right behind a full disk.
    fill(&ballast);
    for _ in 0..5 {
        let answer = create().await;
        if answer.status == 201 {
            acknowledged.push(answer.expect(201));
        }
    }
    server.kill();
    fs::remove_file(&ballast).unwrap();
    let server = place.serve();
    for product in &acknowledged {
        assert_eq!(server.anonymous().get(&format!("/products/{}", id(product))).await.expect(200), *product);
    }
    let total = server.anonymous().get("/products").await;
    assert_eq!(total.header("x-total-count"), Some(&*acknowledged.len().to_string()));
    server.stop();
    let checked = place.run(&["doctor", "--listen", "127.0.0.1:0"]);
    assert!(checked.stdout.contains("complete and consistent"), "{checked:?}");
}
