//! What is counted, by name. A variant that is added to one of these enums does not compile before it has a
//! name here; and what has a name must happen in a large sweep, or stand among what no seed draws.
//!
//! `machine`: what a machine is told, wants and says · `world`: what befalls it.

/// For each enum a function from a value to its name, and one list of all names.
macro_rules! names {
    ($($function:ident($type:ty) { $($($pattern:pat_param)|+ => $name:literal,)* })*) => {
        $(pub(in crate::census) fn $function(value: $type) -> Name {
            match value { $($($pattern)|+ => const { Name::of($name) },)* }
        })*
        /// Everything that has a name here.
        pub(super) const NAMES: &[&str] = &[$($($name,)*)*];
    };
}

mod machine;
mod world;

pub(super) use machine::*;
pub(super) use world::*;

/// Everything that has a name.
pub(super) const ALL: &[&str] = &all();

const fn all() -> [&'static str; machine::NAMES.len() + world::NAMES.len()] {
    let mut all = [""; machine::NAMES.len() + world::NAMES.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = match place < machine::NAMES.len() {
            true => machine::NAMES[place],
            false => world::NAMES[place - machine::NAMES.len()],
        };
        place += 1;
    }
    all
}

/// A name, by its place among [`ALL`]: what happens in each step is counted without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) usize);

impl Name {
    /// A name that there is not does not compile.
    pub(super) const fn of(name: &str) -> Self {
        let mut place = 0;
        while !is_same(ALL[place].as_bytes(), name.as_bytes()) {
            place += 1;
        }
        Self(place)
    }
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
