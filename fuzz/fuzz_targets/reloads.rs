//! What a source answers, load by load:
//! `cargo fuzz run --sanitizer none reloads fuzz/corpus/reloads testdata/fuzz/reloads -- -max_len=8192`
#![no_main]
#![allow(dead_code, reason = "each target uses a part of what they share")]

#[path = "../../core/tests/support/mod.rs"]
mod support;
#[path = "../../core/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|series: &[u8]| {
    targets::reloads(series);
});
