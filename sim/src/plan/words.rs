//! A plan as it is printed: whatever decides how its world goes, but for what its seed draws.

use super::{ChannelPlan, Control, NetworkFault, Plan, When};
use crate::origin::{Keeps, Keying, Naming, OriginSpec, Tokens};
use crate::store::StorePlan;
use crate::workers::WorkerPlan;
use hls_relay_core::config::Selection;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::Span;
use std::fmt;

/// How an origin writes its playlist, where another one might do otherwise.
fn habits(origin: &OriginSpec) -> String {
    let habits = [
        (origin.program_date_time, ", with date-times"),
        (origin.naming == Naming::RunFolder, ", folders for runs"),
        (origin.tokens == Tokens::Query, ", tokens in queries"),
        (origin.tokens == Tokens::Parameter, ", tokens in parameters"),
        (origin.tokens == Tokens::Folder, ", tokens in folders"),
        (origin.keeps == Keeps::Event, ", an event"),
        (origin.keeps == Keeps::Vod, ", ended before"),
        (origin.etag, ", with entity tags"),
        (origin.cookies, ", with cookies"),
        (origin.segments_per_key.is_some(), ", under keys"),
        (origin.keying == Keying::Vector, ", keys with vectors"),
        (origin.keying == Keying::InTurns, ", keys by turns"),
        (origin.keying == Keying::Drm, ", keys of DRM systems"),
        (origin.keying == Keying::Gcm, ", keys of AES-256-GCM"),
        (
            !origin.discontinuity_sequence,
            ", without discontinuity sequence",
        ),
        (
            !origin.discontinuities.is_empty(),
            ", discontinuities before",
        ),
    ];
    habits.iter().filter(|it| it.0).map(|it| it.1).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChannelPlan {
            sources,
            window,
            room,
            hole,
            reload,
            keys,
            ladder,
            edges,
            edge_method,
            edge_patience,
            tags,
            selection,
        } = &self.channel;
        writeln!(
            out,
            "plan of seed {}: healed at {}, stopped at {}",
            self.seed, self.healed_at, self.stop_at
        )?;
        writeln!(
            out,
            "  channel: sources {sources:?}, window {}, hole {hole:?}, reload {reload:?}, keys {keys:?}",
            crate::words::window(*window)
        )?;
        if let Some(room) = room {
            writeln!(out, "  room: {room} bytes")?;
        }
        if let Some(ladder) = ladder {
            let names: Vec<&str> = ladder.rungs.iter().map(|it| &*it.name).collect();
            let (passthrough, percent) = (ladder.passthrough, self.workers.percent);
            writeln!(
                out,
                "  ladder: {}, passthrough {passthrough}, made in {percent}%",
                names.join(" ")
            )?;
            if let Some(patience) = ladder.patience {
                writeln!(out, "  rungs are waited for {patience}")?;
            }
        }
        if *tags != TagPolicy::default() {
            writeln!(out, "  {tags:?}")?;
        }
        if *selection != Selection::default() {
            writeln!(out, "  {selection:?}")?;
        }
        if *edges > 0 {
            writeln!(
                out,
                "  edges: {edges}, {edge_method:?}, waited for {edge_patience:?}"
            )?;
        }
        let WorkerPlan {
            hands,
            neighbours,
            faults,
            ..
        } = &self.workers;
        if !neighbours.is_empty() {
            writeln!(out, "  workers: {hands}")?;
        }
        for neighbour in neighbours {
            writeln!(out, "  {neighbour}")?;
        }
        for fault in faults {
            writeln!(out, "  {fault}")?;
        }
        let StorePlan {
            kind,
            latency,
            jitter,
            faults,
        } = &self.store;
        writeln!(
            out,
            "  store: {kind:?}, latency {} + {} ms",
            latency.as_millis(),
            jitter.as_millis()
        )?;
        let super::WakePlan {
            late,
            early,
            twice,
            by,
        } = self.wakes;
        if late + early + twice > 0 {
            let by = by.as_millis();
            writeln!(
                out,
                "  wakes: {late}% late, {early}% early by up to {by} ms, {twice}% twice"
            )?;
        }
        for (number, origin) in self.origins.iter().enumerate() {
            writeln!(
                out,
                "  origin {number}: target duration {}, segments {:?}, window {}, backlog {}, from {}{}",
                origin.target_duration,
                origin.durations,
                origin.window,
                origin.backlog,
                origin.media_sequence,
                habits(origin),
            )?;
            writeln!(out, "    {}", times(origin))?;
            if let Some(presentation) = &origin.presentation {
                writeln!(out, "    {presentation}")?;
            }
            origin
                .faults
                .iter()
                .try_for_each(|fault| writeln!(out, "    {fault}"))?;
        }
        for NetworkFault {
            from,
            until,
            origin,
            kind,
        } in &self.network
        {
            writeln!(
                out,
                "  network: {from} to {until}: origin {origin}: {kind:?}"
            )?;
        }
        for fault in faults {
            let (from, until) = (fault.from, fault.until);
            writeln!(
                out,
                "  store: {from} to {until}: {:?} {:?}",
                fault.on, fault.kind
            )?;
        }
        for Control { when, change } in &self.controls {
            writeln!(out, "  control: {when}: {change:?}")?;
        }
        for end in &self.ends {
            writeln!(
                out,
                "  process: {}: {:?} after {} commands, {} down",
                end.when, end.how, end.commands, end.down
            )?;
        }
        writeln!(out, "  players at {:?} s", seconds(&self.players))
    }
}

/// When what an origin has is there, and how fast it comes.
fn times(origin: &OriginSpec) -> String {
    let both = |least: Span, more: Span| format!("{} + {} ms", least.as_millis(), more.as_millis());
    let rate = match origin.rate {
        Some(rate) => format!("{rate} bytes a second"),
        None => "at once".to_owned(),
    };
    format!(
        "listed {} after its end, answers after {}, then {rate}; version {}, {:?} names, {:?} URIs, timestamps from {}",
        both(origin.publish_delay, origin.publish_jitter),
        both(origin.latency, origin.latency_jitter),
        origin.version,
        origin.naming,
        origin.uris,
        origin.first_tick,
    )
}

fn seconds(spans: &[Span]) -> Vec<u64> {
    spans.iter().map(|span| span.as_millis() / 1_000).collect()
}

impl fmt::Display for When {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.moment {
            None => write!(out, "at {}", self.after),
            Some(moment) => write!(out, "at the first {moment:?} after {}", self.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::draw;
    use crate::plan::Plan;
    use hls_relay_core::time::Span;

    #[test]
    fn whatever_decides_how_a_world_goes_is_printed() {
        let changes: [fn(&mut Plan); 9] = [
            |plan| plan.origins[0].latency += Span::from_millis(1),
            |plan| plan.origins[0].latency_jitter += Span::from_millis(1),
            |plan| plan.origins[0].publish_delay += Span::from_millis(1),
            |plan| plan.origins[0].publish_jitter += Span::from_millis(1),
            |plan| plan.origins[0].rate = Some(1),
            |plan| plan.origins[0].backlog += 1,
            |plan| plan.origins[0].version += 1,
            |plan| plan.origins[0].first_tick += 1,
            |plan| plan.channel.edges += 1,
        ];
        let plan = draw::plan(3);
        for change in changes {
            let mut other = plan.clone();
            change(&mut other);
            assert_ne!(plan.to_string(), other.to_string());
        }
    }
}
