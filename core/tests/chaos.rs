//! Random faults, one after the other and at once, over a few minutes of a channel. The bench's
//! checker looks at every version; here the rest: nothing is out of place, and it heals.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each question looks at a few of the faults"
)]

mod support;

use hls_relay_core::event::{Desired, Event, FetchError, StoreError};
use hls_relay_core::notice::State;
use proptest::prelude::*;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

const BACKUP: &str = "http://backup.example/live/index.m3u8";
/// Faults begin before that; then everything is well.
const CURED: u64 = 150;

/// What the world does wrong for a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    ListFails,
    ListHangs,
    ListFreezes,
    ListIsOlder(u64),
    ListIsRubbish,
    SegmentsFail,
    SomeSegmentsFail(u64),
    SegmentsAreSlow(u64),
    PublishFails,
    PublishIsLost,
    BackupFails,
}

/// What its owner, or the machine, does at a moment.
#[derive(Clone, Copy, Debug)]
enum Act {
    Kill { store_survives: bool },
    ShutDown,
    StopAndRun(u64),
    Swap,
    Window(usize),
    StrictPace,
}

#[derive(Clone, Debug)]
struct Plan {
    micros: u64,
    window: u64,
    dated: bool,
    tokens: bool,
    /// The encoder restarts then, under a new name.
    restarts: Option<u64>,
    faults: Vec<(u64, u64, Fault)>,
    acts: Vec<(u64, Act)>,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::ListFails),
        Just(Fault::ListHangs),
        Just(Fault::ListFreezes),
        (1..4_u64).prop_map(Fault::ListIsOlder),
        Just(Fault::ListIsRubbish),
        Just(Fault::SegmentsFail),
        (2..5_u64).prop_map(Fault::SomeSegmentsFail),
        (1..9_000_u64).prop_map(Fault::SegmentsAreSlow),
        Just(Fault::PublishFails),
        Just(Fault::PublishIsLost),
        Just(Fault::BackupFails),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any::<bool>().prop_map(|store_survives| Act::Kill { store_survives }),
        Just(Act::ShutDown),
        (0..20_000_u64).prop_map(Act::StopAndRun),
        Just(Act::Swap),
        (6..12_usize).prop_map(Act::Window),
        Just(Act::StrictPace),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let faults = proptest::collection::vec((25..CURED - 20, 1..20_u64, fault()), 0..5);
    let acts = proptest::collection::vec((20_000..CURED * 1_000, act()), 0..4);
    let micros = prop_oneof![Just(2 * SEC), Just(1_500_000), Just(4 * SEC)];
    let restarts = proptest::option::of(40..CURED);
    let source = (micros, 3..10_u64, any::<bool>(), any::<bool>(), restarts);
    (source, faults, acts).prop_map(|(source, faults, mut acts)| {
        acts.sort_by_key(|it| it.0);
        let (micros, window, dated, tokens, restarts) = source;
        Plan {
            micros,
            window,
            dated,
            tokens,
            restarts,
            faults,
            acts,
        }
    })
}

impl Plan {
    fn now(&self, now: u64) -> Vec<Fault> {
        let of = |it: &&(u64, u64, Fault)| (it.0 * SEC..(it.0 + it.1) * SEC).contains(&now);
        self.faults.iter().filter(of).map(|it| it.2).collect()
    }

    fn run(&self, prefix: &str, first: u64) -> Run {
        let mut run = Run::new(self.micros).named(prefix, first);
        (run.window, run.dated, run.tokens) = (self.window, self.dated, self.tokens);
        run
    }

    fn list(&self, now: u64) -> String {
        match self.restarts {
            Some(at) if now >= at * SEC + 2 * self.micros => {
                self.run("again", 0).between(at * SEC, u64::MAX).at(now)
            }
            Some(at) => self.run("seg", 100).at(now.min(at * SEC)),
            None => self.run("seg", 100).at(now),
        }
    }

