//! The multivariant playlist that viewers open. Every one that is published in these tests passes a strict
//! reader; here it is shown what that sees, and what stays as the source has it.

mod support;

use hls_relay_core::config::{HolePolicy, KeyPolicy, Selection};
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::MediaPlaylist;
use std::collections::{BTreeMap, BTreeSet};
use support::origin::Run;
use support::{Bench, SEC, Spec, media, multivariant, spec};

const MAIN: &str = "http://origin.example/live/main.m3u8";

const GOOD: &str = "#EXTM3U
#EXT-X-VERSION:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,URI=\"a0.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"fr, 2\",DEFAULT=NO,URI=\"a1.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"en\",FORCED=NO,URI=\"s0.m3u8\"
#EXT-X-SESSION-DATA:DATA-ID=\"t\",VALUE=\"1\"
#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,SCORE=1.5,AUDIO=\"a\",SUBTITLES=\"s\",CLOSED-CAPTIONS=NONE
v0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9,SCORE=2,RESOLUTION=2x1,FRAME-RATE=29.970,AUDIO=\"a\",CLOSED-CAPTIONS=NONE
v1.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,URI=\"i0.m3u8\"
";

#[test]
fn the_strict_reader_sees_what_is_wrong() {
    let named = multivariant::check(GOOD).unwrap();
    let names = ["a0", "a1", "i0", "s0", "v0", "v1"].map(|it| format!("{it}.m3u8"));
    assert_eq!(named.into_iter().collect::<Vec<_>>(), names);
    for (rule, from, to) in [
        ("S-63", "#EXTM3U\n", ""),
        ("S-63", "\n#EXT-X-SESSION", "\n\n#EXT-X-SESSION"),
        ("S-29", "#EXT-X-VERSION:4\n", ""),
        (
            "C-05",
            "#EXT-X-VERSION:4\n",
            "#EXT-X-VERSION:4\n#EXT-X-VERSION:4\n",
        ),
        (
            "C-04",
            "#EXT-X-SESSION",
            "#EXT-X-TARGETDURATION:4\n#EXT-X-SESSION",
        ),
        ("a URI", "v0.m3u8\n", "v0.m3u8\nv2.m3u8\n"),
        ("no URI", "v0.m3u8\n", ""),
        ("S-35", "BANDWIDTH=9,SCORE=2", "SCORE=2"),
        ("S-35", "AVERAGE-BANDWIDTH=8", "AVERAGE-BANDWIDTH=10"),
        ("S-38", "CLOSED-CAPTIONS=NONE\nv1", "PROGRAM-ID=1\nv1"),
        ("S-42", "SCORE=2,", ""),
        ("C-54", "AUDIO=\"a\",SUB", "AUDIO=\"b\",SUB"),
        ("C-54", "NAME=\"fr, 2\"", "NAME=\"en\""),
        ("C-54", "NAME=\"fr, 2\",", ""),
        ("C-54", "FORCED=NO,URI=\"s0.m3u8\"", "FORCED=NO"),
        ("C-54", "DEFAULT=NO", "FORCED=NO"),
        ("S-38", "DEFAULT=NO", "DEFAULT=YES"),
        ("S-38", "AUTOSELECT=YES", "AUTOSELECT=NO"),
        ("S-40", ",URI=\"i0.m3u8\"", ""),
        ("S-41", ",VALUE=\"1\"", ""),
        ("S-41", ",VALUE=\"1\"", ",VALUE=\"1\",URI=\"x\""),
        ("S-64", "RESOLUTION=2x1", "RESOLUTION=2x"),
        ("S-64", "RESOLUTION=2x1", "RESOLUTION=2x1,RESOLUTION=2x1"),
        ("S-64", "FRAME-RATE=29.970", "FRAME-RATE=\"29.970\""),
        ("S-64", "GROUP-ID=\"s\"", "GROUP-ID=s"),
        ("S-64", "DEFAULT=NO", "DEFAULT=no"),
        ("S-65", "\nv1.m3u8", "\nhttps://a.example/v1.m3u8"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let said = multivariant::check(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(said.contains(rule), "{rule} for {to:?}: {said}");
    }
}

/// What the source says of its media, as far as it says it.
const SAYS: [&str; 3] = [
    "CODECS=\"avc1.4d401e,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=29.970,VIDEO-RANGE=SDR",
    "RESOLUTION=1280x720,CODECS=\"hvc1.2.4.L93.B0,ec-3\",HDCP-LEVEL=TYPE-0,VIDEO-RANGE=PQ,X-A=1",
    "PROGRAM-ID=1",
];

fn main_list() -> String {
    let sound = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",URI=\"en.m3u8\"\n";
    let variants = SAYS.iter().enumerate().map(|(n, says)| {
        format!("#EXT-X-STREAM-INF:BANDWIDTH=9000,{says},AUDIO=\"a\"\nv{n}.m3u8\n")
    });
    format!("#EXTM3U\n{sound}{}", variants.collect::<String>())
}

/// Each track's list is made of these; sound has other lengths than pictures.
fn bench(main: String, track: impl Fn(&str) -> Run + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, url| match url == MAIN {
        true => Ok(main.clone()),
        false => Ok(track(url.rsplit('/').next().unwrap_or_default()).at(now)),
    }));
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench
}

