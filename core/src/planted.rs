//! Mistakes that somebody could make, put into the machine on purpose: a simulator that does not find
//! them would not find the real ones either.
//!
//! Only a build with the feature `planted` can make one. In every other, and so in every release,
//! [`Planted::makes`] is `false` wherever it stands and leaves no trace.

/// One mistake, as a reader of the code would describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An update is taken, but for its sources.
    UpdateLosesItsSources,
    /// An update is taken, but for what it wants of the lists.
    UpdateLosesItsPolicies,
    /// A wish of the revision in force is taken for a new one.
    RevisionOffByOne,
    /// A gap that leaves the list is not counted in the media sequence.
    MediaSequenceSkipsGaps,
    /// A discontinuity that leaves the list is not counted.
    DiscontinuityLeavesUncounted,
    /// The answer to a load that was cancelled counts as one of the present source.
    StaleCompletionTaken,
    /// A playlist that failed is asked for again at once.
    RetryWithoutBackOff,
    /// After a change of the source the one before is followed on, beside the one that took over.
    FormerSourceFollowed,
    /// What could not be had is passed over in silence.
    HoleUnsaid,
    /// Whatever could not be had is said to have been in no list.
    HoleForAnotherReason,
    /// After an answer that nothing has changed, no reload is planned.
    ReloadNotPlannedAnew,
    /// A segment that left the list is kept for its own length, not the list's.
    DeletedTooEarly,
    /// A publish whose reply was lost is taken for one that did not happen.
    LostReplyTakenForFailure,
    /// The checkpoint leaves out what waits to be deleted.
    CheckpointForgetsRetired,
    /// The target duration falls with shorter segments.
    TargetDurationFalls,
    /// The first segment after a restart of the source is listed like any other.
    RestartUnmarked,
    /// An older list counts as news.
    StaleEdgeTakenForNew,
    /// The first segment of another source is listed like any other.
    SwitchUnmarked,
    /// A run after the end goes on in the closed list.
    NewRunInClosedList,
    /// What a cancelled download has stored all the same is left there.
    OrphanLeft,
    /// A stopped presentation is taken down while players still need it.
    TakenDownTooEarly,
    /// Versions follow each other as fast as segments come.
    VersionsTooFast,
    /// After a restart nobody looks whether the store has what is listed.
    StoreNotLookedAt,
    /// After a restart the first segment that is new is taken for one that no list has shown.
    RestartPassesOverOne,
    /// The source has ended, and the list stays open.
    EndNotTold,
    /// What was lost at the very end of what has ended is in no list.
    EndHoleUnsaid,
    /// A gap for what no list has shown has no date-time, whatever the segments around it have.
    GapUndated,
    /// A gap has the date-time of the segment before it.
    GapDatedTooEarly,
    /// A lease is counted from the reply to its renewal.
    LeaseCountedFromReply,
    /// A node whose key has expired goes on under its old incarnation.
    ExpiredIncarnationRevived,
    /// Channels are claimed at once after Redis was away.
    ClaimInGrace,
    /// A node that has no Redis goes on without asking its peers.
    CutOffGoesOn,
    /// A successor takes any checkpoint for the newest.
    OldCheckpointTrusted,
    /// What no hint has told of is never looked for.
    NoScan,
    /// A channel that a dead owner was to stop is left as it is.
    StopLeftToTheDead,
    /// A node that has come gets nothing of what the others have.
    NeverEvensOut,
    /// A node gives away one channel more than it is to.
    GivesOneTooMany,
    /// A node whose store is gone keeps its channels, and takes more.
    BrokenStoreKept,
    /// A change that a Redis has lost which acknowledged it is not told.
    LostChangeUntold,
    /// A claim that was planned is made, though another node has taken the channel since.
    TakenIsClaimed,
    /// A segment waits for its rungs, however long they take.
    SourceWaitsForRungs,
    /// A rung that is not made in time is listed like any other.
    UnmadeRungListed,
    /// What a cancelled transcode has stored all the same is left there.
    RungOrphanLeft,
    /// A segment that a rung lacks is left out of its list.
    MissedRungLeftOut,
    /// A rung does not begin where its source does, but with the first segment that it has.
    RungBeginsLater,
    /// A rung that was suspended is never tried again.
    RungNeverComesBack,
    /// A rung is offered with any three segments that are still listed, though the newest are not there.
    RungEntersOnOldSegments,
    /// A rung's segments are listed with their lengths in whole seconds.
    RungDurationsRounded,
    /// Rungs are made of the segment before the one that they are listed with.
    RungOfTheSegmentBefore,
    /// Rungs begin a tick later than their source.
    RungBeginsATickLater,
    /// A channel that waits for nothing is woken every two milliseconds all the same.
    WokenForNothing,
    /// A reload that fails for longer than a minute is tried again as fast as in the first.
    NeverBacksOff,
    /// A source that is come back to is asked at once, however short ago it was.
    PaceForgotten,
    /// A segment that failed is asked for again a millisecond later.
    SegmentRetriedAtOnce,
    /// The target duration is raised to the next whole second, not to the nearest.
    TargetDurationRoundedUp,
    /// A segment is waited for four times as long as is promised.
    GivenUpLate,
    /// Further orders of a channel wait in one line with the first ones of others.
    OrdersInOneLine,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 45] = [
        Self::UpdateLosesItsSources,
        Self::UpdateLosesItsPolicies,
        Self::RevisionOffByOne,
        Self::MediaSequenceSkipsGaps,
        Self::DiscontinuityLeavesUncounted,
        Self::StaleCompletionTaken,
        Self::RetryWithoutBackOff,
        Self::FormerSourceFollowed,
        Self::HoleUnsaid,
        Self::HoleForAnotherReason,
        Self::ReloadNotPlannedAnew,
        Self::DeletedTooEarly,
        Self::LostReplyTakenForFailure,
        Self::CheckpointForgetsRetired,
        Self::TargetDurationFalls,
        Self::RestartUnmarked,
        Self::StaleEdgeTakenForNew,
        Self::SwitchUnmarked,
        Self::NewRunInClosedList,
        Self::OrphanLeft,
        Self::TakenDownTooEarly,
        Self::VersionsTooFast,
        Self::StoreNotLookedAt,
        Self::RestartPassesOverOne,
        Self::EndNotTold,
        Self::EndHoleUnsaid,
        Self::GapUndated,
        Self::GapDatedTooEarly,
        Self::SourceWaitsForRungs,
        Self::UnmadeRungListed,
        Self::RungOrphanLeft,
        Self::MissedRungLeftOut,
        Self::RungBeginsLater,
        Self::RungNeverComesBack,
        Self::RungEntersOnOldSegments,
        Self::RungDurationsRounded,
        Self::RungOfTheSegmentBefore,
        Self::RungBeginsATickLater,
        Self::WokenForNothing,
        Self::NeverBacksOff,
        Self::PaceForgotten,
        Self::SegmentRetriedAtOnce,
        Self::TargetDurationRoundedUp,
        Self::GivenUpLate,
        Self::OrdersInOneLine,
    ];

    /// Those of a node in a cluster.
    pub const OF_CLUSTER: [Self; 12] = [
        Self::LeaseCountedFromReply,
        Self::ExpiredIncarnationRevived,
        Self::ClaimInGrace,
        Self::CutOffGoesOn,
        Self::OldCheckpointTrusted,
        Self::NoScan,
        Self::StopLeftToTheDead,
        Self::NeverEvensOut,
        Self::GivesOneTooMany,
        Self::BrokenStoreKept,
        Self::LostChangeUntold,
        Self::TakenIsClaimed,
    ];
}

/// The mistake that a machine makes, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted")]
    mistake: Option<Mistake>,
}

impl Planted {
    /// A machine with this one.
    #[cfg(feature = "planted")]
    pub fn new(mistake: Option<Mistake>) -> Self {
        Self { mistake }
    }

    /// Whether it is this one.
    #[cfg(feature = "planted")]
    pub fn makes(self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// It is none.
    #[cfg(not(feature = "planted"))]
    pub fn makes(self, _: Mistake) -> bool {
        false
    }
}
