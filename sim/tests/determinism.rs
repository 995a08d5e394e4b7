//! The same plan, twice: the same commands, and a journal that replays.

use hls_relay_core::time::Span;
use hls_relay_sim::draw;
use hls_relay_sim::replay;
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
    assert!(replay::check(&outcome.journal).unwrap() > 500);

    let whole = outcome.journal.as_str();
    let torn = &whole[..whole.len() - 20];
    assert!(replay::check(torn).is_ok(), "a torn last line is left out");

    let lines: Vec<&str> = whole.lines().collect();
    let mut missing = lines.clone();
    missing.remove(300);
    let error = replay::check(&(missing.join("\n") + "\n")).unwrap_err();
    assert!(error.to_string().contains("follows where step"), "{error}");

    let other = lines[400].rfind("\"commands\":\"").unwrap() + 12;
    let mut forged: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    forged[400].replace_range(other..other + 1, "g");
    assert!(replay::check(&(forged.join("\n") + "\n")).is_err());
}
