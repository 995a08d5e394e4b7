//! The state machines of hls-relay.

pub mod time;
