//! One contract, two stores.

use hls_relay::store::{Content, Newest, Store};
use hls_relay_core::command::{ObjectCheck, PublishedPlaylist};
use hls_relay_core::event::{StoreError, StoredSegment};
use hls_relay_core::ids::{ContentHash, ObjectName, PlaylistName};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn name(text: &str) -> ObjectName {
    ObjectName(text.into())
}

async fn put(store: &Store, object: &str, parts: &[&[u8]]) -> StoredSegment {
    let mut writer = store.create(&name(object)).unwrap();
    for part in parts {
        writer.write(part).await.unwrap();
        assert!(store.get(object).is_none(), "half of {object} is visible");
    }
    writer.commit().await.unwrap()
}

fn bytes(store: &Store, object: &str) -> Option<Vec<u8>> {
    store.get(object).map(|object| match object.content {
        Content::Memory(bytes) => bytes.to_vec(),
        Content::File(path) => fs::read(path).unwrap(),
    })
}

fn check(object: &str, stored: StoredSegment) -> ObjectCheck {
    ObjectCheck {
        object: name(object),
        length: stored.length,
        hash: stored.hash,
    }
}

/// What both stores promise.
async fn contract(store: Store) {
    let large = vec![9; 3 << 20];
    let first = put(&store, "0a0b0c0d-1.ts", &[b"abc", b"", b"def"]).await;
    assert_eq!(first.length, 6);
    assert_eq!(first.hash, ContentHash(Sha256::digest(b"abcdef").into()));
    let second = put(&store, "0a0b0c0d-2.ts", &[&large, b"end"]).await;
    assert_eq!(bytes(&store, "0a0b0c0d-1.ts").unwrap(), b"abcdef");
    assert_eq!(
        bytes(&store, "0a0b0c0d-2.ts").unwrap(),
        [&large[..], b"end"].concat()
    );
    let seen = store.get("0a0b0c0d-1.ts").unwrap();
    assert_eq!((seen.length, seen.hash), (first.length, first.hash));

    let mut dropped = store.create(&name("0a0b0c0d-3.ts")).unwrap();
    dropped.write(&large).await.unwrap();
    drop(dropped);
    assert!(store.get("0a0b0c0d-3.ts").is_none());

    store
        .delete(vec![name("0a0b0c0d-1.ts"), name("never.ts")])
        .await
        .unwrap();
    assert!(store.get("0a0b0c0d-1.ts").is_none());

    let third = put(&store, "0a0b0c0d-3.ts", &[b"third"]).await;
    put(&store, "0a0b0c0d-4.ts", &[b"left over"]).await;
    put(&store, "0a0b0c0d-5.ts", &[b"retired"]).await;
    let other_bytes = StoredSegment {
        hash: ContentHash([0; 32]),
        ..third.clone()
    };
    let asked = [
        check("0a0b0c0d-1.ts", first.clone()),
        check("0a0b0c0d-2.ts", second.clone()),
        check("0a0b0c0d-3.ts", third.clone()),
    ];
    assert_eq!(
        store
            .check(asked.to_vec(), vec![name("0a0b0c0d-5.ts")])
            .await
            .unwrap(),
        asked[1..]
    );
    assert!(store.get("0a0b0c0d-4.ts").is_none(), "a left-over stays");
    assert_eq!(bytes(&store, "0a0b0c0d-5.ts").unwrap(), b"retired");
    let asked = vec![
        check("0a0b0c0d-3.ts", other_bytes),
        check("0a0b0c0d-2.ts", second.clone()),
    ];
    assert_eq!(
        store.check(asked, Vec::new()).await.unwrap(),
        [check("0a0b0c0d-2.ts", second)]
    );
    assert!(
        store.get("0a0b0c0d-3.ts").is_none(),
        "other bytes than asked for stay"
    );

    store
        .publish(&[PublishedPlaylist::entry("#EXTM3U\n")])
        .unwrap();
    store.withdraw().await.unwrap();
    store.withdraw().await.unwrap();

    for bad in [
        "",
        ".",
        "..",
        "../x.ts",
        "a/b.ts",
        "/etc/x.ts",
        ".x.ts",
        "a\0.ts",
        "index.m3u8",
        "v0.m3u8",
    ] {
        let refused = store.create(&name(bad)).err();
        assert!(matches!(refused, Some(StoreError::Failed(_))), "{bad:?}");
        assert!(store.delete(vec![name(bad)]).await.is_err(), "{bad:?}");
        assert!(store.get(bad).is_none());
    }
}

