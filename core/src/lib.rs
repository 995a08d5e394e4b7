//! The state machines of hls-relay: events in, commands out, no IO.

#![deny(clippy::float_arithmetic)]

pub mod checkpoint;
pub mod command;
pub mod config;
pub mod digest;
mod downloader;
pub mod event;
pub mod ids;
pub mod journal;
mod loader;
pub mod notice;
pub mod planted;
pub mod playlist;
mod processor;
mod publisher;
pub mod relay;
mod rng;
mod stage;
pub mod time;
