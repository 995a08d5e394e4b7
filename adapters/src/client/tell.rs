//! Channels in words, for people at a terminal; or as JSON, for programs.

use crate::api::view::{ChannelView, EdgeView, MachineView, RungMakingView, RungView};
use crate::clock;
use crate::one_line::one_line;
use crate::status_line::{bit_rate, counted};
use hls_relay_core::event::Desired;
use hls_relay_core::node::Writer;
use hls_relay_core::time::Span;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What is told of a channel when it changes.
pub(super) type Line = String;

/// After a change: what is wanted now.
pub(super) fn changed(out: &mut impl Write, json: bool, it: &ChannelView) -> io::Result<()> {
    if json {
        return writeln!(out, "{:#}", json!(it));
    }
    let (id, wish, revision) = (one_line(&it.id), wish(it), it.revision);
    writeln!(out, "{id}: should {wish} (revision {revision})")?;
    match &it.unmade {
        Some(why) => writeln!(out, "{id}: its rungs cannot be made: {}", one_line(why)),
        None => Ok(()),
    }
}

/// A line for each.
pub(super) fn list(out: &mut impl Write, json: bool, channels: &[ChannelView]) -> io::Result<()> {
    if json {
        return writeln!(out, "{:#}", json!({ "channels": channels }));
    }
    let head = [
        "CHANNEL", "SHOULD", "STATE", "NEWEST", "DELAY", "HOLES", "WHY",
    ];
    let rows = channels.iter().map(|it| {
        let machine = it.observed.machine.clone().unwrap_or_default();
        [
            one_line(&it.id),
            wish(it).to_owned(),
            one_line(&it.observed.state),
            time(machine.newest_segment_age_ms),
            time(machine.delay_ms),
            machine.holes.to_string(),
            why(it),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = if column < 6 {
                width(column).unwrap_or(0) + 2
            } else {
                0
            };
            format!("{cell:<width$}")
        });
        writeln!(out, "{}", cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

/// All of one channel.
pub(super) fn channel(out: &mut impl Write, json: bool, it: &ChannelView) -> io::Result<()> {
    if json {
        return writeln!(out, "{:#}", json!(it));
    }
    let by = match it.writer {
        Writer::Api => "the API",
        Writer::Config => "the configuration file",
        Writer::Feed => "a database",
    };
    let observed = &it.observed;
    let owner = match &*observed.owner {
        "" => "nobody",
        owner => owner,
    };
    let mut rows = vec![
        (
            "should",
            format!("{} (revision {}, by {by})", wish(it), it.revision),
        ),
        ("is", format!("{}: {}", observed.state, observed.reason)),
        ("owner", format!("{owner}, epoch {}", observed.epoch)),
    ];
    if let Some(machine) = &observed.machine {
        rows.extend(of_machine(machine));
    }
    let unmade = it.unmade.iter();
    rows.extend(unmade.map(|why| ("ladder", format!("its rungs cannot be made: {why}"))));
    for (index, source) in it.spec.sources.iter().enumerate() {
        let name = if index == 0 {
            "wanted source"
        } else {
            "backup"
        };
        rows.push((name, source.clone()));
    }
    rows.push(("other settings", settings(it)));
    rows.push(("viewers", it.path.clone()));
    writeln!(out, "{}", one_line(&it.id))?;
    for (name, text) in rows {
        writeln!(out, "  {name:<15} {}", one_line(&text))?;
    }
    Ok(())
}

fn of_machine(it: &MachineView) -> Vec<(&'static str, String)> {
    let number = it.last_media_sequence;
    let number = number.map_or(String::new(), |it| format!(", media sequence number {it}"));
    let mut rows = vec![
        (
            "source in use",
            format!("{}: {}", it.source, it.source_url.as_deref().unwrap_or("–")),
        ),
        (
            "generation",
            format!("{} (has taken revision {})", it.generation, it.revision),
        ),
        (
            "newest segment",
            it.newest_segment_age_ms.map_or_else(
                || "–".to_owned(),
                |age| format!("{} ago{number}", time(Some(age))),
            ),
        ),
        ("delay", time(it.delay_ms)),
        (
            "holes",
            format!(
                "{} in {}, {}",
                it.holes,
                counted(it.segments, "segment", "segments"),
                counted(it.retries, "retry", "retries")
            ),
        ),
        (
            "published",
            format!(
                "{} in {}, {} left behind, target duration {}",
                bit_rate(it.bit_rate),
                counted(it.tracks as u64, "playlist", "playlists"),
                it.left_behind,
                time(it.target_duration_ms)
            ),
        ),
    ];
    rows.extend(of_ladder(it));
    let waits = it.ladder_waits.as_ref();
    rows.extend(waits.map(|why| ("ladder", format!("is not made: {why}"))));
    rows.extend(it.edges.iter().map(|it| ("edge", of_edge(it))));
    if let Some(change) = &it.change {
        rows.insert(0, ("change", change.clone()));
    }
    rows
}

fn of_ladder(it: &MachineView) -> Vec<(&'static str, String)> {
    let Some(making) = &it.making else {
        return Vec::new();
    };
    let rung = |rung: &RungView| {
        let measured = rung.bandwidth.map(|it| format!(" {}", bit_rate(it)));
        let state = match &rung.left_out {
            Some(why) => format!(" left out ({why})"),
            None if rung.complete => String::new(),
            None => match &rung.lacks {
                Some(why) => format!(" (its newest segment is a gap: {why})"),
                None if it.segments == 0 => " (nothing is listed yet)".to_owned(),
                None => " (its newest segment is a gap)".to_owned(),
            },
        };
        let made = rung.making.as_ref().map(of_rung).unwrap_or_default();
        let lower = rung.lower.map(|it| format!(" {it} high, as its source is"));
        let (lower, measured) = (lower.unwrap_or_default(), measured.unwrap_or_default());
        format!("{}{lower}{measured}{made}{state}", rung.name)
    };
    let rungs: Vec<_> = it.rungs.iter().map(rung).collect();
    let share = percent(making.took_ms, making.duration_ms);
    let share = share.map_or(String::new(), |it| format!(", {it} % of real time"));
    let queued = making.queued.map_or(String::new(), |queued| {
        let by = making.workers.map_or("an encoder".to_owned(), |it| {
            counted(it, "worker", "workers")
        });
        let waiting = counted(queued, "segment", "segments");
        format!("; of all channels {waiting} in the queue for {by}")
    });
    vec![
        ("rungs", rungs.join(", ")),
        (
            "made",
            format!(
                "{}, {} with a gap, {} waiting; the newest took {} after {} of waiting{share}{queued}",
                counted(making.made, "segment", "segments"),
                making.missed,
                making.segments,
                time(making.took_ms),
                time(making.waited_ms)
            ),
        ),
    ]
}

/// Whether it is warm.
fn of_edge(it: &EdgeView) -> String {
    match &it.failing {
        Some(why) => format!("{} is not warm, {} times: {why}", it.url, it.cold),
        None if it.cold > 0 => format!("{} is warm, and was not {} times", it.url, it.cold),
        None if it.warm > 0 => format!("{} is warm", it.url),
        None => format!("{} has not answered yet", it.url),
    }
}

/// How long the last segment took that has it, and how many lack it.
fn of_rung(making: &RungMakingView) -> String {
    let took = percent(making.took_ms, making.duration_ms);
    let took = took.map(|it| format!("{it} % of real time"));
    let missed = (making.missed > 0).then(|| format!("{} without it", making.missed));
    let both: Vec<_> = took.into_iter().chain(missed).collect();
    match both.is_empty() {
        true => String::new(),
        false => format!(" [{}]", both.join(", ")),
    }
}

fn percent(took_ms: Option<u64>, duration_ms: Option<u64>) -> Option<u64> {
    let (took, lasts) = took_ms.zip(duration_ms)?;
    took.saturating_mul(100).checked_div(lasts)
}

/// What is neither sources nor unsaid, as the API writes it.
fn settings(it: &ChannelView) -> String {
    let all = json!(it.spec);
    let said = all.as_object().into_iter().flatten();
    let said = said.filter(|(name, _)| *name != "sources");
    let said: Vec<_> = said
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    said.join(", ")
}

/// A line for each channel of which something else is to be said than before.
pub(super) fn news(
    out: &mut impl Write,
    json: bool,
    told: &mut BTreeMap<String, Line>,
    channels: &[ChannelView],
) -> io::Result<()> {
    let gone: Vec<_> = told
        .keys()
        .filter(|id| !channels.iter().any(|it| it.id == **id))
        .cloned()
        .collect();
    for id in gone {
        told.remove(&id);
        match json {
            true => writeln!(out, "{}", json!({ "id": id, "removed": true }))?,
            false => writeln!(out, "{} {}: removed", clock::wall(), one_line(&id))?,
        }
    }
    for it in channels {
        let line = line(it);
        if told.get(&it.id) == Some(&line) {
            continue;
        }
        match json {
            true => writeln!(out, "{}", json!(it))?,
            false => writeln!(out, "{} {line}", clock::wall())?,
        }
        told.insert(it.id.clone(), line);
    }
    out.flush()
}

/// What a change is told by: no figure that moves all the time.
fn line(it: &ChannelView) -> Line {
    let (id, wish, revision) = (one_line(&it.id), wish(it), it.revision);
    let observed = &it.observed;
    let mut line = format!(
        "{id}: {}, should {wish} (revision {revision})",
        observed.state
    );
    if let Some(machine) = &observed.machine {
        let MachineView {
            generation,
            source,
            holes,
            ..
        } = machine;
        line += &format!(", source {source}, generation {generation}");
        if *holes > 0 {
            line += &format!(", {}", counted(*holes, "hole", "holes"));
        }
        if let Some(change) = &machine.change {
            line += &format!("; {change}");
        }
    }
    // Its words count on while it is silent.
    if !matches!(&*observed.state, "live" | "stale" | "stalled") {
        line += &format!("; {}", observed.reason);
    }
    one_line(&line)
}

fn wish(it: &ChannelView) -> &'static str {
    match it.desired {
        Desired::Run => "run",
        Desired::Stop => "stop",
    }
}

/// Of a channel that is as it should be, nothing.
fn why(it: &ChannelView) -> String {
    let change = it
        .observed
        .machine
        .as_ref()
        .and_then(|it| it.change.clone());
    let fine = matches!(
        (&*it.observed.state, it.desired),
        ("live", Desired::Run) | ("stopped", Desired::Stop)
    );
    match change {
        Some(change) => one_line(&change),
        None if fine => String::new(),
        None => one_line(&it.observed.reason),
    }
}

fn time(millis: Option<u64>) -> String {
    millis.map_or("–".to_owned(), |it| Span::from_millis(it).to_string())
}

#[cfg(test)]
mod tests;
