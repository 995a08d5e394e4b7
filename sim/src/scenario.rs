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
//! An `origin` has a `target` duration; a `segment` lasts as long where nothing is said, several lengths with
//! commas between them take turns, and with `jitter` each of its ends is off by up to so much. A segment is listed
//! by a `publish-delay` after its end, and late by up to a `publish-jitter`; what jitters is `drawn` by a number. A
//! reply takes its `latency`. It has listed a `window` of segments when the world begins, or a longer `backlog`, and
//! `numbers` them from 0 where nothing is said. Some of the backlog, counted from the oldest, follow `discontinuities`; its
//! `discontinuity-sequence` is `none`, or a number that it always states, where it does not count them. `tells` writes a line before the segment of a number of the origin
//! before it. Its `keys` are others after so many segments, told `keys-with-vectors`, `keys-by-turns` with what is in
//! the clear, `keys-of-drm` or `keys-of-gcm`. An `event` keeps all of its list until it ends, and a `vod` is its backlog, which
//! has ended. One that gives `cookies` wants them shown; a presentation that `says-more` has lines of the session and a variable. A `presentation` puts that origin behind a multivariant playlist: of each track, `behind` says how many
//! segments it is behind the encoder, `numbers` where it counts from by itself, and `segment` how long its own are. `workers` make all rungs of a
//! segment in a number of percent of what it lasts, and `hands` says of how many segments at once.
//!
//! One thing a line, before the line of dashes; after it the story: what the operator was told, and
//! every version that viewers saw. In a version each segment is called by what it is: the letter of
//! its origin, a mark for each restart of that origin, its number there. `~` is a gap, `/` a
//! discontinuity. The last version in full is a snapshot beside the test that runs the scripts.

mod at;
mod fault;
mod origin;

pub(crate) use fault::fault;

use crate::plan::{ChannelPlan, Plan, WakePlan};
use crate::store::{StoreKind, StorePlan};
use crate::workers::WorkerPlan;
use crate::world::{Options, World, spec_of};
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection};
use hls_relay_core::ladder::{Ladder, SOURCE_NAME};
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::tags::TagPolicy;
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
        let (at, story) = (failure.at.as_millis(), outcome.story.join("\n"));
        return Err(format!("{story}\nat {at} ms: {}", failure.violation));
    }
    let mut text = format!("{script}{DASHES}\n");
    for line in outcome.story {
        text.push_str(&line);
        text.push('\n');
    }
    let playlist = outcome.playlist;
    Ok(Told { text, playlist })
}

/// Reads a script: first what there is and for how long, then the channel, then what happens to them.
///
/// # Errors
/// A line that makes no sense, its number, and why.
pub fn parse(script: &str) -> Result<Plan, String> {
    let mut plan = empty();
    each_line(script, |words| surroundings(&mut plan, words))?;
    if plan.origins.is_empty() {
        return Err("no line says `origin`: there is nothing to relay".to_owned());
    }
    each_line(script, |words| {
        match words.word()? {
            "channel" => channel(&mut plan, words)?,
            _ => words.skip(),
        }
        Ok(())
    })?;
    if plan.channel.sources.is_empty() {
        plan.channel.sources = (0..plan.origins.len()).collect();
    }
    each_line(script, |words| {
        match words.word()? {
            "at" => at::at(&mut plan, words)?,
            _ => words.skip(),
        }
        Ok(())
    })?;
    Ok(plan)
}