#[tokio::test]
async fn s_11_memory_keeps_the_contract() {
    contract(Store::memory()).await;
}

#[tokio::test]
async fn s_11_a_directory_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    contract(Store::directory(root.path(), "news").unwrap()).await;
    assert_eq!(
        files(&root.path().join("news")),
        ["0a0b0c0d-2.ts"],
        "nothing else is left behind"
    );
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_directory_is_plain_files_that_others_may_read() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::directory(root.path(), "news").unwrap();
    put(&store, "0a0b0c0d-1.ts", &[b"media"]).await;
    store
        .publish(&[PublishedPlaylist::entry("#EXTM3U\n#one\n")])
        .unwrap();
    store
        .publish(&[PublishedPlaylist::entry("#EXTM3U\n")])
        .unwrap();
    let folder = root.path().join("news");
    assert_eq!(files(&folder), ["0a0b0c0d-1.ts", "index.m3u8"]);
    assert_eq!(fs::read(folder.join("0a0b0c0d-1.ts")).unwrap(), b"media");
    assert_eq!(fs::read(folder.join("index.m3u8")).unwrap(), b"#EXTM3U\n");
    for file in files(&folder) {
        let mode = fs::metadata(folder.join(&file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o444, 0o444, "{file} has {mode:o}");
    }
    store.withdraw().await.unwrap();
    assert_eq!(files(&folder), ["0a0b0c0d-1.ts"]);
}

fn playlist(name: &str, text: impl Into<std::sync::Arc<str>>) -> PublishedPlaylist {
    PublishedPlaylist {
        name: PlaylistName(name.into()),
        text: text.into(),
    }
}

#[tokio::test]
async fn a_playlist_has_a_name_of_its_own_in_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::directory(root.path(), "news").unwrap();
    for bad in ["", "../v0.m3u8", "a/v0.m3u8", ".m3u8", ".v0.m3u8", "v0.ts"] {
        let playlists = vec![playlist("index.m3u8", "x"), playlist(bad, "x")];
        let refused = store.publish(&playlists);
        assert!(matches!(refused, Err(StoreError::Failed(_))), "{bad:?}");
    }
    assert_eq!(files(&root.path().join("news")), Vec::<String>::new());
}

#[tokio::test]
async fn s_46_what_an_earlier_process_left_is_taken_away_with_the_presentation() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("news");
    let store = Store::directory(root.path(), "news").unwrap();
    let names = ["index.m3u8", "v0.m3u8", "v12.m3u8", "a0.m3u8"];
    let playlists = names.map(|name| playlist(name, "#EXTM3U\n"));
    store.publish(&playlists).unwrap();
    drop(store);
    let own = ["extra.m3u8", "v.m3u8", "v0x.m3u8", "V0.m3u8", "v0.txt"];
    for name in own {
        fs::write(folder.join(name), b"the operator's own").unwrap();
    }

    let store = Store::directory(root.path(), "news").unwrap();
    store.publish(&[playlist("v0.m3u8", "#EXTM3U\n")]).unwrap();
    assert_eq!(files(&folder).len(), names.len() + own.len());
    store.withdraw().await.unwrap();
    let mut left = own.map(str::to_owned);
    left.sort();
    assert_eq!(files(&folder), left);
}

