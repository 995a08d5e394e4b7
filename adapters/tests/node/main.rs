//! Many channels in one process, as operators and viewers meet them: the real binary over loopback, fed by
//! live origins.

mod api;
mod channel_command;
mod configuration;
mod control_store;
mod life;
mod operator;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod viewers;
