//! The least that anybody could do: GET the playlist once per target duration, GET the segment that it lists last where
//! that is a new one, write both. A process of its own, so that what it costs can be told.

use reqwest::Client;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Runs until it is killed.
pub(crate) fn run(base: &str, channels: usize, folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client = Client::builder().no_proxy().build().expect("a client");
        for channel in 0..channels {
            let late = Duration::from_secs(2) * channel as u32 / channels as u32;
            let url = format!("{base}{}", super::origin::Live::path(channel));
            let folder = folder.join(channel.to_string());
            std::fs::create_dir_all(&folder).expect("a folder");
            tokio::spawn(relay(client.clone(), url, folder, Instant::now() + late));
        }
        std::future::pending::<()>().await;
    });
}

async fn relay(client: Client, url: String, folder: PathBuf, begin: Instant) {
    let mut ticks = interval_at(begin, Duration::from_secs(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let get = async |url: &str| client.get(url).send().await.ok()?.bytes().await.ok();
    let write = async |name: &str, bytes: &[u8]| {
        let _ = tokio::fs::write(folder.join(name), bytes).await;
    };
    let mut known = String::new();
    loop {
        ticks.tick().await;
        let Some(list) = get(&url).await else {
            continue;
        };
        let last = list.trim_ascii_end().rsplit(|it| *it == b'\n').next();
        let last = String::from_utf8_lossy(last.unwrap_or_default()).into_owned();
        if last != known
            && let Some(segment) = get(&url.replace("index.m3u8", &last)).await
        {
            write(&last, &segment).await;
            known = last;
        }
        write("index.m3u8", &list).await;
    }
}
