//! Sources that keep all that they ever had, relayed by default: nothing of it is left out, but for what no list, or no
//! store, has room for.

mod support;

use hls_relay_core::event::{Desired, Event, FetchError};
use hls_relay_core::notice::{Limit, Notice, State};
use hls_relay_core::playlist::{MediaPlaylist, PlaylistType};
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, media, spec};

const VOD: &str = "#EXT-X-PLAYLIST-TYPE:VOD\n";
const EVENT: &str = "#EXT-X-PLAYLIST-TYPE:EVENT\n";
const START: &str = "#EXT-X-START:TIME-OFFSET=0\n";

/// As many segments of two seconds, with a type or without.
fn kept(segments: u64, head: &str) -> Run {
    let mut run = Run::new(2 * SEC).between(0, segments * 2 * SEC);
    (run.window, run.head, run.ends) = (u64::MAX, head.to_owned(), true);
    run
}

/// A channel of a source that is one thing and then another.
fn followed(source: impl Fn(u64) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(source(now))));
    bench.segment = Box::new(|_, _| Ok(SEC));
    bench.run(Spec {
        window: None,
        ..spec(&[URL])
    });
    bench
}

/// What a channel makes of it that nobody has told how much to list.
fn relayed(run: Run, since: u64, room: Option<u64>) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = since;
    bench.run(Spec {
        window: None,
        room,
        ..spec(&[URL])
    });
    bench
}

/// Whoever takes over from a process that dies says the same with each version.
fn a_successor_says(mut bench: Bench, words: &str) {
    let before = bench.published.len();
    bench.kill(3, true);
    bench.run(Spec {
        window: None,
        ..spec(&[URL])
    });
    bench.pass(200 * SEC);
    assert!(bench.published.len() > before);
    for (_, version) in &bench.published[before..] {
        let text = &version.playlists[0].text;
        assert!(text.contains(words), "{text}");
    }
}

fn lists(bench: &Bench) -> Vec<(String, MediaPlaylist)> {
    let texts = bench.published.iter().map(|(_, it)| it.entry().unwrap());
    texts.map(|it| (it.to_string(), media(it))).collect()
}

fn not_whole(bench: &Bench) -> Vec<(u64, Limit)> {
    let of = |notice: &Notice| {
        let Notice::NotWhole { segments, why } = notice else {
            return None;
        };
        Some((*segments, *why))
    };
    let told = bench.notices.iter().filter_map(|(_, it)| of(it));
    told.collect()
}

#[test]
fn s_16_a_vod_is_listed_from_its_first_segment_to_its_end_and_says_so_once_it_is_whole() {
    let mut bench = relayed(kept(40, VOD), 200 * SEC, None);
    bench.pass(260 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    let lists = lists(&bench);
    let (last, growing) = lists.split_last().expect("it is listed");
    assert!(!growing.is_empty());
    for (text, list) in growing {
        assert_eq!(list.playlist_type, Some(PlaylistType::Event), "{text}");
        // Whoever opens it now is to see the film from its beginning.
        assert!(text.contains(START), "{text}");
    }
    let (text, list) = last;
    assert_eq!((list.segments.len(), list.end_list), (40, true));
    assert_eq!(list.playlist_type, Some(PlaylistType::Vod));
    assert!(!text.contains("#EXT-X-START"), "{text}");
    assert!(bench.checker.relayed()[0].unwrap().ends_with("seg100.ts"));
    assert_eq!((bench.holes(), not_whole(&bench)), (0, Vec::new()));
}

#[test]
fn a_vod_that_comes_slowly_is_waited_for() {
    let mut bench = relayed(kept(12, VOD), 200 * SEC, None);
    bench.segment = Box::new(|_, _| Ok(9 * SEC));
    bench.pass(300 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    let (_, last) = lists(&bench).pop().expect("it is listed");
    assert_eq!((last.segments.len(), bench.holes()), (12, 0));
}

#[test]
fn s_16_a_shutdown_amid_a_vod_is_not_its_end() {
    for step in 0..30 {
        let mut bench = relayed(kept(20, VOD), 200 * SEC, None);
        bench.segment = Box::new(|_, _| Ok(SEC));
        bench.pass(201 * SEC + step * 300_000);
        bench.step(Event::ShutDown);
        bench.pass(bench.now + 6 * SEC);
        assert!(bench.relay.is_finished());
        let whole = |(text, list): (String, MediaPlaylist)| {
            assert!(!list.end_list || list.segments.len() == 20, "{text}");
        };
        lists(&bench).into_iter().for_each(whole);
        bench.kill(9, true);
        bench.run(Spec {
            window: None,
            ..spec(&[URL])
        });
        bench.pass(260 * SEC);
        lists(&bench).into_iter().for_each(whole);
        assert!(bench.last().end_list && bench.last().segments.len() == 20);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0), "{step}");
    }
}

