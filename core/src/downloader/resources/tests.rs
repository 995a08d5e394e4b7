use super::*;
use crate::ids::Generation;
use crate::stage::on_a_stage;

const TARGET: Span = Span::from_secs(6);

fn at(millis: u64) -> Timestamp {
    Timestamp::default() + Span::from_millis(millis)
}

/// A key as a track names it that counts its encoder's runs so.
fn key_of(run: u64) -> Need {
    Need {
        content: Content::Key,
        url: "http://origin.example/key".into(),
        byte_range: None,
        decrypt: None,
        era: (run, 0),
    }
}

/// Lets a track ask for what is due, and answers it.
fn asks(track: &mut Resources, now: Timestamp, answer: Result<StoredSegment, FetchError>) {
    let asker = Asker {
        source: 0,
        generation: Generation::default(),
        tag: 0,
    };
    let mut room = Room { all: 4, retries: 4 };
    let left = on_a_stage(now, |stage| {
        track.advance(stage, asker, &Looks::default(), TARGET, &mut room);
        let asked = track.all.iter().find_map(|it| match it.state {
            State::InFlight { request, .. } => Some(request),
            State::Waiting | State::Shared { .. } | State::Stored(_) => None,
        });
        let request = asked.expect("it is due");
        track.completed(stage, request, &answer, TARGET)
    });
    assert!(left.is_some());
}

#[test]
fn a_key_that_one_track_could_have_is_asked_for_at_once_by_another_that_waits_at_its_address() {
    let (mut first, mut other) = (Resources::default(), Resources::default());
    first.want(&[key_of(0)], &[], at(0));
    other.want(&[key_of(1)], &[], at(0));
    let away = || Err(FetchError::Status(503));
    for _ in 0..6 {
        let now = first.next_retry().expect("it waits");
        asks(&mut first, now, away());
        assert!(other.share_failures(std::iter::once(&first)));
        // What the one has met the other knows, and does not ask.
        assert_eq!(other.next_retry(), first.next_retry());
    }
    let now = first.next_retry().expect("it waits");
    let waits = at(0) + Span::from_millis(60_000);
    other.failing[0].retry_at = waits;
    let stored = StoredSegment {
        length: limits::KEY_BYTES,
        hash: ContentHash([1; 32]),
        formats: None,
    };
    asks(&mut first, now, Ok(stored));
    assert_eq!(other.next_retry(), Some(waits));
    assert!(other.share_failures(std::iter::once(&first)));
    assert!(other.next_retry().is_some_and(|at| at <= now));
    // What was had before it failed says nothing of the present.
    asks(&mut other, now + Span::from_millis(1), away());
    assert!(!other.share_failures(std::iter::once(&first)));
}