fn plain(name: &str) -> Run {
    let micros = if name == "en.m3u8" {
        1_500_000
    } else {
        2 * SEC
    };
    let mut run = Run::new(micros).named(name, 100).dated();
    run.window = 12;
    run
}

fn entry(bench: &Bench) -> String {
    let last = bench.published.iter().rev().find_map(|(_, it)| it.entry());
    last.expect("it is published").to_string()
}

/// All media playlists as of each version.
fn seen(bench: &Bench) -> Vec<BTreeMap<String, MediaPlaylist>> {
    let mut now = BTreeMap::new();
    let versions = bench.published.iter().map(|(_, publish)| {
        for playlist in publish
            .playlists
            .iter()
            .filter(|it| &*it.name.0 != "index.m3u8")
        {
            now.insert(playlist.name.0.to_string(), media(&playlist.text));
        }
        now.clone()
    });
    versions.collect()
}

#[test]
fn s_36_and_s_37_what_the_source_says_of_its_media_stays_as_it_is() {
    let mut bench = bench(main_list(), plain);
    bench.run(spec(&[MAIN]));
    bench.pass(80 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let text = entry(&bench);
    let tags: Vec<&str> = text
        .lines()
        .filter(|it| it.starts_with("#EXT-X-STREAM-INF"))
        .collect();
    let wanted = SAYS.map(|says| format!(",{says},AUDIO=\"a\""));
    assert_eq!(tags.len(), wanted.len());
    for (tag, wanted) in tags.iter().zip(&wanted) {
        // What is measured stands before and behind it.
        assert!(tag.contains(wanted), "{tag}: {wanted}");
    }
}

#[test]
fn s_37_size_rate_and_range_of_the_picture_stay_when_variants_are_chosen() {
    let mut bench = bench(main_list(), plain);
    let mut spec = spec(&[MAIN]);
    spec.selection.min_height = Some(700);
    bench.run(spec);
    bench.pass(80 * SEC);
    let text = entry(&bench);
    assert!(
        text.contains(SAYS[1]) && !text.contains("640x360"),
        "{text}"
    );
}

/// Bit rates of a variant, as the entry has them: the peak and the average.
fn told_bit_rates(tag: &str) -> (u64, u64) {
    let value = |name: &str| {
        let mut attributes = tag.split([':', ',']);
        let found = attributes.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{name} in {tag}")).parse()
    };
    let peak = value("BANDWIDTH").expect("a number");
    (peak, value("AVERAGE-BANDWIDTH").expect("a number"))
}

#[test]
fn s_35_bit_rates_are_measured_where_the_source_is_silent_or_lies() {
    for says in [
        "RESOLUTION=640x360",
        "BANDWIDTH=1",
        "BANDWIDTH=2,AVERAGE-BANDWIDTH=1",
        "AVERAGE-BANDWIDTH=1",
    ] {
        // Nothing in them tells the two apart where nothing is said.
        let variant = |n| format!("#EXT-X-STREAM-INF:{says},X-N={n}\nv{n}.m3u8\n");
        let mut bench = bench(format!("#EXTM3U\n{}{}", variant(0), variant(1)), plain);
        bench.run(spec(&[MAIN]));
        bench.pass(80 * SEC);
        let text = entry(&bench);
        let tags = text
            .lines()
            .filter(|it| it.starts_with("#EXT-X-STREAM-INF"));
        let told: Vec<_> = tags.map(told_bit_rates).collect();
        // A thousand bytes of two seconds.
        assert_eq!(told, [(4_000, 4_000); 2], "{says}: {text}");
    }
}

/// Players leave out what they cannot have, and what is stated is a bound: so only what is far off, and not before it is
/// known well.
#[test]
fn s_35_bit_rates_that_are_far_too_high_are_put_right_once_they_are_known_well() {
    for (says, told) in [
        (
            "BANDWIDTH=9000000,AVERAGE-BANDWIDTH=8000000",
            (4_000, 4_000),
        ),
        ("BANDWIDTH=9000,AVERAGE-BANDWIDTH=5000", (4_000, 4_000)),
        ("BANDWIDTH=8000,AVERAGE-BANDWIDTH=5000", (8_000, 5_000)),
    ] {
        let variant = format!("#EXT-X-STREAM-INF:{says}\nv.m3u8\n");
        let mut bench = bench(format!("#EXTM3U\n{variant}"), plain);
        bench.run(spec(&[MAIN]));
        bench.pass(1_700 * SEC);
        let said = format!("#EXT-X-STREAM-INF:{says}");
        assert!(entry(&bench).contains(&said), "{}", entry(&bench));
        bench.pass(2_000 * SEC);
        let text = entry(&bench);
        let tag = text.lines().find(|it| it.starts_with("#EXT-X-STREAM-INF"));
        assert_eq!(told_bit_rates(tag.expect("a variant")), told, "{text}");
        // Whoever takes over knows it as well.
        let before = bench.published.len();
        bench.kill(5, true);
        bench.run(spec(&[MAIN]));
        bench.pass(2_030 * SEC);
        let since = bench.published[before..].iter();
        let entries: Vec<_> = since.filter_map(|(_, it)| it.entry()).collect();
        let is_same = |it: &&std::sync::Arc<str>| ***it == *text;
        assert!(
            !entries.is_empty() && entries.iter().all(is_same),
            "{entries:?}"
        );
    }
}

/// What a multivariant playlist says of where to begin is of the media that it leads to, whatever stands before that here.
#[test]
fn c_55_a_start_of_all_variants_is_where_their_source_means_it() {
    let main = "#EXTM3U\n#EXT-X-START:TIME-OFFSET=8\n#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n";
    let film = |_: &str| {
        let mut run = Run::new(2 * SEC).named("film", 0).between(0, 80 * SEC);
        (run.window, run.ends) = (u64::MAX, true);
        run.head = "#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
        run
    };
    let live = Run::new(2 * SEC).between(0, 60 * SEC);
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(match url {
            MAIN => main.to_owned(),
            _ if now < 70 * SEC => live.at(now),
            _ => film(url).at(now + 200 * SEC),
        })
    }));
    bench.segment = Box::new(|_, _| Ok(SEC));
    bench.checker.several = true;
    bench.run(support::Spec {
        window: None,
        ..spec(&[MAIN])
    });
    bench.pass(60 * SEC);
    // Four more are listed here than there.
    let text = entry(&bench);
    assert!(text.contains("#EXT-X-START:TIME-OFFSET=16\n"), "{text}");
    bench.pass(140 * SEC);
    let text = entry(&bench);
    assert!(text.contains("#EXT-X-START:TIME-OFFSET=28\n"), "{text}");
}

