//! Several nodes and a Redis, as real processes.

mod kinds_of_redis;
mod registry;
#[path = "../support/mod.rs"]
mod support;
