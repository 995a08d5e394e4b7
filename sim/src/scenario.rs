//! A world as a readable script: what there is, what goes wrong, and what is expected of it.
//!
//! ```text
//! # The playlist is frozen for twenty seconds
//! origin target 4 window 6
//! run 60
//! at 20 for 20 origin 0 freeze
//! ----
//! …the story as it must be, rewritten with UPDATE_SCENARIOS=1
//! ```
//! One thing a line, before the line of dashes; after it the story: what the operator was told, and
//! every version that viewers saw. In a version each segment is called by what it is: the letter of
//! its origin, a mark for each restart of that origin, its number there. `~` is a gap, `/` a
//! discontinuity. The last version in full is a snapshot beside the test that runs the scripts.

mod fault;

pub(crate) use fault::fault;

use crate::origin::{
    Container, Fault, Naming, OriginSpec, PresentationSpec, SegmentDurations, Tokens, TrackKind,
    TrackSpec,
};
use crate::plan::{
    Change, ChannelPlan, Control, EndKind, MOMENTS, NetworkFault, NetworkFaultKind, Plan,
    ProcessEnd, WakePlan, When,
};
use crate::store::{StoreFault, StoreFaultKind, StoreKind, StorePlan, StoreWork};
use crate::world::{Options, World};
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy};
use hls_relay_core::time::Span;

/// What parts a script from its story.
const DASHES: &str = "----";
/// After the story the world goes on healed for so long, so that getting well is checked too.
const AFTERWARDS: Span = Span::from_secs(100);

/// What came of a scenario.
pub struct Told {
    /// Its text, with the story as it is.
    pub text: String,
    /// The last version of its time, in full.
    pub playlist: String,
}

/// Runs a scenario.
pub fn run(text: &str) -> Result<Told, String> {
    let script = text
        .split(&format!("{DASHES}\n"))
        .next()
        .unwrap_or_default();
    let plan = parse(script)?;
    let options = Options {
        story: true,
        ..Options::default()
    };
    let outcome = World::new(plan, options).run();
    if let Some(failure) = outcome.failure {
        let at = failure.at.as_millis();
        return Err(format!("at {at} ms: {}", failure.violation));
    }
    let mut text = format!("{script}{DASHES}\n");
    for line in outcome.story {
        text.push_str(&line);
        text.push('\n');
    }
    let playlist = outcome.playlist;
    Ok(Told { text, playlist })
}

/// Reads a script.
pub fn parse(script: &str) -> Result<Plan, String> {
    let mut plan = empty();
    for (number, line) in script.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut words = Words(&words);
        line_of(&mut plan, &mut words)
            .and_then(|()| words.end())
            .map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    if plan.channel.sources.is_empty() {
        plan.channel.sources = (0..plan.origins.len()).collect();
    }
    Ok(plan)
}

fn empty() -> Plan {
    Plan {
        seed: 1,
        healed_at: Span::from_secs(60),
        stop_at: Span::from_secs(60) + AFTERWARDS,
        origins: Vec::new(),
        channel: ChannelPlan {
            sources: Vec::new(),
            window: 6,
            hole: HolePolicy::Gap,
            reload: ReloadPolicy::LastSegment,
            keys: KeyPolicy::default(),
        },
        controls: Vec::new(),
        store: StorePlan {
            kind: StoreKind::Memory,
            latency: Span::from_millis(5),
            jitter: Span::ZERO,
            faults: Vec::new(),
        },
        ends: Vec::new(),
        wakes: WakePlan::default(),
        network: Vec::new(),
        players: vec![Span::from_secs(10)],
    }
}

fn line_of(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    match words.next_or("#") {
        "#" => {
            words.0 = &[];
            Ok(())
        }
        "origin" => origin(plan, words),
        "presentation" => presentation(plan, words),
        "channel" => channel(plan, words),
        "store" => {
            plan.store.kind = match words.word()? {
                "memory" => StoreKind::Memory,
                "directory" => StoreKind::Directory,
                other => return Err(format!("no such store: {other}")),
            };
            Ok(())
        }
        "run" => {
            plan.healed_at = words.seconds()?;
            plan.stop_at = plan.healed_at + AFTERWARDS;
            Ok(())
        }
        "at" => at(plan, words),
        other if other.starts_with('#') => {
            words.0 = &[];
            Ok(())
        }
        other => Err(format!("unknown word {other}")),
    }
}