#[test]
fn where_no_sound_is_in_the_language_that_is_wanted_there_is_sound_all_the_same() {
    let rendition = |kind: &str, language: &str| {
        let group = &kind[..1];
        format!(
            "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\",NAME=\"{language}\",LANGUAGE=\"{language}\",\
             URI=\"{group}-{language}.m3u8\"\n"
        )
    };
    let all = ["en", "de"].map(|it| rendition("AUDIO", it) + &rendition("SUBTITLES", it));
    let captions = "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"C\",NAME=\"es\",LANGUAGE=\"es\",INSTREAM-ID=\"CC1\"\n";
    let groups = "AUDIO=\"A\",SUBTITLES=\"S\",CLOSED-CAPTIONS=\"C\"";
    let variant = format!("{captions}#EXT-X-STREAM-INF:BANDWIDTH=9000,{groups}\nv.m3u8\n");
    for (wanted, sounds, texts) in [("de", 1, 1), ("fr", 2, 0)] {
        let mut bench = bench(format!("#EXTM3U\n{}{variant}", all.concat()), plain);
        let mut spec = spec(&[MAIN]);
        spec.selection.languages = vec![wanted.into()];
        bench.run(spec);
        bench.pass(80 * SEC);
        let text = entry(&bench);
        assert_eq!(text.matches("TYPE=AUDIO").count(), sounds, "{text}");
        assert_eq!(text.matches("TYPE=SUBTITLES").count(), texts, "{text}");
        assert!(
            text.contains("AUDIO=\"A\"") && text.contains(captions),
            "{text}"
        );
    }
}

