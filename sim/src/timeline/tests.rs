//! What the picture shows, and how large it may become.

use super::*;
use crate::draw;
use crate::replay::Replayer;
use crate::world::{Options, World};
use std::ops::ControlFlow;

fn picture(plan: crate::plan::Plan) -> String {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    let outcome = World::new(plan, options).run();
    let mut timeline = Timeline::default();
    let mut see = |seen: Seen<'_>| {
        timeline.see(&seen);
        ControlFlow::Continue(())
    };
    let went_on = Replayer::<hls_relay_core::relay::Relay>::default()
        .piece(outcome.journal.as_bytes(), &mut see);
    assert!(went_on.unwrap().is_continue());
    timeline.svg()
}

#[test]
fn a_life_without_faults_is_one_live_band_and_no_red() {
    let svg = picture(draw::faultless(1, Span::from_secs(60)));
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(">live</text>"), "{svg}");
    assert!(svg.contains("origin0.test/live/index.m3u8"));
    assert_eq!(svg.matches("class=\"bad\"").count(), 1, "the legend's");
    assert_eq!(svg.matches("<rect").count(), svg.matches("</rect>").count());
    assert!(svg.contains("0 holes"));
}

#[test]
fn hours_with_faults_are_a_picture_of_bounded_size() {
    let hours = picture(draw::plan_of_length(3, Span::from_secs(2 * 3_600)));
    assert!(hours.len() < 1 << 20, "{} bytes", hours.len());
    assert!(hours.matches("class=\"bad\"").count() > 1);
}

#[test]
fn the_same_journal_draws_the_same_picture() {
    let plan = || draw::plan(7);
    assert_eq!(picture(plan()), picture(plan()));
}

#[test]
fn nothing_is_a_picture_too() {
    assert!(Timeline::default().svg().starts_with("<svg"));
}

/// Somebody else's journal may say anything about the time.
#[test]
fn clocks_that_are_wrong_by_ages_draw_a_bounded_picture() {
    for (first, last) in [
        (0, i64::MAX),
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (-5, 3),
    ] {
        let mut timeline = Timeline::default();
        for wall in [first, last] {
            let now = Now {
                monotonic: Timestamp::from_micros(wall.unsigned_abs()),
                wall: WallTime::from_micros(wall),
            };
            timeline.step(
                &Record {
                    seq: 0,
                    now,
                    event: Event::ShutDown,
                    digest: None,
                },
                &[],
            );
        }
        let svg = timeline.svg();
        assert!(
            svg.len() < 100_000,
            "{first} to {last}: {} bytes",
            svg.len()
        );
    }
}
