//! What goes wrong again and again is told once for each cause, until it is over.

use crate::event::{FetchError, PreloadError};
use crate::notice::Miss;
use serde::{Deserialize, Serialize};
use std::mem::discriminant;

/// More causes of one row are not told.
const MOST_TOLD: usize = 8;

/// Failures one after the other; none where all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row<T> {
    told: Vec<T>,
    last: Option<T>,
}

/// Whether two failures have the same cause, whatever the numbers and words in it.
pub(crate) trait Cause: Clone {
    fn is_like(&self, other: &Self) -> bool;
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            last: None,
        }
    }
}

impl<T: Cause> Row<T> {
    /// One more. Gives whether it is to be told.
    pub(crate) fn fails(&mut self, why: &T) -> bool {
        self.last = Some(why.clone());
        let is_told = self.told.iter().any(|it| it.is_like(why)) || self.told.len() >= MOST_TOLD;
        if !is_told {
            self.told.push(why.clone());
        }
        !is_told
    }

    /// All is well. Gives whether that is new.
    pub(crate) fn ends(&mut self) -> bool {
        self.told.clear();
        self.last.take().is_some()
    }

    /// Why the last one failed.
    pub(crate) fn last(&self) -> Option<&T> {
        self.last.as_ref()
    }
}

impl Cause for Miss {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NotMade(one), Self::NotMade(other)) => discriminant(one) == discriminant(other),
            (Self::Rung(one), Self::Rung(other)) => discriminant(one) == discriminant(other),
            _ => discriminant(self) == discriminant(other),
        }
    }
}

impl Cause for PreloadError {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(FetchError::Status(one)), Self::Failed(FetchError::Status(other))) => {
                one == other
            }
            (Self::Failed(one), Self::Failed(other)) => discriminant(one) == discriminant(other),
            _ => discriminant(self) == discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TranscodeError;
    use crate::time::Span;

    #[test]
    fn each_cause_is_told_once_until_it_is_over() {
        let late = |seconds| Miss::Late(Span::from_secs(seconds));
        let broken = |words: &str| Miss::NotMade(TranscodeError::Undecodable(words.into()));
        let mut row = Row::default();
        let causes = [
            late(2),
            late(3),
            broken("a"),
            broken("b"),
            late(2),
            Miss::Encrypted,
        ];
        let told = causes.map(|it| row.fails(&it));
        assert_eq!(told, [true, false, true, false, false, true]);
        assert_eq!(row.last(), Some(&Miss::Encrypted));
        assert!(row.ends() && !row.ends());
        assert_eq!(row.last(), None);
        assert!(row.fails(&late(2)));
    }

    #[test]
    fn another_status_is_another_cause_and_of_many_some_are_told() {
        let status = |code| PreloadError::Failed(FetchError::Status(code));
        let mut row = Row::default();
        assert!(row.fails(&status(404)) && !row.fails(&status(404)) && row.fails(&status(503)));
        assert!(row.fails(&PreloadError::TooSlow(Span::from_secs(1))));
        assert!(row.fails(&PreloadError::Failed(FetchError::Empty)));
        let told = (500..600).filter(|it| row.fails(&status(*it))).count();
        assert_eq!(told, MOST_TOLD - 4);
    }
}
