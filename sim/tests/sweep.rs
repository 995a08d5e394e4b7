//! A sweep of a few seconds, so that plain `cargo test` looks at more than the scenarios. The real one
//! is `cargo run --release -p hls-relay-sim -- sweep`.

use hls_relay_core::time::Span;
use hls_relay_sim::sweep::Sweep;

#[test]
fn a_short_sweep_holds() {
    let sweep = Sweep {
        from: 1,
        count: Some(150),
        time: None,
        length: Span::from_secs(150),
        threads: 2,
    };
    let swept = sweep.run(|_| {});
    assert_eq!(swept.seeds, 150);
    assert!(swept.failures.is_empty(), "{:?}", swept.failures);
}