/// What does not tell may be what is wanted; but who wants a least height wants no sound alone.
#[test]
fn what_does_not_tell_is_chosen_but_for_a_least_height() {
    let rendition = |says: &str, name: &str| {
        format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"{name}\"{says},URI=\"{name}.m3u8\"\n"
        )
    };
    let sounds = rendition("", "silent") + &rendition(",LANGUAGE=\"de\"", "german");
    let told = "#EXT-X-STREAM-INF:BANDWIDTH=9000,RESOLUTION=640x360,CODECS=\"hvc1.2,mp4a.40.2\",AUDIO=\"a\"\nv0.m3u8\n";
    let untold = "#EXT-X-STREAM-INF:BANDWIDTH=9001,AUDIO=\"a\"\nv1.m3u8\n";
    let list = format!("#EXTM3U\n{sounds}{told}{untold}");
    let least = |selection: &mut Selection| selection.min_height = Some(300);
    let most = |selection: &mut Selection| selection.max_height = Some(300);
    let format = |selection: &mut Selection| selection.codecs = vec!["avc1".into()];
    let language = |selection: &mut Selection| selection.languages = vec!["fr".into()];
    type Choice = fn(&mut Selection);
    let cases: [(Choice, [&str; 3]); 4] = [
        (least, ["v0", "silent", "german"]),
        (most, ["v1", "silent", "german"]),
        (format, ["v1", "silent", "german"]),
        (language, ["v0", "v1", "silent"]),
    ];
    for (choose, wanted) in cases {
        let mut bench = bench(list.clone(), plain);
        let mut spec = spec(&[MAIN]);
        choose(&mut spec.selection);
        bench.run(spec);
        bench.pass(80 * SEC);
        let loaded = bench.loads.iter();
        let loaded = loaded.filter_map(|(_, url)| url.rsplit('/').next()?.strip_suffix(".m3u8"));
        let loaded: BTreeSet<&str> = loaded.filter(|it| *it != "main").collect();
        assert_eq!(loaded, BTreeSet::from(wanted), "{}", entry(&bench));
    }
}

