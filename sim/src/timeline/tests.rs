//! What the picture shows, and how large it may become.

use super::*;
use crate::draw;
use crate::plan::Plan;
use crate::replay::Replayer;
use crate::world::{Options, World};
use std::ops::ControlFlow;

fn picture(plan: Plan) -> String {
    timeline(plan, &mut |_| ()).svg()
}

/// What is drawn, and each command on the way.
fn timeline(plan: Plan, each: &mut dyn FnMut(&Command)) -> Timeline {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    let outcome = World::new(plan, options).run();
    let mut timeline = Timeline::default();
    let mut see = |seen: Seen<'_>| {
        timeline.see(&seen);
        if let Seen::Step(_, commands) = seen {
            commands.iter().for_each(&mut *each);
        }
        ControlFlow::Continue(())
    };
    let went_on = Replayer::<hls_relay_core::relay::Relay>::default()
        .piece(outcome.journal.as_bytes(), &mut see);
    assert!(went_on.unwrap().is_continue());
    timeline
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
    let hours = picture(draw::plan_of_length(1, Span::from_secs(2 * 3_600)));
    assert!(hours.len() < 1 << 20, "{} bytes", hours.len());
    assert!(hours.matches("class=\"bad\"").count() > 1);
}

#[test]
fn every_version_is_drawn_of_presentations_and_of_ladders_too() {
    let plans = || (1..).map(|seed| draw::plan_of_length(seed, Span::from_secs(180)));
    let presents = |it: &Plan| it.origins.iter().any(|it| it.presentation.is_some());
    let presentation = plans().find(presents).unwrap();
    let ladder = plans().find(|it| it.channel.ladder.is_some()).unwrap();
    for plan in [presentation, ladder] {
        let (mut versions, mut withdrawn) = (0, 0);
        let timeline = timeline(plan, &mut |command| {
            versions += usize::from(matches!(command, Command::Publish(_)));
            withdrawn += usize::from(matches!(command, Command::Withdraw { .. }));
        });
        let drawn = timeline.marks.iter();
        let drawn = drawn.filter(|it| it.row == Row::Published).count();
        let open = timeline.under_way.values();
        let open = open.filter(|it| it.row == Row::Published).count();
        assert!(versions > 10, "{versions} versions");
        assert_eq!(drawn + open, versions + withdrawn);
        assert!(!timeline.svg().contains("refused: a multivariant playlist"));
    }
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
