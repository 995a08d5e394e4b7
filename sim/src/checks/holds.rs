//! What the machine itself holds: each of its lists and maps by the name of its field, and how long it may be.
//!
//! The machine is written down as for a journal, and that is looked through, so that whatever is added to it
//! is counted too: what is meant to grow needs a bound here.

use super::bounds::{BESIDE, LEFT_BY_AN_OUTAGE};
use super::{Held, broken};
use hls_relay_core::limits::{
    MAX_DATE_RANGES, MAX_DOWNLOADS, REMEMBERED_NEEDS, REMEMBERED_RUNS, REMEMBERED_SEGMENTS,
};
use hls_relay_core::relay::Relay;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a world can make a machine hold.
#[derive(Clone, Copy, Debug)]
pub struct Worldly {
    /// Tracks of its largest presentation.
    pub tracks: usize,
    /// Segments of the widest window that was asked for.
    pub window: usize,
    /// Segments of the longest list of any source.
    pub listed: usize,
    /// Lines of the sources' own, as of date ranges.
    pub told: usize,
    /// The store always says what became of a piece of work.
    pub sure: bool,
}

/// What has no bound of its own has this one: no structure has so many fields, and no hash so many bytes.
const FIXED: usize = 40;
/// No plan has more sources.
const MOST_SOURCES: usize = 3;

/// Checks all of them.
pub fn holds(machine: &Relay, world: Worldly) -> Held {
    let written = serde_json::to_value(machine).unwrap_or_default();
    let mut longest = BTreeMap::new();
    look_through("machine", &written, &mut longest);
    for (field, held) in longest {
        if let Some(most) = most(field, world).filter(|most| held > *most) {
            return broken(
                "what a machine holds is bounded",
                format!("at most {most} in `{field}`"),
                held.to_string(),
            );
        }
    }
    Ok(())
}

/// The longest list or map under each name. What stands in a map or a variant goes by the name of that.
fn look_through<'a>(field: &'a str, value: &'a Value, longest: &mut BTreeMap<&'a str, usize>) {
    let held = match value {
        Value::Array(all) => {
            all.iter().for_each(|it| look_through(field, it, longest));
            all.len()
        }
        Value::Object(all) => {
            for (name, it) in all {
                let is_field = name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                look_through(if is_field { name } else { field }, it, longest);
            }
            all.len()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    let known = longest.entry(field).or_default();
    *known = held.max(*known);
}

/// How many a field may hold; none where that is anybody's guess.
fn most(field: &str, world: Worldly) -> Option<usize> {
    let Worldly {
        tracks,
        window,
        listed,
        told,
        sure,
    } = world;
    let told = told.min(MAX_DATE_RANGES + 1);
    let kept = tracks * (3 * window + REMEMBERED_NEEDS + BESIDE);
    match field {
        // What players need, twice over while segments become shorter, and what has come at once.
        "entries" | "pieces" | "jobs" | "latest" => Some(2 * (window + listed) + BESIDE),
        "former" | "marks" => Some(REMEMBERED_SEGMENTS + listed + REMEMBERED_RUNS),
        // Of the source's segments, or of its date ranges.
        "known" => Some(REMEMBERED_SEGMENTS + listed + REMEMBERED_RUNS + told),
        "used" | "tags" | "lines" => Some(FIXED + told),
        "all" => Some(REMEMBERED_NEEDS + listed + BESIDE),
        "held" => Some(tracks * (REMEMBERED_NEEDS + 2 * (window + listed) + BESIDE)),
        // Each attempt of which nobody knows whether it was stored has to be deleted.
        "waiting" | "deleting" | "leaving" | "awaited" | "lost" | "unasked" => {
            sure.then_some(kept + tracks * LEFT_BY_AN_OUTAGE)
        }
        "abandoned" => Some(tracks * 2 * (MAX_DOWNLOADS + 1)),
        "left" => Some(MOST_SOURCES * (tracks + 1)),
        _ => Some(FIXED),
    }
}
