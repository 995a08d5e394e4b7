//! Measured bit rates.

use super::*;

const TARGET: Span = Span::from_secs(4);

fn measured(segments: &[(u64, u64)]) -> Option<(u64, u64)> {
    let segments = segments
        .iter()
        .map(|(bytes, millis)| (*bytes, Span::from_millis(*millis)));
    measured_bandwidth(segments, TARGET).map(|it| (it.peak, it.average))
}

#[test]
fn s_35_the_peak_is_that_of_a_run_and_not_of_a_moment() {
    assert_eq!(measured(&[]), None);
    assert_eq!(measured(&[(1_000, 0)]), None);
    // Equal segments have one rate.
    assert_eq!(measured(&[(4_000, 4_000); 5]), Some((8_000, 8_000)));
    // One heavy segment is a run by itself.
    assert_eq!(
        measured(&[(4_000, 4_000), (8_000, 4_000), (4_000, 4_000)]),
        Some((16_000, 10_667))
    );
    // A second at ten times the rate is no run: with the second beside it, it is.
    let short = [(1_000, 1_000), (10_000, 1_000), (1_000, 1_000)];
    assert_eq!(measured(&short), Some((44_000, 32_000)));
}

#[test]
fn s_35_what_is_no_run_still_has_a_rate() {
    // Shorter than half a target duration all together.
    assert_eq!(measured(&[(1_000, 1_000)]), Some((8_000, 8_000)));
    // Longer than one and a half, which no segment should be.
    let long = [(20_000, 10_000), (1_000, 4_000)];
    assert_eq!(measured(&long), Some((16_000, 12_000)));
}

#[test]
fn s_35_runs_of_both_texts_count() {
    // 6.4 s are over one and a half target durations, and within the draft's half second more.
    let run = [(2_000, 3_200), (2_000, 3_200)];
    assert_eq!(measured(&run), Some((5_000, 5_000)));
    // All pairs are over it, so that each is alone.
    let run = [(2_000, 3_300), (4_000, 3_300)];
    assert_eq!(measured(&run), Some((9_697, 7_273)));
}

#[test]
fn s_35_many_tiny_segments_cost_no_more_than_their_number() {
    let tiny = vec![(u64::MAX, 1); 100_000];
    assert_eq!(measured(&tiny).map(|(peak, _)| peak), Some(u64::MAX));
    let nothing = vec![(1, 0); 100_000];
    assert_eq!(measured(&nothing), None);
}
