//! The simulated world of hls-relay: whatever surrounds the state machines of `hls-relay-core`,
//! modelled without IO, so that an outage is a number and a race is a file.

pub mod origin;
pub mod rng;
