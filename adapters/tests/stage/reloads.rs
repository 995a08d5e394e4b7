//! How often the source was asked, against what a good client may do (DESIGN 5.8 in words: after a
//! change never before the last segment's duration and half a target duration, unchanged half a target
//! duration, after a failure the same with 10 % of jitter).

use hls_relay::origin_server::LoggedRequest;
use hls_relay_sim::origin::{Fault, FaultKind, Offered};
use std::time::Duration;

/// What the time of a request may be off where it is seen, at the other end of the connection.
const TOLERANCE: Duration = Duration::from_millis(50);

/// On a busy machine one request may be seen so late. Then it came late after the one before, too, and
/// what it took from one wait it gave to the other; a relay that hurries has nothing to give.
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
    // How late the request before may have been seen: as much as it waited over the least.
    let mut slack = FIRST_SEEN_LATE;
    for (index, pair) in reloads.windows(2).enumerate() {
        let (before, after) = (&pair[0], &pair[1]);
        let waited = after.at - before.at;
        let another_process = |&at: &Duration| before.at <= at && at <= after.at;
        if source.restarts.iter().any(another_process) {
            slack = FIRST_SEEN_LATE;
            continue;
        }
        let earlier = index.checked_sub(1).map(|earlier| &reloads[earlier]);
        let least = least_wait(source, earlier, before);
        if waited + TOLERANCE + slack < least {
            wrong.push(format!(
                "reloaded at {:.3?} after {waited:.3?}, and the least wait is {least:.3?}",
                after.at
            ));
        }
        slack = waited.saturating_sub(least).min(SEEN_LATE);
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
