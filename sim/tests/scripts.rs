//! A script that makes no sense is said to, with the line.

use hls_relay_core::time::Span;
use hls_relay_sim::origin::SegmentDurations;
use hls_relay_sim::scenario::parse;

/// Two origins; what is wrong stands in line 4.
fn why(line: &str) -> String {
    let script = format!("# about nothing\norigin target 4\norigin target 4\n{line}\nrun 60\n");
    parse(&script).expect_err(line)
}

#[test]
fn each_line_that_makes_no_sense_is_named_with_why() {
    let wrong = [
        ("orgin target 4", "unknown word orgin"),
        ("origin target 0", "0 is too small"),
        ("origin target 4 segment 9", "longer than nothing"),
        (
            "origin target 4 segment 4 jitter 0.3",
            "not than the target duration",
        ),
        (
            "origin target 4 segment 4,3 jitter 0.1",
            "segments of several lengths have no jitter",
        ),
        ("origin target 4 segment 3,x", "not seconds: x"),
        ("origin window", "a word is missing"),
        ("presentation numbers 7 variant 720", "numbers of what?"),
        ("presentation", "needs a variant"),
        ("presentation audio en variant 720", "a variant comes first"),
        ("tells seven #EXT-X-CUE-IN", "not a number"),
        ("tells 7 EXTINF:4", "not a line of a playlist"),
        ("workers 10 hands 0", "0 is too small"),
        ("store drawer", "no such store: drawer"),
        ("channel source 5", "there is no origin 5"),
        ("channel window 3", "window: 3 is not in"),
        ("channel hole silence", "no such policy: silence"),
        ("at 20 for 5 origin 5 freeze", "there is no origin 5"),
        ("at 20 for 5 origin 0 freze", "no such fault: freze"),
        ("at 20 origin 0 freeze", "say `for`"),
        ("at 20 for 0 origin 0 freeze", "for no time"),
        (
            "at 20 for 5 when load_sent origin 0 freeze",
            "leave out `when`",
        ),
        ("at 20 for 5 track 3 origin 0 freeze", "has no track 3"),
        ("at 20 for 5 origin 0 playlist 70000", "too large: 70000"),
        ("at 20 for 5 origin 0 freeze 3", "left over: 3"),
        ("at 58 for 5 origin 0 freeze", "the run is over after 60 s"),
        ("at 60 origin 0 restart 0 new", "the run is over after 60 s"),
        ("at 20 for 5 refused 5", "there is no origin 5"),
        ("at 20 for 5 when load_sent refused 0", "leave out `when`"),
        ("at 20 store put full", "say `for`"),
        ("at 58 for 5 store put full", "the run is over after 60 s"),
        (
            "at 20 for 5 track 0 store put full",
            "only what goes wrong at an origin",
        ),
        ("at 20 track 0 kill", "only what goes wrong at an origin"),
        ("at 20 commands 2 stop", "only a process that dies"),
        ("at 70 kill", "the run is over after 60 s"),
        ("at 20 when never kill", "no such moment: never"),
        ("at 20 for 5 stop", "leave out `for`"),
        ("at 20 sources 0 5", "there is no origin 5"),
        ("at 20 sources", "a word is missing"),
        ("at 20 window 3", "window: 3 is not in"),
        ("at noon stop", "not seconds: noon"),
    ];
    for (line, reason) in wrong {
        let why = why(line);
        assert!(why.starts_with("line 4: "), "{line}: {why}");
        assert!(why.contains(reason), "{line}: {why}");
        assert!(why.ends_with(line), "{line}: {why}");
    }
}

#[test]
fn an_origin_can_be_irregular_and_a_track_count_for_itself() {
    let script = "origin target 4 segment 3.6 jitter 0.2 publish-jitter 0.5 drawn 7 window 6 backlog 9\n\
                  presentation variant 720 variant 360 behind 2 numbers 20000\nrun 60\n";
    let plan = parse(script).unwrap();
    let in_turn = parse("origin target 4 segment 4,2.5\nrun 60\n").unwrap();
    let pattern = vec![Span::from_secs(4), Span::from_millis(2_500)];
    assert_eq!(
        in_turn.origins[0].durations,
        SegmentDurations::Pattern(pattern)
    );
    let origin = &plan.origins[0];
    let (mean, by) = (Span::from_millis(3_600), Span::from_millis(200));
    assert_eq!(origin.durations, SegmentDurations::Jittered { mean, by });
    assert_eq!(origin.publish_jitter, Span::from_millis(500));
    assert_eq!((origin.seed, origin.window, origin.backlog), (7, 6, 9));
    let tracks = &origin.presentation.as_ref().unwrap().tracks;
    let said = tracks.iter().map(|it| (it.behind, it.media_sequence));
    assert!(said.eq([(0, None), (2, Some(20_000))]));
}

#[test]
fn lines_of_an_origin_hands_of_workers_and_the_place_of_a_crash_can_be_said() {
    let script = "origin target 4 latency 0.03 publish-delay 0.2\ntells 7 #EXT-X-CUE-IN\n\
                  tells 7 #EXT-X-CUE-OUT\nworkers 5 hands 2\nrun 60\nat 20 for 3 commands 4 kill\n";
    let plan = parse(script).unwrap();
    let origin = &plan.origins[0];
    assert_eq!(origin.tags[&7], ["#EXT-X-CUE-IN", "#EXT-X-CUE-OUT"]);
    let (latency, delay) = (Span::from_millis(30), Span::from_millis(200));
    assert_eq!((origin.latency, origin.publish_delay), (latency, delay));
    assert_eq!((plan.workers.percent, plan.workers.hands), (5, 2));
    assert_eq!(plan.ends[0].commands, 4);
}

#[test]
fn without_an_origin_there_is_nothing_to_relay() {
    let why = parse("run 60\nat 20 stop\n").expect_err("no origin");
    assert!(why.contains("no line says `origin`"), "{why}");
    let why =
        parse("presentation variant 720\norigin target 4\n").expect_err("a lone presentation");
    assert!(why.starts_with("line 1: no origin before it"), "{why}");
}

#[test]
fn what_comes_first_in_a_script_is_left_to_its_writer() {
    let plan = parse(
        "at 70 for 5 origin 1 freeze\nchannel source 1\nrun 90\norigin target 4\norigin target 4\n",
    );
    let plan = plan.unwrap();
    assert_eq!(plan.channel.sources, [1]);
    assert_eq!(plan.origins[1].faults.len(), 1);
}
