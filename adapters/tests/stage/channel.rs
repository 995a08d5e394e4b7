//! A live origin, the real relay behind it, and a strict viewer in front: where faults are tried.

use super::relay::{Cost, LogLine, Relay, any_address};
use super::story::{OriginTruth, Story};
use super::viewer::Viewer;
use hls_relay::origin_server::OriginServer;
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{EncoderFault, Fault, FaultKind, OriginSpec};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A channel that has not begun after this never will.
const BEGIN: Duration = Duration::from_secs(20);

/// A fault as it was: from when until when.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    pub from: Duration,
    pub to: Duration,
}

pub struct Stage {
    pub origins: Vec<OriginServer>,
    specs: Vec<OriginSpec>,
    pub relay: Option<Relay>,
    pub viewer: Viewer,
    pub address: SocketAddr,
    arguments: Vec<String>,
    /// What went wrong while it was on.
    wrong: Vec<String>,
    log: Vec<LogLine>,
    restarts: Vec<Duration>,
    zero: Instant,
    /// One for all processes, as an operator has it.
    _journal: Option<TempDir>,
}

/// What most tests relay: two-second segments, six of them listed, numbers that do not begin at 0.
pub fn spec() -> OriginSpec {
    OriginSpec {
        media_sequence: 20,
        ..OriginSpec::default()
    }
}

impl Stage {
    /// One origin, one relay with its defaults.
    pub async fn open(spec: OriginSpec) -> Self {
        Self::open_with(vec![spec], &[]).await
    }

    /// The first origin is the source, the others are its backups.
    pub async fn open_with(specs: Vec<OriginSpec>, arguments: &[&str]) -> Self {
        let mut origins = Vec::new();
        for spec in &specs {
            let free = ([127, 0, 0, 1], 0).into();
            origins.push(OriginServer::start(spec.clone(), free).await.unwrap());
        }
        let zero = Instant::now() - micros(origins[0].now());
        let mut arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        for backup in &origins[1..] {
            arguments.extend(["--backup".to_owned(), backup.url()]);
        }
        let mut journal = None;
        if !arguments.iter().any(|argument| argument == "--journal") {
            let folder = journal.insert(TempDir::new().unwrap());
            let folder = folder.path().to_str().unwrap().to_owned();
            arguments.extend(["--journal".to_owned(), folder]);
        }
        let relay = start(&origins[0], any_address(), &arguments, zero);
        let viewer = Viewer::start(relay.url.clone(), zero);
        Self {
            origins,
            specs,
            address: relay.address(),
            relay: Some(relay),
            viewer,
            arguments,
            wrong: Vec::new(),
            log: Vec::new(),
            restarts: Vec::new(),
            zero,
            _journal: journal,
        }
    }

    /// The source.
    pub fn origin(&self) -> &OriginServer {
        &self.origins[0]
    }

    /// What faults and everything else are timed by.
    pub fn now(&self) -> Duration {
        self.zero.elapsed()
    }

    pub async fn run(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Waits until the channel has begun and goes on in step with its source.
    pub async fn steady(&self) {
        let started = Instant::now();
        while self.viewer.watched().versions.len() < 3 {
            if started.elapsed() > BEGIN {
                let log = self.relay.as_ref().map(Relay::log);
                panic!("not live after {BEGIN:?}: {log:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Something goes wrong now, for so long; comes back when it is over. A relay that waits for a
    /// cure spends no processor time worth mentioning.
    pub async fn strike(&mut self, kind: impl Into<FaultKind>, seconds: u64) -> Period {
        let length = Duration::from_secs(seconds);
        let before = self.cost();
        let from = self.now();
        self.origin().inject(kind, length);
        tokio::time::sleep(length).await;
        let spent = self.cost().processor.saturating_sub(before.processor);
        println!("processor {spent:?} in {length:?} of the fault");
        // In a debug build; and a playlist that is read, a download or two a second are no waste.
        if spent > length / 10 + Duration::from_millis(100) {
            self.wrong.push(format!(
                "{spent:?} of processor time in {length:?} of waiting"
            ));
        }
        Period {
            from,
            to: from + length,
        }
    }

    /// What the relay has cost so far.
    pub fn cost(&self) -> Cost {
        self.relay.as_ref().map(Relay::cost).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill_relay(&mut self) {
        self.viewer.relay_is_away(true);
        let relay = self.relay.take().unwrap();
        self.log.extend(relay.kill());
        self.restarts.push(self.now());
    }

    /// The same command line again, at the same address.
    pub async fn start_relay(&mut self) {
        let relay = start(&self.origins[0], self.address, &self.arguments, self.zero);
        let url = relay.url.clone();
        self.relay = Some(relay);
        let asked = Instant::now();
        // Until it has looked at its stores and the source it may say 503, and then never again.
        loop {
            let answer = reqwest::Client::builder().no_proxy().build().unwrap();
            if let Ok(answer) = answer.get(&url).send().await
                && answer.status() == 200
            {
                break;
            }
            assert!(asked.elapsed() < BEGIN, "not back after {BEGIN:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.viewer.relay_is_away(false);
    }

    /// Ends everything in order and tells what happened.
    pub async fn close(mut self) -> Story {
        let watched = self.viewer.finish().await;
        let mut relay = self.relay.take().unwrap();
        let (cost, age) = (relay.cost(), relay.age());
        let origins = self.origins.iter().zip(&self.specs);
        let origins = origins
            .map(|(origin, spec)| OriginTruth {
                host: origin.address().to_string(),
                playlist_path: spec.playlist_path.clone(),
                offered: origin.truth(),
                requests: origin.request_log(),
                faults: origin.faults(),
                target_duration: least_target_duration(spec, &origin.faults()),
            })
            .collect();
        let status = tokio::task::spawn_blocking(move || (relay.end(), relay.log()));
        let (status, log) = status.await.unwrap();
        self.log.extend(log);
        let mut story = Story::new(watched, origins, self.log, cost, age, self.restarts);
        story.wrong.extend(self.wrong);
        story.check(status.success(), format!("the relay ended with {status}"));
        story
    }
}

fn start(origin: &OriginServer, address: SocketAddr, arguments: &[String], zero: Instant) -> Relay {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Relay::start(&origin.url(), address, &arguments, zero)
}

/// The least target duration that was ever stated.
fn least_target_duration(spec: &OriginSpec, faults: &[Fault]) -> Duration {
    let stated = faults.iter().filter_map(|fault| {
        let FaultKind::Encoder(EncoderFault::TargetDurationChange {
            target_duration, ..
        }) = fault.kind
        else {
            return None;
        };
        Some(target_duration)
    });
    let least = stated.chain([spec.target_duration]).min();
    Duration::from_secs(least.unwrap_or_default())
}

fn micros(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
