use super::*;

const TARGET: Span = Span::from_secs(2);

fn segment(media_sequence: u64, path: &str) -> Identity {
    Identity {
        media_sequence,
        path: path.into(),
        byte_range: None,
        date_time: None,
        discontinuity_sequence: 0,
        duration: TARGET,
    }
}

fn list(numbers: std::ops::Range<u64>, run: &str) -> Vec<Identity> {
    numbers
        .map(|n| segment(n, &format!("/{run}{n}.ts")))
        .collect()
}

fn dated(numbers: std::ops::Range<u64>, start_secs: i64) -> Vec<Identity> {
    let mut list = list(numbers.clone(), "seg");
    for (n, segment) in numbers.zip(&mut list) {
        let at = (start_secs + 2 * n as i64) * 1_000_000;
        segment.date_time = Some(WallTime::from_micros(at));
    }
    list
}

fn goes_on(first_new: u64) -> Verdict {
    Verdict::GoesOn {
        first_new,
        lost: None,
    }
}

fn restarted(first_new: u64, why: Break) -> Verdict {
    Verdict::Restarted { first_new, why }
}

#[test]
fn c_15_what_follows_the_newest_known_number_is_new() {
    let mut history = History::default();
    assert_eq!(
        history.observe(&list(10..16, "a"), TARGET, Span::ZERO),
        goes_on(10)
    );
    assert_eq!(
        history.observe(&list(10..16, "a"), TARGET, Span::ZERO),
        goes_on(16)
    );
    assert_eq!(
        history.observe(&list(11..18, "a"), TARGET, Span::ZERO),
        goes_on(16)
    );
}

