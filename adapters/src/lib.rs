//! Everything of hls-relay that touches the world: HTTP, files, clocks, signals, the terminal.
//!
//! **Invariant:** nothing is decided here. What is fetched, when, how often and what is listed comes
//! as a [`Command`](hls_relay_core::command::Command) from the machine in the core.
//!
//! Reading order: [`driver`] (the loop), [`worker`] (commands to tasks), then the adapters it uses:
//! [`fetch`], [`store`], [`checkpoint_file`], [`output`], [`server`], [`journal`]; then [`channel`], which puts
//! one together, [`node`], which has many, [`control_store`] and [`api`], by which they are changed, and [`app`], which does what a command line says.

pub mod api;
pub mod app;
pub mod channel;
pub mod checkpoint_file;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod control_store;
pub mod driver;
pub mod feed;
pub mod fetch;
mod file_lock;
pub mod journal;
pub mod logging;
pub mod mask;
mod mpegts;
pub mod node;
pub mod notices;
pub mod one_line;
pub mod origin_server;
pub mod output;
pub mod preload;
pub mod redis;
pub mod server;
pub mod spec;
pub mod status_line;
pub mod store;
pub mod transcode;
pub mod worker;
