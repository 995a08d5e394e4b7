//! How far behind its source a relay is, and what it costs, beside others in the same run:
//! `cargo bench -p hls-relay --bench delay [-- SECONDS]`
//!
//! Each contestant has an origin of its own (2 s segments, 1 Mbit/s, 5 to 15 ms to the first byte,
//! segments appear up to 20 ms late) and starts at another moment of its segments. A segment's delay is
//! from the moment its origin lists it to the moment the contestant does; the first minute does not
//! count. Peers: `ffmpeg -c copy` into a playlist of its own (where ffmpeg is installed), and a loop
//! that loads the list once per target duration and downloads what is new.

#[path = "../tests/support/binary.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod binary;

use binary::Relay;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use hls_relay::origin_server::OriginServer;
use hls_relay_core::playlist::{MediaPlaylist, Playlist, parse};
use hls_relay_core::time::Span;
use hls_relay_sim::origin::OriginSpec;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

const TARGET: Span = Span::from_secs(2);
const WARM_UP: Span = Span::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const RELAYS: usize = 4;

/// One contestant's result.
struct Row {
    who: String,
    /// Microseconds, one for each segment after the first minute.
    delays: Vec<u64>,
    /// Hundredths of a percent of a core, after the first minute; and resident bytes at the end.
    cost: Option<(u64, u64)>,
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next_back()
        .unwrap_or(180);
    let until = Span::from_secs(seconds);
    eprintln!("{RELAYS} relays, ffmpeg and a loop for {seconds} s …");
    let mut contest: Vec<LocalBoxFuture<'_, Row>> = vec![plain_loop(until).boxed_local()];
    for number in 0..RELAYS {
        let late = async move {
            sleep(Duration::from_millis(430) * number as u32).await;
            relay(number, until).await
        };
        contest.push(late.boxed_local());
    }
    let version = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status();
    if version.is_ok() {
        contest.push(ffmpeg(until).boxed_local());
    } else {
        eprintln!("no ffmpeg here: it is left out (apt-get install ffmpeg)");
    }
    let mut rows = join_all(contest).await;
    rows.sort_by(|one, other| one.who.cmp(&other.who));
    println!("delay behind the source, in target durations; CPU in % of a core; memory in MB");
    println!(
        "{:<24}{:>9}{:>8}{:>8}{:>8}{:>9}",
        "", "segments", "median", "p95", "CPU", "memory"
    );
    rows.iter().for_each(Row::print);
}

async fn origin(seed: u64) -> Arc<OriginServer> {
    let spec = OriginSpec {
        seed,
        bit_rate: Some(1_000_000),
        latency: Span::from_millis(5),
        latency_jitter: Span::from_millis(10),
        publish_jitter: Span::from_millis(20),
        ..OriginSpec::default()
    };
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    Arc::new(
        OriginServer::start(spec, listen)
            .await
            .expect("a free port"),
    )
}

async fn relay(number: usize, until: Span) -> Row {
    let origin = origin(number as u64).await;
    let url = origin.url();
    let relay = tokio::task::spawn_blocking(move || Relay::start(&["relay", &url])).await;
    let relay = relay.expect("the relay starts");
    let client = reqwest::Client::new();
    let address = relay.address.clone();
    let look = async || {
        client
            .get(&address)
            .send()
            .await
            .ok()?
            .bytes()
            .await
            .ok()
            .map(Vec::from)
    };
    let mut row = watch(&origin, until, relay.id(), look).await;
    row.who = format!("hls-relay {}", number + 1);
    row
}

async fn ffmpeg(until: Span) -> Row {
    let origin = origin(100).await;
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("out.m3u8");
    let mut child = Killed(
        Command::new("ffmpeg")
            .args([
                "-loglevel",
                "error",
                "-i",
                &origin.url(),
                "-c",
                "copy",
                "-f",
                "hls",
            ])
            .args([
                "-hls_time",
                "2",
                "-hls_list_size",
                "6",
                "-hls_flags",
                "delete_segments",
            ])
            .arg(&list)
            .stdin(Stdio::null())
            .spawn()
            .expect("ffmpeg starts"),
    );
    let look = async || fs::read(&list).ok();
    let mut row = watch(&origin, until, child.0.id(), look).await;
    row.who = "ffmpeg -c copy".to_owned();
    let _ = child.0.try_wait();
    row
}