#[test]
fn c_18_a_number_that_names_another_segment_is_a_restart() {
    let mut history = History::default();
    history.observe(&list(10..16, "a"), TARGET, Span::ZERO);
    let verdict = history.observe(&list(12..18, "b"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(12, Break::RestartedRenamed));
    assert_eq!(
        history.observe(&list(12..19, "b"), TARGET, Span::ZERO),
        goes_on(18)
    );
}

#[test]
fn c_18_another_run_begins_with_its_own_first_segment() {
    let mut history = History::default();
    history.observe(&list(1..4, "a"), TARGET, Span::ZERO);
    let verdict = history.observe(&list(0..2, "b"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedRenamed));
    let mut mixed = list(0..2, "b");
    mixed.extend(list(2..4, "c"));
    let mut known = list(0..2, "b");
    known.extend(list(2..3, "b"));
    let mut history = History::default();
    history.observe(&known, TARGET, Span::ZERO);
    let verdict = history.observe(&mixed, TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(2, Break::RestartedRenamed));
}

#[test]
fn c_19_lower_numbers_with_unknown_names_are_a_restart() {
    let mut history = History::default();
    history.observe(&list(500..506, "a"), TARGET, Span::ZERO);
    let verdict = history.observe(&list(0..1, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedLower));
}

#[test]
fn lower_numbers_with_date_times_that_lead_to_the_known_ones_are_a_stale_edge() {
    let mut history = History::default();
    history.observe(&dated(13..17, 0), TARGET, Span::ZERO);
    for first in 5..9 {
        let verdict = history.observe(&dated(first..first + 4, 0), TARGET, Span::ZERO);
        assert!(matches!(verdict, Verdict::Older { .. }), "{verdict:?}");
    }
    let verdict = history.observe(&dated(9..13, 40), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(9, Break::RestartedLower));
}

#[test]
fn lower_numbers_with_known_names_are_a_stale_edge() {
    let mut history = History::default();
    history.observe(&list(10..16, "a"), TARGET, Span::ZERO);
    for _ in 0..20 {
        let verdict = history.observe(&list(9..15, "a"), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
    assert_eq!(
        history.observe(&list(11..17, "a"), TARGET, Span::ZERO),
        goes_on(16)
    );
}

#[test]
fn names_used_again_without_dates_are_told_by_growth() {
    let mut history = History::default();
    history.observe(&list(0..30, "a"), TARGET, Span::ZERO);
    for (end, behind) in [(1, 29), (2, 28)] {
        let verdict = history.observe(&list(0..end, "a"), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind });
    }
    let verdict = history.observe(&list(0..3, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedGrowth));
    assert_eq!(
        history.observe(&list(0..4, "a"), TARGET, Span::ZERO),
        goes_on(3)
    );
}

#[test]
fn names_used_again_far_below_a_lagging_edge_are_told_by_growth() {
    let mut history = History::default();
    history.observe(&list(20..93, "a"), TARGET, Span::ZERO);
    history.observe(&list(83..89, "a"), TARGET, Span::ZERO);
    for end in 29..31 {
        let verdict = history.observe(&list(end - 6..end, "a"), TARGET, Span::ZERO);
        assert!(matches!(verdict, Verdict::Older { .. }), "{verdict:?}");
    }
    let verdict = history.observe(&list(25..31, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(25, Break::RestartedGrowth));
}

#[test]
fn growth_is_counted_from_where_it_begins() {
    let mut history = History::default();
    history.observe(&list(0..30, "a"), TARGET, Span::ZERO);
    // An edge lags, and only then the source restarts.
    for behind in [22..28, 0..1, 0..2] {
        let verdict = history.observe(&list(behind, "a"), TARGET, Span::ZERO);
        assert!(matches!(verdict, Verdict::Older { .. }), "{verdict:?}");
    }
    let verdict = history.observe(&list(0..3, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedGrowth));
}

#[test]
fn names_used_again_with_dates_are_told_at_once() {
    let mut history = History::default();
    history.observe(&dated(0..30, 0), TARGET, Span::ZERO);
    let verdict = history.observe(&dated(0..2, 70), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedRedated));
}

#[test]
fn the_names_of_the_run_before_used_once_more_are_told_by_growth() {
    let mut history = History::default();
    history.observe(&list(0..6, "a"), TARGET, Span::ZERO);
    history.observe(&list(100..106, "a"), TARGET, Span::ZERO);
    for end in 1..3 {
        let verdict = history.observe(&list(0..end, "a"), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
    let verdict = history.observe(&list(0..3, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(0, Break::RestartedGrowth));
    let verdict = history.observe(&list(0..4, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, goes_on(3));
}

#[test]
fn lists_of_the_run_before_are_old_for_ever_where_date_times_say_so() {
    let mut history = History::default();
    history.observe(&dated(0..30, 0), TARGET, Span::ZERO);
    history.observe(&dated(100..103, -139), TARGET, Span::ZERO);
    for first in 0..24 {
        let verdict = history.observe(&dated(first..first + 6, 0), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
}

#[test]
fn a_run_that_uses_the_names_of_the_one_before_is_not_taken_for_it() {
    let mut history = History::default();
    history.observe(&list(8..72, "a"), TARGET, Span::ZERO);
    for end in 1..10 {
        history.observe(&list(0..end, "a"), TARGET, Span::ZERO);
    }
    let verdict = history.observe(&list(12..17, "a"), TARGET, Span::from_secs(8));
    let lost = Lost {
        first: 9,
        segments: 3,
        duration: TARGET * 3,
    };
    assert_eq!(
        verdict,
        Verdict::GoesOn {
            first_new: 12,
            lost: Some(lost)
        }
    );
}

#[test]
fn no_earlier_run_stands_for_one_whose_names_are_used_again() {
    let mut history = two_runs(list(0..20, "a"), list(10_000..10_001, "b"));
    history.observe(&list(0..12, "c"), TARGET, Span::ZERO);
    for end in 1..8 {
        history.observe(&list(0..end, "c"), TARGET, Span::ZERO);
    }
    assert_eq!(history.known().back(), list(6..7, "c").first());
    assert_eq!(history.former(), Some(&VecDeque::new()));
}

#[test]
fn a_list_too_short_to_go_on_is_a_restart() {
    let mut history = History::default();
    history.observe(&list(0..6, "a"), TARGET, Span::ZERO);
    let verdict = history.observe(&list(6..7, "b"), TARGET, TARGET);
    assert_eq!(verdict, restarted(6, Break::RestartedHigher));
}

#[test]
fn a_source_that_always_lists_little_goes_on() {
    let mut history = History::default();
    for n in 0..5 {
        let verdict = history.observe(&list(n..n + 1, "a"), TARGET, TARGET);
        assert_eq!(verdict, goes_on(n));
    }
}

#[test]
fn date_times_that_the_numbers_cannot_fill_are_a_restart() {
    let mut history = History::default();
    history.observe(&dated(0..6, 0), TARGET, Span::ZERO);
    // Four numbers are missing, and no time is; or a minute is.
    for later in [-8, 60] {
        let mut other = history.clone();
        let verdict = other.observe(&dated(10..16, later), TARGET, Span::from_secs(60));
        assert_eq!(verdict, restarted(10, Break::RestartedHigher));
    }
    let lost = Lost {
        first: 6,
        segments: 4,
        duration: TARGET * 4,
    };
    let verdict = history.observe(&dated(10..16, 1), TARGET, Span::from_secs(60));
    assert_eq!(
        verdict,
        Verdict::GoesOn {
            first_new: 10,
            lost: Some(lost)
        }
    );
}

#[test]
fn what_follows_on_does_so_in_date_times_too() {
    let mut history = History::default();
    history.observe(&dated(0..6, 0), TARGET, Span::ZERO);
    let verdict = history.clone().observe(&dated(6..12, 2), TARGET, TARGET);
    assert_eq!(verdict, restarted(6, Break::RestartedHigher));
    assert_eq!(
        history.observe(&dated(6..12, 0), TARGET, TARGET),
        goes_on(6)
    );
}

#[test]
fn date_times_explain_a_gap_that_the_silence_does_not() {
    let mut history = History::default();
    history.observe(&dated(0..6, 0), TARGET, Span::ZERO);
    let lost = Lost {
        first: 6,
        segments: 94,
        duration: TARGET * 94,
    };
    let verdict = history.observe(&dated(100..106, 0), TARGET, Span::from_secs(8));
    assert_eq!(
        verdict,
        Verdict::GoesOn {
            first_new: 100,
            lost: Some(lost)
        }
    );
}

#[test]
fn a_gap_that_time_explains_is_lost_media_and_a_longer_one_a_jump() {
    let mut history = History::default();
    history.observe(&list(0..6, "a"), TARGET, Span::ZERO);
    let lost = Lost {
        first: 6,
        segments: 4,
        duration: TARGET * 4,
    };
    let verdict = history.observe(&list(10..16, "a"), TARGET, Span::from_secs(8));
    assert_eq!(
        verdict,
        Verdict::GoesOn {
            first_new: 10,
            lost: Some(lost)
        }
    );
    let verdict = history.observe(&list(100..106, "a"), TARGET, Span::from_secs(8));
    assert_eq!(verdict, restarted(100, Break::JumpedAhead));
}

#[test]
fn after_lost_media_the_numbers_still_name_what_they_named() {
    let mut history = History::default();
    history.observe(&list(0..6, "a"), TARGET, Span::ZERO);
    history.observe(&list(8..14, "a"), TARGET, Span::from_secs(8));
    let verdict = history.observe(&list(9..15, "a"), TARGET, TARGET);
    assert_eq!(verdict, goes_on(14));
    let verdict = history.observe(&list(10..16, "b"), TARGET, TARGET);
    assert_eq!(verdict, restarted(10, Break::RestartedRenamed));
}

#[test]
fn fickle_folders_are_no_part_of_a_name_and_steady_ones_are() {
    let mut fickle = History::default();
    for n in 0..5_u64 {
        let mut now = list(n..n + 6, &format!("t{n}/a"));
        fickle.strip(&mut now, TARGET, false);
        let verdict = fickle.observe(&now, TARGET, TARGET);
        assert_eq!(verdict, goes_on(if n == 0 { 0 } else { n + 5 }));
    }
    assert!(fickle.known().iter().all(|it| !it.path.contains('/')));
    let mut steady = History::default();
    for (n, folder) in ["r0/a", "r0/a", "r1/a"].into_iter().enumerate() {
        let n = n as u64;
        let mut now = list(n..n + 6, folder);
        steady.strip(&mut now, TARGET, false);
        let verdict = steady.observe(&now, TARGET, TARGET);
        assert_eq!(verdict == restarted(2, Break::RestartedRenamed), n == 2);
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut history = History::default();
    for n in 0..10_000 {
        history.observe(&list(n..n + 6, "a"), TARGET, TARGET);
    }
    assert_eq!(history.known().len(), 6 + REMEMBERED_SEGMENTS);
    for run in 0..100 {
        history.observe(&list(0..6, &format!("{run}/")), TARGET, TARGET);
    }
    assert_eq!(history.former.len(), REMEMBERED_RUNS);
}

/// A source that has jumped from its `first` run to its `second`.
fn two_runs(first: Vec<Identity>, second: Vec<Identity>) -> History {
    let mut history = History::default();
    history.observe(&first, TARGET, Span::ZERO);
    let start = second[0].media_sequence;
    let verdict = history.observe(&second, TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(start, Break::JumpedAhead));
    history
}

#[test]
fn an_edge_that_has_missed_two_jumps_is_an_older_edge() {
    let mut history = two_runs(dated(0..20, 0), dated(1_000..1_002, 40 - 2_000));
    let verdict = history.observe(&dated(9_000..9_002, 44 - 18_000), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(9_000, Break::JumpedAhead));
    for first in [14, 1_000] {
        let date = if first == 14 { 0 } else { 40 - 2_000 };
        let verdict = history.observe(&dated(first..first + 2, date), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
    let verdict = history.observe(&dated(9_000..9_003, 44 - 18_000), TARGET, Span::ZERO);
    assert_eq!(verdict, goes_on(9_002));
}

#[test]
fn a_run_that_goes_on_where_it_was_left_is_gone_back_to() {
    let mut history = two_runs(list(0..20, "a"), list(10_000..10_001, "a"));
    for end in 20..22 {
        let verdict = history.observe(&list(end - 4..end, "a"), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
    let verdict = history.observe(&list(18..22, "a"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(20, Break::JumpedAhead));
}

#[test]
fn a_run_whose_dates_are_older_than_the_present_ones_is_not_gone_back_to() {
    let later = dated(10_000..10_003, 60 - 20_000);
    let mut history = two_runs(dated(0..20, 0), later);
    for end in 20..32 {
        let verdict = history.observe(&dated(10..end, 0), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 });
    }
    let verdict = history.observe(&dated(10..35, 0), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(20, Break::JumpedAhead));
}

/// As another place of the same track has them: `more` higher, under names of its own.
fn elsewhere(numbers: std::ops::Range<u64>, more: i64) -> Vec<Identity> {
    let mut list = dated(numbers, 0);
    for segment in &mut list {
        segment.media_sequence = segment.media_sequence.strict_add_signed(more);
        segment.path = format!("/other{}.ts", segment.media_sequence).into();
    }
    list
}

#[test]
fn c_17_numbers_of_another_place_are_its_own() {
    // Above what is known and below it, near and far, and right in the middle.
    for more in [1_000_000, 40, 3, -3, -5, -90] {
        let mut history = History::default();
        history.observe(&dated(100..106, 0), TARGET, Span::ZERO);
        let first = 101_u64.strict_add_signed(more);
        let verdict = history.observe_elsewhere(&elsewhere(101..107, more), TARGET, Span::ZERO);
        assert_eq!(verdict, restarted(first, Break::Hole), "{more}");
        // It is the run that goes on from now on, and what was there before is of an earlier one.
        let verdict = history.observe(&elsewhere(102..108, more), TARGET, Span::ZERO);
        assert_eq!(verdict, goes_on(first + 6), "{more}");
        let verdict = history.observe(&dated(101..107, 0), TARGET, Span::ZERO);
        assert_eq!(verdict, Verdict::Older { behind: 1 }, "{more}");
    }
}

#[test]
fn c_17_a_shorter_list_of_another_place_is_of_an_encoder_that_begins() {
    for (length, why) in [(5, Break::RestartedRenamed), (6, Break::Hole)] {
        let mut history = History::default();
        history.observe(&dated(100..106, 0), TARGET, Span::ZERO);
        let list = elsewhere(101..101 + length, 40);
        let verdict = history.observe_elsewhere(&list, TARGET, Span::ZERO);
        assert_eq!(verdict, restarted(141, why), "{length}");
    }
}

#[test]
fn another_place_that_lists_what_is_known_or_what_follows_it_goes_on() {
    let known = || {
        let mut history = History::default();
        history.observe(&dated(100..106, 0), TARGET, Span::ZERO);
        history
    };
    let verdict = known().observe_elsewhere(&dated(102..108, 0), TARGET, Span::ZERO);
    assert_eq!(verdict, goes_on(106));
    let verdict = known().observe_elsewhere(&dated(106..112, 0), TARGET, Span::ZERO);
    assert_eq!(verdict, goes_on(106));
    let verdict = known().observe_elsewhere(&dated(99..105, 0), TARGET, Span::ZERO);
    assert_eq!(verdict, Verdict::Older { behind: 1 }, "it is behind");
    // Its dates say that it cannot follow.
    let verdict = known().observe_elsewhere(&dated(106..112, 500), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(106, Break::Hole));
}

#[test]
fn a_list_of_another_place_that_is_behind_has_not_grown_from_what_the_first_place_lists() {
    let mut history = History::default();
    history.observe(&list(10..44, "seg"), TARGET, Span::ZERO);
    // The encoder has started again under the same names, and only the first place shows that.
    let verdict = history.observe(&list(17..18, "seg"), TARGET, Span::ZERO);
    assert_eq!(verdict, Verdict::Older { behind: 26 });
    let verdict = history.observe_elsewhere(&list(39..43, "seg"), TARGET, Span::ZERO);
    assert_eq!(verdict, Verdict::Older { behind: 1 });
    // It grows for itself.
    let verdict = history.observe(&list(17..19, "seg"), TARGET, Span::ZERO);
    assert_eq!(verdict, Verdict::Older { behind: 25 });
    let verdict = history.observe(&list(17..21, "seg"), TARGET, Span::ZERO);
    assert_eq!(verdict, restarted(17, Break::RestartedGrowth));
}

#[test]
fn another_place_without_date_times_is_judged_as_the_same_place_is() {
    for numbers in [3..9, 101..107, 106..112, 500..506] {
        for run in ["seg", "other"] {
            let mut here = History::default();
            here.observe(&list(100..106, "seg"), TARGET, Span::ZERO);
            let mut there = here.clone();
            let list = list(numbers.clone(), run);
            let verdict = there.observe_elsewhere(&list, TARGET, Span::ZERO);
            assert_eq!(verdict, here.observe(&list, TARGET, Span::ZERO));
            assert_eq!(there, here, "{run} {numbers:?}");
        }
    }
    // Nor are those of some told by those of others.
    let mut here = History::default();
    here.observe(&dated(100..106, 0), TARGET, Span::ZERO);
    let mut there = here.clone();
    let mut list = elsewhere(101..107, 3);
    list[2].date_time = None;
    let verdict = there.observe_elsewhere(&list, TARGET, Span::ZERO);
    assert_eq!(verdict, here.observe(&list, TARGET, Span::ZERO));
    // Nor is anything to be compared where nothing is known, or nothing listed.
    let mut history = History::default();
    let verdict = history.observe_elsewhere(&dated(5..9, 0), TARGET, Span::ZERO);
    assert_eq!(verdict, goes_on(5));
    let verdict = history.observe_elsewhere(&[], TARGET, Span::ZERO);
    assert_eq!(verdict, Verdict::Older { behind: 0 });
}
