//! What the media of a track is made of, asked of the media itself where its source does not say.

use crate::command::Content;
use crate::event::StoredSegment;
use crate::formats::{Formats, Unreadable};
use crate::limits;
use crate::loader::Offered;
use serde::{Deserialize, Serialize};

/// Which downloads are looked into, and what the newest answer was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looks {
    /// The source does not say it.
    pub(crate) wanted: bool,
    /// The run of the encoder, and the discontinuity, that was asked about last: each may bring other
    /// formats.
    era: (u64, u64),
    /// So many segments of it were looked into.
    asked: u32,
    /// It has answered.
    told: bool,
    pub(crate) formats: Option<Formats>,
    /// Why there was no answer, until that is said; it is said once.
    untold: Option<Unreadable>,
    said: bool,
}

impl Looks {
    /// Whether this segment is to be looked into. What stands under an EXT-X-MAP is told by that.
    pub(super) fn asks_segment(&mut self, offered: &Offered, decrypted: bool) -> bool {
        let segment = &offered.segment;
        let readable = segment.keys.is_empty() || decrypted;
        if !self.wanted || !readable || segment.map.is_some() {
            return false;
        }
        let era = (offered.run, offered.identity.discontinuity_sequence);
        if era != self.era {
            (self.era, self.asked, self.told) = (era, 0, false);
        }
        let looks = !self.told && self.asked < limits::MOST_LOOKS;
        self.asked += u32::from(looks);
        looks
    }

    /// Whether what segments need is to be looked into. Each init section is: it is small, and another
    /// one is there to tell of other formats.
    pub(super) fn asks_need(&self, content: Content) -> bool {
        self.wanted && content == Content::InitSection
    }

    /// Takes the answer, where there is one.
    pub(super) fn take(&mut self, stored: &StoredSegment) {
        match &stored.formats {
            Some(Ok(formats)) => {
                self.told = true;
                self.formats = Some(formats.clone());
            }
            Some(Err(error)) if self.formats.is_none() && !self.said => {
                self.said = true;
                self.untold = Some(error.clone());
            }
            Some(Err(_)) | None => {}
        }
    }

    /// Why it does not tell, where that is to be said now.
    pub(crate) fn take_untold(&mut self) -> Option<Unreadable> {
        self.untold.take()
    }
}
