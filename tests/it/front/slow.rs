//! Clients that are slow, silent or never read: they are let go, and nobody else waits for them.

use std::time::Duration;

use futures_util::future::join_all;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    shop::{product, with},
    sizes::SILENT_CLIENTS,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Far longer than the host waits for anybody in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

async fn impatient() -> TestHost {
    let builder = TestHostBuilder::shop().configure(|config| {
        config.server.header_timeout_ms = 500;
        config.server.body_timeout_ms = 500;
        config.server.write_timeout_ms = 500;
    });
    builder.start().await
}

fn address(host: &TestHost) -> &str {
    host.origin().strip_prefix("http://").unwrap()
}

/// Reads until the host closes, and answers what it said.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the host lets nobody hang");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_half_said_requests_are_let_go() {
    let host = impatient().await;
    let clients = (0..SILENT_CLIENTS.get()).map(|number| {
        let address = address(&host).to_owned();
        async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\nX-Slow: ").await.unwrap();
            }
            until_closed(stream).await
        }
    });
    let (told, ()) = futures_util::join!(join_all(clients), async {
        for _ in 0..20 {
            host.anonymous().get("/products").await.expect(200);
        }
    });
    for said in told {
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_refused() {
    let mut host = impatient().await;
    host.admin().await;
    let token = host.staff("slow@example.com", &["superadmin"]).await;
    let mut stream = TcpStream::connect(address(&host)).await.unwrap();
    let head = format!(
        "POST /api/v1/products HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while writing.write_all(b" ").await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut said = vec![0; 4096];
    let read = timeout(PATIENCE, reading.read(&mut said)).await.expect("the host answers").unwrap();
    let said = String::from_utf8_lossy(&said[..read]).into_owned();
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("request_timeout"), "{said}");
    drop(reading);
    timeout(PATIENCE, trickle).await.expect("the connection ends").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off() {
    let mut host = impatient().await;
    let admin = host.admin().await;
    let long = with(product("Cup", "C"), "description", "A cup. ".repeat(1_000));
    for number in 0..20 {
        let mut product = with(long.clone(), "name", format!("Cup {number}"));
        product["variants"][0]["sku"] = format!("C-{number}").into();
        admin.post("/products", &product).await.expect(201);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address(&host).parse().unwrap()).await.unwrap();
    // More answers than the system's buffers hold, and none is read.
    let asked = timeout(PATIENCE, async {
        loop {
            let asking = b"GET /api/v1/products?limit=100 HTTP/1.1\r\nHost: shop\r\n\r\n".repeat(10);
            if stream.write_all(&asking).await.is_err() {
                break;
            }
        }
    });
    asked.await.expect("the host ends the connection");
    host.anonymous().get("/products").await.expect(200);
}
