//! What recording costs: relays of one origin side by side, every other one with `--journal`.
//! `cargo bench -p hls-relay --bench journal [-- SECONDS]`
//!
//! A live channel of 2 s segments at 3 Mbit/s, its state kept (`--state`), and one viewer for each relay
//! who takes everything once, as a CDN does. The first ten seconds do not count. Processor time is the scheduler's own, in
//! nanoseconds, over all threads of a process.

#[path = "../tests/support/binary.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod binary;

use binary::Relay;
use hls_relay::origin_server::OriginServer;
use hls_relay_core::time::Span;
use hls_relay_sim::origin::OriginSpec;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// One process differs from the next by some percent for no reason of its own: many are needed.
const PAIRS: usize = 24;
const WARM_UP: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let seconds: u64 = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next_back()
        .unwrap_or(180);
    eprintln!("{PAIRS} relays with a journal and {PAIRS} without for {seconds} s …");
    let spec = OriginSpec {
        bit_rate: Some(3_000_000),
        latency: Span::from_millis(5),
        latency_jitter: Span::from_millis(10),
        publish_jitter: Span::from_millis(20),
        ..OriginSpec::default()
    };
    let listen = "127.0.0.1:0".parse().expect("it is an address");
    let origin = OriginServer::start(spec, listen)
        .await
        .expect("a free port");
    let journals = TempDir::new().expect("a folder");
    let states = TempDir::new().expect("a folder");
    let mut relays = Vec::new();
    for number in 0..2 * PAIRS {
        let recorded = number % 2 == 1;
        let folder = journals.path().join(number.to_string());
        let states = states.path().join(number.to_string());
        let url = origin.url();
        let start = move || {
            let folder = folder.to_str().expect("a path of ASCII");
            let state = states.to_str().expect("a path of ASCII");
            let plain = ["relay", &url, "--state", state];
            match recorded {
                true => Relay::start(&[&plain[..], &["--journal", folder]].concat()),
                false => Relay::start(&plain),
            }
        };
        let relay = tokio::task::spawn_blocking(start).await;
        let relay = relay.expect("the relay starts");
        tokio::spawn(watch(relay.address.clone()));
        relays.push((recorded, relay));
        sleep(Duration::from_millis(85)).await;
    }
    sleep(WARM_UP).await;
    let spent = || relays.iter().map(|(_, it)| processor(it.id()));
    let before: Vec<_> = spent().collect();
    sleep(Duration::from_secs(seconds)).await;
    let used = spent().zip(before).map(|(now, before)| now.since(before));
    let used: Vec<_> = relays.iter().map(|it| it.0).zip(used).collect();

    let of = |recorded: bool| {
        let same = used.iter().filter(move |it| it.0 == recorded);
        same.map(|it| it.1.all)
    };
    for recorded in [false, true] {
        let name = if recorded {
            "with --journal"
        } else {
            "without"
        };
        let mut each: Vec<_> = of(recorded).map(|nanos| percent(nanos, seconds)).collect();
        each.sort_by(f64::total_cmp);
        let (least, median, most) = (each[0], each[PAIRS / 2], each[PAIRS - 1]);
        println!("{name:<16}{least:.4} to {most:.4}, median {median:.4} % of a core");
    }
    let (with, without) = (of(true).sum::<u64>() as f64, of(false).sum::<u64>() as f64);
    let writing = used.iter().map(|it| it.1.writing).sum::<u64>() as f64;
    println!(
        "recording costs {:+.1} % of the relay's processor time; its own thread is {:.1} % ({:.0} ms an hour)",
        (with / without - 1.0) * 100.0,
        writing / without * 100.0,
        writing / 1e6 / PAIRS as f64 * 3_600.0 / seconds as f64,
    );
    let hours = (WARM_UP.as_secs() + seconds) as f64 / 3_600.0;
    let megabytes = bytes_in(journals.path()) as f64 / 1e6 / PAIRS as f64;
    println!("and {:.1} MB an hour on the disk", megabytes / hours);
}

/// Loads the playlist every two seconds and every segment once.
async fn watch(address: String) {
    let client = reqwest::Client::new();
    let get = async |url: &str| client.get(url).send().await.ok()?.bytes().await.ok();
    let mut newest = String::new();
    loop {
        let list = get(&address).await.unwrap_or_default();
        let list = String::from_utf8_lossy(&list).into_owned();
        let segments: Vec<_> = list.lines().filter(|line| line.ends_with(".ts")).collect();
        let known = segments
            .iter()
            .position(|it| *it == newest)
            .map_or(0, |at| at + 1);
        for name in &segments[known..] {
            get(&address.replace("index.m3u8", name)).await;
            newest = (*name).to_owned();
        }
        sleep(Duration::from_secs(2)).await;
    }
}

fn percent(nanos: u64, seconds: u64) -> f64 {
    nanos as f64 / 1e7 / seconds as f64
}

/// Nanoseconds on a core, of all threads of a process, and of the one that writes its journal.
#[derive(Clone, Copy, Default)]
struct Spent {
    all: u64,
    writing: u64,
}

impl Spent {
    fn since(self, before: Self) -> Self {
        Self {
            all: self.all - before.all,
            writing: self.writing - before.writing,
        }
    }
}

fn processor(process: u32) -> Spent {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs, on Linux");
    let mut spent = Spent::default();
    for thread in threads.flatten() {
        let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let nanos = read("schedstat")
            .split(' ')
            .next()
            .and_then(|it| it.parse::<u64>().ok());
        spent.all += nanos.unwrap_or(0);
        if read("comm").trim() == "journal" {
            spent.writing += nanos.unwrap_or(0);
        }
    }
    spent
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let sizes = entries.map(|entry| match entry.path().is_dir() {
        true => bytes_in(&entry.path()),
        false => entry.metadata().map_or(0, |it| it.len()),
    });
    sizes.sum()
}
