//! What a player sees does not change on the way: every source that can be generated goes through load and
//! publish, and a strict player that reads both sides sees the same.
//!
//! - `source`: media playlists of every form, and how they go on from load to load
//! - `player`: what a media playlist means, read by quick-m3u8 and by nothing of ours
//! - `presentation`: the same for multivariant playlists
//! - `census`: every kind of line that a source may have is generated

#![allow(
    clippy::disallowed_types,
    reason = "quick-m3u8 gives seconds as floats, and a source counts its loads"
)]

mod census;
mod player;
mod presentation;
mod source;
#[path = "../support/mod.rs"]
mod support;

use hls_relay_core::config::KeyPolicy;
use hls_relay_core::playlist::{Playlist, parse_with};
use player::{Bytes, Keys, Played, Ranges, Seen, watch};
use presentation::{Offer, offer};
use proptest::prelude::*;
use source::Source;
use std::cell::Cell;
use std::collections::BTreeMap;
use support::origin::Run;
use support::{Asked, Bench, SEC, Spec, seconds, spec};
use url::Url;

const SOURCE: &str = "http://origin.example/live/index.m3u8?token=id=7+8";
const RELAY: &str = "http://relay.example/channel/index.m3u8";

/// Relays a source until nothing of it is left; each load shows the next of its bodies.
fn relayed(source: &Source, keys: KeyPolicy, window: usize) -> Bench {
    let bodies: Vec<String> = source.bodies.iter().map(|it| source.body(*it)).collect();
    let loads = Cell::new(0);
    let mut bench = Bench::new(Box::new(move |_, _| {
        let body = &bodies[loads.get().min(bodies.len() - 1)];
        loads.set(loads.get() + 1);
        Ok(body.clone())
    }));
    // The judge is the player below: dates may jump here, and lists be shorter than any live one.
    bench.checker.several = true;
    bench.content = Box::new(|_, url| url.to_owned());
    bench.run(Spec {
        keys,
        window: Some(window),
        ..spec(&[SOURCE])
    });
    bench.pass(400 * SEC);
    bench
}

/// The bodies of a source as a player has seen them, as far as the relay's viewers may care.
fn at_source(source: &Source) -> (Vec<Played>, Ranges) {
    let base = Url::parse(SOURCE).expect("a URL");
    let mut whole = watch(&unmarked(&source.whole()), &base);
    let mut ranges = Ranges::new();
    whole.take_ranges(&mut ranges);
    let mut segments = whole.segments;
    for segment in &mut segments {
        segment
            .lines
            .retain(|line| !line.starts_with("#EXT-X-PART:"));
        settle(segment);
    }
    (segments, ranges)
}

/// A mark at the beginning is none of the text (RFC 8216 4.1).
fn unmarked(text: &str) -> String {
    text.trim_start_matches('\u{FEFF}').to_owned()
}

/// What is the same, however it is said: nothing is fetched for a gap, and a key without an IV is one
/// whose IV is the number.
fn settle(segment: &mut Played) {
    if segment.gap {
        segment.bytes.url.clear();
        segment.bytes.range = None;
        segment.keys.clear();
        segment.map = None;
        segment.bit_rate = None;
    }
    let number = segment.number;
    let maps = segment
        .map
        .iter_mut()
        .flat_map(|(_, keys)| keys.values_mut());
    for key in segment.keys.values_mut().chain(maps) {
        let by_number = matches!(&*key["METHOD"], "AES-128" | "SAMPLE-AES");
        let iv = key.remove("IV").map(|iv| iv[2..].to_lowercase());
        let by_number = by_number && !key.contains_key("KEYFORMAT");
        let iv = iv.or_else(|| by_number.then(|| format!("{number:x}")));
        key.extend(iv.map(|iv| ("IV".to_owned(), iv.trim_start_matches('0').to_owned())));
    }
    segment.number = 0;
}

