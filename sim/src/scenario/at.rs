//! What happens at a time, as a script says it:
//! `at TIME [for TIME] [when MOMENT] [commands NUMBER] [track NUMBER] …`

use super::{Words, fault, hole};
use crate::origin::{EncoderFault, Fault, FaultKind, PresentationFault};
use crate::plan::{
    Change, Control, EndKind, MOMENTS, Moment, NetworkFault, NetworkFaultKind, Plan, ProcessEnd,
    When,
};
use crate::store::{StoreFault, StoreFaultKind, StoreWork};
use crate::workers::{WorkerFault, WorkerFaultKind};
use hls_relay_core::time::Span;

/// What is over at once lasts so long.
const AT_ONCE: Span = Span::from_millis(1);

/// What stands before the thing that happens.
#[derive(Default)]
struct Head {
    at: Span,
    length: Option<Span>,
    moment: Option<Moment>,
    /// A process dies after so many commands of its next step.
    commands: Option<usize>,
    track: Option<u16>,
}

impl Head {
    fn when(&self) -> When {
        When {
            after: self.at,
            moment: self.moment,
        }
    }

    /// Something that lasts, and waits for no moment.
    fn stretch(&self, plan: &Plan, lasts: bool) -> Result<(Span, Span), String> {
        if self.moment.is_some() {
            return Err("a fault waits for no moment: leave out `when`".to_owned());
        }
        let length = match self.length {
            Some(length) => length,
            None if lasts => return Err("it lasts for some time: say `for`".to_owned()),
            None => AT_ONCE,
        };
        let until = self.at + length;
        if until > plan.healed_at && until != self.at + AT_ONCE {
            return Err(format!(
                "it goes on until {until}, and the run is over after {}",
                plan.healed_at
            ));
        }
        Ok((self.at, until))
    }

    /// A wish, or an end: no track has one of its own.
    fn whole(&self) -> Result<(), String> {
        match self.track {
            Some(_) => Err("only what goes wrong at an origin has a track".to_owned()),
            None => Ok(()),
        }
    }

    /// Whether the process dies of it, which alone can happen within a step.
    fn outside_steps(&self) -> Result<(), String> {
        match self.commands {
            Some(_) => Err("only a process that dies counts commands".to_owned()),
            None => Ok(()),
        }
    }
}

/// Reads such a line. All origins are known by then, and how long the run is.
pub(super) fn at(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let mut head = Head {
        at: words.seconds()?,
        ..Head::default()
    };
    if head.at >= plan.healed_at {
        return Err(format!("the run is over after {}", plan.healed_at));
    }
    let what = loop {
        match words.word()? {
            "for" => head.length = Some(length(words)?),
            "track" => head.track = Some(words.small()?),
            "when" => head.moment = Some(moment(words.word()?)?),
            "commands" => head.commands = Some(words.positive()? as usize),
            what => break what,
        }
    };
    if !matches!(what, "kill" | "lose") {
        head.outside_steps()?;
    }
    match what {
        "origin" => return origin_fault(plan, &head, words),
        "refused" => network_fault(plan, &head, NetworkFaultKind::Refused, words)?,
        "private" => network_fault(plan, &head, NetworkFaultKind::PrivateAddress, words)?,
        "store" => {
            let (on, kind) = (store_work(words.word()?)?, store_fault(words)?);
            let (from, until) = head.stretch(plan, true)?;
            plan.store.faults.push(StoreFault {
                from,
                until,
                on,
                kind,
            });
        }
        "workers" => {
            let kind = workers(words)?;
            let (from, until) = head.stretch(plan, true)?;
            plan.workers.faults.push(WorkerFault { from, until, kind });
        }
        "kill" => end(plan, &head, EndKind::Kill),
        "lose" => end(plan, &head, EndKind::KillAndLoseState),
        "shut-down" => end(plan, &head, EndKind::ShutDown),
        _ => {
            let change = change(plan, what, words)?;
            if head.length.is_some() {
                return Err("a wish does not last: leave out `for`".to_owned());
            }
            let when = head.when();
            plan.controls.push(Control { when, change });
        }
    }
    head.whole()
}

fn length(words: &mut Words<'_>) -> Result<Span, String> {
    let length = words.seconds()?;
    if length == Span::ZERO {
        return Err("for no time at all".to_owned());
    }
    Ok(length)
}

