//! The same plan, twice: the same commands, and a journal that replays.

use hls_relay_core::relay::Relay;
use hls_relay_core::time::Span;
use hls_relay_sim::cluster;
use hls_relay_sim::draw;
use hls_relay_sim::replay::{self, NodeMachine};
use hls_relay_sim::world::{Options, World};

#[test]
fn a_seed_gives_the_same_digest_twice() {
    for seed in 0..20 {
        let digest = || {
            World::new(draw::plan(seed), Options::default())
                .run()
                .digest
        };
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
fn journals_replay_to_the_same_commands_and_show_what_was_changed() {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    let plan = draw::faultless(7, Span::from_secs(600));
    let outcome = World::new(plan, options).run();
    assert_eq!(outcome.failure, None);
    assert!(replay::check::<Relay>(&outcome.journal).unwrap() > 500);

    let whole = outcome.journal.as_str();
    let torn = &whole[..whole.len() - 20];
    assert!(
        replay::check::<Relay>(torn).is_ok(),
        "a torn last line is left out"
    );

    let lines: Vec<&str> = whole.lines().collect();
    let mut missing = lines.clone();
    missing.remove(300);
    let error = replay::check::<Relay>(&(missing.join("\n") + "\n")).unwrap_err();
    assert!(error.to_string().contains("follows where step"), "{error}");

    let other = lines[400].rfind("\"commands\":\"").unwrap() + 12;
    let mut forged: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    forged[400].replace_range(other..other + 1, "g");
    assert!(replay::check::<Relay>(&(forged.join("\n") + "\n")).is_err());
}

#[test]
fn what_the_nodes_of_a_cluster_are_told_replays_and_names_no_source() {
    let options = cluster::Options {
        journal: true,
        ..cluster::Options::default()
    };
    for seed in 0..4 {
        let outcome = cluster::World::new(cluster::plan::Plan::draw(seed), options).run();
        assert!(outcome.journals.len() > 1);
        for journal in outcome.journals {
            assert!(
                replay::check::<NodeMachine>(&journal).unwrap() > 200,
                "{seed}"
            );
            assert!(!journal.contains("origin"), "{seed}");
            let error = replay::check::<Relay>(&journal).unwrap_err();
            assert!(
                error.to_string().contains("not the journal of a channel"),
                "{error}"
            );
            let forged = journal.replacen("\"Held\"", "\"Missing\"", 1);
            let error = replay::check::<NodeMachine>(&forged).unwrap_err();
            assert!(
                error.to_string().contains("the journal says commands"),
                "{error}"
            );
        }
    }
}