/// What is decrypted with one key needs none of the others any more.
fn decrypted(segment: &mut Played) {
    let map = segment.map.iter_mut().map(|(_, keys)| keys);
    for keys in map.chain([&mut segment.keys]) {
        let plain = |key: &BTreeMap<String, String>| key["METHOD"] == "AES-128";
        if keys.get("identity").is_some_and(plain) {
            keys.retain(|format, _| format == "identity");
        }
    }
}

/// A version as viewers see it, told in the places that the relay had it from.
fn at_relay(bench: &Bench, text: &str) -> Seen {
    let base = Url::parse(RELAY).expect("a URL");
    let asked = bench.requests.iter().map(|it| {
        let name = base.join(&it.object).expect("a name below the channel");
        (String::from(name), it)
    });
    let asked: BTreeMap<String, &Asked> = asked.collect();
    let mut seen = watch(text, &base);
    for segment in &mut seen.segments {
        if !segment.gap {
            trace(&asked, &mut segment.bytes, &mut segment.keys);
            if let Some((bytes, keys)) = &mut segment.map {
                trace(&asked, bytes, keys);
            }
        }
        settle(segment);
    }
    seen
}

/// Where the bytes came from, and how they were encrypted there.
fn trace(asked: &BTreeMap<String, &Asked>, bytes: &mut Bytes, keys: &mut Keys) {
    let of = asked[&bytes.url];
    *bytes = Bytes {
        url: of.url.clone(),
        range: of.byte_range.map(|it| (it.offset, it.length)),
    };
    for key in keys.values_mut() {
        if let Some(rehosted) = key.get("URI").and_then(|uri| asked.get(uri)) {
            key.insert("URI".to_owned(), rehosted.url.clone());
        }
    }
    if let Some(decrypt) = &of.decrypt {
        assert!(
            keys.is_empty(),
            "decrypted, and said to be encrypted: {keys:?}"
        );
        let key = [
            ("METHOD", "AES-128".to_owned()),
            ("URI", decrypt.key_url.to_string()),
            ("IV", format!("0x{:x}", u128::from_be_bytes(decrypt.iv))),
        ];
        let key = key.map(|(name, value)| (name.to_owned(), value));
        keys.insert("identity".to_owned(), BTreeMap::from(key));
    }
}

/// m3u8-rs finds nothing in our text that it cannot read.
fn check_m3u8_rs(text: &str, seen: &Seen) {
    let (rest, list) = m3u8_rs::parse_media_playlist(text.as_bytes()).expect("m3u8-rs reads it");
    assert!(rest.is_empty(), "unread: {rest:?}\n{text}");
    assert_eq!(list.segments.len(), seen.segments.len(), "{text}");
    let typed = [
        "X-MAP",
        "X-BYTERANGE",
        "X-PROGRAM-DATE-TIME",
        "X-DISCONTINUITY",
    ];
    let unread = list.segments.iter().flat_map(|it| &it.unknown_tags);
    let unread = unread.filter(|tag| typed.contains(&&*tag.tag)).count();
    assert_eq!(unread, 0, "{text}");
    assert!(list.end_list == seen.ended && list.media_sequence == seen.first);
}

