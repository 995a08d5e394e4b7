//! What a multivariant playlist does not say of its media is asked of the media.

mod support;

use hls_relay_core::config::KeyPolicy;
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::Resolution;
use support::origin::Run;
use support::{Bench, SEC, Spec, spec};

const MAIN: &str = "http://origin.example/live/main.m3u8";

/// Nothing is said of the first, all of the second, and only the formats of the third.
const LIST: &str = "#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,AUTOSELECT=YES,URI=\"en.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=9000,AUDIO=\"a\"
silent.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000,CODECS=\"hvc1.2.4.L93.B0,ec-3\",RESOLUTION=1x1
told.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000,CODECS=\"avc1.64001f\"
half.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=900,URI=\"fast.m3u8\"
";

fn formats(codecs: &[&str], size: Option<(u64, u64)>) -> Result<Formats, Unreadable> {
    Ok(Formats {
        codecs: codecs.iter().map(|it| (*it).into()).collect(),
        resolution: size.map(|(width, height)| Resolution { width, height }),
        frame_rate: None,
    })
}

/// What the media says: its sound is beside the pictures.
fn says(url: &str) -> Result<Formats, Unreadable> {
    match url {
        _ if url.contains("/en.m3u8") => formats(&["mp4a.40.2"], None),
        _ => formats(&["avc1.640028"], Some((1920, 1080))),
    }
}

fn bench(head: &'static str) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, url| {
        if url == MAIN {
            return Ok(LIST.to_owned());
        }
        let name = url.rsplit('/').next().unwrap_or_default();
        let mut run = Run::new(2 * SEC).named(name, 100).dated();
        run.head = head.replace("NAME", name);
        if name == "fast.m3u8" {
            run.head += "#EXT-X-I-FRAMES-ONLY\n";
        }
        Ok(run.at(now))
    }));
    bench.checker.several = true;
    bench.formats = Box::new(says);
    bench.now = 40 * SEC;
    bench
}

/// The tags of variants, in order.
fn tags(bench: &Bench) -> Vec<String> {
    let last = bench.published.iter().rev().find_map(|(_, it)| it.entry());
    let text = last.expect("it is published");
    let tags = text.lines().filter(|it| it.contains("STREAM-INF"));
    tags.map(str::to_owned).collect()
}

fn has(tag: &str, what: &str) {
    assert!(tag.contains(what), "{what} in {tag}");
}

#[test]
fn s_36_s_37_what_the_source_does_not_say_the_media_says() {
    for head in ["", "#EXT-X-MAP:URI=\"NAME-init.mp4\"\n"] {
        let mut bench = bench(head);
        bench.run(spec(&[MAIN]));
        bench.pass(120 * SEC);
        assert_eq!(bench.status().state, State::Live);
        let tags = tags(&bench);
        has(&tags[0], ",CODECS=\"avc1.640028,mp4a.40.2\"");
        has(&tags[0], ",RESOLUTION=1920x1080");
        has(&tags[1], ",CODECS=\"hvc1.2.4.L93.B0,ec-3\",RESOLUTION=1x1");
        has(&tags[2], ",CODECS=\"avc1.64001f\"");
        has(&tags[2], ",RESOLUTION=1920x1080");
        has(&tags[3], ",CODECS=\"avc1.640028\"");
        has(&tags[3], ",RESOLUTION=1920x1080");
        // The first list that viewers see says it all.
        let mut entries = bench.published.iter().filter_map(|(_, it)| it.entry());
        let first = entries.next().expect("it is published");
        assert!(tags.iter().all(|tag| first.contains(tag)), "{first}");
        assert!(entries.count() < 5, "it does not change all the time");
        // A few times for each of the four: downloads go side by side, and init sections are looked at again.
        let of = |name: &str| bench.looks.iter().filter(|it| it.contains(name)).count();
        for name in ["en.", "silent.", "half.", "fast."] {
            assert!((1..=4).contains(&of(name)), "{name}: {:?}", bench.looks);
        }
        assert_eq!(of("told."), 0);
        let is_init = |it: &String| it.ends_with("init.mp4");
        assert!(bench.looks.iter().all(|it| is_init(it) != head.is_empty()));
    }
}

