//! What is no fault at all: a channel that breaks, changes or ends as channels do.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use super::stage::story::{TOLERANCE, micros};
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{EncoderFault, Names, OriginSpec, SegmentDurations};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_discontinuity_with_a_timestamp_jump() {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let ticks = 90_000 * 10_000;
    stage
        .strike(EncoderFault::DiscontinuityWithTimestampJump { ticks }, 1)
        .await;
    // Until it has left our window of ten: then it has to be counted (S-17).
    stage.run(28).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(1);
    story.check_relayed_if_listed_at(Duration::ZERO);
    let sequence = story
        .watched
        .versions
        .last()
        .unwrap()
        .1
        .discontinuity_sequence;
    story.check(
        sequence == 1,
        format!("S-17: EXT-X-DISCONTINUITY-SEQUENCE:{sequence}"),
    );
    story.end();
}

/// Longer segments raise the target duration once and for ever.
#[tokio::test(flavor = "multi_thread")]
async fn segments_become_longer_and_shorter_again() {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let fault = EncoderFault::TargetDurationChange {
        target_duration: 4,
        segment: Span::from_secs(4),
    };
    stage.strike(fault, 12).await;
    stage.run(10).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_relayed_if_listed_at(Duration::ZERO);
    let versions = story.watched.versions.iter();
    let mut stated: Vec<_> = versions
        .map(|(_, version)| version.target_duration)
        .collect();
    stated.dedup();
    story.check(
        stated == [2, 4],
        format!("S-03: target durations {stated:?}"),
    );
    story.check_said("target_duration_raised", "from 2");
    story.end();
}

/// A target duration that is only stated is no reason to raise ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_duration_that_only_says_it_rises() {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let fault = EncoderFault::TargetDurationChange {
        target_duration: 6,
        segment: Span::from_secs(2),
    };
    stage.strike(fault, 8).await;
    stage.run(8).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_target_duration_is(2);
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_duration_that_falls() {
    let mut spec = OriginSpec {
        target_duration: 3,
        durations: SegmentDurations::Constant(Span::from_secs(3)),
        ..spec()
    };
    let mut stage = Stage::open(spec.clone()).await;
    stage.steady().await;
    let fault = EncoderFault::TargetDurationChange {
        target_duration: 1,
        segment: Span::from_secs(1),
    };
    stage.strike(fault, 10).await;
    stage.run(6).await;
    spec.target_duration = 1;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_target_duration_is(3);
    story.end();
}

/// EXT-X-ENDLIST is passed on (S-14), and the next run goes on with our numbers.
#[tokio::test(flavor = "multi_thread")]
async fn endlist_and_live_again() {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    stage.viewer.may_end();
    let fault = EncoderFault::EndList {
        media_sequence: 0,
        names: Names::New,
    };
    let fault = stage.strike(fault, 8).await;
    stage.run(12).await;
    let mut story = stage.close().await;

    let ended = story
        .watched
        .versions
        .iter()
        .find(|(_, version)| version.ended)
        .map(|(at, _)| *at);
    story.check(
        ended.is_some_and(|ended| ended <= fault.from + TARGET * 3 / 2 + TOLERANCE),
        format!(
            "S-14: EXT-X-ENDLIST was seen at {ended:?}, the source's at {:?}",
            fault.from
        ),
    );
    let offered = &story.origins[0].offered;
    let first = offered
        .iter()
        .position(|offered| offered.media.run == 1)
        .unwrap();
    let listed = micros(offered[first].listed_at);
    let relayed = story
        .timeline
        .iter()
        .find(|piece| piece.media == Some((0, first)))
        .cloned();
    let took = relayed
        .as_ref()
        .map(|piece| piece.listed_at.saturating_sub(listed));
    println!("the new run is relayed after {took:.2?}");
    // A run begins when three segments are stored, or when it is clear that no more are to come.
    story.check(
        took.is_some_and(|took| took <= TARGET * 3 + TOLERANCE),
        format!("the new run is relayed after {took:?}"),
    );
    story.check(
        relayed.is_some_and(|piece| piece.discontinuity),
        "no discontinuity before the new run",
    );
    story.check_breaks_are(1);
    story.check_no_holes();
    story.check_relayed_if_listed_at(Duration::ZERO);
    story.end();
}