fn check(source: &Source, keys: KeyPolicy, window: usize) -> Result<(), TestCaseError> {
    let bench = relayed(source, keys, window);
    let (mut expected, ranges_expected) = at_source(source);
    if keys == KeyPolicy::Decrypt {
        expected.iter_mut().for_each(decrypted);
    }
    prop_assert!(!bench.published.is_empty(), "nothing is published");
    // By number, everything that viewers have ever been shown.
    let mut shown = BTreeMap::<u64, Played>::new();
    let (mut last, mut ranges) = (None, Ranges::new());
    for (_, publish) in &bench.published {
        let text = publish.entry().expect("a version of the only playlist");
        let mut seen = at_relay(&bench, text);
        check_m3u8_rs(text, &seen);
        seen.take_ranges(&mut ranges);
        for (number, segment) in (seen.first..).zip(&seen.segments) {
            prop_assert!(seen.target_secs * 1_000_000 + 500_000 > segment.micros);
            let before = shown.entry(number).or_insert_with(|| segment.clone());
            let date = before.date.or(segment.date);
            prop_assert_eq!(
                &Played {
                    date: segment.date,
                    ..before.clone()
                },
                segment,
                "changed in\n{}",
                text
            );
            before.date = date;
        }
        last = Some(seen);
    }
    let last = last.expect("something is published");
    prop_assert!(last.ended && last.independent);
    let base = Url::parse(SOURCE).expect("a URL");
    let (from, to) = source.bodies[source.bodies.len() - 1];
    let mut listed = watch(&unmarked(&source.body((from, to))), &base);
    listed.take_ranges(&mut Ranges::new());
    prop_assert_eq!(last.i_frames, listed.i_frames);
    let head = listed.head;
    let promised = |line: &String| {
        line.starts_with("#EXT-X-SERVER-CONTROL") || line.starts_with("#EXT-X-PART-INF")
    };
    let head: Vec<_> = head.into_iter().filter(|line| !promised(line)).collect();
    prop_assert_eq!(last.head, head);
    let mut shown: Vec<Played> = shown.into_values().collect();
    // A channel begins with a window from the end of the first body (C-14).
    let (from, to) = source.bodies[0];
    let begins = from + (to - from).saturating_sub(window);
    // Where the source states no rate but one before did, ours states the true one: it cannot be taken back.
    for (shown, expected) in shown.iter_mut().zip(&expected[begins..]) {
        shown.bit_rate = shown.bit_rate.and(expected.bit_rate);
    }
    prop_assert_eq!(&shown, &expected[begins..], "of\n{}", source.whole());
    // Of what began before the channel did, the source may not have told all again.
    for (id, told) in &ranges {
        let all = &ranges_expected[id];
        prop_assert!(
            told.iter()
                .all(|(name, value)| all.get(name) == Some(value)),
            "{}",
            id
        );
    }
    let number = |id: &String| id.rsplit(',').next().and_then(|it| it.parse::<u64>().ok());
    let from = source.number(begins);
    let ours = |it: &(&String, _)| number(it.0).is_some_and(|number| number >= from);
    let told: Vec<_> = ranges.iter().filter(ours).collect();
    let all: Vec<_> = ranges_expected.iter().filter(ours).collect();
    prop_assert_eq!(told, all, "of\n{}", source.whole());
    Ok(())
}

