//! A cluster: several nodes, each with the machine of a node and one for each channel that it has, around one
//! Redis, and everything that can come between them.
//!
//! `plan` says what goes wrong, `world` lets it happen, `due` is what will, `link` is what lies between nodes and Redis,
//! `carry` and `relays` do what the machines want, `wishes` are what is wanted of channels and `changes` what became of it,
//! `redis` keeps the semantics of the real one, `checks` says what must hold and `viewers` see it, `shrink` makes a plan
//! smaller.
//!
//! Absent on purpose: faults of sources and stores, which [`crate::world`] has; two nodes with one name; a node
//! that starts on the side of Redis while all others are cut off from it and from Redis.

mod carry;
mod changes;
mod checks;
mod clock;
mod due;
mod link;
pub mod plan;
mod process;
mod redis;
mod relays;
pub mod shrink;
pub mod sweep;
mod viewers;
mod wishes;
mod world;

pub use world::{Options, Outcome, World};
