//! A ladder in hls.js, which goes from one level to the next and back all the while.

use crate::browser;
use crate::kinds::leave;
use crate::stage::live_folder::{LiveFolder, Ways};
use crate::stage::relay::Relay;
use std::time::Duration;

const WATCH: Duration = Duration::from_secs(30);
/// Shorter than two segments.
const SWITCH: u64 = 3;
const BEGIN: Duration = Duration::from_secs(60);
/// A machine that is so busy that rungs come too late shows gaps: that is another test's matter, and this one begins anew.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_switched_without_a_stall() {
    for tried in 1.. {
        let ways = Ways {
            date_times: true,
            ..Ways::default()
        };
        let origin = LiveFolder::of("byterange", ways).await;
        let ladder = "128p:150k,96p:80k";
        let relay = Relay::start_with_ladder(&origin.url(), ladder, BEGIN).await;
        let report = browser::play_and_switch(&relay.url, WATCH, SWITCH).await;
        let log = relay.log();
        leave(relay).await;
        let missed = log.iter().filter(|it| it.kind == "rungs_missed").count();
        println!("{missed} times without rungs; shown: {:?}", report.switched);
        if missed > 0 && tried < TRIES {
            continue;
        }
        assert_eq!(missed, 0, "{log:#?}");
        // What hls.js itself does where it changes the level it tells as an error: it takes a request back, and
        // loads once more what it has, where sound ends a little before the pictures.
        let own = |it: &&serde_json::Value| {
            let of_itself = ["aborted", "bufferAppendNoProgress"];
            it["fatal"] == false && of_itself.iter().any(|known| it["details"] == *known)
        };
        let errors: Vec<_> = report.errors.iter().filter(|it| !own(it)).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let began = report.began.expect("it begins");
        let later: Vec<_> = report.events.iter().filter(|it| it.at > began).collect();
        assert!(later.is_empty(), "it stalled: {later:#?}");
        let [first, .., last] = &report.samples[..] else {
            panic!("{report:#?}");
        };
        let played = last.current_time - first.current_time;
        assert!(played >= 28.0, "played {played} s");
        assert!(
            last.frames >= 25 * 28 && last.audio_bytes > first.audio_bytes,
            "{last:?}"
        );
        assert_eq!(report.heights, [Some(96), Some(128), Some(180)]);
        for height in [96, 128, 180] {
            assert!(
                report.switched.iter().filter(|it| **it == height).count() >= 2,
                "{:?}",
                report.switched
            );
        }
        return;
    }
}