#[test]
fn s_41_keys_of_the_session_are_those_of_the_media() {
    const PLAIN: &str =
        "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"http://origin.example/live/1.key\"\n";
    const DRM: &str =
        "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple\"\n";
    for (keys, stays) in [
        (KeyPolicy::Origin, true),
        (KeyPolicy::Rehost, false),
        (KeyPolicy::Decrypt, false),
    ] {
        let main = format!("#EXTM3U\n{PLAIN}{DRM}#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n");
        let mut bench = bench(main, plain);
        bench.run(Spec {
            keys,
            ..spec(&[MAIN])
        });
        bench.pass(80 * SEC);
        let text = entry(&bench);
        assert_eq!(text.contains(PLAIN), stays, "{keys:?}: {text}");
        assert!(text.contains(DRM), "{keys:?}: {text}");
    }
}

#[test]
fn what_a_tag_leads_to_that_is_not_known_stays_at_the_source() {
    const IMAGES: &str =
        "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,RESOLUTION=320x180,URI=\"images.m3u8\"\n";
    const VENDOR: &str = "#EXT-X-VENDOR:URI=\"a/b.json\"\n";
    let main = format!("#EXTM3U\n{IMAGES}#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n");
    let mut bench = bench(main, |name| {
        let mut run = plain(name).marked(127, VENDOR.trim_end());
        run.head = VENDOR.to_owned();
        run
    });
    bench.run(spec(&[MAIN]));
    bench.pass(62 * SEC);
    let text = entry(&bench);
    assert!(
        text.contains("URI=\"http://origin.example/live/images.m3u8\""),
        "{text}"
    );
    let mut playlists = bench.published.iter().flat_map(|it| &it.1.playlists);
    let list = playlists.rfind(|it| &*it.name.0 != "index.m3u8");
    let text = &list.expect("it is listed").text;
    let absolute = VENDOR.replace("a/b", "http://origin.example/live/a/b");
    assert_eq!(text.matches(&absolute).count(), 2, "{text}");
}

/// The endings of what a track lists, when each of its segments is called so at its source.
fn endings(name: &'static str, head: &'static str, kind: &str) -> Vec<String> {
    let entry = match kind {
        "v0" => "#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n".to_owned(),
        _ => "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"en\",URI=\"v.m3u8\"\n\
              #EXT-X-STREAM-INF:BANDWIDTH=9000,SUBTITLES=\"s\"\nw.m3u8\n"
            .to_owned(),
    };
    let mut bench = bench(String::new(), plain);
    bench.source = Box::new(move |now, url| {
        let mut run = plain("seg");
        run.head = if url.ends_with("v.m3u8") { head } else { "" }.to_owned();
        match url {
            MAIN => Ok(format!("#EXTM3U\n{entry}")),
            _ if url.ends_with("v.m3u8") => Ok(run.at(now).replace(".ts", name)),
            _ => Ok(run.at(now)),
        }
    });
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    let mut playlists = bench.published.iter().flat_map(|it| &it.1.playlists);
    let list = playlists.rfind(|it| it.name.0.starts_with(kind));
    let list = media(&list.expect("it is listed").text);
    let ending = |uri: &str| uri.rsplit('.').next().unwrap_or_default().to_owned();
    list.segments.iter().map(|it| ending(&it.uri)).collect()
}

#[test]
fn s_43_a_segment_is_called_by_what_it_is_where_its_name_says_nothing() {
    const MAP: &str = "#EXT-X-MAP:URI=\"init.mp4\"\n";
    for (name, head, kind, wanted) in [
        (".ts", "", "v0", "ts"),
        (".php?x=1", "", "v0", "ts"),
        (".M4S", MAP, "v0", "m4s"),
        (".cmfv", MAP, "v0", "m4v"),
        ("", MAP, "v0", "m4s"),
        (".webvtt", "", "s0", "vtt"),
        ("", "", "s0", "vtt"),
    ] {
        let found = endings(name, head, kind);
        assert!(
            !found.is_empty() && found.iter().all(|it| it == wanted),
            "{name:?}: {found:?}"
        );
    }
}

