//! The simulated origin over real HTTP: what `hls-relay demo` relays, and what tests of real
//! processes pull from.
//!
//! The HTTP/1.1 here is written by hand over a TCP socket. A proper server library keeps its promises
//! to the client, and breaking them is the point: a reset half way, a body shorter than its
//! Content-Length, a byte now and then, no answer at all. The model ([`hls_relay_sim::origin`])
//! decides what happens; this only carries it out.
//!
//! Two addresses are bound. The second is "another host", to which a redirect may lead.

mod connection;
mod payload;

use hls_relay_core::time::Span;
use hls_relay_sim::origin::{
    Fault, FaultKind, MediaLoop, Offered, Origin, OriginReply, OriginRequest, OriginSpec,
    RequestCounter,
};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// Requests that the log remembers.
const LOG_LENGTH: usize = 100_000;

/// A live origin on a real socket. It stops when it is dropped.
#[derive(Debug)]
pub struct OriginServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Vec<AbortHandle>,
}

/// A request as the server saw it. Times are counted from the start of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When its header had come.
    pub at: Duration,
    /// When its reply was through, or was broken off; `None` while it is under way or hangs.
    pub finished: Option<Duration>,
    /// The authority that was asked.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The status that was sent, if one was.
    pub status: Option<u16>,
}

impl OriginServer {
    /// Binds `listen`, and a free port of the same address as the other host, and goes live. Must be
    /// called on a tokio runtime. The hosts in `spec` give way to the addresses that were bound.
    ///
    /// # Errors
    /// What binding a socket may say, above all that the address is in use.
    pub async fn start(mut spec: OriginSpec, listen: SocketAddr) -> io::Result<Self> {
        let first = TcpListener::bind(listen).await?;
        let second = TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await?;
        let address = reachable(first.local_addr()?);
        spec.hosts = vec![
            address.to_string(),
            reachable(second.local_addr()?).to_string(),
        ];

        let hosts = spec.hosts.clone();
        let shared = Arc::new(Shared {
            origin: Mutex::new(Origin::new(spec)),
            counter: Mutex::default(),
            log: Mutex::default(),
            media_loop: MediaLoop::embedded(),
            started: Instant::now(),
        });
        let accepting = [first, second]
            .into_iter()
            .zip(hosts)
            .map(|(listener, host)| tokio::spawn(accept(listener, host, shared.clone())))
            .map(|task| task.abort_handle())
            .collect();
        Ok(Self {
            shared,
            address,
            accepting,
        })
    }

    /// Where the playlist is.
    pub fn url(&self) -> String {
        format!(
            "http://{}{}",
            self.address,
            self.shared.origin().spec().playlist_path
        )
    }

    /// The address that was bound first.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long the origin has been live: the time that faults and truth are counted in.
    pub fn now(&self) -> Span {
        self.shared.now()
    }

    /// Lets something go wrong from now on, for `length`.
    pub fn inject(&self, kind: impl Into<FaultKind>, length: Duration) {
        let mut origin = self.shared.origin();
        let now = self.shared.now();
        origin.inject(now, span(length), kind);
    }

    /// Replaces the plan of what goes wrong, see [`Origin::set_faults`].
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.origin().set_faults(faults);
    }

    /// Every fault that is over or under way or still to come.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.origin().spec().faults.clone()
    }

    /// The requests so far, in the order in which they came.
    pub fn request_log(&self) -> Vec<LoggedRequest> {
        lock(&self.shared.log).entries.iter().cloned().collect()
    }

    /// Every segment that the encoder has listed by now.
    pub fn truth(&self) -> Vec<Offered> {
        let origin = self.shared.origin();
        origin.segments_offered(self.shared.now())
    }
}

impl Drop for OriginServer {
    fn drop(&mut self) {
        for task in &self.accepting {
            task.abort();
        }
    }
}

/// What all connections have in common.
#[derive(Debug)]
struct Shared {
    origin: Mutex<Origin>,
    counter: Mutex<RequestCounter>,
    log: Mutex<RequestLog>,
    media_loop: MediaLoop,
    started: Instant,
}

impl Shared {
    fn now(&self) -> Span {
        span(self.started.elapsed())
    }

    fn origin(&self) -> MutexGuard<'_, Origin> {
        lock(&self.origin)
    }

    /// Asks the model. The number in the log comes back with the reply.
    fn respond(&self, request: OriginRequest) -> (u64, OriginReply) {
        let sequence = lock(&self.counter).next(request.path());
        let request = request.numbered(sequence);
        let origin = self.origin();
        // Under the lock, so that a fault injected now is not met by a request of before.
        let at = self.started.elapsed();
        let reply = origin.respond(span(at), &request);
        let number = lock(&self.log).begin(at, request);
        (number, reply)
    }

    fn finish(&self, number: u64, status: Option<u16>) {
        lock(&self.log).finish(number, self.started.elapsed(), status);
    }
}

/// The last requests, each with a number.
#[derive(Debug, Default)]
struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    dropped: u64,
}

impl RequestLog {
    fn begin(&mut self, at: Duration, request: OriginRequest) -> u64 {
        if self.entries.len() == LOG_LENGTH {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(LoggedRequest {
            at,
            finished: None,
            host: request.host,
            path: request.path_and_query,
            status: None,
        });
        self.dropped + self.entries.len() as u64 - 1
    }

    fn finish(&mut self, number: u64, at: Duration, status: Option<u16>) {
        let index = number
            .checked_sub(self.dropped)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.finished = Some(at);
            entry.status = status;
        }
    }
}

/// Takes connections for ever. Those that are open end together with it.
async fn accept(listener: TcpListener, host: String, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(stream, host.clone(), shared.clone()));
                }
                // Out of file descriptors, most likely: without a pause this would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// An address that a client can connect to: the loopback in place of "all addresses".
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn span(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// A panic elsewhere has left nothing half done in what these locks guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
