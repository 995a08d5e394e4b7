//! The tracks of a lane begin in one run of their encoder: while it starts again, one that is out of step still lists what was
//! made before. Where the channel was stopped and is run again it is known which of them do.

use super::feed::Feed;
use super::lane::Lane;
use crate::config;
use crate::time::Timestamp;

impl Lane {
    /// The newest run of the encoder that such tracks have come to of those that are waited for, as far as it is known.
    pub(super) fn newest_run(&self, of: impl Fn(&Feed) -> bool) -> Option<u64> {
        let waited = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        let runs = waited
            .filter(|feed| of(feed))
            .filter_map(|it| it.loader.known_run());
        runs.max()
    }

    /// A track that has not begun lists what its encoder made before the run in which the others have. It comes to that
    /// as long as tracks may be out of step, or never.
    pub(super) fn is_still_in_run_before(&self, index: usize, now: Timestamp) -> bool {
        let run = self.newest_run(|feed| feed.axis.next.is_some());
        let out_of_step = self.target_duration() * config::OUT_OF_STEP_TARGETS;
        let until = self.start.first_held.map(|at| at + out_of_step);
        self.feeds[index].is_in_run_before(run) && until.is_some_and(|it| now < it)
    }
}

impl Feed {
    /// Its encoder has begun another run since, as others have seen.
    pub(super) fn is_in_run_before(&self, run: Option<u64>) -> bool {
        let own = self.loader.known_run();
        own.is_some_and(|own| Some(own) < run)
    }
}
