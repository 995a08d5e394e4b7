//! Init sections and keys: fetched once, listed only when they are there, kept for as long as anybody may
//! need them, had again after a restart.

mod support;

use hls_relay_core::command::Content;
use hls_relay_core::config::KeyPolicy;
use hls_relay_core::event::FetchError;
use hls_relay_core::journal::{self, Replay};
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::MediaPlaylist;
use std::collections::BTreeSet;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, media, spec};

const MAP: &str = "#EXT-X-MAP:URI=\"init.mp4\"\n";

fn with_keys(keys: KeyPolicy) -> Spec {
    Spec {
        keys,
        ..spec(&[URL])
    }
}

/// Relays what `list` gives from 20 s on, until 60 s.
fn relayed(keys: KeyPolicy, list: impl Fn(u64) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now))));
    bench.now = 20 * SEC;
    bench.run(with_keys(keys));
    bench
}

/// A list in which these lines stand before its first segment.
fn headed(head: &'static str) -> impl Fn(u64) -> String + 'static {
    let mut run = Run::new(2 * SEC);
    run.head = head.to_owned();
    move |now| run.at(now)
}

fn asked(bench: &Bench, word: &str) -> Vec<String> {
    let urls = bench.downloads.iter().map(|(_, url, _)| url.clone());
    urls.filter(|url| url.contains(word)).collect()
}

#[test]
fn c_28_an_init_section_is_fetched_once_and_before_what_needs_it_is_listed() {
    let mut bench = relayed(KeyPolicy::Origin, headed(MAP));
    bench.segment = Box::new(|_, url| {
        Ok(if url.contains("init") {
            3 * SEC
        } else {
            50_000
        })
    });
    // Before it would be looked at again.
    bench.pass(48 * SEC);
    assert_eq!(
        asked(&bench, "init.mp4"),
        ["http://origin.example/live/init.mp4"]
    );
    assert!(bench.published[0].0 >= 23 * SEC, "it takes three seconds");
    let list = bench.last();
    assert_eq!(bench.status().state, State::Live);
    for segment in &list.segments {
        let map = segment.map.as_ref().expect("under an EXT-X-MAP");
        assert!(bench.objects.contains_key(&*map.uri), "{}", map.uri);
        assert_eq!(map.byte_range, None);
    }
}

#[test]
fn c_28_byte_ranges_of_one_resource_are_init_sections_of_their_own() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(KeyPolicy::Origin, move |now| {
        let (text, mut number) = (run.at(now), 100 + run.made(now).saturating_sub(6));
        let mut lines = Vec::new();
        for line in text.lines() {
            if line.starts_with("#EXTINF") {
                let first = !lines.iter().any(|it: &String| it.starts_with("#EXTINF"));
                if number == 115 || first {
                    let range = if number < 115 { "100@0" } else { "120@100" };
                    lines.push(format!("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"{range}\""));
                }
                number += 1;
            }
            lines.push(line.to_owned());
        }
        lines.join("\n") + "\n"
    });
    // What the two ranges hold differs, though their resource is one.
    bench.content =
        Box::new(|now, url| format!("{url} {}", u8::from(url.contains("all") && now > 30 * SEC)));
    bench.pass(60 * SEC);
    assert_eq!(asked(&bench, "all.mp4").len(), 2);
    let maps: std::collections::BTreeSet<_> = bench
        .published
        .iter()
        .enumerate()
        .flat_map(|(index, _)| bench.media_of(index).segments)
        .filter_map(|segment| segment.map.map(|map| map.uri.clone()))
        .collect();
    assert_eq!(maps.len(), 2, "{maps:?}");
}