#[test]
fn s_68_sound_and_pictures_have_one_target_duration_and_cover_the_same_time() {
    // The pictures state four seconds, and are a whole segment further behind; the sound states two.
    let main = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",URI=\"en.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=9000,AUDIO=\"a\"\nv.m3u8\n";
    let mut bench = Bench::new(Box::new(move |now, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let (micros, late) = match name {
            "main.m3u8" => return Ok(main.to_owned()),
            "en.m3u8" => (1_500_000, 0),
            _ => (4 * SEC, 4 * SEC),
        };
        let mut run = Run::new(micros).named(name, 100).dated();
        run.window = 40 * SEC / micros;
        Ok(run.at(now - late))
    }));
    bench.checker.several = true;
    bench.now = 60 * SEC;
    bench.run(spec(&[MAIN]));
    bench.pass(180 * SEC);
    let versions = seen(&bench);
    assert!(versions.len() > 20, "{}", versions.len());
    for lists in versions {
        let (sound, pictures) = (&lists["a0.m3u8"], &lists["v0.m3u8"]);
        let target_duration = hls_relay_core::time::Span::from_secs(4);
        assert_eq!(pictures.target_duration, target_duration);
        assert_eq!(sound.target_duration, target_duration);
        // The date-times tell where a list begins and ends.
        let begins = |it: &MediaPlaylist| it.segments[0].date_time.unwrap();
        let ends = |it: &MediaPlaylist| begins(it) + it.duration();
        let apart = begins(pictures).abs_diff(begins(sound));
        assert!(apart <= target_duration, "they begin {apart} apart");
        let apart = ends(pictures).abs_diff(ends(sound));
        assert!(apart <= target_duration, "they end {apart} apart");
    }
}

#[test]
fn c_33_an_i_frame_that_is_a_piece_of_cipher_is_refused_and_stops_nobody() {
    let i_frames = "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=900,URI=\"fast.m3u8\"\n";
    let mut bench = bench(main_list() + i_frames, |name| {
        let mut run = plain(name);
        if name == "fast.m3u8" {
            run.head = "#EXT-X-I-FRAMES-ONLY\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n".to_owned();
            run = (100..200).fold(run, |run, n| run.marked(n, "#EXT-X-BYTERANGE:1000@188"));
        }
        run
    });
    bench.run(spec(&[MAIN]));
    bench.pass(120 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert!(
        bench.asked().iter().all(|it| !it.contains("fast")),
        "{:?}",
        bench.asked()
    );
    let refused = bench.notices.iter();
    let refused = refused.filter(|(_, it)| matches!(it, Notice::SegmentRefused { .. }));
    assert_eq!(refused.count(), 1, "said once, and not with each list");
    assert!(!entry(&bench).contains("I-FRAME"), "{}", entry(&bench));
}

#[test]
fn s_47_of_several_tracks_a_hole_is_gaps_where_one_has_lost_it() {
    let mut bench = bench(main_list(), plain);
    bench.segment = Box::new(|_, url| match url.contains("v1.m3u8125") {
        true => Err(hls_relay_core::event::FetchError::Status(404)),
        false => Ok(50_000),
    });
    bench.run(Spec {
        hole: HolePolicy::Discontinuity,
        ..spec(&[MAIN])
    });
    bench.pass(100 * SEC);
    let versions = seen(&bench);
    let all = versions
        .iter()
        .flat_map(|it| it.values())
        .flat_map(|it| &it.segments);
    assert_eq!(all.clone().filter(|it| it.discontinuity).count(), 0);
    assert!(all.clone().any(|it| it.gap));
}
