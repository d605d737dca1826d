//! A server outside the shop that says and does what a test wants, byte by byte.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What the server does with a request that it has read.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes, and waits for the next request.
    Say(String),
    /// Closes the connection.
    Close,
    /// Sends these bytes and closes the connection.
    SayAndClose(String),
    /// Never answers.
    Hang,
}

/// An answer with this status, these headers (each with its line break) and this body.
pub fn answer(status: u16, headers: &str, body: &str) -> Act {
    Act::Say(format!("HTTP/1.1 {status} It\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// The server, on a port of its own until it is dropped.
pub struct OutsideServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    acts: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

impl OutsideServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared, serving }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Such as `http://127.0.0.1:8089`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does with the next requests, in this order; with those after them, it says 200 and `{}`.
    pub fn acts(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().unwrap().extend(acts);
    }

    /// The requests that came so far, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

impl Drop for OutsideServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Its connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        *shared.connections.lock().unwrap() += 1;
        connections.spawn(converse(stream, shared.clone()));
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    loop {
        let request = read(&mut stream).await?;
        shared.requests.lock().unwrap().push(request);
        let act = shared.acts.lock().unwrap().pop_front();
        match act.unwrap_or_else(|| answer(200, "", "{}")) {
            Act::Say(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Act::SayAndClose(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                return None;
            }
            Act::Close => return None,
            Act::Hang => std::future::pending().await,
        }
    }
}

/// One request with its body; nothing when the connection ends before.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|&count| count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}
