//! The source fails as a whole: errors, resets, hangs, a playlist that stands still.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use hls_relay_sim::origin::{
    ConnectionFault, FaultKind, PlaylistFault, Requests, SegmentFault, ViewFault, Which,
};
use std::time::Duration;

/// Ten seconds of it: what the source still lists at the cure is relayed, and soon.
async fn ten_seconds_of(kind: impl Into<FaultKind>, within: Duration) {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let fault = stage.strike(kind, 10).await;
    stage.run(8).await;
    let mut story = stage.close().await;
    story.check_recovery(fault.to, within);
    story.check_relayed_if_listed_at(fault.to + within);
    story.check_said("state_changed", "stalled: ");
    story.check_said("state_changed", "live: ");
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn playlist_500_for_10_s() {
    ten_seconds_of(PlaylistFault::Status { code: 500 }, TARGET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn playlist_reset_for_10_s() {
    let on = Requests::Playlist;
    ten_seconds_of(ConnectionFault::Reset { on }, TARGET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_500_for_10_s() {
    let which = Which::All;
    ten_seconds_of(SegmentFault::Status { which, code: 500 }, TARGET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_reset_for_10_s() {
    let on = Requests::Segments;
    ten_seconds_of(ConnectionFault::Reset { on }, TARGET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_hangs_for_10_s() {
    let on = Requests::All;
    ten_seconds_of(ConnectionFault::Hang { on }, TARGET * 2).await;
}

/// Longer than the source's window: some is lost, said as a hole, and the last playlist was there all
/// the time (the viewer complains of anything but 200).
#[tokio::test(flavor = "multi_thread")]
async fn playlist_frozen_for_20_s() {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let fault = stage.strike(ViewFault::Freeze, 20).await;
    stage.run(8).await;
    let mut story = stage.close().await;
    story.check_said("state_changed", "stalled: source playlist unchanged for");
    story.check_recovery(fault.to, TARGET);
    story.check_relayed_if_listed_at(fault.to + TARGET);
    let holes = story.holes();
    let said = holes.len() == 1 && holes[0].gaps == holes[0].missing.len();
    story.check(said, format!("one hole, filled with gaps: {holes:?}"));
    story.check_said("hole", "EXT-X-GAP");
    story.check_nothing_downloaded_twice();
    story.end();
}

/// The same hole for players that don't know gaps.
#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_a_discontinuity_where_that_is_wanted() {
    let mut stage = Stage::open_with(vec![spec()], &["--hole", "discontinuity"]).await;
    stage.steady().await;
    let fault = stage.strike(ViewFault::Freeze, 20).await;
    stage.run(6).await;
    let mut story = stage.close().await;
    story.check_recovery(fault.to, TARGET);
    let holes = story.holes();
    let said = holes.len() == 1 && holes[0].gaps == 0 && holes[0].discontinuity;
    story.check(
        said,
        format!("one hole, said as a discontinuity: {holes:?}"),
    );
    story.check_breaks_are(1);
    story.end();
}

/// A backup's first segment is listed within max(3 target durations, 5 s) and one more after the
/// source died; its discontinuity is the only one.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_over() {
    let mut backup = spec();
    backup.first_tick = 90_000 * 3_600;
    backup.seed = 7;
    let mut stage = Stage::open_with(vec![spec(), backup], &[]).await;
    stage.steady().await;
    let on = Requests::All;
    let fault = stage.strike(ConnectionFault::Reset { on }, 16).await;
    let mut story = stage.close().await;
    let first = story
        .timeline
        .iter()
        .find(|piece| piece.media.is_some_and(|(origin, _)| origin == 1))
        .map(|piece| piece.listed_at);
    // The source may have died just after a segment, or just before one.
    story.check(
        first
            .is_some_and(|first| first <= fault.from + TARGET * 4 + super::stage::story::TOLERANCE),
        format!(
            "the backup's first segment was listed at {first:?}, the source died at {:?}",
            fault.from
        ),
    );
    story.check_breaks_are(1);
    story.check_said("switched", "the source in use is stalled");
    story.end();
}
