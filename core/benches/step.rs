//! What a step costs, beside what m3u8-rs alone needs for the same text:
//! `cargo bench -p hls-relay-core`
//!
//! A channel is driven through an hour of a live source with six segments of 2 s in its list, and a
//! thousand channels through their first seconds: what happens once in each is told by those. Time is
//! taken per event and told as the median; the ratio to the peer, taken in the same run, is what can
//! be compared between machines. A test run is a short one, to see that it runs.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads a clock and prints"
)]

use hls_relay_core::command::Command;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection, Source, Spec};
use hls_relay_core::event::{
    Configure, Desired, Event, LoadedPlaylist, PlaylistBody, StoredSegment,
};
use hls_relay_core::ids::{ContentHash, Epoch};
use hls_relay_core::relay::Relay;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Now, Timestamp, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

const SEGMENT: u64 = 2_000_000;
const SEGMENTS: u64 = 1_800;
const MACHINES: u64 = 1_000;

#[derive(Default)]
struct Costs {
    /// In nanoseconds, by what has happened.
    events: BTreeMap<&'static str, Vec<u64>>,
    reload_to_rendered: Vec<u64>,
}

fn main() {
    // `cargo bench` says so; `cargo test` does not.
    let measures = std::env::args().any(|it| it == "--bench");
    let (machines, segments) = if measures {
        (MACHINES, SEGMENTS)
    } else {
        (2, 60)
    };
    let (mut first, mut costs) = (Costs::default(), Costs::default());
    (0..machines).for_each(|seed| drive(seed, 3, &mut first));
    drive(machines, segments, &mut costs);
    for once in ["configure", "objects checked"] {
        let many = first.events.remove(once).expect("it happens in each");
        costs.events.insert(once, many);
    }
    report(costs);
}

/// A new machine through so many segments of its source.
fn drive(seed: u64, segments: u64, costs: &mut Costs) {
    let mut relay = Relay::new(seed, Epoch(1), None);
    let spec = Spec {
        sources: vec![Source {
            url: "http://origin.example/live/index.m3u8".into(),
        }],
        window: Some(6),
        room: None,
        hole: HolePolicy::Gap,
        reload: ReloadPolicy::LastSegment,
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: None,
        preload: None,
    };
    let wanted = Configure {
        revision: 1,
        desired: Desired::Run,
        spec: Arc::new(spec),
    };
    let mut now = 0;
    let mut queue = vec![(0, Event::Configure(wanted))];
    let mut reloading = 0;
    while now < segments * SEGMENT {
        let wake = relay.next_wakeup().map(|(at, _)| at.as_micros());
        let due = queue.iter().map(|(at, _)| *at).min();
        now = wake
            .into_iter()
            .chain(due)
            .min()
            .expect("there is always something to do")
            .max(now);
        let index = queue.iter().position(|(at, _)| *at <= now);
        let event = index.map_or(Event::Tick, |index| queue.remove(index).1);
        let kind = kind(&event);
        let mut commands = Vec::new();
        let at = Now {
            monotonic: Timestamp::from_micros(now),
            wall: WallTime::from_micros(1_800_000_000_000_000 + now as i64),
        };
        let began = Instant::now();
        relay.step(at, event, &mut commands);
        let cost = began.elapsed().as_nanos() as u64;
        costs.events.entry(kind).or_default().push(cost);
        if kind == "playlist loaded" {
            reloading = cost;
        }
        for command in commands {
            if matches!(command, Command::Publish(_)) {
                costs.reload_to_rendered.push(reloading + cost);
            }
            queue.extend(complete(now, command));
        }
    }
}

fn complete(now: u64, command: Command) -> Option<(u64, Event)> {
    Some(match command {
        Command::LoadPlaylist(load) => {
            let outcome = Ok(LoadedPlaylist::Body {
                url: load.url,
                body: PlaylistBody(list(now + 12_300_000).into_bytes().into()),
                etag: None,
            });
            (
                now + 10_000,
                Event::PlaylistLoaded {
                    request: load.request,
                    outcome,
                },
            )
        }
        Command::Download(get) => {
            let stored = StoredSegment {
                length: 250_000,
                hash: ContentHash([7; 32]),
                formats: None,
            };
            (
                now + 40_000,
                Event::Downloaded {
                    request: get.request,
                    outcome: Ok(stored),
                },
            )
        }
        Command::Publish(publish) => (
            now + 1_000,
            Event::Published {
                request: publish.request,
                outcome: Ok(()),
            },
        ),
        Command::Delete { request, .. } => (
            now + 1_000,
            Event::Deleted {
                request,
                outcome: Ok(()),
            },
        ),
        Command::CheckObjects { request, .. } => (
            now + 1_000,
            Event::ObjectsChecked {
                request,
                outcome: Ok(Vec::new()),
            },
        ),
        Command::Withdraw { .. }
        | Command::SaveCheckpoint { .. }
        | Command::Transcode(_)
        | Command::Preload(_)
        | Command::Cancel { .. }
        | Command::Notify(_) => return None,
    })
}

fn list(now: u64) -> String {
    let made = now / SEGMENT;
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n",
        made - 6
    );
    for n in made - 6..made {
        text += &format!("#EXTINF:2.000000,\nsegment-{n:08}.ts?token=0123456789abcdef\n");
    }
    text
}

const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Tick => "tick",
        Event::Configure(_) => "configure",
        Event::PlaylistLoaded { .. } => "playlist loaded",
        Event::Downloaded { .. } => "segment downloaded (renders and publishes)",
        Event::Published { .. } => "published",
        Event::Deleted { .. } => "deleted",
        Event::Transcoded { .. } => "rungs made",
        Event::Preloaded { .. } => "edges warm",
        Event::ObjectsChecked { .. } => "objects checked",
        Event::Withdrawn { .. } => "withdrawn",
        Event::CheckpointSaved { .. } => "checkpoint saved",
        Event::ShutDown => "shut down",
    }
}

fn report(costs: Costs) {
    let text = list(100_000_000);
    let peer = median((0..2_000).map(|_| peer(&text)).collect());
    println!("{:>10} {:>8}  what (medians)", "µs", "× peer");
    let row = |micros: u64, what: &str| {
        println!(
            "{:>10.2} {:>8.2}  {what}",
            micros as f64 / 1e3,
            micros as f64 / peer as f64
        );
    };
    row(
        peer,
        "peer: m3u8-rs parses and writes the same 6-segment list",
    );
    row(
        median(costs.reload_to_rendered),
        "one reload, parse to rendered output",
    );
    for (kind, costs) in costs.events {
        row(median(costs), kind);
    }
}

fn peer(text: &str) -> u64 {
    let began = Instant::now();
    let (_, list) = m3u8_rs::parse_media_playlist(text.as_bytes()).expect("it is a playlist");
    let mut out = Vec::new();
    list.write_to(&mut out).expect("memory takes it");
    std::hint::black_box(&out);
    began.elapsed().as_nanos() as u64
}

fn median(mut costs: Vec<u64>) -> u64 {
    costs.sort_unstable();
    costs[costs.len() / 2]
}
