//! What tests of real processes and real sockets have in common.

// Each test program takes what it needs of it.
#![allow(dead_code)]

pub(crate) mod binary;
pub(crate) mod live_segments;
pub(crate) mod raw_server;
pub(crate) mod redis_kinds;
pub(crate) mod redis_server;
