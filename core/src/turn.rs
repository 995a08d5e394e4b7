//! Whose turn it is at workers that several channels share.
//!
//! Orders wait in two lines, each first in, first out, and the second one is served where nothing waits in the first.
//! So an order in the first waits for one of each other channel and for what workers have in their hands, however
//! many a channel puts down at once.

use crate::planted::{Mistake, Planted};

/// In which line an order waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// In the first: its channel has no other.
    First,
    /// In the second: its channel has one already.
    Further,
}

impl Turn {
    /// That of the next order of a channel; `has_one` says whether another one of it waits, or is worked on.
    pub fn of(has_one: bool, planted: Planted) -> Self {
        match has_one && !planted.makes(Mistake::OrdersInOneLine) {
            true => Self::Further,
            false => Self::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_one_order_of_a_channel() {
        assert_eq!(Turn::of(false, Planted::default()), Turn::First);
        assert_eq!(Turn::of(true, Planted::default()), Turn::Further);
    }
}
