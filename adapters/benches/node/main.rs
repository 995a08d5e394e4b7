//! What a node costs, beside others in the same run:
//! `cargo bench -p hls-relay --bench node [-- --channels N] [--seconds N]`
//!
//! 50 channels and then 200, of 2 s segments at 1 Mbit/s from one local origin, all kept as files on a tmpfs, the checkpoints too. One after
//! the other they are relayed by
//! - a bare loop: the HTTP client of the relay, and a write for each file. It parses nothing and serves nothing;
//! - a node, with a viewer for each channel who takes everything once;
//! - `ffmpeg -c copy`, a process for each channel.
//!
//! Processor time is user and system time of the processes; memory is what is theirs alone and their part of what they
//! share. Delay is from the moment the origin lists a segment to the moment the node's playlist does, after the first
//! minute. Where a bound is not held the benchmark fails.

mod bare_loop;
#[path = "../../tests/support/binary.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod binary;
mod cost;
mod origin;
mod viewer;

use binary::Relay;
use cost::Processes;
use origin::{Live, SEGMENT};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, sleep_until};

/// Of whoever learns nothing meanwhile.
const SHORT_WARM_UP: Duration = Duration::from_secs(10);
/// A node looks for the moments at which its sources list a segment.
const WARM_UP: Duration = Duration::from_secs(60);
/// So many ffmpegs are started in a second.
const STARTS: u32 = 10;
/// A segment that was listed by then has come by the end.
const UNDER_WAY: Duration = Duration::from_secs(6);
/// How often the folders are looked at: files say themselves when they were written.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What somebody has cost.
struct Cost {
    /// Milliseconds of a core in a second.
    cpu: f64,
    memory: u64,
}

/// How a node did.
struct Outcome {
    cost: Cost,
    /// Seconds, one for each segment of each channel.
    delays: Vec<f64>,
    viewed: usize,
    faults: Vec<String>,
    connections: usize,
}