#[test]
fn a_part_of_the_formats_is_not_taken_for_all() {
    let mut bench = bench("");
    bench.formats = Box::new(|url| match url.contains("/en.m3u8") {
        true => Err(Unreadable::Broken("x".into())),
        false => says(url),
    });
    bench.run(spec(&[MAIN]));
    bench.pass(160 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let tags = tags(&bench);
    assert!(!tags[0].contains("CODECS"), "{}", tags[0]);
    has(&tags[0], "RESOLUTION=1920x1080");
    has(&tags[3], "CODECS=\"avc1.640028\"");
    let told = |it: &&(u64, Notice)| matches!(it.1, Notice::FormatsUntold { .. });
    assert_eq!(bench.notices.iter().filter(told).count(), 1, "said once");
    let asked = bench.looks.iter().filter(|it| it.contains("/en.m3u8"));
    assert_eq!(asked.count(), 4, "and not asked for ever");
}

#[test]
fn what_is_encrypted_is_looked_into_only_where_it_is_decrypted() {
    const KEY: &str = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n";
    for (keys, looks) in [(KeyPolicy::Origin, false), (KeyPolicy::Decrypt, true)] {
        let mut bench = bench(KEY);
        bench.run(Spec {
            keys,
            ..spec(&[MAIN])
        });
        bench.pass(80 * SEC);
        assert_eq!(bench.status().state, State::Live);
        assert_eq!(!bench.looks.is_empty(), looks);
        assert_eq!(tags(&bench)[0].contains("CODECS"), looks);
    }
}

#[test]
fn another_run_of_the_encoder_is_asked_again_and_another_process_knows_it() {
    let mut bench = Bench::new(Box::new(|now, url| {
        if url == MAIN {
            return Ok("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n".to_owned());
        }
        Ok(match now {
            _ if now < 80 * SEC => Run::new(2 * SEC).named("one", 100).dated().at(now),
            _ => {
                let run = Run::new(2 * SEC).named("two", 1).dated();
                run.between(70 * SEC, u64::MAX).at(now)
            }
        })
    }));
    bench.formats = Box::new(|url| match url.contains("one") {
        true => says_one(),
        false => formats(&["hvc1.1.6.L93.B0"], Some((3840, 2160))),
    });
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    has(&tags(&bench)[0], "CODECS=\"avc1.64001f,mp4a.40.2\"");
    let saved = &bench.checkpoint().tracks[0];
    assert_eq!(saved.formats, says_one().ok());
    bench.kill(8, true);
    bench.run(spec(&[MAIN]));
    let before = bench.published.len();
    bench.pass(76 * SEC);
    let entries = bench.published[before..].iter();
    for text in entries.filter_map(|(_, it)| it.entry()) {
        has(text, "CODECS=\"avc1.64001f,mp4a.40.2\"");
    }
    bench.pass(120 * SEC);
    has(&tags(&bench)[0], "CODECS=\"hvc1.1.6.L93.B0\"");
    has(&tags(&bench)[0], "RESOLUTION=3840x2160");
}

fn says_one() -> Result<Formats, Unreadable> {
    formats(&["avc1.64001f", "mp4a.40.2"], Some((1280, 720)))
}

#[test]
fn what_the_source_says_is_not_asked_of_the_media() {
    let told = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,\
                AUTOSELECT=YES,URI=\"en.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=9000,AUDIO=\"a\",\
                CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720\nv.m3u8\n";
    let mut bench = bench("");
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| match url {
        MAIN => Ok(told.to_owned()),
        _ => source(now, url),
    });
    bench.run(spec(&[MAIN]));
    bench.pass(80 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.looks, [""; 0]);
}