fn policy() -> impl Strategy<Value = KeyPolicy> {
    prop::sample::select(vec![
        KeyPolicy::Origin,
        KeyPolicy::Rehost,
        KeyPolicy::Decrypt,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_player_of_the_relay_sees_what_a_player_of_the_source_sees(
        source in source::source(), keys in policy(), small in any::<bool>()
    ) {
        check(&source, keys, if small { 6 } else { 10_000 })?;
    }

    /// Our reader and quick-m3u8 agree on every body, flaws or none.
    #[test]
    fn every_body_is_read_as_the_referee_reads_it(source in source::source()) {
        let base = Url::parse(SOURCE).expect("a URL");
        for (from, to) in source.bodies.clone() {
            let text = source.body((from, to));
            let context = hls_relay_core::playlist::Context { url: Some(&base), variables: None };
            let read = parse_with(text.as_bytes(), &context);
            let Ok(Playlist::Media(list)) = read else {
                return Err(TestCaseError::fail(format!("{read:?} of\n{text}")));
            };
            let seen = watch(&unmarked(&text), &base);
            prop_assert_eq!(list.target_duration, seconds(seen.target_secs));
            prop_assert_eq!((list.media_sequence, list.end_list), (seen.first, seen.ended));
            prop_assert_eq!(list.segments.len(), seen.segments.len());
            for (ours, theirs) in list.segments.iter().zip(&seen.segments) {
                let range = ours.byte_range.map(|it| (it.offset, it.length));
                prop_assert_eq!(player::absolute(&base, &ours.uri), theirs.bytes.url.clone());
                prop_assert_eq!(range, theirs.bytes.range);
                prop_assert_eq!(ours.duration.as_micros(), theirs.micros);
                prop_assert_eq!(ours.date_time.map(|it| it.as_micros()), theirs.date);
                prop_assert_eq!((ours.gap, ours.discontinuity), (theirs.gap, theirs.discontinuity));
                prop_assert_eq!(ours.bit_rate, theirs.bit_rate);
                let lines: Vec<&str> = ours.tags.iter().map(|it| &**it).collect();
                prop_assert_eq!(lines, theirs.lines.clone());
            }
        }
    }
}

/// The URLs of a list as the relay had them: each name of ours leads to a media playlist whose segments
/// tell where they came from.
fn traced(bench: &Bench, offer: &Offer) -> Offer {
    let base = Url::parse(RELAY).expect("a URL");
    let mut from = BTreeMap::new();
    for playlist in bench.published.iter().flat_map(|(_, it)| &it.playlists) {
        let url = player::absolute(&base, &playlist.name.0);
        if url == RELAY {
            continue;
        }
        for segment in at_relay(bench, &playlist.text).segments {
            // Segments lie beside their playlist, and are called like it and numbered.
            let of = segment.bytes.url;
            let digits = of.trim_end_matches(".ts");
            let list = digits.trim_end_matches(|it: char| it.is_ascii_digit());
            let before = from.insert(url.clone(), list.to_owned());
            assert!(
                before.is_none_or(|before| before == list),
                "two sources for {url}"
            );
        }
    }
    let source = |url: &String| from.get(url).unwrap_or(url).clone();
    let mut traced = offer.clone();
    traced
        .variants
        .iter_mut()
        .for_each(|(_, url)| *url = source(url));
    for uri in traced
        .entries
        .iter_mut()
        .filter_map(|(_, of)| of.get_mut("URI"))
    {
        *uri = source(uri);
    }
    traced
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn the_relay_offers_what_the_source_offers(text in presentation::presentation()) {
        let base = Url::parse(SOURCE).expect("a URL");
        let served = text.clone();
        let mut bench = Bench::new(Box::new(move |now, url| {
            if url == SOURCE {
                return Ok(served.clone());
            }
            let path = url.split('?').next().unwrap_or(url);
            let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".m3u8");
            let list = Run::new(2 * SEC).named(name, 100).dated().at(now);
            Ok(presentation::importing(&list))
        }));
        bench.checker.several = true;
        bench.content = Box::new(|_, url| url.to_owned());
        bench.now = 40 * SEC;
        bench.run(spec(&[SOURCE]));
        bench.pass(50 * SEC);

        let mut expected = offer(&unmarked(&text), &base);
        let list = parse_with(text.as_bytes(), &Default::default());
        let Ok(Playlist::Multivariant(list)) = list else {
            return Err(TestCaseError::fail(format!("{list:?} of\n{text}")));
        };
        presentation::check_reader(&expected, &list, &base);
        let name_of = |url: &String| {
            let path = url.split('?').next().unwrap_or(url);
            path.trim_end_matches(".m3u8").to_owned()
        };
        let is_list = |url: &String| url.contains(".m3u8");
        expected.variants.iter_mut().for_each(|(_, url)| *url = name_of(url));
        for uri in expected.entries.iter_mut().filter_map(|(_, of)| of.get_mut("URI")) {
            if is_list(uri) {
                *uri = name_of(uri);
            }
        }
        let last = bench.published.iter().rev().find_map(|(_, it)| it.entry());
        let last = last.expect("it is published");
        let seen = offer(last, &Url::parse(RELAY).expect("a URL"));
        presentation::check_m3u8_rs(last, &seen);
        let mut traced = traced(&bench, &seen);
        for ((of, _), (said, _)) in traced.variants.iter_mut().zip(&expected.variants) {
            // What the source does not say of its bit rate is measured (S-35).
            if !said.contains_key("AVERAGE-BANDWIDTH") {
                prop_assert!(of.remove("AVERAGE-BANDWIDTH").is_some(), "{}", last);
            }
        }
        prop_assert_eq!(&traced, &expected, "{}\nof\n{}", last, text);
    }
}
