//! Single segments in trouble, while all else is well.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use super::stage::story::{Story, TOLERANCE, micros};
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{SegmentFault, Which};
use std::time::Duration;

/// A segment of the near future goes wrong; for so long.
async fn one_segment(fault: impl Fn(Which) -> SegmentFault, seconds: u64) -> (Story, u64) {
    let stage = Stage::open(spec()).await;
    stage.steady().await;
    let number = stage.origin().truth().last().unwrap().media.number + 2;
    let length = Duration::from_secs(seconds);
    stage.origin().inject(fault(Which::Number(number)), length);
    stage.run(20).await;
    (stage.close().await, number)
}

/// For ever: tried again while it is waited for, at most three target durations; then it is a hole,
/// and its successors, which were there all the time, are listed at once.
async fn lost_for_ever(fault: impl Fn(Which) -> SegmentFault, words: &str) {
    let (mut story, number) = one_segment(fault, 60).await;
    let origin = &story.origins[0];
    let lost = origin
        .offered
        .iter()
        .find(|offered| offered.media.number == number)
        .unwrap();
    let (listed, path) = (micros(lost.listed_at), lost.path.clone());
    let asked: Vec<_> = origin
        .requests
        .iter()
        .filter(|request| request.path == path)
        .cloned()
        .collect();
    let successor = origin
        .requests
        .iter()
        .find(|request| request.path.ends_with(&format!("seg{}.ts", number + 1)))
        .cloned();

    let holes = story.holes();
    let one = holes.len() == 1 && holes[0].missing == [number] && holes[0].gaps == 1;
    story.check(
        one,
        format!("one hole, one gap, number {number}: {holes:?}"),
    );
    story.check_breaks_are(0);
    if let Some(hole) = holes.first() {
        // It was seen when it was first asked for: at the reload after it was listed, and no relay may
        // reload sooner than a segment's duration after the last change.
        let seen = asked.first().map_or(listed, |request| request.at);
        story.check(
            seen <= listed + TARGET + TOLERANCE,
            format!("listed at {listed:.2?} and first asked for at {seen:.2?}"),
        );
        let latest = seen + TARGET * 3 + TOLERANCE;
        story.check(
            hole.listed_at <= latest,
            format!(
                "the hole was said at {:.2?}, promised until {latest:.2?}",
                hole.listed_at
            ),
        );
        println!(
            "hole said {:.2?} after the segment was seen",
            hole.listed_at - seen
        );
        // All that had come meanwhile appears with the hole, in one version.
        let together = story
            .timeline
            .iter()
            .filter(|piece| piece.listed_at == hole.listed_at);
        let together = together.count();
        story.check(
            together >= 3,
            format!("{together} segments were listed with the hole"),
        );
        story.check(
            successor.is_some_and(|request| request.at + TARGET < hole.listed_at),
            "its successor was not downloaded meanwhile",
        );
        let late = asked
            .iter()
            .filter(|request| request.at > hole.listed_at + TOLERANCE)
            .count();
        story.check(
            late == 0,
            format!("asked for {late} times after it was given up"),
        );
    }
    story.check(asked.len() >= 2, format!("asked for {} times", asked.len()));
    story.check_said("segment_retry", words);
    story.check_said("hole", words);
    story.end();
}

/// For less than that: no hole, nothing lost.
async fn comes_late(fault: impl Fn(Which) -> SegmentFault, seconds: u64) {
    let (mut story, number) = one_segment(fault, seconds).await;
    story.check_no_holes();
    story.check_breaks_are(0);
    let relayed = story.timeline.iter().any(|piece| {
        piece
            .media
            .is_some_and(|(_, index)| story.origins[0].offered[index].media.number == number)
    });
    story.check(relayed, "the segment is not relayed");
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_404_for_ever() {
    lost_for_ever(
        |which| SegmentFault::Missing { which },
        "the origin answers 404",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_truncated_for_ever() {
    lost_for_ever(|which| SegmentFault::Truncated { which }, "cut short").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_reset_half_way_for_ever() {
    lost_for_ever(|which| SegmentFault::ResetHalfWay { which }, "broke after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_dripping_for_ever() {
    let fault = |which| SegmentFault::Drip {
        which,
        bytes_per_second: 1_024,
    };
    lost_for_ever(fault, "too slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_404_for_3_s_after_it_was_listed() {
    let fault = |which| SegmentFault::Late {
        which,
        by: Span::from_secs(3),
    };
    comes_late(fault, 60).await;
}

/// From two seconds before it is listed until three after.
#[tokio::test(flavor = "multi_thread")]
async fn segment_truncated_for_a_while() {
    comes_late(|which| SegmentFault::Truncated { which }, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_reset_half_way_for_a_while() {
    comes_late(|which| SegmentFault::ResetHalfWay { which }, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_dripping_for_a_while() {
    let fault = |which| SegmentFault::Drip {
        which,
        bytes_per_second: 1_024,
    };
    comes_late(fault, 7).await;
}