fn origin_fault(plan: &mut Plan, head: &Head, words: &mut Words<'_>) -> Result<(), String> {
    let origin = words.origin(plan)?;
    let kind = fault(words)?;
    let (from, until) = head.stretch(plan, lasts(&kind))?;
    let spec = &mut plan.origins[origin];
    let tracks = spec.presentation.as_ref().map_or(1, |it| it.tracks.len());
    if let Some(track) = head.track.filter(|track| usize::from(*track) >= tracks) {
        return Err(format!("origin {origin} has no track {track}"));
    }
    let track = head.track;
    spec.faults.push(Fault {
        from,
        until,
        track,
        kind,
    });
    Ok(())
}

/// Of the others only the beginning counts.
fn lasts(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Encoder(
            EncoderFault::Restart { .. }
            | EncoderFault::JumpAhead { .. }
            | EncoderFault::DiscontinuityWithTimestampJump { .. },
        )
        | FaultKind::Presentation(
            PresentationFault::InitSectionsChange
            | PresentationFault::TokensExpire { .. }
            | PresentationFault::Renamed,
        ) => false,
        FaultKind::Encoder(
            EncoderFault::TargetDurationChange { .. } | EncoderFault::EndList { .. },
        )
        | FaultKind::Presentation(
            PresentationFault::KeysDown { .. }
            | PresentationFault::Entry(_)
            | PresentationFault::Alone,
        )
        | FaultKind::View(_)
        | FaultKind::Text(_)
        | FaultKind::Playlist(_)
        | FaultKind::Segment(_)
        | FaultKind::Connection(_) => true,
    }
}

fn network_fault(
    plan: &mut Plan,
    head: &Head,
    kind: NetworkFaultKind,
    words: &mut Words<'_>,
) -> Result<(), String> {
    let origin = words.origin(plan)?;
    let (from, until) = head.stretch(plan, true)?;
    plan.network.push(NetworkFault {
        from,
        until,
        origin,
        kind,
    });
    Ok(())
}

/// The length is how long nobody is there.
fn end(plan: &mut Plan, head: &Head, how: EndKind) {
    plan.ends.push(ProcessEnd {
        when: head.when(),
        commands: head.commands.unwrap_or(0),
        down: head.length.unwrap_or(AT_ONCE),
        how,
    });
}

fn moment(word: &str) -> Result<Moment, String> {
    let named = |moment: &Moment| serde_json::to_value(moment).is_ok_and(|value| value == word);
    MOMENTS
        .into_iter()
        .find(named)
        .ok_or_else(|| format!("no such moment: {word}"))
}

fn change(plan: &Plan, word: &str, words: &mut Words<'_>) -> Result<Change, String> {
    match word {
        "start" => Ok(Change::Run),
        "stop" => Ok(Change::Stop),
        "sources" => {
            let mut sources = vec![words.origin(plan)?];
            while !words.0.is_empty() {
                sources.push(words.origin(plan)?);
            }
            Ok(Change::Sources(sources))
        }
        "window" => {
            let window = super::window_wanted(words)?;
            super::window(plan, window)?;
            Ok(Change::Window(window))
        }
        "hole" => Ok(Change::Hole(hole(words.word()?)?)),
        "keys" => Ok(Change::Keys(super::keys(words.word()?)?)),
        "highest" => Ok(Change::Selection(super::highest(words.word()?)?)),
        "ladder" => Ok(Change::Ladder(super::ladder(words.word()?)?)),
        "same" => Ok(Change::Nothing),
        "outdated" => Ok(Change::Outdated),
        "invalid" => Ok(Change::Invalid),
        other => Err(format!("unknown word {other}")),
    }
}

fn workers(words: &mut Words<'_>) -> Result<WorkerFaultKind, String> {
    match words.word()? {
        "slow" => Ok(WorkerFaultKind::Slow(words.positive()?)),
        "die" => Ok(WorkerFaultKind::Die),
        "hang" => Ok(WorkerFaultKind::Hang),
        "answer-twice" => Ok(WorkerFaultKind::AnswerTwice),
        "too-far-to-stop" => Ok(WorkerFaultKind::TooFarToStop),
        "undecodable" => Ok(WorkerFaultKind::Undecodable),
        "unsupported" => Ok(WorkerFaultKind::Unsupported),
        "store-fails" => Ok(WorkerFaultKind::StoreFails),
        "give-up" => Ok(WorkerFaultKind::GiveUp),
        "one-fails" => Ok(WorkerFaultKind::OneFails),
        "one-inexact" => Ok(WorkerFaultKind::OneInexact),
        "nobody" => Ok(WorkerFaultKind::Nobody),
        "vanish" => Ok(WorkerFaultKind::Vanish),
        "fall-silent" => Ok(WorkerFaultKind::FallSilent),
        "edge-hangs" => Ok(WorkerFaultKind::EdgeHangs),
        "edge-fails" => Ok(WorkerFaultKind::EdgeFails),
        other => Err(format!("no such fault: {other}")),
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