fn origin(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let number = plan.origins.len();
    let mut spec = OriginSpec {
        seed: number as u64 + 1,
        hosts: vec![format!("origin{number}.test"), format!("edge{number}.test")],
        latency: Span::from_millis(20),
        publish_delay: Span::from_millis(100 + 50 * number as u64),
        ..OriginSpec::default()
    };
    let mut segment = None;
    while let Some(word) = words.next() {
        match word {
            "target" => spec.target_duration = words.number()?,
            "segment" => segment = Some(words.seconds()?),
            "window" => spec.window = words.number()?,
            "numbers" => spec.media_sequence = words.number()?,
            "date-times" => spec.program_date_time = true,
            "folders" => spec.naming = Naming::RunFolder,
            "tokens" => spec.tokens = Tokens::Query,
            "parameter-tokens" => spec.tokens = Tokens::Parameter,
            "folder-tokens" => spec.tokens = Tokens::Folder,
            "etag" => spec.etag = true,
            other => return Err(format!("unknown word {other}")),
        }
    }
    let whole = Span::from_secs(spec.target_duration);
    spec.durations = SegmentDurations::Constant(segment.unwrap_or(whole));
    spec.backlog = spec.window;
    plan.origins.push(spec);
    Ok(())
}

/// Puts the last origin behind a multivariant playlist.
fn presentation(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let mut spec = PresentationSpec::default();
    while let Some(word) = words.next() {
        match word {
            "variant" => {
                let height = words.number()?;
                let bandwidth = height * 2_000;
                let kind = TrackKind::Variant { bandwidth, height };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "audio" => {
                let language = words.word()?.to_owned();
                let kind = TrackKind::Audio { language };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "behind" => {
                let last = spec.tracks.last_mut().ok_or("behind what?")?;
                last.behind = words.number()?;
            }
            "fragments" => spec.container = Container::Fragments,
            "keys" => spec.segments_per_key = Some(words.number()?),
            "expiring-tokens" => spec.expiring_tokens = true,
            other => return Err(format!("unknown word {other}")),
        }
    }
    let origin = plan.origins.last_mut().ok_or("no origin before it")?;
    origin.presentation = Some(spec);
    Ok(())
}

fn channel(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    while let Some(word) = words.next() {
        match word {
            "window" => plan.channel.window = words.number()? as usize,
            "hole" => plan.channel.hole = hole(words.word()?)?,
            "keys" => {
                plan.channel.keys = match words.word()? {
                    "rehost" => KeyPolicy::Rehost,
                    "decrypt" => KeyPolicy::Decrypt,
                    other => return Err(format!("no such policy: {other}")),
                }
            }
            "strict" => plan.channel.reload = ReloadPolicy::TargetDuration,
            "source" => plan.channel.sources.push(words.number()? as usize),
            other => return Err(format!("unknown word {other}")),
        }
    }
    Ok(())
}

fn hole(word: &str) -> Result<HolePolicy, String> {
    match word {
        "gap" => Ok(HolePolicy::Gap),
        "discontinuity" => Ok(HolePolicy::Discontinuity),
        other => Err(format!("no such policy: {other}")),
    }
}

/// `at TIME [for TIME] [when MOMENT] [track NUMBER] …`
fn at(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let mut when = When::at(words.seconds()?);
    let (mut length, mut track) = (Span::from_millis(1), None);
    loop {
        let what = words.word()?;
        let until = when.after + length;
        match what {
            "for" => length = words.seconds()?,
            "track" => track = Some(words.number()? as u16),
            "when" => when.moment = Some(moment(words.word()?)?),
            "origin" => {
                let origin = words.number()? as usize;
                let kind = fault(words)?;
                let spec = plan.origins.get_mut(origin).ok_or("no such origin")?;
                let from = when.after;
                spec.faults.push(Fault {
                    from,
                    until,
                    track,
                    kind,
                });
                return Ok(());
            }
            "refused" | "private" => {
                let origin = words.number()? as usize;
                let from = when.after;
                let kind = match what {
                    "refused" => NetworkFaultKind::Refused,
                    _ => NetworkFaultKind::PrivateAddress,
                };
                plan.network.push(NetworkFault {
                    from,
                    until,
                    origin,
                    kind,
                });
                return Ok(());
            }
            "store" => {
                let (on, kind) = (store_work(words.word()?)?, store_fault(words)?);
                let from = when.after;
                plan.store.faults.push(StoreFault {
                    from,
                    until,
                    on,
                    kind,
                });
                return Ok(());
            }
            "kill" | "lose" | "shut-down" => {
                let how = match what {
                    "kill" => EndKind::Kill,
                    "lose" => EndKind::KillAndLoseState,
                    _ => EndKind::ShutDown,
                };
                let (commands, down) = (0, length);
                plan.ends.push(ProcessEnd {
                    when,
                    commands,
                    down,
                    how,
                });
                return Ok(());
            }
            _ => {
                let change = change(what, words)?;
                plan.controls.push(Control { when, change });
                return Ok(());
            }
        }
    }
}

fn moment(word: &str) -> Result<crate::plan::Moment, String> {
    let named = |moment: &crate::plan::Moment| {
        serde_json::to_value(moment).is_ok_and(|value| value == word)
    };
    MOMENTS
        .into_iter()
        .find(named)
        .ok_or_else(|| format!("no such moment: {word}"))
}

fn change(word: &str, words: &mut Words<'_>) -> Result<Change, String> {
    match word {
        "start" => Ok(Change::Run),
        "stop" => Ok(Change::Stop),
        "sources" => {
            let mut sources = Vec::new();
            while !words.0.is_empty() {
                sources.push(words.number()? as usize);
            }
            Ok(Change::Sources(sources))
        }
        "window" => Ok(Change::Window(words.number()? as usize)),
        "hole" => Ok(Change::Hole(hole(words.word()?)?)),
        "same" => Ok(Change::Nothing),
        "outdated" => Ok(Change::Outdated),
        "invalid" => Ok(Change::Invalid),
        other => Err(format!("unknown word {other}")),
    }
}

fn store_work(word: &str) -> Result<StoreWork, String> {
    match word {
        "put" => Ok(StoreWork::Put),
        "publish" => Ok(StoreWork::Publish),
        "delete" => Ok(StoreWork::Delete),
        "save" => Ok(StoreWork::Save),
        "check" => Ok(StoreWork::Check),
        "everything" => Ok(StoreWork::Everything),
        other => Err(format!("no such work: {other}")),
    }
}

fn store_fault(words: &mut Words<'_>) -> Result<StoreFaultKind, String> {
    match words.word()? {
        "slow" => Ok(StoreFaultKind::Slow(words.seconds()?)),
        "failing" => Ok(StoreFaultKind::Failing),
        "full" => Ok(StoreFaultKind::Full),
        "reply-lost" => Ok(StoreFaultKind::ReplyLost),
        other => Err(format!("no such fault: {other}")),
    }
}

/// The words of a line that are not read yet.
pub(crate) struct Words<'a>(pub(crate) &'a [&'a str]);

impl<'a> Words<'a> {
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn next_or(&mut self, other: &'a str) -> &'a str {
        self.next().unwrap_or(other)
    }

    pub(crate) fn word(&mut self) -> Result<&'a str, String> {
        self.next().ok_or_else(|| "a word is missing".to_owned())
    }

    pub(crate) fn number(&mut self) -> Result<u64, String> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("not a number: {word}"))
    }

    pub(crate) fn seconds(&mut self) -> Result<Span, String> {
        let word = self.word()?;
        let (whole, part) = word.split_once('.').unwrap_or((word, ""));
        let millis = format!("{part:0<3}");
        match (whole.parse(), millis.parse()) {
            (Ok(whole), Ok(millis)) if part.len() <= 3 => {
                Ok(Span::from_secs(whole) + Span::from_millis(millis))
            }
            _ => Err(format!("not seconds: {word}")),
        }
    }

    pub(crate) fn end(&self) -> Result<(), String> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(format!("left over: {}", self.0.join(" ")))
        }
    }
}
