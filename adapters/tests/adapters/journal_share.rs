//! Sharing: what is secret is not in the copy, and the copy does the same.

use crate::journal::{quiet, run, simulated};
use hls_relay_core::command::Command;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection, Source, Spec};
use hls_relay_core::event::{
    Configure, Desired, Event, FetchError, LoadedPlaylist, PlaylistBody, StoredSegment,
};
use hls_relay_core::ids::{ContentHash, Epoch};
use hls_relay_core::journal::{Record, digest_of, encode_head, encode_record};
use hls_relay_core::preload::{Edge, PreloadMethod, PreloadPolicy};
use hls_relay_core::relay::Relay;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Now, Span, Timestamp, WallTime};
use hls_relay_sim::replay::{Replayer, Seen};
use std::collections::VecDeque;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Everywhere a secret has been met; none may be found in a copy, whole or in part.
const SECRETS: [&str; 17] = [
    "QuerySecret1",
    "BareSecret2",
    "PathSecret3f00dfeed42",
    "AkamaiSecret4",
    "LoginSecret5",
    "PassSecret6",
    "KeySecret7",
    "DataSecret8",
    "TitleSecret9",
    "DateSecret10",
    "CommentSecret11",
    "TagSecret12",
    "EtagSecret13",
    "ErrorSecret14",
    "DefineSecret15",
    "PieceSecret16",
    "InlineSecret17",
];

/// A key that a list holds itself is in no journal to begin with.
const NEVER_RECORDED: [&str; 2] = ["DataSecret8", "InlineSecret17"];

/// A playlist as hostile to sharing as it may be; the tokens rotate with each version.
fn playlist(version: u64) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{version}\n\
         #EXT-X-DEFINE:NAME=\"host\",VALUE=\"https://keys.example\"\n\
         #EXT-X-DEFINE:NAME=\"token\",VALUE=\"id=DefineSecret15-{version}&e=1\"\n\
         #EXT-X-DEFINE:NAME=\"piece\",VALUE=\"PieceSecret16\"\n\
         #EXT-X-DEFINE:NAME=\"in-line\",VALUE=\"InlineSecret17-{version}\"\n\
         #EXT-X-DEFINE:QUERYPARAM=\"st\"\n\
         ## CommentSecret11-{version}\n#EXT-X-VENDOR:SESSION=\"TagSecret12\",USER=TagSecret12\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example/k?id=KeySecret7\"\n"
    );
    for number in version..version + 6 {
        text += &format!(
            "#EXT-X-PROGRAM-DATE-TIME:2026-05-17T20:{:02}:{:02}.000Z\n\
             #EXT-X-DATERANGE:ID=\"ad-{number}\",START-DATE=\"2026-05-17T20:00:00Z\",X-URL=\"DateSecret10\"\n\
             #EXTINF:2.000,TitleSecret9 {number}\n",
            number / 30,
            number % 30 * 2
        );
        text += &match number % 5 {
            0 => format!("seg-{number}.ts?token=QuerySecret1-{version}&BareSecret2\n"),
            1 => format!("https://LoginSecret5:PassSecret6@b.example/x/seg-{number}.ts\n"),
            2 => format!("/s/PathSecret3f00dfeed42/seg-{number}.ts\n"),
            3 => format!("hdnts=exp=17~hmac=AkamaiSecret4/seg-{number}.ts#QuerySecret1\n"),
            _ => format!("seg-{number}.ts;id=AkamaiSecret4-{version}.ts?a=b c QuerySecret1\n"),
        };
    }
    text += "#EXT-X-KEY:METHOD=AES-128,URI=\"{$host}/k?{$token}&t=a{$piece}&st={$st}\"\n\
             #EXT-X-KEY:METHOD=SAMPLE-AES,KEYFORMAT=\"a\",URI=\"data:text/plain;base64,{$in-line}\"\n\
             #EXTINF:2.000,\n{$host}/x/seg-last.ts?{$token}\n";
    if version.is_multiple_of(3) {
        text += "#EXT-X-KEY:METHOD=SAMPLE-AES,KEYFORMAT=\"com.example\",URI=\"data:text/plain;base64,DataSecret8\"\n";
    }
    text
}

