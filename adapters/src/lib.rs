//! The adapters of hls-relay: HTTP, stores, the server and the command line around the core.

pub mod origin_server;
