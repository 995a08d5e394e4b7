//! What may be wrong with segments, and with any connection.

use super::*;

fn status_of(origin: &Origin, at: u64, name: &str) -> u16 {
    segment(origin, secs(at), name).status
}

fn delivery(kind: SegmentFault, at: u64) -> Delivery {
    segment(&with(kind), secs(at), "seg9.ts").delivery
}

#[test]
fn a_status_in_place_of_segments() {
    let origin = with(SegmentFault::Status {
        which: Which::All,
        code: 503,
    });
    assert_eq!(
        [9, 10, 20].map(|at| status_of(&origin, at, "seg9.ts")),
        [200, 503, 200]
    );
    assert_eq!(load(&origin, secs(10)).status, 200);
}

#[test]
fn which_segments_are_missing() {
    let missing = |which| with(SegmentFault::Missing { which });
    let statuses = |origin: &Origin, at, names: [&str; 3]| {
        names.map(|name| segment(origin, Span::from_millis(at), name).status)
    };
    let names = ["seg9.ts", "seg10.ts", "seg11.ts"];
    assert_eq!(
        statuses(&missing(Which::All), 12_000, names),
        [404, 404, 404]
    );
    assert_eq!(
        statuses(&missing(Which::Number(10)), 12_000, names),
        [200, 404, 200]
    );
    assert_eq!(
        statuses(&missing(Which::Number(10)), 20_000, names),
        [200, 200, 200]
    );
    // Those that are listed meanwhile are missing for ever, the others never.
    let meanwhile = missing(Which::ListedMeanwhile);
    assert_eq!(statuses(&meanwhile, 12_000, names), [200, 404, 404]);
    assert_eq!(
        statuses(&meanwhile, 21_000, ["seg10.ts", "seg14.ts", "seg15.ts"]),
        [404, 404, 200]
    );
}

#[test]
fn one_in_so_many_is_drawn_and_stays() {
    let kind = SegmentFault::Missing {
        which: Which::OneIn(4),
    };
    let faults = vec![Fault::new(secs(0), secs(10_000), kind)];
    let spec = OriginSpec {
        retention: Some(secs(10_000)),
        faults,
        ..spec()
    };
    let origin = Origin::new(spec);
    let missing = |at| {
        let numbers = 0..1_000;
        numbers
            .filter(|number| status_of(&origin, at, &format!("seg{number}.ts")) == 404)
            .count()
    };
    let count = missing(2_000);
    assert!((200..300).contains(&count), "{count} of 1000");
    assert_eq!(missing(3_000), count);
}

#[test]
fn a_late_segment_is_listed_before_it_is_there() {
    let origin = with(SegmentFault::Late {
        which: Which::ListedMeanwhile,
        by: secs(3),
    });
    assert!(uris(&origin, secs(12)).contains(&"seg11.ts".to_owned()));
    assert_eq!(
        [12, 14, 15].map(|at| status_of(&origin, at, "seg11.ts")),
        [404, 404, 200]
    );
    assert_eq!(status_of(&origin, 8, "seg9.ts"), 200);
}

#[test]
fn a_body_ends_too_soon() {
    let len = media(&Origin::new(spec()), secs(10), "seg9.ts").len;
    let which = Which::All;
    assert_eq!(
        delivery(SegmentFault::Truncated { which }, 10),
        Delivery::Truncated { bytes: len / 2 }
    );
    assert_eq!(
        delivery(SegmentFault::ResetHalfWay { which }, 10),
        Delivery::ResetAfter { bytes: len / 2 }
    );
    assert_eq!(
        delivery(SegmentFault::Truncated { which }, 9),
        Delivery::Whole { rate: None }
    );
    assert_eq!(
        delivery(SegmentFault::ResetHalfWay { which }, 9),
        Delivery::Whole { rate: None }
    );
}

#[test]
fn a_body_drips() {
    let kind = SegmentFault::Drip {
        which: Which::All,
        bytes_per_second: 1_000,
    };
    assert_eq!(delivery(kind, 10), Delivery::Drip { rate: 1_000 });
    assert_eq!(delivery(kind, 20), Delivery::Whole { rate: None });
}

#[test]
fn connections_are_reset_or_hang_or_are_slow() {
    type Kind = fn(Requests) -> ConnectionFault;
    let deliveries: [(Kind, Delivery); 2] = [
        (|on| ConnectionFault::Reset { on }, Delivery::ResetBefore),
        (|on| ConnectionFault::Hang { on }, Delivery::Hang),
    ];
    for (kind, expected) in deliveries {
        for (on, playlist, segments) in [
            (Requests::All, true, true),
            (Requests::Playlist, true, false),
            (Requests::Segments, false, true),
        ] {
            let origin = with(kind(on));
            let struck = |at| {
                let replies = [load(&origin, at), segment(&origin, at, "seg9.ts")];
                replies.map(|reply| reply.delivery == expected)
            };
            assert_eq!(struck(secs(10)), [playlist, segments], "{on}");
            assert_eq!(struck(secs(9)), [false, false], "{on}");
        }
    }
    let slow = with(ConnectionFault::Slow {
        on: Requests::All,
        by: secs(7),
    });
    assert_eq!(
        [9, 10].map(|at| load(&slow, secs(at)).delay),
        [secs(0), secs(7)]
    );
}

#[test]
fn segments_that_stand_elsewhere_and_some_that_lead_to_themselves() {
    let which = Which::All;
    let led = |origin: &Origin, name: &str| {
        let reply = segment(origin, secs(10), name);
        (reply.status, reply.headers.location)
    };
    let to = |url: &str| (302, Some(url.to_owned()));
    let origin = with(SegmentFault::RedirectToOtherHost { which });
    assert_eq!(
        led(&origin, "seg9.ts?t=1"),
        to("http://edge.test/edge/live/seg9.ts?t=1")
    );
    let request = OriginRequest {
        host: "edge.test".to_owned(),
        ..OriginRequest::get("/edge/live/seg9.ts".to_owned())
    };
    assert_eq!(origin.respond(secs(10), &request).status, 200);
    assert_eq!(status_of(&origin, 9, "seg9.ts"), 200);

    let origin = with(SegmentFault::RedirectLoop { which });
    assert_eq!(
        led(&origin, "seg9.ts"),
        to("http://origin.test/live/seg9.ts")
    );
}
