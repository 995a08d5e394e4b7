//! A live channel from end to end, as the tests of real processes see it: an origin that can be made to
//! fail, the real binary, and a viewer that believes nothing.

// Each test program takes what it needs of it.
#![allow(dead_code, unreachable_pub)]

pub mod channel;
pub mod live_folder;
pub mod published;
pub mod relay;
pub mod reloads;
pub mod small_disk;
pub mod story;
pub mod viewer;
