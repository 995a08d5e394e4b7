//! A disk that is full, for real.
//!
//! A full file system needs a mount, which a test in a container may not make. A limit on the size of
//! files (RLIMIT_FSIZE) is enforced by the same kernel at the same call, for everybody: the test runs
//! itself again in a shell that sets one. Where mounting is allowed, a tmpfs of 64 KB is filled too.

use hls_relay::checkpoint_file::CheckpointFile;
use hls_relay::store::Store;
use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint, SavedTrack};
use hls_relay_core::command::PublishedPlaylist;
use hls_relay_core::date_ranges::DateRanges;
use hls_relay_core::event::StoreError;
use hls_relay_core::ids::{ObjectName, PlaylistName};
use hls_relay_core::time::{Span, WallTime};
use std::path::Path;
use std::process::Command;

/// Set in the child: the folder to fill.
const FOLDER: &str = "HLS_RELAY_TEST_FULL_FOLDER";

/// SIGXFSZ would kill the process before the call could fail.
const WITH_SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
/// In a mount namespace of its own, so that nothing is left behind.
const ON_SMALL_DISK: &str =
    "mount -t tmpfs -o size=64k none \"$HLS_RELAY_TEST_FULL_FOLDER\" || exit 77; exec \"$@\"";

fn rerun(shell: &[&str], script: &str) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    // Through pipes: where our own output goes to a file that is larger than the limit, the child could not
    // even say that it passed.
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store_full::fills_the_folder", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .ok()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

#[test]
fn a_limit_on_file_size_is_a_full_store() {
    assert_eq!(rerun(&["sh"], WITH_SMALL_FILES), Some(0));
}

#[test]
fn a_full_file_system_is_a_full_store() {
    let code = rerun(
        &["unshare", "--user", "--map-root-user", "--mount", "sh"],
        ON_SMALL_DISK,
    );
    // 77: mounting is not allowed here; 1: not even the namespace is; the test above covers the kernel's answer.
    assert!(matches!(code, Some(0 | 77 | 1)), "{code:?}");
}

/// The body of both, in the child. On its own it has nothing to fill.
#[tokio::test]
async fn fills_the_folder() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let store = Store::directory(folder, "news").unwrap();
    let media = vec![7; 256 << 10];
    let mut object = store.create(&ObjectName("a-1.ts".into())).unwrap();
    object.write(&media).await.unwrap();
    assert_eq!(object.commit().await, Err(StoreError::Full));
    assert!(store.get("a-1.ts").is_none());

    let text = format!("#EXTM3U\n{}", "#x\n".repeat(100_000));
    store
        .publish(&[PublishedPlaylist::entry("#EXTM3U\n")])
        .unwrap();
    assert_eq!(
        store.publish(&[PublishedPlaylist::entry(text)]),
        Err(StoreError::Full)
    );
    let small = PublishedPlaylist::entry("#EXTM3U\n#NEW\n");
    let large = PublishedPlaylist {
        name: PlaylistName("v0.m3u8".into()),
        text: "#x\n".repeat(100_000).into(),
    };
    for version in [vec![small.clone(), large.clone()], vec![large, small]] {
        let refused = store.publish(&version);
        assert_eq!(refused, Err(StoreError::Full), "all of it or nothing");
    }
    let playlist = std::fs::read_to_string(folder.join("news/index.m3u8")).unwrap();
    assert_eq!(playlist, "#EXTM3U\n", "the last good one stays");
    let left = std::fs::read_dir(folder.join("news")).unwrap().count();
    assert_eq!(left, 1, "what did not fit is gone, and there is room again");
    let mut small = store.create(&ObjectName("a-2.ts".into())).unwrap();
    small.write(b"fits").await.unwrap();
    small.commit().await.unwrap();

    let (file, _) = CheckpointFile::open(&folder.join("state"), "news").unwrap();
    let retired = |number| hls_relay_core::checkpoint::RetiredObject {
        object: ObjectName(format!("a-{number}.ts").into()),
        keep_until: WallTime::from_micros(0),
    };
    let mut checkpoint = Checkpoint {
        format: CHECKPOINT_FORMAT,
        saved_at: WallTime::from_micros(0),
        target_duration: Span::from_secs(2),
        ended: false,
        entry: None,
        tracks: vec![SavedTrack {
            name: PlaylistName(PlaylistName::ENTRY.into()),
            media_sequence: 1,
            discontinuity_sequence: 0,
            independent_segments: false,
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
        retired: Vec::new(),
        leaving: Vec::new(),
        rungs: None,
    };
    file.save(&checkpoint).unwrap();
    checkpoint.retired = (0..5_000).map(retired).collect();
    assert_eq!(file.save(&checkpoint), Err(StoreError::Full));
}
