//! One channel in one line, for a person at a terminal.

use hls_relay_core::notice::State;
use hls_relay_core::relay::Status;
use hls_relay_core::time::Span;

/// The line.
pub fn render(channel: &str, status: &Status) -> String {
    let mut parts = vec![format!("{channel}: {}", status.state)];
    match status.state {
        State::Stale | State::Stalled => {
            parts.extend(status.reason.as_ref().map(ToString::to_string));
        }
        State::Waiting | State::Starting | State::Live | State::Ended | State::Stopped => {}
    }
    parts.push(format!("newest segment {}", age(status.newest_segment_age)));
    parts.push(format!(
        "delay {}",
        status
            .delay
            .map_or("–".to_owned(), |delay| delay.to_string())
    ));
    parts.push(bit_rate(status.bit_rate));
    parts.push(counted(status.holes, "hole", "holes"));
    parts.push(counted(status.retries, "retry", "retries"));
    parts.join(" · ")
}

fn age(age: Option<Span>) -> String {
    age.map_or("–".to_owned(), |age| format!("{age} ago"))
}

/// So many of something.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// In the unit in which there are one to three digits before the point.
pub(crate) fn bit_rate(bits: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bits / unit, bits % unit * 10 / unit);
    match bits {
        1_000_000.. => format!("{} Mbit/s", tenths(1_000_000)),
        1_000.. => format!("{} kbit/s", bits / 1_000),
        _ => format!("{bits} bit/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::ids::Generation;
    use hls_relay_core::notice::{Reason, Trouble};
    use hls_relay_core::relay::ProcessingStatus;

    fn status() -> Status {
        Status {
            state: State::Live,
            reason: Some(Reason::Relaying),
            revision: 1,
            generation: Generation(1),
            source: 0,
            preparation: None,
            tracks: 1,
            left_behind: 0,
            rungs: Vec::new(),
            edges: Vec::new(),
            ladder_waits: None,
            processing: ProcessingStatus::default(),
            newest_segment_age: Some(Span::from_millis(1_240)),
            delay: Some(Span::from_millis(150)),
            bit_rate: 1_234_567,
            target_duration: Some(Span::from_secs(2)),
            last_media_sequence: Some(7),
            segments: 8,
            holes: 1,
            retries: 0,
        }
    }

    #[test]
    fn a_live_channel_shows_how_far_behind_it_is() {
        assert_eq!(
            render("news", &status()),
            "news: live · newest segment 1.2 s ago · delay 0.2 s · 1.2 Mbit/s · 1 hole · 0 retries"
        );
    }

    #[test]
    fn a_stalled_channel_says_why_in_the_words_of_the_log() {
        let reason = Reason::Silent {
            since: Span::from_secs(14),
            target_duration: Span::from_secs(4),
            trouble: Trouble::Unchanged,
        };
        let stalled = Status {
            state: State::Stalled,
            reason: Some(reason),
            bit_rate: 999_999,
            ..status()
        };
        let line = render("news", &stalled);
        assert!(
            line.contains("stalled · source playlist unchanged for 14 s (3.5 × target duration)")
        );
        assert!(line.contains("999 kbit/s"), "{line}");
    }
}
