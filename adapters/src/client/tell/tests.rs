use super::*;
use crate::api::view::{MakingView, ObservedView};
use crate::spec::ChannelSpec;

fn view() -> ChannelView {
    ChannelView {
        id: "news".to_owned(),
        path: "/news/index.m3u8".to_owned(),
        spec: ChannelSpec::of(vec!["http://a/".to_owned(), "http://b/".to_owned()]),
        desired: Desired::Run,
        revision: 5,
        writer: Writer::Api,
        unmade: Some("no ffmpeg".to_owned()),
        observed: ObservedView {
            state: "stalled".to_owned(),
            reason: "source playlist unchanged for 14 s\u{1b}[2J".to_owned(),
            owner: "node".to_owned(),
            epoch: 1,
            machine: Some(MachineView {
                generation: 3,
                revision: 5,
                newest_segment_age_ms: Some(14_000),
                change: Some("source 0 cannot take over: why\nnot".to_owned()),
                holes: 1,
                ..MachineView::default()
            }),
        },
    }
}

fn told(tell: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    tell(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_not_there_is_said_to_be_nothing() {
    let mut view = view();
    view.observed.owner.clear();
    view.observed.machine = Some(MachineView::default());
    let text = told(|out| channel(out, false, &view));
    for line in ["  owner           nobody, epoch 1", "  newest segment  –"] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

#[test]
fn all_is_told_and_no_word_of_strangers_moves_the_cursor() {
    let text = told(|out| channel(out, false, &view()));
    for line in [
        "  should          run (revision 5, by the API)",
        "  is              stalled: source playlist unchanged for 14 s [2J",
        "  change          source 0 cannot take over: why not",
        "  generation      3 (has taken revision 5)",
        "  newest segment  14 s ago",
        "  backup          http://b/",
        "  viewers         /news/index.m3u8",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

#[test]
fn of_each_rung_it_is_told_how_it_is_made_and_why_it_is_not() {
    let mut view = view();
    let rung = |name: &str, left_out: Option<&str>, took_ms, missed| RungView {
        name: name.to_owned(),
        bandwidth: Some(2_500_000),
        lower: (name == "720p").then_some(540),
        complete: left_out.is_none(),
        left_out: left_out.map(str::to_owned),
        lacks: None,
        making: Some(RungMakingView {
            made: 9,
            missed,
            took_ms: Some(took_ms),
            duration_ms: Some(4_000),
        }),
    };
    view.observed.machine = Some(MachineView {
        rungs: vec![
            RungView {
                name: "source".to_owned(),
                complete: true,
                ..RungView::default()
            },
            rung("720p", Some("too slow"), 4_400, 3),
            rung("240p", None, 1_000, 0),
            RungView {
                name: "144p".to_owned(),
                lacks: Some("no such picture".to_owned()),
                ..RungView::default()
            },
        ],
        ladder_waits: Some("why not".to_owned()),
        edges: vec![
            EdgeView {
                url: "http://a/".to_owned(),
                cold: 2,
                failing: Some("no answer".to_owned()),
                ..EdgeView::default()
            },
            EdgeView {
                url: "http://b/".to_owned(),
                warm: 1,
                ..EdgeView::default()
            },
            EdgeView {
                url: "http://c/".to_owned(),
                ..EdgeView::default()
            },
        ],
        making: Some(MakingView {
            made: 7,
            missed: 3,
            waited_ms: Some(10),
            took_ms: Some(1_000),
            duration_ms: Some(4_000),
            queued: Some(2),
            workers: Some(1),
            ..MakingView::default()
        }),
        ..MachineView::default()
    });
    let text = told(|out| channel(out, false, &view));
    for line in [
        "  rungs           source, 720p 540 high, as its source is 2.5 Mbit/s [110 % of real time, 3 without it] left out (too slow), \
         240p 2.5 Mbit/s [25 % of real time], 144p (its newest segment is a gap: no such picture)",
        "  ladder          is not made: why not",
        "  ladder          its rungs cannot be made: no ffmpeg",
        "  edge            http://a/ is not warm, 2 times: no answer",
        "  edge            http://b/ is warm",
        "  edge            http://c/ has not answered yet",
        "  made            7 segments, 3 with a gap, 0 waiting; the newest took 1 s after 0 s of waiting, \
         25 % of real time; of all channels 2 segments in the queue for 1 worker",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

#[test]
fn after_a_change_it_is_told_what_nobody_makes() {
    let text = told(|out| changed(out, false, &view()));
    let lines: Vec<_> = text.lines().collect();
    let unmade = "news: its rungs cannot be made: no ffmpeg";
    assert_eq!(lines, ["news: should run (revision 5)", unmade]);
}

#[test]
fn a_list_is_a_line_each() {
    let text = told(|out| list(out, false, &[view(), view()]));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("CHANNEL  SHOULD  STATE    NEWEST"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("news     run     stalled  14 s"),
        "{text}"
    );
    assert!(
        lines[1].ends_with("source 0 cannot take over: why not"),
        "{text}"
    );
}

#[test]
fn news_are_told_once() {
    let mut known = BTreeMap::new();
    let mut one = view();
    let mut look = |channels: &[ChannelView]| {
        let mut out = Vec::new();
        news(&mut out, false, &mut known, channels).unwrap();
        String::from_utf8(out).unwrap().lines().count()
    };
    assert_eq!(look(std::slice::from_ref(&one)), 1);
    // Only a figure has moved.
    one.observed.reason = "source playlist unchanged for 15 s".to_owned();
    assert_eq!(look(std::slice::from_ref(&one)), 0);
    one.observed.state = "live".to_owned();
    assert_eq!(look(std::slice::from_ref(&one)), 1);
    assert_eq!(look(&[]), 1);
    assert_eq!(look(&[]), 0);
}
