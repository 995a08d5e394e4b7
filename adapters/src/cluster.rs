//! Several nodes, one set of channels: who has which, and where it stands.

pub mod registry;