/// A machine on such a source for so many reloads, as a journal in pieces of so many steps.
fn recorded(reloads: u64, piece: u64) -> Vec<String> {
    let mut machine = Relay::new(5, Epoch(1), None);
    let (mut pieces, mut seq, mut micros) = (Vec::new(), 0, 1_000_000_u64);
    let spec = Spec {
        sources: vec![Source {
            url: "https://a.example/live/index.m3u8?auth=QuerySecret1".into(),
        }],
        window: Some(6),
        room: None,
        hole: HolePolicy::Gap,
        reload: ReloadPolicy::LastSegment,
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: None,
        preload: Some(PreloadPolicy {
            edges: vec![Edge {
                url: "https://edge.example/fetch?path=/live/{object}&auth=QuerySecret1".into(),
                method: PreloadMethod::Get,
            }],
            patience: None,
        }),
    };
    let mut events = VecDeque::from([Event::Configure(Configure {
        revision: 1,
        desired: Desired::Run,
        spec: Arc::new(spec),
    })]);
    let mut loads = 0;
    while loads < reloads {
        let event = events.pop_front().unwrap_or_else(|| {
            let (at, _) = machine.next_wakeup().unwrap();
            micros = micros.max(at.as_micros());
            Event::Tick
        });
        micros += 1_000;
        let now = Now {
            monotonic: Timestamp::from_micros(micros),
            wall: WallTime::from_micros(1_779_048_000_000_000) + Span::from_micros(micros),
        };
        if seq % piece == 0 {
            pieces.push(encode_head("news", seq, &machine));
        }
        let mut commands = Vec::new();
        machine.step(now, event.clone(), &mut commands);
        let digest = Some(digest_of(&commands));
        let record = Record {
            seq,
            now,
            event,
            digest,
        };
        *pieces.last_mut().unwrap() += &encode_record(&record);
        seq += 1;
        for command in commands {
            loads += u64::from(matches!(command, Command::LoadPlaylist(_)));
            events.extend(answer(command, loads));
        }
    }
    pieces
}

fn answer(command: Command, loads: u64) -> Option<Event> {
    Some(match command {
        Command::LoadPlaylist(load) => {
            // Each version twice, so that a machine has to know the last one again.
            let body = playlist(loads / 2).into_bytes();
            let outcome = match loads % 11 {
                5 => Err(FetchError::Connect(
                    "a.example: https://a.example/?ErrorSecret14".into(),
                )),
                6 => Err(FetchError::Status(403)),
                7 => Ok(
                    b"<html><a href=\"/login?back=ErrorSecret14\">log in, TitleSecret9</a>"
                        .to_vec(),
                ),
                8 => Ok(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n\xff?BareSecret2\n".to_vec()),
                _ => Ok(body),
            };
            let outcome = outcome.map(|body| LoadedPlaylist::Body {
                url: "https://LoginSecret5@edge7.example/live/PathSecret3f00dfeed42/index.m3u8?st=QuerySecret1".into(),
                body: PlaylistBody(body.into()),
                etag: Some("\"EtagSecret13\"".into()),
            });
            Event::PlaylistLoaded {
                request: load.request,
                outcome,
            }
        }
        Command::Download(download) => Event::Downloaded {
            request: download.request,
            outcome: Ok(StoredSegment {
                length: 1_000,
                hash: ContentHash([7; 32]),
                formats: None,
            }),
        },
        Command::CheckObjects { request, .. } => Event::ObjectsChecked {
            request,
            outcome: Ok(Vec::new()),
        },
        Command::Publish(publish) => Event::Published {
            request: publish.request,
            outcome: Ok(()),
        },
        Command::Delete { request, .. } => Event::Deleted {
            request,
            outcome: Ok(()),
        },
        Command::Withdraw { request, .. } => Event::Withdrawn {
            request,
            outcome: Ok(()),
        },
        Command::SaveCheckpoint { request, .. } => Event::CheckpointSaved {
            request,
            outcome: Ok(()),
        },
        Command::Preload(preload) => Event::Preloaded {
            request: preload.request,
            outcomes: vec![Ok(())],
        },
        Command::Transcode(_) | Command::Cancel { .. } | Command::Notify(_) => return None,
    })
}

fn write(folder: &Path, pieces: &[String]) -> Vec<PathBuf> {
    let file = |(index, text): (usize, &String)| {
        let path = folder.join(format!("news-{index:08}-x.journal"));
        fs::write(&path, text).unwrap();
        path
    };
    pieces.iter().enumerate().map(file).collect()
}

/// The kinds of commands of every step.
fn work(text: &str) -> Vec<Vec<String>> {
    let mut steps = Vec::new();
    let mut see = |seen: Seen<'_>| {
        if let Seen::Step(_, commands) = seen {
            let kind = |it: &Command| kind_of(&format!("{it:?}"));
            steps.push(commands.iter().map(kind).collect());
        }
        ControlFlow::Continue(())
    };
    let went_on = Replayer::<Relay>::default().piece(text.as_bytes(), &mut see);
    assert!(went_on.unwrap().is_continue());
    steps
}