#[test]
fn an_init_section_goes_once_its_last_segment_has_left_for_its_time() {
    let mut run = Run::new(2 * SEC);
    run.ends = true;
    let first = run.clone().between(0, 40 * SEC);
    let second = Run::new(2 * SEC)
        .named("b", 500)
        .between(40 * SEC, u64::MAX);
    let mut bench = relayed(KeyPolicy::Origin, move |now| {
        let (run, map) = match now {
            now if now < 44 * SEC => (&first, MAP),
            _ => (&second, "#EXT-X-MAP:URI=\"other.mp4\"\n"),
        };
        run.at(now).replacen("#EXTINF", &format!("{map}#EXTINF"), 1)
    });
    bench.pass(150 * SEC);
    let object = |word: &str| {
        let mut found = bench
            .downloads
            .iter()
            .filter(|(_, url, _)| url.contains(word));
        found
            .next()
            .map(|(_, _, object)| object.clone())
            .expect("it was asked for")
    };
    let (old, new) = (object("init.mp4"), object("other.mp4"));
    let gone = bench
        .deleted
        .iter()
        .find(|(_, it)| *it == old)
        .expect("it has gone");
    let last = bench
        .published
        .iter()
        .filter(|(_, it)| it.entry().unwrap().contains(&old));
    let last = last.map(|(at, _)| *at).max().unwrap();
    assert!(
        gone.0 > last + 12 * SEC,
        "listed until {last}, deleted at {}",
        gone.0
    );
    assert!(!bench.deleted.iter().any(|(_, it)| *it == new));
    assert!(bench.objects.contains_key(&new));
}