/// Looks at a contestant's list until the end, and notes when each segment came.
async fn watch(
    origin: &OriginServer,
    until: Span,
    process: u32,
    look: impl AsyncFn() -> Option<Vec<u8>>,
) -> Row {
    let (mut seen, mut first, mut used) = (Vec::new(), None, None);
    while origin.now() < until {
        if let Some(list) = look().await.as_deref().and_then(media) {
            let first = *first.get_or_insert(list.media_sequence);
            let count = (list.end_media_sequence() - first) as usize;
            while seen.len() < count {
                seen.push(origin.now());
            }
        }
        if used.is_none() && origin.now() >= WARM_UP {
            used = Some((origin.now(), ticks(process)));
        }
        sleep(LOOK_EVERY).await;
    }
    let cost = used.map(|(since, before)| {
        let wall = origin.now().saturating_sub(since).as_millis().max(1);
        // A tick is 10 ms.
        (
            (ticks(process) - before) * 10 * 10_000 / wall,
            resident(process),
        )
    });
    Row {
        who: String::new(),
        delays: delays(origin, &seen),
        cost,
    }
}

async fn plain_loop(until: Span) -> Row {
    let origin = origin(200).await;
    let client = reqwest::Client::new();
    let (url, mut known, mut seen) = (origin.url(), None, Vec::new());
    let mut next = tokio::time::Instant::now();
    while origin.now() < until {
        let get = async |url: &str| client.get(url).send().await.ok()?.bytes().await.ok();
        if let Some(list) = get(&url).await.as_deref().and_then(media) {
            let from = *known.get_or_insert(list.media_sequence);
            for segment in list.segments.iter().filter(|it| it.media_sequence >= from) {
                let path = url.replace("index.m3u8", &segment.uri);
                get(&path).await;
                seen.push(origin.now());
            }
            known = Some(list.end_media_sequence());
        }
        next += Duration::from_micros(TARGET.as_micros());
        sleep_until(next).await;
    }
    let delays = delays(&origin, &seen);
    Row {
        who: "once per target duration".to_owned(),
        delays,
        cost: None,
    }
}

/// The n-th segment that a contestant lists is the n-th that it fetched.
fn delays(origin: &OriginServer, seen: &[Span]) -> Vec<u64> {
    let truth = origin.truth();
    let log = origin.request_log();
    let fetched = log.iter().filter(|it| it.path.ends_with(".ts"));
    let places = fetched.filter_map(|it| truth.iter().position(|offered| offered.path == it.path));
    let Some(first) = places.min() else {
        return Vec::new();
    };
    let pairs = truth[first..]
        .iter()
        .zip(seen)
        .filter(|(offered, _)| offered.listed_at > WARM_UP);
    pairs
        .map(|(offered, at)| at.saturating_sub(offered.listed_at).as_micros())
        .collect()
}

fn media(body: &[u8]) -> Option<MediaPlaylist> {
    match parse(body).ok()? {
        Playlist::Media(list) => Some(list),
        Playlist::Multivariant(_) => None,
    }
}

/// User and system time of a process, in ticks.
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse::<u64>().ok())
        .sum()
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

impl Row {
    fn print(&self) {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let at = |percent: usize| match delays.len() {
            0 => f64::NAN,
            count => delays[(count - 1) * percent / 100] as f64 / TARGET.as_micros() as f64,
        };
        print!(
            "{:<24}{:>9}{:>8.2}{:>8.2}",
            self.who,
            delays.len(),
            at(50),
            at(95)
        );
        match self.cost {
            Some((cpu, memory)) => {
                println!("{:>8.2}{:>9.1}", cpu as f64 / 100.0, memory as f64 / 1e6);
            }
            None => println!("{:>8}{:>9}", "-", "-"),
        }
    }
}

/// A process that ends with us.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