    fn load(&self, now: u64, url: &str) -> Result<String, FetchError> {
        if url == BACKUP {
            return match self
                .now(now)
                .iter()
                .any(|it| matches!(it, Fault::BackupFails))
            {
                true => Err(FetchError::Status(502)),
                false => Ok(self.run("b", 7_000).at(now)),
            };
        }
        let mut at = now;
        for fault in self.now(now) {
            match fault {
                Fault::ListFails => return Err(FetchError::Status(500)),
                Fault::ListHangs => {
                    return Err(FetchError::FirstByteTimeout(support::seconds(2)));
                }
                Fault::ListIsRubbish => return Ok("<html>not now</html>".to_owned()),
                Fault::ListFreezes => {
                    let began = self.faults.iter().map(|it| it.0 * SEC);
                    at = at.min(began.filter(|it| *it <= now).max().unwrap_or(now));
                }
                Fault::ListIsOlder(by) if (now / SEC).is_multiple_of(3) => at -= by * self.micros,
                _ => {}
            }
        }
        Ok(self.list(at))
    }

    fn get(&self, now: u64, url: &str) -> Result<u64, FetchError> {
        for fault in self.now(now) {
            match fault {
                Fault::SegmentsFail => return Err(FetchError::Status(503)),
                Fault::SomeSegmentsFail(each)
                    if (url.len() as u64 + now / SEC).is_multiple_of(each) =>
                {
                    return Err(FetchError::Truncated {
                        received: 1,
                        expected: 2,
                    });
                }
                Fault::SegmentsAreSlow(millis) => return Ok(millis * 1_000),
                _ => {}
            }
        }
        Ok(30_000 + now % 90_000)
    }

    fn publish(&self, now: u64) -> Result<(), StoreError> {
        let faults = self.now(now);
        if faults.iter().any(|it| matches!(it, Fault::PublishFails)) {
            Err(StoreError::Failed("busy".into()))
        } else if faults.iter().any(|it| matches!(it, Fault::PublishIsLost)) {
            Err(StoreError::Unknown)
        } else {
            Ok(())
        }
    }
}

fn act_on(bench: &mut Bench, act: Act, spec: &mut Spec, seed: u64) {
    match act {
        Act::Kill { store_survives } => {
            bench.kill(seed, store_survives);
            bench.run(spec.clone());
        }
        Act::ShutDown => {
            bench.step(Event::ShutDown);
            bench.pass(bench.now + 8 * SEC);
            assert!(bench.relay.is_finished());
            bench.kill(seed, true);
            bench.run(spec.clone());
        }
        Act::StopAndRun(millis) => {
            bench.configure(spec.clone(), Desired::Stop);
            bench.pass(bench.now + millis * 1_000);
            bench.run(spec.clone());
        }
        Act::Swap => {
            spec.sources.reverse();
            bench.run(spec.clone());
        }
        Act::Window(window) => {
            spec.window = Some(window);
            bench.run(spec.clone());
        }
        Act::StrictPace => {
            spec.reload = hls_relay_core::config::ReloadPolicy::TargetDuration;
            bench.run(spec.clone());
        }
    }
}

fn relay_through(plan: &Plan) {
    let (lists, segments, store) = (plan.clone(), plan.clone(), plan.clone());
    let mut bench = Bench::new(Box::new(move |now, url| lists.load(now, url)));
    bench.segment = Box::new(move |now, url| segments.get(now, url));
    bench.publish = Box::new(move |now| store.publish(now));
    bench.now = 20 * SEC;
    bench.checker.free_pace = true;
    let mut spec = spec(&[URL, BACKUP]);
    bench.run(spec.clone());
    for (seed, (at, act)) in (50..).zip(&plan.acts) {
        bench.pass((at * 1_000).max(bench.now));
        act_on(&mut bench, *act, &mut spec, seed);
    }
    bench.pass((CURED + 90) * SEC);
    assert_eq!(bench.status().state, State::Live);
    let (at, _) = bench.published.last().expect("published");
    assert!(bench.now - at <= 3 * plan.micros, "nothing since {at}");
    bench.checker.check_breaks();
    assert!(bench.objects.len() < 60, "{}", bench.objects.len());
    let names: std::collections::BTreeSet<_> =
        bench.checker.relayed().into_iter().flatten().collect();
    assert!(names.len() > 20);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_goes_wrong_every_version_is_right_and_it_heals(plan in plan()) {
        relay_through(&plan);
    }
}

#[test]
fn s_15_a_new_run_whose_beginning_left_before_it_could_be_published() {
    relay_through(&Plan {
        micros: 2 * SEC,
        window: 3,
        dated: false,
        tokens: false,
        restarts: None,
        faults: vec![(80, 14, Fault::PublishFails)],
        acts: vec![(73_261, Act::StopAndRun(6_629))],
    });
}