/// The variant's name; of a notice, the notice's.
fn kind_of(debug: &str) -> String {
    let name = debug.strip_prefix("Notify(").unwrap_or(debug);
    let end = name.find(|it: char| !it.is_alphanumeric());
    name[..end.unwrap_or(name.len())].to_owned()
}

#[test]
fn no_secret_is_in_the_copy_and_the_copy_does_the_same() {
    let pieces = recorded(60, 40);
    let whole = pieces.concat();
    for secret in SECRETS {
        let recorded = whole.contains(secret);
        assert_eq!(
            recorded,
            !NEVER_RECORDED.contains(&secret),
            "{secret} is in the journal"
        );
    }
    // From the beginning; and from a machine in the middle, whose memory is full of them.
    for from in [0, 1, pieces.len() / 2] {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &pieces[from..]);
        let out = folder.path().join("copy");
        let (code, said) = run(&[
            "journal",
            "share",
            folder.path().to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
        ]);
        assert_eq!(code, 0, "{said}");
        let copy = fs::read_to_string(&out).unwrap();
        for secret in SECRETS {
            assert!(!copy.contains(secret), "{secret}");
        }
        assert_eq!(work(&copy), work(&pieces[from..].concat()));
        for kept in [
            "a.example/live/index.m3u8",
            "#EXTINF:2.000,",
            "seg-",
            "2026-05-17T20:",
        ] {
            assert!(copy.contains(kept), "{kept} tells what happened and stays");
        }
    }
}

/// Different secrets stay different, the same one the same: what a machine knows again by its URL it
/// knows again in the copy.
#[test]
fn every_simulated_night_can_be_shared() {
    for seed in 0..12 {
        let folder = TempDir::new().unwrap();
        let journal = simulated(seed);
        let files = write(folder.path(), std::slice::from_ref(&journal));
        let out = folder.path().join("copy");
        let steps = hls_relay::journal::share::share(&files, &out);
        let steps = steps.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(steps, work(&journal).len() as u64);
        assert_eq!(work(&fs::read_to_string(&out).unwrap()), work(&journal));
    }
}

#[test]
fn there_is_no_copy_of_what_does_not_replay() {
    let folder = TempDir::new().unwrap();
    let journal = quiet(60);
    let lines: Vec<_> = journal.lines().collect();
    let without_one = [&lines[..30], &lines[31..]].concat().join("\n") + "\n";
    write(folder.path(), &[without_one]);
    let out = folder.path().join("copy");
    let (code, said) = run(&[
        "journal",
        "share",
        folder.path().to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
    ]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("follows where step"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_copy_never_takes_the_place_of_its_journal() {
    let folder = TempDir::new().unwrap();
    let journal = quiet(60);
    let files = write(folder.path(), std::slice::from_ref(&journal));
    let file = files[0].to_str().unwrap();
    let (code, said) = run(&["journal", "share", file, "-o", file]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("another name"), "{said}");
    assert_eq!(fs::read_to_string(&files[0]).unwrap(), journal);
}
