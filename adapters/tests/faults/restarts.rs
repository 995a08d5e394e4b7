//! The encoder at the source starts again, or its edges disagree.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use super::stage::story::{Story, TOLERANCE, micros};
use hls_relay_sim::origin::{EncoderFault, Names, OriginSpec, ViewFault};
use std::time::Duration;

/// The source does something new, once; gives the story after enough of it.
async fn struck_by(spec: OriginSpec, fault: EncoderFault) -> Story {
    let mut stage = Stage::open(spec).await;
    stage.steady().await;
    stage.run(3).await;
    stage.strike(fault, 1).await;
    stage.run(16).await;
    stage.close().await
}

/// What every restart promises: recognised in time, one discontinuity, nothing of the new run lost,
/// and our numbers go on (the viewer complains if they don't).
fn check_restart(mut story: Story, within: Duration) {
    let first_new = |run: u32| {
        let offered = &story.origins[0].offered;
        offered.iter().position(|offered| offered.media.run == run)
    };
    let first = first_new(1).expect("a new run");
    let listed = micros(story.origins[0].offered[first].listed_at);
    let new_run = story
        .timeline
        .iter()
        .find(|piece| piece.media.is_some_and(|(_, index)| index >= first))
        .cloned();
    match new_run {
        None => story.check(false, "nothing of the new run is relayed"),
        Some(piece) => {
            let took = piece.listed_at - listed;
            println!("the new run is relayed after {took:.2?}, promised within {within:?}");
            story.check(
                took <= within + TOLERANCE,
                format!("the new run is relayed {took:.2?} after it was listed, not {within:?}"),
            );
            story.check(piece.discontinuity, "no discontinuity before the new run");
            story.check(
                piece.media == Some((0, first)),
                format!("the new run begins with {:?}, not {first}", piece.media),
            );
        }
    }
    story.check_breaks_are(1);
    story.check_relayed_if_listed_at(listed + within);
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_at_0_with_new_names() {
    let fault = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    };
    let mut story = struck_by(spec(), fault).await;
    story.check_said("broken", "the source restarted");
    check_restart(story, TARGET);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_sequence_jumps_ahead() {
    let mut story = struck_by(spec(), EncoderFault::JumpAhead { by: 1_000 }).await;
    story.check_said("broken", "the source jumped ahead");
    check_restart(story, TARGET);
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_at_0_with_the_same_names_and_date_times() {
    let spec = OriginSpec {
        media_sequence: 0,
        program_date_time: true,
        ..spec()
    };
    let fault = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::Same,
    };
    let mut story = struck_by(spec, fault).await;
    story.check_said("broken", "the source restarted");
    check_restart(story, TARGET);
}

/// Only growth below our position tells: 1.5 target durations of it.
#[tokio::test(flavor = "multi_thread")]
async fn restart_at_0_with_the_same_names_without_date_times() {
    let spec = OriginSpec {
        media_sequence: 0,
        backlog: 12,
        ..spec()
    };
    let fault = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::Same,
    };
    let mut story = struck_by(spec, fault).await;
    story.check_said("broken", "the source restarted");
    check_restart(story, TARGET * 3 / 2 + TARGET);
}

async fn edges_disagree(fault: ViewFault, seconds: u64) {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    stage.strike(fault, seconds).await;
    stage.run(6).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_nothing_downloaded_twice();
    story.check_relayed_if_listed_at(Duration::ZERO);
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_disagree_by_one_reload() {
    edges_disagree(ViewFault::TwoEdges { lag: 1 }, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_disagree_by_two_reloads() {
    edges_disagree(ViewFault::TwoEdges { lag: 2 }, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playlist_flaps_back() {
    edges_disagree(ViewFault::GoBackwards { by: 2 }, 4).await;
}