/// Reads all lines that are not empty and no comment.
fn each_line(
    script: &str,
    mut read: impl FnMut(&mut Words<'_>) -> Result<(), String>,
) -> Result<(), String> {
    for (number, line) in script.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        let mut words = Words(&words);
        read(&mut words)
            .and_then(|()| words.end())
            .map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    Ok(())
}

fn empty() -> Plan {
    Plan {
        seed: 1,
        healed_at: Span::from_secs(60),
        stop_at: Span::from_secs(60) + AFTERWARDS,
        origins: Vec::new(),
        channel: ChannelPlan {
            sources: Vec::new(),
            window: Some(6),
            room: None,
            hole: HolePolicy::Gap,
            reload: ReloadPolicy::LastSegment,
            keys: KeyPolicy::default(),
            ladder: None,
            edges: 0,
            edge_method: PreloadMethod::default(),
            edge_patience: None,
            tags: TagPolicy::default(),
            selection: Selection::default(),
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
        workers: WorkerPlan::default(),
    }
}

fn surroundings(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    match words.word()? {
        "origin" => origin::origin(plan, words)?,
        "presentation" => origin::presentation(plan, words)?,
        "tells" => origin::tells(plan, words)?,
        "store" => {
            plan.store.kind = match words.word()? {
                "memory" => StoreKind::Memory,
                "directory" => StoreKind::Directory,
                other => return Err(format!("no such store: {other}")),
            };
        }
        "workers" => workers(plan, words)?,
        "run" => {
            plan.healed_at = words.seconds()?;
            plan.stop_at = plan.healed_at + AFTERWARDS;
        }
        "channel" | "at" => words.skip(),
        other => return Err(format!("unknown word {other}")),
    }
    Ok(())
}

fn workers(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    plan.workers.percent = words.positive()?;
    while let Some(word) = words.next() {
        match word {
            "hands" => plan.workers.hands = words.positive()? as usize,
            other => return Err(format!("unknown word {other}")),
        }
    }
    Ok(())
}

fn channel(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    while let Some(word) = words.next() {
        match word {
            "window" => plan.channel.window = window_wanted(words)?,
            "room" => plan.channel.room = Some(words.positive()?),
            "hole" => plan.channel.hole = hole(words.word()?)?,
            "keys" => plan.channel.keys = keys(words.word()?)?,
            "ladder" => plan.channel.ladder = ladder(words.word()?)?,
            "highest" => plan.channel.selection = highest(words.word()?)?,
            "edges" => plan.channel.edges = words.number()? as usize,
            "strict" => plan.channel.reload = ReloadPolicy::TargetDuration,
            "source" => {
                let source = words.origin(plan)?;
                plan.channel.sources.push(source);
            }
            other => return Err(format!("unknown word {other}")),
        }
    }
    window(plan, plan.channel.window)
}

/// So many segments, or as many as where nothing is said.
fn window_wanted(words: &mut Words<'_>) -> Result<Option<usize>, String> {
    match words.0.first() {
        Some(&"default") => words.word().map(|_| None),
        _ => words.number().map(|it| Some(it as usize)),
    }
}

fn keys(word: &str) -> Result<KeyPolicy, String> {
    match word {
        "origin" => Ok(KeyPolicy::Origin),
        "rehost" => Ok(KeyPolicy::Rehost),
        "decrypt" => Ok(KeyPolicy::Decrypt),
        other => Err(format!("no such policy: {other}")),
    }
}

/// Whether a channel may have such a window.
fn window(plan: &Plan, window: Option<usize>) -> Result<(), String> {
    let sources = vec![0];
    let channel = ChannelPlan {
        sources,
        window,
        ..plan.channel.clone()
    };
    let valid = spec_of(plan, &channel).validate();
    valid.map_err(|why| why.to_string())
}

/// Heights with commas between them; behind `only:` the source's own media is not listed. `none` for none.
fn ladder(word: &str) -> Result<Option<Ladder>, String> {
    let (heights, passthrough) = match word.strip_prefix("only:") {
        Some(heights) => (heights, false),
        None => (word, true),
    };
    if heights == "none" {
        return Ok(None);
    }
    let heights = heights.split(',').filter(|it| *it != SOURCE_NAME);
    let heights: Result<Vec<u32>, _> = heights.map(str::parse).collect();
    let heights = heights.map_err(|_| format!("not heights: {word}"))?;
    let ladder = crate::draw::ladder(&heights, passthrough);
    ladder.validate().map_err(|why| why.to_string())?;
    Ok(Some(ladder))
}

/// Variants up to a height; `any` for all.
fn highest(word: &str) -> Result<Selection, String> {
    let height = match word {
        "any" => None,
        height => Some(
            height
                .parse()
                .map_err(|_| format!("not a height: {word}"))?,
        ),
    };
    Ok(Selection {
        max_height: height,
        ..Selection::default()
    })
}

fn hole(word: &str) -> Result<HolePolicy, String> {
    match word {
        "gap" => Ok(HolePolicy::Gap),
        "discontinuity" => Ok(HolePolicy::Discontinuity),
        other => Err(format!("no such policy: {other}")),
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

    /// Whoever comes later reads the rest.
    fn skip(&mut self) {
        self.0 = &[];
    }

    pub(crate) fn word(&mut self) -> Result<&'a str, String> {
        self.next().ok_or_else(|| "a word is missing".to_owned())
    }

    pub(crate) fn number(&mut self) -> Result<u64, String> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("not a number: {word}"))
    }

    /// A number that is no larger than those of statuses and tracks.
    pub(crate) fn small(&mut self) -> Result<u16, String> {
        let number = self.number()?;
        u16::try_from(number).map_err(|_| format!("too large: {number}"))
    }

    /// What can be divided by, or lasts.
    fn positive(&mut self) -> Result<u64, String> {
        match self.number()? {
            0 => Err("0 is too small".to_owned()),
            number => Ok(number),
        }
    }

    /// One of the origins that there are.
    fn origin(&mut self, plan: &Plan) -> Result<usize, String> {
        let number = self.number()?;
        let there = usize::try_from(number)
            .ok()
            .filter(|it| *it < plan.origins.len());
        there.ok_or_else(|| format!("there is no origin {number}"))
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

    /// Several, with commas between them.
    fn in_turn<T>(
        &mut self,
        each: impl Fn(&mut Words<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let words: Vec<&str> = self.word()?.split(',').collect();
        let mut words = Words(&words);
        let mut all = Vec::new();
        while !words.0.is_empty() {
            all.push(each(&mut words)?);
        }
        Ok(all)
    }

    pub(crate) fn end(&self) -> Result<(), String> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(format!("left over: {}", self.0.join(" ")))
        }
    }
}
