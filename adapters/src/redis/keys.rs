//! What stands where in Redis. The braces are part of the names: the keys of one channel share a hash slot.

use hls_relay_core::node::ChannelId;

/// A key that all channels, or all nodes, have in common.
pub struct Shared {
    /// The key.
    pub name: &'static str,
    /// What stands there is a `list`, a `set` or a `hash`. Strangers may have put something else in its place.
    pub kind: &'static str,
}

/// The ids of channels that want an owner.
pub const PENDING: Shared = Shared {
    name: "hls-relay:pending",
    kind: "list",
};
/// The ids of all channels.
pub const CHANNELS: Shared = Shared {
    name: "hls-relay:channels",
    kind: "set",
};
/// A number: the newest revision of all channels.
pub const REVISION: &str = "hls-relay:revision";
/// The channel on which the ids of changed channels are told.
pub const CHANGED: &str = "hls-relay:changed";

/// The names of all nodes, and where each is asked by the others.
pub const NODES: Shared = Shared {
    name: "hls-relay:nodes",
    kind: "hash",
};

/// A text: what the nodes know each other by.
pub const SECRET: &str = "hls-relay:secret";

/// A hash that ends with the lease of its node: who it is, where, and how much it has to do.
pub fn node(name: &str) -> String {
    format!("hls-relay:node:{name}")
}

/// A hash: what a channel should be, whose it is, and what is observed of it.
pub fn channel(id: &ChannelId) -> String {
    format!("hls-relay:channel:{{{id}}}")
}

/// What a successor needs to go on with a channel.
pub fn checkpoint(id: &ChannelId) -> String {
    format!("hls-relay:checkpoint:{{{id}}}")
}

/// The text of a script of a channel, with what all of them share before it.
pub fn script(text: &str) -> String {
    [include_str!("channel.lua"), text].concat()
}
