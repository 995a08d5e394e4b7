//! The simulated world of hls-relay: whatever surrounds the state machines of `hls-relay-core`,
//! modelled without IO, so that an outage is a number and a race is a file.

mod by_name;
pub mod census;
pub mod checks;
pub mod cluster;
pub mod contract;
pub mod draw;
pub mod figures;
pub mod kept;
mod lines;
pub mod network;
pub mod origin;
pub mod plan;
pub mod player;
pub mod process;
pub mod published;
pub mod queue;
pub mod replay;
pub mod report;
pub mod rng;
pub mod scenario;
pub mod shrink;
pub mod store;
pub mod sweep;
pub mod timeline;
pub mod viewer;
pub mod words;
pub mod workers;
pub mod world;
