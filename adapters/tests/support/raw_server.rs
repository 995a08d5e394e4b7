//! A TCP server that says exactly what it is told, byte by byte, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One act in an answer. After the last one the connection waits for the next request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    Hang,
    /// Closes in good order.
    Close,
    /// Closes with RST.
    Reset,
    /// Sends this over and over until the client goes away.
    Flood(Vec<u8>),
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    head: String,
}

impl Asked {
    /// The value of a header, or of several of one name, joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let values: Vec<_> = fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

type Respond = Box<dyn Fn(&Asked) -> Vec<Act> + Send + Sync>;

struct Shared {
    respond: Respond,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

/// The server; it ends when it is dropped.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl RawServer {
    pub(crate) async fn start(
        respond: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0", respond).await
    }

    /// The same at an address of one's own.
    pub(crate) async fn start_at(
        address: &str,
        respond: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            respond: Box::new(respond),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// The same acts for every request.
    pub(crate) async fn always(acts: Vec<Act>) -> Self {
        Self::start(move |_| acts.clone()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An answer with a length.
pub(crate) fn answer(status: &str, fields: &str, body: &[u8]) -> Act {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n");
    Act::Send([head.as_bytes(), body].concat())
}

/// The head of an answer alone.
pub(crate) fn head(status: &str, fields: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status}\r\n{fields}\r\n").into_bytes())
}

pub(crate) fn ok(body: &[u8]) -> Vec<Act> {
    vec![answer("200 OK", "", body)]
}

pub(crate) fn redirect(to: &str) -> Vec<Act> {
    vec![answer(
        "302 Found",
        &format!("location: {to}\r\n"),
        b"moved",
    )]
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve(stream, shared.clone()));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(asked) = read_head(&mut stream).await {
        let acts = (shared.respond)(&asked);
        shared.asked.lock().unwrap().push(asked);
        for act in acts {
            let done = match act {
                Act::Send(bytes) => stream.write_all(&bytes).await,
                Act::Pause(time) => {
                    tokio::time::sleep(time).await;
                    Ok(())
                }
                Act::Hang => std::future::pending().await,
                Act::Close => return,
                Act::Reset => {
                    // What was sent gets through first; a reset may overtake it.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    stream.set_zero_linger().unwrap();
                    return;
                }
                Act::Flood(bytes) => flood(&mut stream, &bytes).await,
            };
            if done.is_err() {
                return;
            }
        }
    }
}

async fn flood(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(bytes).await?;
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Some(Asked { path, head })
}
