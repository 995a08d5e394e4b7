//! The adapters against real sockets, real files and, for the command line, the real binary.

mod access;
mod asking;
mod checkpoint_file;
mod command_line;
mod connections;
mod driver;
mod fetch;
mod fetch_limits;
mod formats;
mod http2;
mod journal;
mod journal_share;
mod origin_forms;
mod renewal;
mod selection;
mod server;
mod store;
mod store_full;
#[path = "../support/mod.rs"]
mod support;
mod worker;
