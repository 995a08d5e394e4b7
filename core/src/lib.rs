//! The state machines of hls-relay: events in, commands out, no IO.
//!
//! Reading order: [`event`] and [`command`] (all causes and all effects), [`relay`] (one channel: the
//! handler over the stages), then the stages in the way of a segment: `loader`, `downloader`,
//! `processor`, `publisher`; [`playlist`] when you want to know how hostile text becomes a model.
//!
//! Absent on purpose: clocks, threads, IO, async, globals, floats, hash maps, logging. What the
//! operator is told leaves as a [`notice`]; the time comes in with every step.

#![deny(clippy::float_arithmetic)]

pub mod checkpoint;
pub mod command;
pub mod config;
pub mod date_ranges;
pub mod digest;
mod downloader;
pub mod event;
pub mod feed;
pub mod formats;
pub mod ids;
mod inline;
pub mod journal;
pub mod ladder;
pub mod lease;
pub mod limits;
mod loader;
pub mod node;
pub mod notice;
pub mod planted;
pub mod playlist;
pub mod preload;
mod presentation;
mod processor;
mod publisher;
pub mod relay;
mod rng;
mod stage;
pub mod tags;
pub mod time;
pub mod track;
pub mod turn;