#[test]
fn an_init_section_that_cannot_be_had_is_said_and_holds_back_what_needs_it() {
    let mut bench = relayed(KeyPolicy::Origin, headed(MAP));
    // What was lost before the first version is caught up after, and no viewer can tell.
    bench.checker.free_pace = true;
    bench.segment = Box::new(|now, url| match url.contains("init") && now < 30 * SEC {
        true => Err(FetchError::Status(503)),
        false => Ok(50_000),
    });
    bench.pass(29 * SEC);
    assert!(bench.published.is_empty());
    let told = bench.notices.iter().filter(|(_, it)| {
        matches!(
            it,
            Notice::NeedRetry {
                content: Content::InitSection,
                ..
            }
        )
    });
    assert_eq!(told.count(), 1);
    // Nothing is stored that nobody could play.
    assert!(
        asked(&bench, "seg").len() <= 4,
        "{:?}",
        asked(&bench, "seg")
    );
    bench.pass(60 * SEC);
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn where_two_init_sections_are_at_one_address_what_cannot_be_had_there_is_asked_for_by_one() {
    let mut run = Run::new(2 * SEC).marked(108, "#EXT-X-DISCONTINUITY");
    run.head = MAP.to_owned();
    let mut bench = relayed(KeyPolicy::Origin, move |now| run.at(now));
    bench.checker.free_pace = true;
    bench.segment = Box::new(|now, url| match url.contains("init") && now < 30 * SEC {
        true => Err(FetchError::Status(503)),
        false => Ok(50_000),
    });
    bench.pass(29 * SEC);
    let asked = bench.downloads.iter().filter(|it| it.1.contains("init"));
    let asked: Vec<u64> = asked.map(|(at, _, _)| *at).collect();
    // At first each of the two is, and both fail.
    assert_eq!(asked[0], asked[1]);
    let waits: Vec<u64> = asked[1..].windows(2).map(|it| it[1] - it[0]).collect();
    assert!(waits.len() > 5, "{waits:?}");
    for (index, wait) in waits.iter().enumerate() {
        // Up to half a target duration, less what chance takes off.
        let least = ((SEC / 2) << index.min(1)) * 9 / 10;
        assert!(*wait >= least, "{waits:?}");
    }
    bench.pass(60 * SEC);
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn a_new_token_of_an_init_section_reaches_those_that_wait_for_it() {
    // At the start, and where the encoder has been restarted.
    for begins in [20 * SEC, 36 * SEC] {
        let first = Run::new(2 * SEC).between(0, 30 * SEC);
        let second = Run::new(2 * SEC).named("b", 500);
        let mut bench = relayed(KeyPolicy::Origin, move |now| {
            let (run, init) = match now {
                _ if now < begins => (&first, "first.mp4"),
                _ if now < begins + 3 * SEC => (&second, "second.mp4?token=old"),
                _ => (&second, "second.mp4?token=new"),
            };
            let map = format!("#EXT-X-MAP:URI=\"{init}\"\n#EXTINF");
            run.at(now).replacen("#EXTINF", &map, 1)
        });
        bench.segment = Box::new(|_, url| match url.contains("token=old") {
            true => Err(FetchError::Status(403)),
            false => Ok(20_000),
        });
        // What has waited comes in one go.
        bench.checker.free_pace = true;
        // Before it would be looked at again.
        bench.pass(begins + 25 * SEC);
        // What its source lists no more by then is lost, and nothing else.
        assert!(bench.holes() <= 2, "{} of six", bench.holes());
        assert_eq!(asked(&bench, "token=new").len(), 1);
        assert!(!asked(&bench, "token=old").is_empty());
        assert_eq!(bench.status().state, State::Live);
    }
}

#[test]
fn s_31_a_key_is_left_at_its_origin_or_hosted_here_or_needed_no_more() {
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"k/1.key?id=7\"\n";
    for (keys, wanted) in [
        (KeyPolicy::Origin, 0),
        (KeyPolicy::Rehost, 1),
        (KeyPolicy::Decrypt, 0),
    ] {
        let mut bench = relayed(keys, headed(key));
        bench.pass(60 * SEC);
        assert_eq!(asked(&bench, "1.key").len(), wanted, "{keys:?}");
        for segment in &bench.last().segments {
            let uri = segment.keys.first().and_then(|key| key.uri());
            match keys {
                KeyPolicy::Origin => {
                    assert_eq!(uri, Some("http://origin.example/live/k/1.key?id=7"));
                }
                KeyPolicy::Rehost => {
                    let uri = uri.expect("still encrypted");
                    assert!(
                        uri.ends_with(".key") && bench.objects.contains_key(uri),
                        "{uri}"
                    );
                }
                KeyPolicy::Decrypt => assert_eq!(uri, None),
            }
            // Its own number is another one than ours (S-33).
            let iv = segment.keys.first().and_then(|key| key.iv());
            assert_eq!(iv.is_some(), keys != KeyPolicy::Decrypt);
        }
    }
}

#[test]
fn a_key_that_stands_in_the_list_stays_there_or_is_used_and_is_told_to_nobody() {
    let tag = "#EXT-X-KEY:METHOD=AES-128,URI=\"data:text/plain;base64,c2VjcmV0\"\n";
    for keys in [KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt] {
        let mut bench = relayed(keys, headed(tag));
        bench.pass(40 * SEC);
        assert_eq!(bench.status().state, State::Live, "{keys:?}");
        let stays = (keys != KeyPolicy::Decrypt).then_some("data:text/plain;base64,c2VjcmV0");
        for segment in &bench.last().segments {
            let uri = segment.keys.first().and_then(|key| key.uri());
            assert_eq!(uri, stays, "{keys:?}");
        }
        let told = format!("{:?}{:?}", bench.notices, bench.status());
        assert!(!told.contains("c2VjcmV0"), "{told}");
    }
    // An init section that stands there encrypted cannot be decrypted there, and is not quoted.
    let encrypted = "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\",IV=0x01\n\
                     #EXT-X-MAP:URI=\"DATA:video/mp4;base64,c2VjcmV0\"\n";
    let mut bench = relayed(KeyPolicy::Decrypt, headed(encrypted));
    bench.pass(40 * SEC);
    let told = format!("{:?}{:?}", bench.notices, bench.status());
    assert!(
        told.contains("DATA:") && !told.contains("c2VjcmV0"),
        "{told}"
    );
}

#[test]
fn c_30_what_a_drm_system_encrypts_passes_untouched() {
    let tags = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n\
                #EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AAAA\",\
                KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"\n";
    for keys in [KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt] {
        let mut bench = relayed(keys, headed(tags));
        bench.pass(40 * SEC);
        for segment in &bench.last().segments {
            let uris: Vec<_> = segment.keys.iter().filter_map(|key| key.uri()).collect();
            assert_eq!(uris, ["skd://x", "data:text/plain;base64,AAAA"], "{keys:?}");
            assert!(segment.keys.iter().all(|key| key.iv().is_none()));
        }
    }
}

#[test]
fn keys_that_only_change_their_token_stay_one_object() {
    let mut run = Run::new(2 * SEC);
    run.tokens = true;
    let mut bench = relayed(KeyPolicy::Rehost, move |now| {
        let key = format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key?token={}\"\n#EXTINF",
            now / SEC
        );
        run.at(now).replacen("#EXTINF", &key, 1)
    });
    bench.pass(60 * SEC);
    let list = bench.last();
    let uris: std::collections::BTreeSet<_> = list
        .segments
        .iter()
        .flat_map(|it| it.keys.iter())
        .filter_map(|key| key.uri())
        .collect();
    assert_eq!(uris.len(), 1, "{uris:?}");
}

#[test]
fn s_31_the_key_of_an_init_section_is_hosted_as_that_of_a_segment() {
    let head = "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\",IV=0x0A\n#EXT-X-MAP:URI=\"init.mp4\"\n\
                #EXT-X-KEY:METHOD=AES-128,URI=\"2.key\"\n";
    let mut bench = relayed(KeyPolicy::Rehost, headed(head));
    bench.pass(40 * SEC);
    let object = |word: &str| {
        let mut all = bench.downloads.iter();
        let found = all.find(|(_, url, _)| url.contains(word));
        found.map(|(_, _, object)| object.clone()).expect(word)
    };
    for segment in &bench.last().segments {
        let map = segment.map.as_ref().expect("under an EXT-X-MAP");
        assert_eq!(&*map.uri, object("init.mp4"));
        assert_eq!(map.keys[0].uri(), Some(&*object("1.key")));
        assert_eq!(segment.keys[0].uri(), Some(&*object("2.key")));
    }
}

#[test]
fn a_key_of_another_length_is_none() {
    for bytes in [0, 1, 15, 17, 32] {
        let head = "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"\n";
        let mut bench = relayed(KeyPolicy::Rehost, headed(head));
        bench.checker.free_pace = true;
        bench.key_bytes = bytes;
        bench.pass(29 * SEC);
        assert!(bench.published.is_empty());
        let refused = Notice::NeedRetry {
            content: Content::Key,
            error: FetchError::Key(format!("a key of {bytes} bytes").into()),
        };
        assert!(bench.told(|it| *it == refused), "{:?}", bench.notices);
        let in_vain = asked(&bench, "1.key").len();
        assert!(in_vain > 1, "{bytes} bytes: asked for {in_vain} times");
        let of_key = bench.downloads.iter().filter(|it| it.1.contains("1.key"));
        for (_, _, object) in of_key {
            let is_gone = bench.deleted.iter().any(|(_, gone)| gone == object);
            assert!(is_gone, "{bytes} bytes stay as {object}");
        }
        bench.key_bytes = 16;
        bench.pass(60 * SEC);
        assert_eq!(bench.status().state, State::Live);
        assert_eq!(asked(&bench, "1.key").len(), in_vain + 1);
    }
}

#[test]
fn what_is_named_as_a_key_and_as_an_init_section_is_had_as_both() {
    let mut bench = relayed(
        KeyPolicy::Rehost,
        headed("#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"\n#EXT-X-MAP:URI=\"1.key\"\n"),
    );
    bench.pass(40 * SEC);
    assert_eq!(asked(&bench, "1.key").len(), 2);
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn s_70_after_a_restart_with_an_empty_store_init_section_and_key_are_had_again() {
    let head = "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"\n#EXT-X-MAP:URI=\"init.mp4\"\n";
    let mut bench = relayed(KeyPolicy::Rehost, headed(head));
    bench.pass(40 * SEC);
    let (before, versions) = (bench.last(), bench.published.len());
    let downloads = bench.downloads.len();
    bench.kill(8, false);
    bench.now = 41 * SEC;
    bench.run(with_keys(KeyPolicy::Rehost));
    bench.pass(60 * SEC);
    let first = bench.media_of(versions);
    let same = |it: &&hls_relay_core::playlist::Segment| {
        let mut before = before.segments.iter();
        before.any(|was| (&was.uri, &was.map, &was.keys) == (&it.uri, &it.map, &it.keys))
    };
    assert!(first.segments.iter().filter(same).count() >= 4, "{first:?}");
    let again = bench.downloads.split_off(downloads);
    for word in ["init.mp4", "1.key"] {
        let asked = again.iter().filter(|(_, url, _)| url.contains(word));
        assert_eq!(asked.count(), 1, "{word}");
    }
}

#[test]
fn c_31_without_an_iv_the_number_at_the_source_is_it() {
    for (iv, expected) in [("", None), (",IV=0x0A", Some(10))] {
        let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"{iv}\n");
        let mut run = Run::new(2 * SEC).named("seg", (1 << 32) + 5);
        run.head = key;
        let mut bench = relayed(KeyPolicy::Decrypt, move |now| run.at(now));
        bench.pass(40 * SEC);
        let segments = bench.requests.iter().filter(|it| it.url.contains("seg"));
        let mut count = 0;
        for it in segments {
            let decrypt = it.decrypt.as_ref().expect("it is decrypted on its way");
            assert_eq!(&*decrypt.key_url, "http://origin.example/live/1.key");
            let number = it.url.rsplit("seg").next().unwrap().trim_end_matches(".ts");
            let number: u128 = number.parse().unwrap();
            assert_eq!(u128::from_be_bytes(decrypt.iv), expected.unwrap_or(number));
            count += 1;
        }
        assert!(count >= 10, "{count}");
    }
}

#[test]
fn s_33_an_implied_iv_is_written_down_as_our_numbers_are_others() {
    for key in [
        "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\"\n",
        "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"1.key\"\n",
    ] {
        let mut bench = relayed(KeyPolicy::Rehost, headed(key));
        bench.pass(40 * SEC);
        let list = bench.last();
        let checkpoint = bench.checkpoint();
        let saved = &checkpoint.tracks[0].window;
        assert_eq!(saved.len(), list.segments.len());
        for (segment, saved) in list.segments.iter().zip(saved) {
            let number = saved.identity.as_ref().unwrap().media_sequence;
            assert_ne!(segment.media_sequence, number);
            assert_eq!(segment.keys[0].iv(), Some(&*format!("0x{number:032X}")));
        }
    }
}

#[test]
fn what_is_decrypted_is_under_no_key_of_another_format_either() {
    let keys = "#EXT-X-KEY:METHOD=AES-128,URI=\"1.key\",IV=0x1\n\
                #EXT-X-KEY:METHOD=AES-128,URI=\"vendor://1\",IV=0x1,KEYFORMAT=\"com.vendor\"\n";
    let mut bench = relayed(KeyPolicy::Decrypt, headed(keys));
    bench.pass(40 * SEC);
    assert!(bench.last().segments.iter().all(|it| it.keys.is_empty()));
}

#[test]
fn c_32_an_init_section_under_aes_128_needs_its_iv_written() {
    const NO_IV: &str = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP:URI=\"init.mp4\"\n";
    let mut bench = relayed(KeyPolicy::Decrypt, headed(NO_IV));
    bench.pass(60 * SEC);
    assert!(bench.downloads.is_empty(), "{:?}", bench.downloads);
    let refused = |it: &Notice| {
        matches!(
            it,
            Notice::SegmentRefused {
                error: FetchError::Key(_),
                ..
            }
        )
    };
    assert!(bench.told(refused));
    const IV: &str = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x0A\n#EXT-X-MAP:URI=\"init.mp4\"\n";
    let mut bench = relayed(KeyPolicy::Decrypt, headed(IV));
    bench.pass(60 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let init = bench
        .requests
        .iter()
        .find(|it| it.url.ends_with("init.mp4"))
        .unwrap();
    let iv = init.decrypt.as_ref().map(|it| u128::from_be_bytes(it.iv));
    assert_eq!(iv, Some(10));
}

#[test]
fn s_30_every_segment_of_fragmented_mp4_stands_under_its_init_section() {
    let list = |now: u64| {
        let run = Run::new(2 * SEC).marked(116, "#EXT-X-MAP:URI=\"other.mp4\"");
        // The line has left its list from then on, and what it said stays.
        let head = if now < 46 * SEC { "init" } else { "other" };
        let head = format!("#EXT-X-MAP:URI=\"{head}.mp4\"\n");
        Run { head, ..run }.at(now)
    };
    let mut bench = relayed(KeyPolicy::Origin, list);
    // One segment cannot be had: the gap in its place needs one, too.
    bench.segment = Box::new(|_, url| match url.contains("seg112") {
        true => Err(FetchError::Status(404)),
        false => Ok(50_000),
    });
    bench.pass(45 * SEC);
    bench.kill(5, true);
    bench.run(with_keys(KeyPolicy::Origin));
    bench.pass(70 * SEC);
    let init = |it: &str| it.rsplit('/').next().unwrap_or_default().to_owned();
    let held = |object: &str| {
        let of = bench.downloads.iter().find(|it| it.2 == object);
        init(&of.expect("an object of ours").1)
    };
    let mut seen = Vec::new();
    for (_, list) in bench.checker.versions() {
        for segment in &list.segments {
            let map = segment.map.as_ref().expect("S-30: an init section");
            let told = (segment.media_sequence, held(&map.uri), segment.gap);
            seen.push(told);
        }
    }
    seen.sort();
    seen.dedup();
    assert!(seen.iter().any(|it| it.2), "a gap is listed");
    let borders: Vec<_> = seen
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .collect();
    assert_eq!(borders.len(), 1, "{borders:?}");
    assert_eq!(
        (&*borders[0][0].1, &*borders[0][1].1),
        ("init.mp4", "other.mp4")
    );
}

/// A key that stands in the playlist goes through to players, or to who decrypts, and is in nothing that is written down;
/// a replay of that comes to what was done.
#[test]
fn a_key_in_a_playlist_is_in_no_journal() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODw";
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"data:text/plain;base64,AAECAwQFBgcICQoLDA0ODw==\"\n";
    for keys in [KeyPolicy::Rehost, KeyPolicy::Decrypt] {
        let mut bench = relayed(keys, headed(key));
        bench.pass(30 * SEC);
        let begins = journal::encode_head("a", 0, &bench.relay);
        bench.journal = Some(Vec::new());
        bench.pass(60 * SEC);
        let (_, last) = bench.published.last().unwrap();
        let passes = keys == KeyPolicy::Rehost;
        assert_eq!(last.entry().unwrap().contains(KEY), passes);

        let steps = bench.journal.take().unwrap();
        let ends = journal::encode_head("a", steps.len() as u64, &bench.relay);
        let mut replay: Replay = Replay::default();
        for line in [begins].iter().chain(&steps).chain([&ends]) {
            assert!(!line.contains(KEY), "{line}");
            let replayed = replay.feed(journal::decode(line).unwrap()).unwrap();
            assert!(replayed.is_none_or(|it| it.difference.is_none()));
        }
    }
}

/// Four variants, each with a list of its own, under keys that all of them name: one until 50 s, then another.
fn presented() -> Bench {
    const MAIN: &str = "http://origin.example/live/main.m3u8";
    let mut bench = Bench::new(Box::new(|now, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let variants = (0..4).map(|n| format!("#EXT-X-STREAM-INF:BANDWIDTH={n}000\nv{n}.m3u8\n"));
        if name == "main.m3u8" {
            return Ok(format!("#EXTM3U\n{}", variants.collect::<String>()));
        }
        let mut run = Run::new(2 * SEC).named(name, 100).dated();
        let key = |n: u32| {
            let method = "#EXT-X-KEY:METHOD=AES-128,IV=0x1";
            format!("{method},URI=\"http://keys.example/{n}.key?all=1\"\n")
        };
        // Segment 125 is the first under the other one, and leaves the list at 64 s.
        run.head = key(u32::from(now >= 64 * SEC));
        let run = run.marked(125, key(1).trim_end());
        // They do not come at once.
        let late = u64::from(name.as_bytes()[1] - b'0') * SEC / 5;
        Ok(run.at(now - late))
    }));
    bench.checker.several = true;
    bench.now = 30 * SEC;
    bench.run(Spec {
        keys: KeyPolicy::Rehost,
        ..spec(&[MAIN])
    });
    bench
}

#[test]
fn a_key_that_several_tracks_name_is_asked_for_once() {
    let mut bench = presented();
    bench.pass(100 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.status().left_behind, 0);
    let keys = ["0", "1"].map(|n| format!("http://keys.example/{n}.key?all=1"));
    assert_eq!(asked(&bench, ".key"), keys);
    // And each has it, for as long as anybody lists it.
    let lists: Vec<MediaPlaylist> = (0..4).map(|n| newest(&bench, n)).collect();
    let named = lists.iter().map(|it| it.segments[0].keys[0].uri());
    let named: BTreeSet<_> = named.flatten().collect();
    assert_eq!(named.len(), 1);
    assert!(named.iter().all(|it| bench.objects.contains_key(*it)));
}

#[test]
fn a_key_that_several_tracks_name_is_tried_again_by_one_of_them() {
    let mut bench = presented();
    bench.segment = Box::new(|now, url| match url.contains("1.key") && now < 58 * SEC {
        true => Err(FetchError::Status(503)),
        false => Ok(50_000),
    });
    bench.pass(56 * SEC);
    let tried = asked(&bench, "1.key").len();
    assert!((2..=8).contains(&tried), "{tried} times in 6 s");
    let told = |it: &Notice| matches!(it, Notice::NeedRetry { .. });
    assert_eq!(bench.notices.iter().filter(|it| told(&it.1)).count(), 1);
    // What is under it is not stored as long as nobody could play it.
    assert!(asked(&bench, "127").len() <= 4);
    bench.pass(100 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.holes(), 0);
}

/// The newest list of a variant.
fn newest(bench: &Bench, variant: usize) -> MediaPlaylist {
    let name = format!("v{variant}.m3u8");
    let versions = bench
        .published
        .iter()
        .rev()
        .flat_map(|(_, it)| &it.playlists);
    let mut lists = versions.filter(|it| *it.name.0 == name);
    media(&lists.next().unwrap().text)
}

/// It goes through to players as it is, and nothing has to be asked for.
#[test]
fn an_init_section_that_stands_in_the_list_stays_there() {
    const MAP: &str = "#EXT-X-MAP:URI=\"data:video/mp4;base64,AAAAGGZ0eXA=\"\n";
    let mut bench = relayed(KeyPolicy::Rehost, headed(MAP));
    bench.pass(60 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let map = bench.last().segments[0].map.clone().unwrap();
    assert_eq!(&*map.uri, "data:video/mp4;base64,AAAAGGZ0eXA=");
    assert!(asked(&bench, "data:").is_empty() && bench.holes() == 0);
}
