//! `--state`: what is saved is had again, and what cannot be understood is kept for a person to see.

use hls_relay::checkpoint_file::{CheckpointFile, Found};
use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint, RetiredObject, SavedTrack};
use hls_relay_core::date_ranges::DateRanges;
use hls_relay_core::ids::{ObjectName, PlaylistName};
use hls_relay_core::time::{Span, WallTime};
use std::fs;

pub(crate) fn checkpoint(media_sequence: u64) -> Checkpoint {
    Checkpoint {
        format: CHECKPOINT_FORMAT,
        saved_at: WallTime::from_micros(1),
        target_duration: Span::from_secs(2),
        ended: false,
        entry: None,
        tracks: vec![SavedTrack {
            name: PlaylistName(PlaylistName::ENTRY.into()),
            media_sequence,
            discontinuity_sequence: 3,
            independent_segments: true,
            i_frames_only: false,
            playlist_type: None,
            whole: false,
            complete: false,
            begins_with_first: false,
            begins_at: None,
            first_of_source: None,
            medium: None,
            formats: None,
            bandwidth: None,
            measured: Span::ZERO,
            closing: Vec::new(),
            head: Vec::new(),
            date_ranges: DateRanges::default(),
            window: Vec::new(),
            position: None,
            still_ended: false,
        }],
        retired: vec![RetiredObject {
            object: ObjectName("a-1.ts".into()),
            keep_until: WallTime::from_micros(2),
        }],
        leaving: Vec::new(),
        rungs: None,
    }
}

#[test]
fn s_70_what_was_saved_last_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("made/when/missing");
    let (file, found) = CheckpointFile::open(&state, "news").unwrap();
    assert!(matches!(found, Found::Nothing));
    file.save(&checkpoint(7)).unwrap();
    file.save(&checkpoint(8)).unwrap();
    drop(file);
    let (_file, found) = CheckpointFile::open(&state, "news").unwrap();
    let Found::Checkpoint(found) = found else {
        panic!("{found:?}")
    };
    assert_eq!(*found, checkpoint(8));
}

#[test]
fn a_file_that_cannot_be_understood_is_moved_aside_and_not_deleted() {
    let good = serde_json::to_string(&checkpoint(7)).unwrap();
    let other_format = good.replace("\"format\":2", "\"format\":999");
    assert_ne!(good, other_format);
    for (content, word) in [
        ("", "not a checkpoint"),
        ("\0\0\0\0", "not a checkpoint"),
        ("[1, 2]", "not a checkpoint"),
        ("{\"name\": \"somebody else's\"}", "not a checkpoint"),
        (&good[..good.len() - 9], "not a checkpoint"),
        (&*other_format, "format 999"),
        ("{\"format\": 2}", "broken"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("news.json"), content).unwrap();
        let (file, found) = CheckpointFile::open(folder.path(), "news").unwrap();
        let Found::Refused { why, moved_to } = found else {
            panic!("{content}: {found:?}")
        };
        assert!(why.contains(word), "{why}");
        assert_eq!(fs::read_to_string(moved_to).unwrap(), content);
        file.save(&checkpoint(1)).unwrap();
    }
}

#[test]
fn the_state_of_a_channel_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _first = CheckpointFile::open(folder.path(), "news").unwrap();
    let second = CheckpointFile::open(folder.path(), "news").err().unwrap();
    assert!(
        second.to_string().contains("in use by another process"),
        "{second}"
    );
    CheckpointFile::open(folder.path(), "sport").unwrap();
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("news.json")).unwrap();
    assert!(CheckpointFile::open(folder.path(), "news").is_err());
    assert!(folder.path().join("news.json").exists());
}