#[test]
fn s_16_an_event_is_listed_from_its_first_segment_and_grows_until_it_ends() {
    let mut bench = relayed(kept(60, EVENT), 60 * SEC, None);
    bench.pass(150 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    for (text, list) in lists(&bench) {
        assert_eq!(list.playlist_type, Some(PlaylistType::Event), "{text}");
        assert!(!text.contains("#EXT-X-START"), "{text}");
    }
    let (_, last) = lists(&bench).pop().expect("it is listed");
    assert_eq!((last.segments.len(), last.end_list), (60, true));
    assert!(bench.checker.relayed()[0].unwrap().ends_with("seg100.ts"));
}

#[test]
fn what_has_ended_without_a_type_is_listed_whole_and_has_none() {
    let mut bench = relayed(kept(40, ""), 200 * SEC, None);
    bench.pass(260 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert_eq!((last.segments.len(), last.end_list), (40, true));
    assert_eq!(last.playlist_type, None, "{text}");
}

#[test]
fn what_slides_lists_ten_and_stays_so_when_it_ends() {
    let mut run = kept(60, "");
    run.window = 30;
    let mut bench = relayed(run, 80 * SEC, None);
    bench.pass(150 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert_eq!((last.segments.len(), last.end_list), (10, true), "{text}");
    assert!(bench.checker.relayed()[0].unwrap().ends_with("seg130.ts"));
}

#[test]
fn a_window_that_was_asked_for_holds_for_what_is_kept_as_well() {
    let run = kept(40, VOD);
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = 200 * SEC;
    bench.run(Spec {
        window: Some(12),
        ..spec(&[URL])
    });
    bench.pass(260 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert_eq!((last.segments.len(), last.playlist_type), (12, None));
    assert!(!text.contains("#EXT-X-START"), "{text}");
    assert_eq!(not_whole(&bench), []);
}

#[test]
fn of_more_than_a_list_may_have_the_first_are_left_out_and_that_is_said() {
    let mut run = Run::new(SEC / 10).between(0, 1_001 * SEC);
    (run.window, run.ends, run.head) = (u64::MAX, true, VOD.to_owned());
    let run = run.at(2_000 * SEC);
    let mut bench = Bench::new(Box::new(move |_, _| Ok(run.clone())));
    bench.now = 2_000 * SEC;
    bench.run(Spec {
        window: None,
        ..spec(&[URL])
    });
    bench.pass(2_001 * SEC);
    assert_eq!(not_whole(&bench), [(10, Limit::Segments)]);
    assert!(bench.downloads[0].1.ends_with("seg110.ts"));
}

/// Segments of 1,000 bytes.
#[test]
fn an_event_that_a_store_has_no_room_for_slides_and_says_so() {
    let room = 50_000;
    let mut bench = relayed(kept(90, EVENT), 7 * SEC, Some(room));
    bench.pass(200 * SEC);
    assert_eq!(not_whole(&bench), [(1, Limit::Room)]);
    let lists = lists(&bench);
    let slides = |list: &MediaPlaylist| list.media_sequence > lists[0].1.media_sequence;
    for (text, list) in &lists {
        let typed = list.playlist_type.is_some();
        assert_eq!(typed, !slides(list), "{text}");
        assert!(list.segments.len() <= 21, "{text}");
    }
    assert!(slides(&lists.last().unwrap().1));
    let most = bench.objects.len() * 1_000;
    assert!(most as u64 <= room, "{most}");
}

#[test]
fn an_event_that_is_longer_than_a_store_has_room_for_begins_near_its_end() {
    // Taken to be of 8 Mbit/s there is room for 40 seconds.
    let mut bench = relayed(kept(300, EVENT), 400 * SEC, Some(100_000_000));
    bench.pass(420 * SEC);
    assert_eq!(not_whole(&bench), [(180, Limit::Room)]);
    assert!(bench.checker.relayed()[0].unwrap().ends_with("seg280.ts"));
}

/// A window of hours, of a source that lists hours.
#[test]
fn a_live_source_begins_at_its_live_edge_however_long_the_list_may_become() {
    let mut run = Run::new(2 * SEC);
    run.window = 500;
    let source = run.clone();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(source.at(now))));
    bench.now = 1_100 * SEC;
    bench.run(Spec {
        window: Some(10_000),
        ..spec(&[URL])
    });
    bench.pass(1_105 * SEC);
    assert!(bench.checker.relayed()[0].unwrap().ends_with("seg640.ts"));
    bench.pass(1_200 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert!((58..=60).contains(&last.segments.len()), "{text}");
}

/// Each hangs until it is cut, and something is always on its way.
#[test]
fn a_vod_ends_without_those_of_its_segments_that_never_come() {
    let mut bench = relayed(kept(60, VOD), 200 * SEC, None);
    let comes = |url: &str| url.contains("seg10");
    bench.segment = Box::new(move |_, url| Ok(if comes(url) { 50_000 } else { 3_600 * SEC }));
    bench.pass(1_400 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    // Gaps stand for all that does not, so that it is as long as it is.
    assert!(last.end_list && last.segments.len() == 60, "{text}");
    let gaps = last.segments.iter().filter(|it| it.gap);
    assert_eq!(gaps.count(), 50, "{text}");
    assert_eq!((bench.holes(), bench.status().state), (50, State::Ended));
}

/// Nothing of it comes for ten minutes: its origin is away, and comes back.
#[test]
fn a_vod_of_which_nothing_could_be_had_is_waited_for() {
    let mut bench = relayed(kept(6, VOD), 200 * SEC, None);
    bench.segment = Box::new(|now, _| match now < 800 * SEC {
        true => Err(FetchError::Status(503)),
        false => Ok(50_000),
    });
    bench.pass(790 * SEC);
    assert_eq!((bench.holes(), bench.status().state), (0, State::Stalled));
    bench.pass(810 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert!(last.end_list && last.segments.len() == 6, "{text}");
}

#[test]
fn s_16_a_stop_amid_a_vod_leaves_a_part_that_is_none() {
    let mut bench = relayed(kept(20, VOD), 200 * SEC, None);
    bench.segment = Box::new(|_, _| Ok(2 * SEC));
    bench.pass(206 * SEC);
    bench.configure(
        Spec {
            window: None,
            ..spec(&[URL])
        },
        Desired::Stop,
    );
    bench.pass(208 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert!(last.end_list && last.segments.len() < 20, "{text}");
    assert_eq!(last.playlist_type, Some(PlaylistType::Event), "{text}");
}

/// A live channel whose URL shows a film from then on: whoever opens it now is to see that from its beginning, and not
/// what was live before.
#[test]
fn what_keeps_all_and_comes_behind_something_live_begins_with_its_own_first_segment() {
    let live = Run::new(2 * SEC).between(0, 60 * SEC);
    let film = kept(40, VOD).named("film", 0);
    let mut bench = followed(move |now| match now < 70 * SEC {
        true => live.at(now),
        false => film.at(now + 200 * SEC),
    });
    bench.pass(140 * SEC);
    let lists = lists(&bench);
    let is_film = |uri: &str| bench.checker.content[uri].contains("film");
    let mut seen = 0;
    for (text, list) in &lists {
        let live = list.segments.iter().take_while(|it| !is_film(&it.uri));
        let (live, all) = (live.count(), list.segments.len());
        if live < all {
            let start = format!("#EXT-X-START:TIME-OFFSET={}\n", live * 2);
            assert!(live > 0 && text.contains(&start), "{text}");
            seen += 1;
        }
    }
    let (text, last) = lists.last().expect("it is listed");
    assert!(seen > 2 && last.end_list, "{text}");
    a_successor_says(bench, "#EXT-X-START:TIME-OFFSET=20\n");
}

/// A film that says itself where to begin means its own first segment, whatever stands before that here.
#[test]
fn a_start_that_a_source_states_is_where_the_source_means_it() {
    let says = "#EXT-X-START:TIME-OFFSET=5.5,PRECISE=YES\n";
    let live = Run::new(2 * SEC).between(0, 60 * SEC);
    let film = kept(40, &(VOD.to_owned() + says)).named("film", 0);
    let mut bench = followed(move |now| match now < 70 * SEC {
        true => live.at(now),
        false => film.at(now + 200 * SEC),
    });
    bench.pass(140 * SEC);
    let film = |bench: &Bench, list: &MediaPlaylist| {
        let is_film = |uri: &str| bench.checker.content[uri].contains("film");
        let live = list.segments.iter().take_while(|it| !is_film(&it.uri));
        (live.count(), list.segments.len())
    };
    let start = |live: usize| format!("TIME-OFFSET={}.500000,PRECISE=YES\n", live * 2 + 5);
    for (text, list) in &lists(&bench) {
        let (live, all) = film(&bench, list);
        assert_eq!(text.contains(&start(live)), live < all, "{text}");
    }
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert!(last.end_list && film(&bench, &last) == (10, 50), "{text}");
    a_successor_says(bench, &start(10));
}

/// Once the first segment of a film is listed no more, nobody can count from it.
#[test]
fn a_start_behind_what_is_not_listed_is_not_told() {
    let says = VOD.to_owned() + "#EXT-X-START:TIME-OFFSET=5\n";
    let run = kept(40, &says);
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = 200 * SEC;
    bench.run(Spec {
        window: Some(12),
        ..spec(&[URL])
    });
    bench.pass(260 * SEC);
    let (text, last) = lists(&bench).pop().expect("it is listed");
    assert!(
        last.segments.len() == 12 && !text.contains("START"),
        "{text}"
    );
}

/// Its encoder has started again, and it went on: the recording begins where the first part does.
#[test]
fn what_keeps_all_and_has_gone_on_behind_a_break_begins_with_its_first_part() {
    let part = |from: u64, until: u64| {
        let mut run = Run::new(2 * SEC).between(from * SEC, until * SEC);
        (run.window, run.head, run.ends) = (u64::MAX, EVENT.to_owned(), until > 70);
        run
    };
    let first = part(0, 60);
    let second = part(70, 150).named("second", 0);
    let mut bench = followed(move |now| match now < 74 * SEC {
        true => first.at(now),
        false => second.at(now),
    });
    bench.pass(240 * SEC);
    let lists = lists(&bench);
    let (text, last) = lists.last().expect("it is listed");
    let of_both = ["second", "seg"].map(|part| {
        let is = |uri: &str| bench.checker.content[uri].contains(part);
        last.segments.iter().any(|it| is(&it.uri))
    });
    assert!(last.end_list && of_both == [true, true], "{text}");
    for (text, _) in &lists {
        assert!(
            !text.contains("#EXT-X-START") || text.contains(START),
            "{text}"
        );
    }
}