/// Whoever reads the multivariant playlist and then what it names finds nothing older there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_01_the_multivariant_playlist_comes_after_what_it_names() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::directory(root.path(), "news").unwrap();
    let names = ["index.m3u8", "a0.m3u8", "v0.m3u8"];
    let version = |number: u64| {
        names
            .map(|name| playlist(name, number.to_string()))
            .to_vec()
    };
    store.publish(&version(0)).unwrap();
    let folder = root.path().join("news");
    let reader = tokio::task::spawn_blocking(move || {
        let read = |name| -> u64 {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            text.parse().unwrap()
        };
        let mut seen = BTreeSet::new();
        while seen.len() < 50 {
            let entry = read("index.m3u8");
            assert!(read("v0.m3u8") >= entry && read("a0.m3u8") >= entry);
            seen.insert(entry);
        }
    });
    let mut number = 0;
    while !reader.is_finished() {
        number += 1;
        store.publish(&version(number)).unwrap();
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn s_70_a_directory_knows_again_what_a_process_that_died_left_there() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("news");
    let store = Store::directory(root.path(), "news").unwrap();
    let kept = put(&store, "0a0b0c0d-1.ts", &[b"kept"]).await;
    let spoilt = put(&store, "0a0b0c0d-2.ts", &[b"spoilt"]).await;
    put(&store, "0a0b0c0d-3.ts", &[b"left over"]).await;
    drop(store);
    fs::write(folder.join("0a0b0c0d-2.ts"), b"SPOILT").unwrap();
    fs::write(folder.join(".hls-relay-half"), b"half a segm").unwrap();
    fs::write(folder.join("slate-1.ts"), b"the operator's own").unwrap();
    fs::create_dir(folder.join("0a0b0c0d-9.ts")).unwrap();

    let store = Store::directory(root.path(), "news").unwrap();
    assert!(
        store.get("0a0b0c0d-1.ts").is_none(),
        "nothing is shown before it was checked"
    );
    assert!(!files(&folder).contains(&".hls-relay-half".to_owned()));
    let asked = vec![
        check("0a0b0c0d-1.ts", kept.clone()),
        check("0a0b0c0d-2.ts", spoilt),
    ];
    assert_eq!(
        store.check(asked, Vec::new()).await.unwrap(),
        [check("0a0b0c0d-1.ts", kept)]
    );
    assert_eq!(bytes(&store, "0a0b0c0d-1.ts").unwrap(), b"kept");
    assert_eq!(
        files(&folder),
        ["0a0b0c0d-1.ts", "0a0b0c0d-9.ts", "slate-1.ts"]
    );
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::directory(root.path(), "news").unwrap();
    let second = Store::directory(root.path(), "news").err().unwrap();
    assert!(
        second.to_string().contains("in use by another process"),
        "{second}"
    );
    Store::directory(root.path(), "sport").unwrap();
    drop(store);
    Store::directory(root.path(), "news").unwrap();
}

/// A reader that never pauses, until it has seen many versions: each of them whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_01_the_playlist_file_is_replaced_in_one_step() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::directory(root.path(), "news").unwrap();
    let text = |number: usize| format!("#EXTM3U\n{}#END\n", "#x\n".repeat(number % 50 * 1_000));
    store.publish(&[PublishedPlaylist::entry(text(0))]).unwrap();
    let path = root.path().join("news/index.m3u8");
    let reader = tokio::task::spawn_blocking(move || {
        let mut lengths = BTreeSet::new();
        while lengths.len() < 20 {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#EXTM3U\n") && text.ends_with("#END\n"));
            lengths.insert(text.len());
        }
    });
    let mut number = 0;
    while !reader.is_finished() {
        number += 1;
        store
            .publish(&[PublishedPlaylist::entry(text(number))])
            .unwrap();
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn the_newest_files_are_in_memory_too() {
    let root = tempfile::tempdir().unwrap();
    let newest = Arc::new(Newest::default());
    let store = Store::directory(root.path(), "news").unwrap();
    let store = store.with_newest(newest.clone());
    put(&store, "0a0b0c0d-1.ts", &[b"abc", b"def"]).await;
    let of_another = Store::directory(root.path(), "sport").unwrap();
    let of_another = of_another.with_newest(newest);
    let large = vec![9; 900 << 10];
    let in_memory = |store: &Store, name: &str| store.get(name).unwrap().in_memory();
    for number in 1..=9 {
        assert_eq!(in_memory(&store, "0a0b0c0d-1.ts").unwrap(), "abcdef");
        put(&of_another, &format!("0a0b0c0d-{number}.ts"), &[&large]).await;
    }
    assert!(in_memory(&of_another, "0a0b0c0d-9.ts").is_some());
    put(&of_another, "0a0b0c0d-10.ts", &[&large]).await;
    assert!(
        in_memory(&store, "0a0b0c0d-1.ts").is_none(),
        "they share the room"
    );
    assert_eq!(bytes(&store, "0a0b0c0d-1.ts").unwrap(), b"abcdef");
    let halves = vec![9; 600 << 10];
    put(&store, "0a0b0c0d-2.ts", &[&halves, &halves]).await;
    assert!(
        in_memory(&store, "0a0b0c0d-2.ts").is_none(),
        "it went to its file in pieces"
    );
}