#[derive(Clone)]
struct Asked {
    channels: usize,
    seconds: Duration,
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    if let [_, flag, base, channels, folder] = &args[..]
        && flag == "--bare-loop"
    {
        bare_loop::run(base, channels.parse().unwrap_or(0), Path::new(folder));
    }
    let value = |name: &str| {
        let at = args.iter().position(|it| it == name)?;
        args.get(at + 1)?.parse().ok()
    };
    let seconds = Duration::from_secs(value("--seconds").unwrap_or(40));
    let channels = value("--channels").map_or(vec![50, 200], |it| vec![it as usize]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut held = true;
    for channels in channels {
        held &= runtime.block_on(contest(&Asked { channels, seconds }));
    }
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether all bounds hold.
async fn contest(asked: &Asked) -> bool {
    let (live, address) = Live::start(asked.channels).await;
    let base = format!("http://{address}");
    let parts = [
        SHORT_WARM_UP,
        WARM_UP,
        start_of_ffmpegs(asked),
        asked.seconds * 3,
    ];
    let takes: Duration = parts.iter().sum();
    eprintln!(
        "{} channels: this takes {} s …",
        asked.channels,
        takes.as_secs()
    );
    let bare = bare(asked, &base).await;
    live.most_open();
    let node = node(asked, &live, &base).await;
    let ffmpeg = ffmpeg(asked, &base).await;
    print(asked, &bare, &node, ffmpeg.as_ref())
}

async fn bare(asked: &Asked, base: &str) -> Cost {
    let folder = on_tmpfs();
    let myself = std::env::current_exe().expect("it has a name");
    let child = Command::new(myself)
        .args(["--bare-loop", base, &asked.channels.to_string()])
        .arg(folder.path())
        .spawn();
    let processes = Processes(vec![child.expect("it starts")]);
    sleep(SHORT_WARM_UP).await;
    cost(asked, &processes).await
}

async fn ffmpeg(asked: &Asked, base: &str) -> Option<Cost> {
    let version = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status();
    if version.is_err() {
        eprintln!("no ffmpeg here: it is left out (apt-get install ffmpeg)");
        return None;
    }
    let folder = on_tmpfs();
    let mut processes = Processes(Vec::new());
    let began = Instant::now();
    for channel in 0..asked.channels {
        sleep_until(began + Duration::from_secs(1) * channel as u32 / STARTS).await;
        let folder = folder.path().join(channel.to_string());
        fs::create_dir(&folder).expect("a folder");
        let (hls, list) = (["-f", "hls", "-hls_time", "2"], ["-hls_list_size", "6"]);
        let child = Command::new("ffmpeg")
            .args(["-loglevel", "fatal", "-i"])
            .arg(format!("{base}{}", Live::path(channel)))
            .args(["-c", "copy"])
            .args(hls)
            .args(list)
            .args(["-hls_flags", "delete_segments"])
            .arg(folder.join("index.m3u8"))
            .stdin(Stdio::null())
            .spawn();
        processes.0.push(child.expect("ffmpeg starts"));
    }
    sleep_until(began + start_of_ffmpegs(asked)).await;
    let cost = cost(asked, &processes).await;
    let ended = processes.ended();
    if ended > 0 {
        eprintln!("{ended} of the ffmpegs have ended by themselves: what they cost is too little");
    }
    Some(cost)
}

fn start_of_ffmpegs(asked: &Asked) -> Duration {
    Duration::from_secs(1) * asked.channels as u32 / STARTS + SHORT_WARM_UP
}

async fn cost(asked: &Asked, processes: &Processes) -> Cost {
    let (began, before) = (Instant::now(), processes.used_ms());
    sleep(asked.seconds).await;
    Cost {
        cpu: (processes.used_ms() - before) as f64 / began.elapsed().as_secs_f64(),
        memory: processes.memory(),
    }
}

async fn node(asked: &Asked, live: &Arc<Live>, base: &str) -> Outcome {
    let (folder, data) = (on_tmpfs(), on_tmpfs());
    let relay = start_node(asked, base, folder.path(), data.path()).await;
    let address: SocketAddr = relay.address["http://".len()..]
        .parse()
        .expect("as it says");
    let end = Instant::now() + WARM_UP + asked.seconds;
    let viewers: Vec<_> = (0..asked.channels)
        .map(|channel| tokio::spawn(viewer::watch(live.clone(), address, channel, end)))
        .collect();
    let (shown, channels) = (folder.path().to_owned(), asked.channels);
    let looking = tokio::task::spawn_blocking(move || look_at(&shown, channels, end));
    sleep(WARM_UP).await;
    let counted_from = SystemTime::now();
    let (began, before) = (Instant::now(), cost::used_ms(relay.id()));
    sleep_until(end).await;
    let used = cost::used_ms(relay.id()) - before;
    let cost = Cost {
        cpu: used as f64 / began.elapsed().as_secs_f64(),
        memory: cost::memory(relay.id()),
    };
    let mut outcome = Outcome {
        cost,
        delays: Vec::new(),
        viewed: 0,
        faults: Vec::new(),
        connections: live.most_open(),
    };
    let shown_at = looking.await.expect("it looks");
    for (channel, viewer) in viewers.into_iter().enumerate() {
        let seen = viewer.await.expect("it watches");
        outcome.add(channel, live, &seen, &shown_at[channel], counted_from);
    }
    if !outcome.faults.is_empty() {
        eprintln!("{}", relay.log());
    }
    outcome
}

async fn start_node(asked: &Asked, base: &str, store: &Path, data: &Path) -> Relay {
    let channels = (0..asked.channels).map(|channel| {
        let source = format!("{base}{}", Live::path(channel));
        format!("[[channel]]\nid = \"c{channel}\"\nsources = [\"{source}\"]\n")
    });
    let config = data.join("node.toml");
    fs::write(&config, channels.collect::<String>()).expect("it is written");
    let mut args = vec!["node".to_owned()];
    for (name, value) in [("--config", &*config), ("--store", store), ("--data", data)] {
        args.extend([name.to_owned(), value.display().to_string()]);
    }
    args.extend(["--api-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let start = move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Relay::start(&args)
    };
    let started = tokio::task::spawn_blocking(start).await;
    started.expect("the node starts")
}

impl Outcome {
    /// What came of one channel.
    fn add(
        &mut self,
        channel: usize,
        live: &Live,
        seen: &viewer::Seen,
        shown_at: &HashMap<String, SystemTime>,
        counted_from: SystemTime,
    ) {
        let faults = seen.faults.iter().map(|it| format!("c{channel}: {it}"));
        self.faults.extend(faults);
        self.viewed += seen.segments.len();
        let listed: HashMap<_, _> = live.listed(channel).into_iter().collect();
        let should = SystemTime::now() - UNDER_WAY;
        let newest = listed.iter().filter(|(_, at)| **at < should);
        let newest = newest.map(|(number, _)| *number).max();
        if seen.newest < newest {
            let fault = format!("c{channel}: ends with {:?}, not {newest:?}", seen.newest);
            self.faults.push(fault);
        }
        for (name, number) in &seen.segments {
            let times = listed.get(number).zip(shown_at.get(name));
            if let Some((listed_at, shown_at)) = times.filter(|it| *it.0 >= counted_from) {
                let delay = shown_at.duration_since(*listed_at).unwrap_or_default();
                self.delays.push(delay.as_secs_f64());
            }
        }
    }
}

/// When each segment was listed first, for each channel.
fn look_at(folder: &Path, channels: usize, end: Instant) -> Vec<HashMap<String, SystemTime>> {
    let mut shown_at = vec![HashMap::new(); channels];
    let mut written = vec![None; channels];
    while Instant::now() < end {
        for channel in 0..channels {
            let list = folder.join(format!("c{channel}/index.m3u8"));
            let Ok(at) = fs::metadata(&list).and_then(|it| it.modified()) else {
                continue;
            };
            if written[channel].replace(at) != Some(at) {
                let text = fs::read_to_string(&list).unwrap_or_default();
                for name in text.lines().filter(|it| it.ends_with(".ts")) {
                    shown_at[channel].entry(name.to_owned()).or_insert(at);
                }
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    shown_at
}

/// Prints what was measured, and whether all of it is within its bounds.
fn print(asked: &Asked, bare: &Cost, node: &Outcome, ffmpeg: Option<&Cost>) -> bool {
    let channels = asked.channels as f64;
    println!(
        "\n{} channels, {} s each",
        asked.channels,
        asked.seconds.as_secs()
    );
    println!(
        "{:<16}{:>14}{:>20}{:>12}",
        "", "CPU", "a channel's second", "memory"
    );
    let rows = [
        ("bare loop", Some(bare)),
        ("hls-relay node", Some(&node.cost)),
        ("ffmpeg -c copy", ffmpeg),
    ];
    for (who, cost) in rows {
        if let Some(Cost { cpu, memory }) = cost {
            let (percent, each, memory) =
                (cpu / 10.0, cpu * 1_000.0 / channels, *memory as f64 / 1e6);
            println!("{who:<16}{percent:>12.1} %{each:>17.0} µs{memory:>9.1} MB");
        }
    }
    let mut delays = node.delays.clone();
    delays.sort_by(f64::total_cmp);
    let delay = |percent: usize| match delays.len() {
        0 => f64::INFINITY,
        count => delays[(count - 1) * percent / 100] * 1e6 / SEGMENT.as_micros() as f64,
    };
    println!(
        "{} segments seen by {} viewers; at most {} connections to the origin",
        node.viewed, asked.channels, node.connections
    );
    node.faults
        .iter()
        .take(10)
        .for_each(|it| println!("  {it}"));
    let memory = node.cost.memory as f64 / 1e6;
    let mut bounds = vec![
        ("CPU ÷ bare loop", node.cost.cpu / bare.cpu, 1.5),
        ("MB of memory", memory, 40.0 + 0.35 * channels),
        ("median delay ÷ target duration", delay(50), 0.1),
        ("95th percentile", delay(95), 0.3),
        ("faults that viewers saw", node.faults.len() as f64, 0.0),
        ("connections to the origin", node.connections as f64, 16.0),
    ];
    if let Some(ffmpeg) = ffmpeg {
        bounds.insert(1, ("CPU ÷ ffmpeg", node.cost.cpu / ffmpeg.cpu, 0.3));
    }
    for (what, is, most) in &bounds {
        let held = if is <= most { "held" } else { "NOT HELD" };
        println!("{what:<34}{is:>10.2}  at most {most:>6.2}  {held}");
    }
    bounds.iter().all(|(_, is, most)| is <= most)
}

/// A folder in memory, so that nobody waits for a disk.
fn on_tmpfs() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm")
}
