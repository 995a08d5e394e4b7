//! EXT-X-DATERANGE in one playlist, version after version: rules S-23 and S-24.

use super::{Held, broken};
use crate::published::{DateRange, Version};
use hls_relay_core::limits::MAX_DATE_RANGES;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many IDs are remembered: more than a world tells of.
const REMEMBERED: usize = 1_024;

/// What was told of each ID.
#[derive(Debug, Default)]
pub struct DateRangeChecks {
    known: BTreeMap<Arc<str>, DateRange>,
}

impl DateRangeChecks {
    /// What was known of the playlist is lost: what comes now is another presentation.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// A version becomes visible, after `last`.
    pub fn visible(&mut self, last: Option<&Version>, version: &Version) -> Held {
        if version.date_ranges.is_empty() && self.known.is_empty() {
            return Ok(());
        }
        are_dated(version)?;
        for range in &version.date_ranges {
            let mut before = last.iter().flat_map(|last| &last.date_ranges);
            let stands = before.any(|it| it.id == range.id);
            self.only_more(range, stands)?;
        }
        if let Some(last) = last {
            last.date_ranges
                .iter()
                .try_for_each(|range| stays(range, last, version))?;
        }
        for range in &version.date_ranges {
            self.known.insert(Arc::clone(&range.id), range.clone());
        }
        while self.known.len() > REMEMBERED {
            self.known.pop_first();
        }
        Ok(())
    }

    /// S-24: what is told later of an ID may add attributes, and change none; as long as it `stands` in the list
    /// it loses none either. So an ID never stands for something else (S-23).
    fn only_more(&self, range: &DateRange, stands: bool) -> Held {
        let Some(known) = self.known.get(&range.id) else {
            return Ok(());
        };
        let changed =
            known
                .attributes
                .iter()
                .find(|(name, value)| match range.attributes.get(*name) {
                    Some(now) => now != *value,
                    None => stands,
                });
        let Some((name, value)) = changed else {
            return Ok(());
        };
        broken(
            "S-24 what is told of a date range stays",
            format!("{name}={value} of {}", range.id),
            format!("{:?}", range.attributes.get(name)),
        )
    }
}

/// S-24: date ranges need date-times, and an ID stands in one tag.
fn are_dated(version: &Version) -> Held {
    let mut seen = BTreeMap::new();
    for range in &version.date_ranges {
        if seen.insert(&range.id, ()).is_some() {
            return broken(
                "S-24 one tag for each ID",
                "once",
                format!("{} twice", range.id),
            );
        }
    }
    let dated = version.segments.iter().any(|it| it.date_time.is_some());
    match version.date_ranges.first() {
        Some(range) if !dated => broken(
            "S-24 date ranges stand beside date-times",
            format!("a date-time in the list that tells {}", range.id),
            "none",
        ),
        Some(_) | None => Ok(()),
    }
}

/// S-23: a date range stays as long as any of its dates falls on what is listed. Of more than anybody keeps
/// the oldest go.
fn stays(range: &DateRange, last: &Version, version: &Version) -> Held {
    let crowded = [last, version]
        .iter()
        .any(|it| it.date_ranges.len() >= MAX_DATE_RANGES);
    let there = version.date_ranges.iter().any(|it| it.id == range.id);
    let end = range.end.unwrap_or(range.start);
    if crowded || there || range.ends_on_next {
        return Ok(());
    }
    let overlapped = version.segments.iter().find(|it| {
        let begins = it.date_time.map(|at| (at, at + it.duration));
        begins.is_some_and(|(from, until)| {
            range.start < until && (from < end || (from <= end && range.start == end))
        })
    });
    match overlapped {
        None => Ok(()),
        Some(listed) => broken(
            "S-23 a date range stays while its time is listed",
            format!("{} beside segment {}", range.id, listed.number),
            "gone",
        ),
    }
}
