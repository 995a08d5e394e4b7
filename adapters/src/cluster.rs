//! Several nodes, one set of channels: who has which, and where it stands. What is to be done is decided by the
//! node's machine in the core.

pub mod elsewhere;
pub mod hands;
pub mod hints;
pub mod owned;
pub mod registry;
pub mod secrets;
pub mod seeds;
pub mod validity;

/// Where the nodes ask each other, before the name of who asks. No channel is named so.
pub const PEER_PATH: &str = "/.hls-relay/peer/";
/// The header in which they show by what they know each other.
pub const PEER_SECRET: &str = "hls-relay-secret";
