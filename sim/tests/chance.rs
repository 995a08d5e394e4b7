//! What is left to chance depends on what it is for: one thing that goes wrong, or does no more, moves none
//! of the others. So a failing plan can be made smaller, and stays the same in all the rest.

use hls_relay_core::time::Span;
use hls_relay_sim::draw;
use hls_relay_sim::plan::{Plan, WakePlan};
use hls_relay_sim::store::{StoreFault, StoreFaultKind, StoreWork};
use hls_relay_sim::world::{Options, World};

/// Five minutes, with a store that takes its time.
fn plan() -> Plan {
    let mut plan = draw::faultless(7, Span::from_secs(500));
    plan.store.latency = Span::from_millis(5);
    plan.store.jitter = Span::from_millis(40);
    plan
}

fn loses_replies(from: u64, on: StoreWork) -> StoreFault {
    StoreFault {
        from: Span::from_secs(from),
        until: Span::from_secs(from + 60),
        on,
        kind: StoreFaultKind::ReplyLost,
    }
}

fn story(plan: Plan) -> Vec<String> {
    let options = Options {
        story: true,
        ..Options::default()
    };
    let outcome = World::new(plan, options).run();
    assert_eq!(outcome.failure, None);
    outcome.story
}

#[test]
fn wakeups_for_nothing_move_neither_the_stores_latency_nor_its_lost_replies() {
    let mut plan = plan();
    plan.store
        .faults
        .push(loses_replies(100, StoreWork::Publish));
    let alone = story(plan.clone());
    plan.wakes = WakePlan {
        twice: 50,
        by: Span::from_millis(1),
        ..WakePlan::default()
    };
    assert!(alone.len() > 30);
    assert_eq!(alone, story(plan));
}

#[test]
fn without_one_fault_another_strikes_as_it_did() {
    let mut plan = plan();
    plan.store.jitter = Span::ZERO;
    let (first, second) = (
        loses_replies(60, StoreWork::Delete),
        loses_replies(150, StoreWork::Publish),
    );
    plan.store.faults = vec![first, second];
    let both = story(plan.clone());
    plan.store.faults = vec![second];
    let later = |story: Vec<String>| {
        let mut lines = story.into_iter();
        lines.find(|line| line.trim_start().starts_with("150."));
        lines.collect::<Vec<String>>()
    };
    let (both, alone) = (later(both), later(story(plan)));
    // What is published again and again, as nobody said that it was.
    let published = both.iter().filter(|line| line.contains("list from"));
    assert!(published.count() > 50);
    assert_eq!(both, alone);
}
