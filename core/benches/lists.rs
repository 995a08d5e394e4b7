//! What playlists cost from their text to ours, against what they may: `cargo bench -p hls-relay-core --bench lists`
//!
//! The text is read and written alone, and goes through the machine of a channel: the load that has
//! brought a new segment, and the step that has published it. A channel of six variants stands beside six
//! channels of one. Medians of processor time, but for the last, which are sums. A test run is a short one, to see that it
//! runs.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::float_arithmetic,
    reason = "a benchmark reads a clock and prints"
)]

use hls_relay_core::command::Command;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection, Source, Spec};
use hls_relay_core::event::{
    Configure, Desired, Event, LoadedPlaylist, PlaylistBody, StoredSegment,
};
use hls_relay_core::ids::{ContentHash, Epoch};
use hls_relay_core::playlist::{Playlist, parse, render};
use hls_relay_core::relay::Relay;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Now, Timestamp, WallTime};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

const SEGMENT: u64 = 4_000_000;
const VARIANTS: u64 = 6;
/// Their lists have 2.5 KB and 1 MB.
const SHORT: u64 = 26;
const LONG: u64 = 10_000;

fn main() {
    // `cargo bench` says so; `cargo test` does not.
    let measures = std::env::args().any(|it| it == "--bench");
    let (times, reloads, long) = if measures {
        (200, 100, LONG)
    } else {
        (2, 3, 200)
    };
    println!("{:>12} {:>12} {:>6}  what", "µs", "at most", "ratio");
    for (segments, times, most) in [
        (SHORT, times * 10, 150_000),
        (long, times / 4 + 1, 60_000_000),
    ] {
        let text = list("v", segments, segments);
        let size = text.len();
        let of = format!("{segments} segments, {size} bytes");
        row(
            median(read_and_written(&text, times)),
            most,
            &format!("read and written: {of}"),
        );
        let through = channel(1, segments, reloads / 4 + 2);
        row(
            median(through.reloads),
            most,
            &format!("through a channel: {of}"),
        );
    }
    let one = channel(1, SHORT, reloads);
    let six = channel(VARIANTS, SHORT, reloads);
    row(
        six.all,
        one.all * VARIANTS,
        "all steps of a channel of six variants, against six channels",
    );
}

/// What this thread has had of a processor: whoever else is busy on the machine does not count.
fn processor_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn row(nanos: u64, most: u64, what: &str) {
    let ratio = nanos as f64 / most as f64;
    println!(
        "{:>12.1} {:>12.1} {ratio:>6.2}  {what}",
        nanos as f64 / 1e3,
        most as f64 / 1e3
    );
}

fn read_and_written(text: &str, times: u64) -> Vec<u64> {
    let once = |_| {
        let began = processor_nanos();
        let Ok(Playlist::Media(list)) = parse(text.as_bytes()) else {
            panic!("a media playlist");
        };
        std::hint::black_box(render(&list));
        processor_nanos() - began
    };
    (0..times).map(once).collect()
}

/// In nanoseconds.
#[derive(Default)]
struct Costs {
    /// Each load that has brought a segment, up to the version with it.
    reloads: Vec<u64>,
    /// All steps from the first such load on.
    all: u64,
}

