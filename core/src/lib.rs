//! The state machines of hls-relay.

pub mod playlist;
pub mod time;
