//! Date ranges: folded by ID, published while their time is listed, whatever happens to their source.

mod support;

use hls_relay_core::date_ranges::DateRangeFault;
use hls_relay_core::event::FetchError;
use hls_relay_core::notice::Notice;
use hls_relay_core::playlist::MediaPlaylist;
use support::date_ranges::{by_id, lines, value};
use support::origin::Run;
use support::{Bench, SEC, URL, spec};

const BACKUP: &str = "http://backup.example/live/index.m3u8";

/// So many seconds after the first segment, number 100, began.
fn date(secs: u64) -> String {
    format!("2027-01-15T08:{:02}:{:02}.000Z", secs / 60, secs % 60)
}

fn range(id: &str, start: u64, rest: &str) -> String {
    let start = date(start);
    format!("#EXT-X-DATERANGE:ID=\"{id}\",START-DATE=\"{start}\"{rest}")
}

/// Segments of two seconds.
fn dated() -> Run {
    Run::new(2 * SEC).dated()
}

fn bench(run: &Run) -> Bench {
    let run = run.clone();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = 14 * SEC;
    bench.run(spec(&[URL]));
    bench
}

/// The source's number of the segment before which each line stands in a version: ours are others, and
/// the names of the objects follow the order.
fn places(bench: &Bench, list: &MediaPlaylist) -> Vec<(String, String)> {
    let ever: Vec<_> = bench.checker.ever().collect();
    let relayed = bench.checker.relayed();
    let name = |number: u64| {
        let at = ever.iter().position(|it| it.media_sequence == number);
        let content = at.and_then(|at| relayed[at]).unwrap_or("the end");
        content.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let lines = lines(list).into_iter();
    lines
        .map(|(number, line)| (name(number), line.to_owned()))
        .collect()
}

/// When the date range was in the list for the first and for the last time, in seconds.
fn seen(bench: &Bench, id: &str) -> Option<(u64, u64)> {
    let with = bench
        .checker
        .versions()
        .filter(|(_, list)| by_id(list).contains_key(id));
    let mut times = with.map(|(at, _)| at / SEC);
    let first = times.next()?;
    Some((first, times.next_back().unwrap_or(first)))
}

fn faults(bench: &Bench) -> Vec<&DateRangeFault> {
    let faults = bench.notices.iter().filter_map(|(_, notice)| {
        let Notice::DateRange { fault, .. } = notice else {
            return None;
        };
        Some(fault)
    });
    faults.collect()
}

#[test]
fn s_23_a_date_range_stays_while_its_time_is_listed() {
    let line = range("ad", 20, ",CLASS=\"a,b\",DURATION=20.0,X-A=0x0f");
    let mut bench = bench(&dated().marked(110, &line));
    bench.pass(24 * SEC);
    // Where it stood at its source, and as it came.
    assert_eq!(
        places(&bench, &bench.last()),
        [("seg110.ts".to_owned(), line.clone())]
    );
    // Its segment has left, here and there; it is not over.
    bench.pass(46 * SEC);
    let first = bench.last().segments[0].media_sequence;
    assert_eq!(lines(&bench.last()), [(first, &*line)]);
    bench.pass(80 * SEC);
    assert!(lines(&bench.last()).is_empty());
    // The last segment of which it told was listed until about 52 s.
    let (_, until) = seen(&bench, "ad").unwrap();
    assert!((50..=54).contains(&until), "until {until}");
}

#[test]
fn s_24_what_is_told_later_is_added() {
    let out = range(
        "splice-1",
        24,
        ",PLANNED-DURATION=10,SCTE35-OUT=0xFC002F0000",
    );
    let back = "#EXT-X-DATERANGE:ID=\"splice-1\",SCTE35-IN=0xFC002A0000,DURATION=8";
    // The later tag stands with the end of the break, or with the segment that has the first one.
    for number in [116, 112] {
        let run = dated()
            .marked(112, &out)
            .marked_in(34 * SEC..u64::MAX, number, back);
        let mut bench = bench(&run);
        bench.pass(30 * SEC);
        let stands = [("seg112.ts".to_owned(), out.clone())];
        assert_eq!(places(&bench, &bench.last()), stands);
        bench.pass(37 * SEC);
        let whole = format!("{out},SCTE35-IN=0xFC002A0000,DURATION=8");
        let found: Vec<String> = lines(&bench.last())
            .iter()
            .map(|it| it.1.to_owned())
            .collect();
        assert_eq!(found, [whole]);
        assert!(faults(&bench).is_empty());
        bench.pass(80 * SEC);
        assert!(lines(&bench.last()).is_empty());
    }
}

#[test]
fn s_24_what_is_told_later_is_added_beside_a_discontinuity_too() {
    let out = range("splice-1", 24, ",PLANNED-DURATION=10");
    let back = "#EXT-X-DATERANGE:ID=\"splice-1\",DURATION=8";
    // The segment behind it has a date-time of its own, or none; the line stands before the tag, or behind it.
    for (dated_behind, first, second) in [
        (true, back, "#EXT-X-DISCONTINUITY"),
        (false, back, "#EXT-X-DISCONTINUITY"),
        (false, "#EXT-X-DISCONTINUITY", back),
    ] {
        let run = dated()
            .marked(112, &out)
            .marked(116, first)
            .marked(116, second);
        let mut bench = Bench::new(Box::new(move |now, _| {
            let text = run.at(now);
            let (before, behind) = text
                .split_once("#EXT-X-DISCONTINUITY\n")
                .unwrap_or((&text, ""));
            let dates = |it: &&str| dated_behind || !it.starts_with("#EXT-X-PROGRAM-DATE-TIME");
            let behind: Vec<_> = behind.lines().filter(dates).collect();
            Ok(match behind.is_empty() {
                true => text,
                false => format!("{before}#EXT-X-DISCONTINUITY\n{}\n", behind.join("\n")),
            })
        }));
        bench.now = 14 * SEC;
        bench.run(spec(&[URL]));
        bench.pass(37 * SEC);
        let last = bench.last();
        let found: Vec<&str> = lines(&last).iter().map(|it| it.1).collect();
        assert_eq!(found, [format!("{out},DURATION=8")], "{dated_behind}");
        assert!(faults(&bench).is_empty());
    }
}

#[test]
fn s_23_what_begins_later_is_told_at_once() {
    let line = range("next", 60, ",DURATION=4");
    // At the end of the list, where no segment follows yet.
    let marks = (100..140).fold(dated(), |run, number| {
        let at = 20 * SEC..u64::MAX;
        let end = (number - 100) * 2 * SEC;
        run.marked_in(at.start.max(end)..end + 2 * SEC, number, &line)
    });
    let mut bench = bench(&marks);
    bench.pass(80 * SEC);
    let (from, until) = seen(&bench, "next").unwrap();
    assert!((20..=24).contains(&from), "from {from}");
    assert!((74..=78).contains(&until), "until {until}");
}

#[test]
fn s_23_end_on_next_lasts_until_the_next_of_its_class() {
    let chapter = |id, start| range(id, start, ",CLASS=\"chapter\",END-ON-NEXT=YES");
    let other = range("other", 30, ",CLASS=\"other\",END-ON-NEXT=YES");
    let run = dated().marked(110, &chapter("one", 20)).marked(115, &other);
    let mut bench = bench(&run.marked(125, &chapter("two", 50)));
    bench.pass(120 * SEC);
    let (_, until) = seen(&bench, "one").unwrap();
    // The window of 12 s begins behind 50 s from 62 s on.
    assert!((60..=64).contains(&until), "until {until}");
}

#[test]
fn c_53_an_attribute_that_is_given_does_not_change() {
    let first = range("ad", 24, ",DURATION=8,X-A=\"1\"");
    let other = range("ad", 24, ",X-A=\"2\",X-B=\"3\"");
    let same =
        "#EXT-X-DATERANGE:ID=\"ad\",START-DATE=\"2027-01-15T09:00:24+01:00\",DURATION=8.0,X-C=4";
    let run = dated()
        .marked(112, &first)
        .marked(113, &other)
        .marked(114, same);
    let mut bench = bench(&run);
    bench.pass(32 * SEC);
    let found: Vec<String> = lines(&bench.last())
        .iter()
        .map(|it| it.1.to_owned())
        .collect();
    assert_eq!(found, [format!("{first},X-C=4")]);
    let (id, attribute) = ("ad".into(), "X-A".into());
    assert_eq!(
        faults(&bench),
        [&DateRangeFault::Contradicted { id, attribute }]
    );
}

#[test]
fn c_53_what_players_ignore_stays_where_it_stood_and_means_nothing() {
    let lines_of_nothing = [
        "#EXT-X-DATERANGE:ID=\"never begun\",DURATION=8".to_owned(),
        range("x", 20, ",END-ON-NEXT=YES"),
        range("x", 20, ",CLASS=\"c\",END-ON-NEXT=YES,DURATION=8"),
        range("x", 20, ",DURATION=-1"),
        range("x", 20, ",END-DATE=\"2027-01-15T08:00:10.000Z\""),
        range("x", 20, ",DURATION=5,END-DATE=\"2027-01-15T08:00:30.000Z\""),
        range("", 20, ""),
        "#EXT-X-DATERANGE:START-DATE=\"2027-01-15T08:00:20.000Z\"".to_owned(),
        "#EXT-X-DATERANGE:ID=\"x\",START-DATE=\"tomorrow\"".to_owned(),
    ];
    let marked = lines_of_nothing.iter();
    let run = marked.fold(dated(), |run, line| run.marked(110, line));
    let run = run.marked(111, &range("x", 22, ",DURATION=4"));
    let mut bench = bench(&run);
    bench.checker.free_date_ranges = true;
    bench.pass(27 * SEC);
    let last = bench.last();
    let tags: Vec<&str> = last
        .segments
        .iter()
        .flat_map(|it| &it.tags)
        .map(|it| &**it)
        .collect();
    assert_eq!(tags[..9], lines_of_nothing);
    assert_eq!(tags[9..], [range("x", 22, ",DURATION=4")]);
    // They leave with their segment.
    bench.pass(42 * SEC);
    assert_eq!(lines(&bench.last()), []);
}

#[test]
fn s_23_where_nobody_tells_the_end_the_source_decides() {
    let line = range("open", 20, "");
    let unlisted = bench(&dated().marked(110, &line));
    // The source's head has it for as long as it lasts.
    let heads = (100..170).fold(dated(), |run, number| {
        let leaves = (number - 100 + 7) * 2 * SEC;
        let at = (leaves - 2 * SEC).max(22 * SEC)..leaves.min(70 * SEC);
        run.marked_in(at.start.min(at.end)..at.end, number, &line)
    });
    for (mut bench, least, most) in [(unlisted, 30, 36), (bench(&heads), 66, 74)] {
        bench.pass(100 * SEC);
        let (_, until) = seen(&bench, "open").unwrap();
        assert!((least..=most).contains(&until), "until {until}");
    }
}

#[test]
fn s_23_what_began_before_the_first_segment_is_listed_from_the_start() {
    let mut run = dated().marked(102, &range("programme", 4, ",DURATION=90"));
    run = run.marked(101, &range("over", 2, ",DURATION=4"));
    run.window = 20;
    let mut bench = bench(&run);
    bench.now = 40 * SEC;
    bench.pass(50 * SEC);
    assert!(
        bench.asked().iter().all(|it| !it.contains("102")),
        "it begins behind it"
    );
    let first = bench.media_of(0);
    assert_eq!(by_id(&first).into_keys().collect::<Vec<_>>(), ["programme"]);
}

#[test]
fn s_24_a_restart_goes_on_with_what_was_told() {
    let line = range("ad", 20, ",CLASS=\"a\"");
    let more = "#EXT-X-DATERANGE:ID=\"ad\",END-DATE=\"2027-01-15T08:01:10.000Z\"";
    let run = dated().marked(110, &line).marked(116, more);
    let mut bench = bench(&run);
    bench.pass(28 * SEC);
    bench.kill(9, true);
    bench.run(spec(&[URL]));
    bench.pass(30 * SEC);
    assert_eq!(by_id(&bench.last()).len(), 1);
    bench.pass(70 * SEC);
    let whole = format!("{line},END-DATE=\"2027-01-15T08:01:10.000Z\"");
    assert_eq!(lines(&bench.last())[0].1, whole);
    bench.pass(100 * SEC);
    assert!(lines(&bench.last()).is_empty());
}

#[test]
fn s_23_an_id_of_another_source_is_another_one_unless_all_of_it_is_the_same() {
    let same = range("same", 24, ",DURATION=90");
    let first = dated()
        .marked(112, &same)
        .marked(113, &range("ad", 26, ",DURATION=90,X-OF=1"));
    let second = dated().named("other", 500);
    let second = second
        .marked(520, &same)
        .marked(520, &range("ad", 40, ",DURATION=60,X-OF=2"));
    let second = second.marked(521, "#EXT-X-DATERANGE:ID=\"ad\",X-MORE=3");
    let mut bench = Bench::new(Box::new(move |now, url| match url {
        URL if now > 34 * SEC => Err(FetchError::Status(503)),
        URL => Ok(first.at(now)),
        _ => Ok(second.at(now)),
    }));
    bench.now = 14 * SEC;
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(70 * SEC);
    let last = by_id(&bench.last());
    let of = |id: &str| value(&last[id], "X-OF").map(str::to_owned);
    assert_eq!(last.keys().collect::<Vec<_>>(), ["ad", "ad-2", "same"]);
    assert_eq!(
        (of("ad").as_deref(), of("ad-2").as_deref()),
        (Some("1"), Some("2"))
    );
    assert_eq!(value(&last["ad-2"], "X-MORE"), Some("3"));
    assert!(faults(&bench).is_empty());
}

#[test]
fn c_63_date_ranges_have_a_limit_in_number_and_in_bytes() {
    for (length, told, count) in [(1, 1_100, 1_024), (2_000, 400, 512 * 1_024 / 2_100)] {
        let filler = "x".repeat(length);
        let line = |n| {
            range(
                &format!("r{n}"),
                20,
                &format!(",DURATION=60,X-A=\"{filler}\""),
            )
        };
        let lines: Vec<String> = (0..told).map(line).collect();
        let run = dated().marked(110, &lines.join("\n"));
        let mut bench = bench(&run);
        bench.pass(28 * SEC);
        let kept = by_id(&bench.last()).len();
        assert!(
            (count - 8..=count + 8).contains(&kept),
            "{kept} of {length} bytes"
        );
        assert_eq!(faults(&bench), [&DateRangeFault::TooMany]);
        // The newest are there, and the channel goes on.
        let told: Vec<u64> = by_id(&bench.last())
            .keys()
            .map(|id| id[1..].parse().unwrap())
            .collect();
        assert!(told.iter().max().unwrap() - told.iter().min().unwrap() < kept as u64);
        assert_eq!(bench.holes(), 0);
    }
}

#[test]
fn s_24_without_date_times_they_stay_with_their_segments() {
    let line = range("ad", 20, ",DURATION=60");
    let run = Run::new(2 * SEC).marked(110, &line);
    let mut bench = bench(&run);
    bench.checker.free_date_ranges = true;
    bench.pass(24 * SEC);
    assert_eq!(
        places(&bench, &bench.last()),
        [("seg110.ts".to_owned(), line)]
    );
    bench.pass(40 * SEC);
    assert!(lines(&bench.last()).is_empty());
}

#[test]
fn the_assets_of_an_interstitial_are_where_the_source_has_them() {
    let line = range(
        "ad",
        20,
        ",CLASS=\"com.apple.hls.interstitial\",DURATION=8,X-ASSET-LIST=\"ads.json?a=1\"",
    );
    let mut bench = bench(&dated().marked(110, &line));
    bench.pass(24 * SEC);
    let found = by_id(&bench.last());
    let list = value(&found["ad"], "X-ASSET-LIST");
    assert_eq!(list, Some("http://origin.example/live/ads.json?a=1"));
}

#[test]
fn behind_gaps_that_leave_before_any_version_has_them_it_stands_with_its_segment() {
    const MAIN: &str = "http://origin.example/live/main.m3u8";
    let main = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=2x1\nlow.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=20,RESOLUTION=4x2\nhigh.m3u8\n";
    // One variant begins later: it has gaps for what the other has had, and is shown with its third segment. The
    // other has gone on by then.
    let ad = range("ad", 60, ",DURATION=40");
    let late = dated().named("high", 500).between(60 * SEC, u64::MAX);
    let late = late.marked(500, &ad);
    let mut bench = Bench::new(Box::new(move |now, url| match url.rsplit('/').next() {
        Some("main.m3u8") => Ok(main.to_owned()),
        Some("high.m3u8") if now < 62 * SEC => Err(FetchError::Status(404)),
        Some("high.m3u8") => Ok(late.at(now)),
        _ => Ok(dated().at(now)),
    }));
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench.run(spec(&[MAIN]));
    bench.pass(74 * SEC);
    let versions = bench.published.iter().flat_map(|it| &it.1.playlists);
    let versions: Vec<_> = versions.filter(|it| &*it.name.0 == "v1.m3u8").collect();
    let first = support::media(&versions.first().expect("it is shown").text);
    assert!(
        first.segments[0].gap && first.segments.len() < 9,
        "{first:?}"
    );
    let told = first.segments.iter().find(|it| !it.gap).expect("a segment");
    assert_eq!(
        lines(&first),
        [(told.media_sequence, &*ad)],
        "{:?}",
        versions[0].text
    );
}
