//! Hostile text to a model and back:
//! `cargo fuzz run --sanitizer none playlist fuzz/corpus/playlist testdata/fuzz/playlist -- -max_len=8192`
#![no_main]
#![allow(dead_code, reason = "each target uses a part of what they share")]

#[path = "../../core/tests/support/mod.rs"]
mod support;
#[path = "../../core/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    targets::playlist(body);
});
