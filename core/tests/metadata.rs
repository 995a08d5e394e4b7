//! What is passed on: lines stand where they stood, through reloads, trims and restarts, and a channel may
//! drop some by name.

mod support;

use hls_relay_core::config::SpecError;
use hls_relay_core::event::FetchError;
use hls_relay_core::notice::Notice;
use hls_relay_core::tags::{TagFault, TagPolicy};
use std::sync::Arc;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, media, spec};

const MAIN: &str = "http://origin.example/live/main.m3u8";

/// Lines that stand with a segment.
const OF_A_SEGMENT: [&str; 9] = [
    "#EXT-X-CUE-OUT:DURATION=30.0",
    "#EXT-X-CUE-OUT-CONT:ElapsedTime=4,Duration=30,SCTE35=/DAlAAAA+/=",
    "#EXT-X-CUE-IN",
    "#EXT-OATCLS-SCTE35:/DAlAAAAAAAAAP/wFAUAAAPwf+/+AAAAAA==",
    "#EXT-X-SCTE35:TYPE=0x34,CUE=\"/DAl\"",
    "#EXTVLCOPT:network-caching=1000",
    "#EXT-X-VENDOR-MARK:A=\"b,c\",D",
    "# a comment, as it came",
    "#EXTGRP:News",
];

/// Lines about the list as a whole.
const OF_THE_LIST: [&str; 5] = [
    "#EXT-X-START:TIME-OFFSET=-12.5,PRECISE=YES",
    "#EXT-X-ALLOW-CACHE:NO",
    "#EXT-X-VENDOR-LIST:1",
    "# by an encoder",
    "#EXT-X-TWITCH-LIVE-SEQUENCE:7",
];

/// Every third segment has all of them, in an order that differs.
fn marked() -> Run {
    let mut run = Run::new(2 * SEC).dated();
    run.head = OF_THE_LIST.join("\n") + "\n";
    for number in (100..200_u64).step_by(3) {
        let mut lines = OF_A_SEGMENT;
        lines.rotate_left(number as usize % OF_A_SEGMENT.len());
        run = run.marked(number, &lines.join("\n"));
    }
    run
}

fn bench(run: &Run, tags: TagPolicy) -> Bench {
    let run = run.clone();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = 20 * SEC;
    bench.run(with(tags));
    bench
}

fn with(tags: TagPolicy) -> Spec {
    Spec {
        tags,
        ..spec(&[URL])
    }
}

fn policy(drop: &[&str], keep: &[&str]) -> TagPolicy {
    let names = |all: &[&str]| all.iter().map(|it| Arc::from(*it)).collect();
    TagPolicy {
        drop: names(drop),
        keep: names(keep),
    }
}

/// The number at the source of each segment ever listed, and its lines.
fn relayed(bench: &Bench) -> Vec<(u64, Vec<String>)> {
    let number = |content: &str| {
        let name = content.rsplit('/').next().unwrap_or_default();
        name.trim_start_matches("seg")
            .trim_end_matches(".ts")
            .parse()
            .expect("a number")
    };
    let lines = bench
        .checker
        .ever()
        .map(|it| it.tags.iter().map(ToString::to_string).collect());
    let names = bench
        .checker
        .relayed()
        .into_iter()
        .map(|it| number(it.expect("no gap")));
    names.zip(lines).collect()
}

fn check_all(bench: &Bench, of_a_segment: impl Fn(&str) -> bool) {
    let all = relayed(bench);
    assert!(all.len() > 30, "{}", all.len());
    for (number, lines) in all {
        let mut wanted = OF_A_SEGMENT;
        wanted.rotate_left(number as usize % OF_A_SEGMENT.len());
        let wanted: Vec<&str> = wanted.into_iter().filter(|it| of_a_segment(it)).collect();
        let has = (number - 100).is_multiple_of(3);
        assert_eq!(
            lines,
            if has { wanted } else { Vec::new() },
            "segment {number}"
        );
    }
}

#[test]
fn c_06_what_is_not_understood_stays_where_it_stood() {
    let mut bench = bench(&marked(), TagPolicy::default());
    bench.pass(60 * SEC);
    bench.kill(9, true);
    bench.run(spec(&[URL]));
    bench.pass(100 * SEC);
    check_all(&bench, |_| true);
    for (at, list) in bench.checker.versions() {
        assert_eq!(list.head, OF_THE_LIST.map(Arc::from), "at {at}");
    }
}