/// A channel that lists so many segments, from when all are listed through so many more of its source.
fn channel(variants: u64, segments: u64, reloads: u64) -> Costs {
    let mut relay = Relay::new(1, Epoch(1), None);
    let wanted = Configure {
        revision: 1,
        desired: Desired::Run,
        spec: Arc::new(spec(segments)),
    };
    let (mut now, mut costs, mut loading) = (0, Costs::default(), 0);
    let mut due = vec![(0, Event::Configure(wanted))];
    let (began, mut commands) = (SEGMENT * 3, Vec::new());
    while now < began + reloads * SEGMENT {
        let wake = relay.next_wakeup().map(|(at, _)| at.as_micros());
        let next = due.iter().map(|(at, _)| *at).chain(wake).min();
        now = next.expect("there is always something to do").max(now);
        let index = due.iter().position(|(at, _)| *at <= now);
        let event = index.map_or(Event::Tick, |index| due.remove(index).1);
        let is_load = matches!(event, Event::PlaylistLoaded { .. });
        let at = Now {
            monotonic: Timestamp::from_micros(now),
            wall: WallTime::from_micros(1_800_000_000_000_000 + now as i64),
        };
        let started = processor_nanos();
        relay.step(at, event, &mut commands);
        let cost = processor_nanos() - started;
        if is_load {
            loading = cost;
        }
        if now >= began {
            costs.all += cost;
            if commands.iter().any(|it| matches!(it, Command::Publish(_))) {
                costs.reloads.push(loading + cost);
            }
        }
        for command in commands.drain(..) {
            due.extend(completed(now, command, variants, segments));
        }
    }
    costs
}

fn spec(window: u64) -> Spec {
    Spec {
        sources: vec![Source {
            url: "http://origin.example/live/index.m3u8".into(),
        }],
        window: Some((window as usize).max(6)),
        room: None,
        hole: HolePolicy::default(),
        reload: ReloadPolicy::default(),
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: None,
        preload: None,
    }
}

fn completed(now: u64, command: Command, variants: u64, segments: u64) -> Option<(u64, Event)> {
    Some(match command {
        Command::LoadPlaylist(load) => {
            let is_main = load.url.ends_with("index.m3u8");
            let text = match (variants, is_main) {
                (2.., true) => multivariant(variants),
                _ => list("v", segments + now / SEGMENT, segments),
            };
            let outcome = Ok(LoadedPlaylist::Body {
                url: load.url,
                body: PlaylistBody(text.into_bytes().into()),
                etag: None,
            });
            let request = load.request;
            (now + 10_000, Event::PlaylistLoaded { request, outcome })
        }
        Command::Download(get) => {
            let outcome = Ok(StoredSegment {
                length: 250_000,
                hash: ContentHash([7; 32]),
                formats: None,
            });
            let request = get.request;
            // A long list is had within its first segments' time.
            (now + 40, Event::Downloaded { request, outcome })
        }
        Command::Publish(it) => {
            let (request, outcome) = (it.request, Ok(()));
            (now + 1_000, Event::Published { request, outcome })
        }
        Command::Delete { request, .. } => {
            let outcome = Ok(());
            (now + 1_000, Event::Deleted { request, outcome })
        }
        Command::CheckObjects { request, .. } => {
            let outcome = Ok(Vec::new());
            (now + 1_000, Event::ObjectsChecked { request, outcome })
        }
        Command::Withdraw { .. }
        | Command::SaveCheckpoint { .. }
        | Command::Transcode(_)
        | Command::Preload(_)
        | Command::Cancel { .. }
        | Command::Notify(_) => return None,
    })
}

fn multivariant(variants: u64) -> String {
    let entry = |n| format!("#EXT-X-STREAM-INF:BANDWIDTH={}000\nv{n}.m3u8\n", 900 - n);
    let entries: String = (0..variants).map(entry).collect();
    format!("#EXTM3U\n{entries}")
}

/// The last `window` of so many segments.
fn list(name: &str, made: u64, window: u64) -> String {
    let first = made - window;
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    );
    for n in first..made {
        let (minutes, seconds) = (n * 4 / 60, n * 4 % 60);
        let (hours, minutes) = (minutes / 60 % 24, minutes % 60);
        let day = n / 21_600 + 1;
        text += &format!(
            "#EXT-X-PROGRAM-DATE-TIME:2026-11-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.000Z\n\
             #EXTINF:4.000,\n2026/{name}-{n:08}.ts?t=0123456789\n"
        );
    }
    text
}

fn median(mut costs: Vec<u64>) -> u64 {
    costs.sort_unstable();
    costs[costs.len() / 2]
}
