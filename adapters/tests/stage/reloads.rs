//! How often the source was asked, against what a good client may do (DESIGN 5.8 in words: after a
//! change never before the last segment's duration and half a target duration, unchanged half a target
//! duration, after a failure the same with 10 % of jitter).

use hls_relay::origin_server::LoggedRequest;
use hls_relay_sim::origin::{Fault, FaultKind, Offered};
use std::time::Duration;

/// What two clocks may differ over one wait.
const TOLERANCE: Duration = Duration::from_millis(20);

/// On a busy machine a request is seen some time after it was begun, at most so long. What makes one
/// wait look short then made the one before look long; a relay that hurries gains on this more and
/// more.
const SEEN_LATE: Duration = Duration::from_millis(500);

/// The same for the first request of a process, which has a connection to make and all else to begin.
const FIRST_SEEN_LATE: Duration = Duration::from_secs(2);

/// What is known of a source.
pub struct Source<'a> {
    pub playlist_path: &'a str,
    pub host: &'a str,
    pub requests: &'a [LoggedRequest],
    pub truth: &'a [Offered],
    pub faults: &'a [Fault],
    /// The least target duration that it ever stated.
    pub target_duration: Duration,
    /// Times at which the process that asks was another one.
    pub restarts: &'a [Duration],
}

/// One reload as the source saw it.
struct Reload {
    at: Duration,
    failed: bool,
    /// The newest segment that was shown and how long it is, where that is sure.
    newest: Option<(usize, Duration)>,
}

/// Every reload that came too early.
pub fn too_early(source: &Source<'_>) -> Vec<String> {
    let reloads: Vec<_> = source
        .requests
        .iter()
        .filter(|request| request.host == source.host && request.path == source.playlist_path)
        .map(|request| reload(source, request))
        .collect();
    let mut wrong = Vec::new();
    // The earliest time at which the request before can have been begun.
    let mut begun: Option<Duration> = None;
    for (index, reload) in reloads.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &reloads[before]);
        let another_process =
            |&at: &Duration| before.is_none_or(|before| before.at <= at) && at <= reload.at;
        let (Some(before), Some(was)) = (
            before.filter(|_| !source.restarts.iter().any(another_process)),
            begun,
        ) else {
            begun = Some(reload.at.saturating_sub(FIRST_SEEN_LATE));
            continue;
        };
        let earlier = index.checked_sub(2).map(|earlier| &reloads[earlier]);
        let least = least_wait(source, earlier, before);
        let earliest = (was + least).saturating_sub(TOLERANCE);
        if earliest > reload.at {
            wrong.push(format!(
                "reloaded at {:.3?} after {:.3?}, and the least wait is {least:.3?}",
                reload.at,
                reload.at - before.at
            ));
        }
        let possible = earliest.max(reload.at.saturating_sub(SEEN_LATE));
        begun = Some(possible.min(reload.at));
    }
    wrong
}

fn least_wait(source: &Source<'_>, earlier: Option<&Reload>, before: &Reload) -> Duration {
    let half = source.target_duration / 2;
    if before.failed {
        return half * 9 / 10;
    }
    let changed = match (earlier.and_then(|earlier| earlier.newest), before.newest) {
        (Some((was, _)), Some((is, _))) => was != is,
        // Not known for sure: then only what holds in any case is asked for.
        _ => false,
    };
    match before.newest {
        Some((_, duration)) if changed => duration.max(half),
        _ => half,
    }
}

fn reload(source: &Source<'_>, request: &LoggedRequest) -> Reload {
    let failed = !matches!(request.status, Some(200 | 304 | 302));
    let around = |fault: &&Fault| {
        let at = u64::try_from(request.at.as_micros()).unwrap();
        let span = hls_relay_core::time::Span::from_micros;
        fault.from <= span(at + 50_000) && span(at) <= fault.until + span(50_000)
    };
    // A cached or a broken playlist is not the encoder's newest.
    let unsure = source
        .faults
        .iter()
        .filter(around)
        .any(|fault| !matches!(fault.kind, FaultKind::Segment(_) | FaultKind::Encoder(_)));
    let newest = source
        .truth
        .iter()
        .rposition(|offered| micros(offered.listed_at) <= request.at);
    let newest = newest.filter(|_| !failed && !unsure).map(|index| {
        let duration = micros(source.truth[index].media.duration);
        (index, duration)
    });
    Reload {
        at: request.at,
        failed: failed || unsure,
        newest,
    }
}

fn micros(span: hls_relay_core::time::Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