/// What an encoder writes behind the last tag of the head that is known stands before another segment in each list, and is
/// of none of them.
#[test]
fn c_06_what_stands_before_the_first_segment_of_every_list_is_of_the_list() {
    let run = marked();
    let mut bench = Bench::new(Box::new(move |now, _| {
        let mut text = run.at(now);
        let last = text.find("#EXT-X-MEDIA-SEQUENCE").expect("a head");
        let behind = last + text[last..].find('\n').expect("a line") + 1;
        let session = format!("#EXT-X-VENDOR-SESSION:{}\n# of the list\n", now / SEC);
        text.insert_str(behind, &session);
        Ok(text)
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(100 * SEC);
    let is_of_it = |line: &str| line.contains("VENDOR-SESSION") || line == "# of the list";
    // Nobody could tell at the first look.
    let versions: Vec<_> = bench.checker.versions().collect();
    for (at, list) in versions.iter().skip(2) {
        let told = list.head.iter().filter(|it| is_of_it(it));
        assert_eq!(told.count(), 2, "at {at}: {:?}", list.head);
    }
    let segments = relayed(&bench).into_iter();
    let with = segments.filter(|(_, lines)| lines.iter().any(|it| is_of_it(it)));
    assert!(with.count() <= 1);
}

#[test]
fn tags_are_dropped_and_kept_by_name() {
    let dropped = policy(
        &["EXT-X-CUE*", "EXTVLCOPT", "EXT-X-START"],
        &["EXT-X-CUE-IN"],
    );
    let mut bench = bench(&marked(), dropped.clone());
    bench.pass(60 * SEC);
    bench.kill(9, true);
    bench.run(with(dropped));
    bench.pass(100 * SEC);
    check_all(&bench, |line| {
        !(line.starts_with("#EXT-X-CUE-OUT") || line.starts_with("#EXTVLCOPT"))
    });
    assert_eq!(
        bench.last().head,
        OF_THE_LIST[1..]
            .iter()
            .copied()
            .map(Arc::from)
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_star_leaves_nothing_that_is_only_passed_on() {
    let range = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2027-01-15T08:00:30.000Z\",DURATION=30";
    let run = marked()
        .marked(116, range)
        .marked(116, "#EXT-X-BITRATE:900");
    let mut bench = bench(&run, policy(&["*"], &["EXT-X-VENDOR-MARK"]));
    bench.pass(100 * SEC);
    check_all(&bench, |line| line.starts_with("#EXT-X-VENDOR-MARK"));
    let last = bench.published.last().unwrap().1.entry().unwrap();
    assert!(
        !last.contains("BITRATE") && !last.contains("DATERANGE"),
        "{last}"
    );
    assert!(media(last).head.is_empty());
    assert!(last.contains("#EXT-X-PROGRAM-DATE-TIME"));
}

#[test]
fn a_name_that_cannot_be_dropped_refuses_the_configuration_and_the_one_before_stays() {
    let mut bench = bench(&marked(), TagPolicy::default());
    bench.pass(30 * SEC);
    bench.run(with(policy(&["EXT-X-KEY"], &[])));
    bench.pass(40 * SEC);
    let name = "EXT-X-KEY".into();
    let fault = SpecError::BadTag(TagFault::Needed { name });
    assert!(bench.told(|it| matches!(it, Notice::ConfigureRefused { why, .. } if *why == fault)));
    assert_eq!(bench.holes(), 0);
}

#[test]
fn what_a_policy_drops_is_dropped_from_the_next_segment_on() {
    let mut bench = bench(&marked(), TagPolicy::default());
    bench.pass(50 * SEC);
    // The checker knows if a listed segment changes.
    bench.run(with(policy(&["*"], &[])));
    bench.pass(90 * SEC);
    let all = relayed(&bench);
    assert!(
        all.iter()
            .any(|(_, lines)| lines.len() == OF_A_SEGMENT.len())
    );
    assert!(all.iter().rev().take(10).all(|(_, lines)| lines.is_empty()));
}

/// What a viewer takes each listed segment's bit rate for, by its number at the source.
fn bit_rates(bench: &Bench) -> Vec<(u64, Option<u64>)> {
    let rates = bench.checker.ever().map(|it| it.bit_rate);
    relayed(bench)
        .into_iter()
        .map(|it| it.0)
        .zip(rates)
        .collect()
}

#[test]
fn c_58_a_bit_rate_holds_for_all_that_follow_until_the_next() {
    let run = Run::new(2 * SEC);
    let run = run
        .marked(108, "#EXT-X-BITRATE:900")
        .marked(120, "#EXT-X-BITRATE:1200");
    let mut bench = bench(&run, TagPolicy::default());
    bench.pass(60 * SEC);
    bench.kill(9, true);
    bench.run(spec(&[URL]));
    bench.pass(80 * SEC);
    let all = bit_rates(&bench);
    assert!(all[0].0 < 108, "it begins with {}", all[0].0);
    for (number, rate) in all {
        // The source lists no more than six segments, and says nothing once the line has left.
        let says = match number {
            ..108 => None,
            108..114 => Some(900),
            120..126 => Some(1_200),
            // A thousand bytes in two seconds.
            _ => Some(4),
        };
        assert_eq!(rate, says, "segment {number}");
    }
}

#[test]
fn c_58_what_another_source_does_not_say_is_measured() {
    let first = Run::new(2 * SEC).marked(100, "#EXT-X-BITRATE:900");
    let first = (101..140).fold(first, |run, number| {
        run.marked(number, "#EXT-X-BITRATE:900")
    });
    let second = Run::new(2 * SEC).named("seg", 700);
    let mut bench = Bench::new(Box::new(move |now, url| match url {
        URL if now > 40 * SEC => Err(FetchError::Status(503)),
        URL => Ok(first.at(now)),
        _ => Ok(second.at(now)),
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL, "http://backup.example/live/index.m3u8"]));
    bench.pass(80 * SEC);
    let all = bit_rates(&bench);
    assert!(all.iter().any(|it| it.0 < 200) && all.iter().any(|it| it.0 >= 700));
    for (number, rate) in all {
        assert_eq!(
            rate,
            Some(if number < 200 { 900 } else { 4 }),
            "segment {number}"
        );
    }
}

/// A presentation of one variant, with these lines in its multivariant and its media playlist.
fn presentation(main: &'static str, list: &'static str) -> Bench {
    let mut run = Run::new(2 * SEC).dated();
    run.head = list.to_owned();
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(match url == MAIN {
            true => format!("#EXTM3U\n{main}#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n"),
            false => run.at(now),
        })
    }));
    bench.checker.several = true;
    bench.now = 20 * SEC;
    bench
}

/// What viewers opened last, and the media playlist that it leads to.
fn published(bench: &Bench) -> (String, String) {
    let entry = bench.published.iter().rev().find_map(|(_, it)| it.entry());
    let mut playlists = bench.published.iter().flat_map(|(_, it)| &it.playlists);
    let list = playlists.rfind(|it| &*it.name.0 == "v0.m3u8");
    (entry.unwrap().to_string(), list.unwrap().text.to_string())
}

#[test]
fn c_55_what_the_multivariant_playlist_says_the_others_do_not_say_again() {
    const START: &str = "#EXT-X-START:TIME-OFFSET=-12\n";
    let says = "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-START:TIME-OFFSET=-20\n";
    let mut bench = presentation(says, START);
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    let (entry, list) = published(&bench);
    assert!(entry.contains("#EXT-X-START:TIME-OFFSET=-20\n"), "{entry}");
    assert!(entry.contains("#EXT-X-INDEPENDENT-SEGMENTS\n"), "{entry}");
    assert!(!list.contains("START"), "{list}");
    // Where it says nothing, each media playlist has its own.
    let mut bench = presentation("", START);
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    let (entry, list) = published(&bench);
    assert!(
        !entry.contains("START") && list.contains(START),
        "{entry}{list}"
    );
}

#[test]
fn s_39_independence_is_claimed_where_the_source_claims_it() {
    const CLAIM: &str = "#EXT-X-INDEPENDENT-SEGMENTS\n";
    for (main, list) in [("", ""), (CLAIM, ""), ("", CLAIM), (CLAIM, CLAIM)] {
        let mut bench = presentation(main, list);
        bench.run(spec(&[MAIN]));
        bench.pass(60 * SEC);
        let (entry, media) = published(&bench);
        assert_eq!(entry.contains(CLAIM), !main.is_empty());
        assert_eq!(media.contains(CLAIM), !list.is_empty());
    }
    // A channel may withdraw what its source should not claim.
    let mut bench = presentation(CLAIM, CLAIM);
    bench.run(Spec {
        tags: policy(&["EXT-X-INDEPENDENT-SEGMENTS"], &[]),
        ..spec(&[MAIN])
    });
    bench.pass(60 * SEC);
    let (entry, media) = published(&bench);
    assert!(!entry.contains(CLAIM) && !media.contains(CLAIM));
}

#[test]
fn s_41_what_the_session_has_stands_where_it_stood() {
    const SAYS: &str = "#EXT-X-SESSION-DATA:DATA-ID=\"com.a.title\",VALUE=\"A, B\",LANGUAGE=\"en\"\n\
        #EXT-X-VENDOR-SESSION:1\n\
        #EXT-X-SESSION-DATA:DATA-ID=\"com.a.more\",URI=\"more.json?t=1\"\n\
        # a comment\n";
    let mut bench = presentation(SAYS, "");
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    let absolute = SAYS.replace("more.json", "http://origin.example/live/more.json");
    assert!(
        published(&bench).0.contains(&absolute),
        "{}",
        published(&bench).0
    );
    // By name, here as elsewhere.
    let mut bench = presentation(SAYS, "");
    bench.run(Spec {
        tags: policy(&["*"], &["EXT-X-VENDOR-SESSION"]),
        ..spec(&[MAIN])
    });
    bench.pass(60 * SEC);
    let (entry, _) = published(&bench);
    assert!(
        !entry.contains("DATA-ID") && !entry.contains("comment"),
        "{entry}"
    );
    assert!(entry.contains("#EXT-X-VENDOR-SESSION:1\n"), "{entry}");
}

/// What a source closes its list with is no part of a segment to come.
#[test]
fn lines_behind_the_last_segment_of_a_source_that_ends_stay_there() {
    const CLOSING: &str = "#EXT-X-VENDOR-END:1\n# the end\n#EXT-X-CUE-IN";
    let tail =
        format!("{CLOSING}\n#EXT-X-KEY:METHOD=AES-128,URI=\"k?token=1\"\n#EXT-X-DISCONTINUITY");
    let mut run = marked().between(0, 40 * SEC).marked(120, &tail);
    run.ends = true;
    let next = Run::new(2 * SEC)
        .named("b", 500)
        .dated()
        .between(60 * SEC, u64::MAX);
    let source = move |now: u64| {
        if now < 70 * SEC {
            run.at(now)
        } else {
            next.at(now)
        }
    };
    let mut bench = Bench::new(Box::new(move |now, _| Ok(source(now))));
    bench.now = 20 * SEC;
    let tags = TagPolicy {
        drop: vec!["EXT-X-CUE-IN".into()],
        keep: Vec::new(),
    };
    bench.run(with(tags));
    bench.pass(50 * SEC);
    let text = |bench: &Bench| {
        bench
            .published
            .last()
            .unwrap()
            .1
            .entry()
            .unwrap()
            .to_string()
    };
    let last = |text: &str| {
        let (_, uri) = text.split_at(text.rfind(".ts\n").expect("a segment"));
        uri.trim_start_matches(".ts\n").to_owned()
    };
    let expected = "#EXT-X-VENDOR-END:1\n# the end\n#EXT-X-ENDLIST\n";
    assert_eq!(last(&text(&bench)), expected, "{}", text(&bench));
    // Another process knows it.
    assert_eq!(bench.checkpoint().tracks[0].closing.len(), 2);
    bench.kill(5, true);
    bench.run(with(TagPolicy::default()));
    bench.pass(100 * SEC);
    let text = text(&bench);
    assert!(
        !text.contains("VENDOR-END") && !text.contains("# the end"),
        "{text}"
    );
}
