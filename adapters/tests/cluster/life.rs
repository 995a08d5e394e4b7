//! What becomes of a channel when its node, its Redis or the way between them is gone.

use crate::nodes::{
    LEASE, Nodes, PATIENCE, TARGET_DURATION, assert_numbers_go_on, longest_silence,
};
use crate::operator::spec;
use crate::stage::viewer::Watched;
use crate::support::redis_server::RedisServer;
use crate::viewers::{playlist, until};
use crate::way::Way;
use hls_relay::journal::Recorder;
use std::time::{Duration, Instant};

/// How long Redis is away, in seconds, or as long as `OUTAGE_SECONDS` says: `./test outage` has it away for ten minutes.
fn outage() -> u64 {
    let said = std::env::var("OUTAGE_SECONDS").ok();
    said.map_or(30, |it| it.parse().expect("OUTAGE_SECONDS is a number"))
}

/// What a loaded machine adds to what is promised.
const SLACK: Duration = Duration::from_secs(5);

/// A checkpoint counts as the newest, and numbers go on behind it, where it was saved when its successor had
/// had Redis for two leases: so long a node of a test is there before its neighbour dies, and a little longer.
pub(crate) const KNOWN: u64 = 2 * LEASE.as_secs() + 2;

/// What was in the memory of a node that is gone leaves the list at once.
pub(crate) fn not_waived(watched: &Watched) -> Vec<&String> {
    let complaints = watched.complaints.iter();
    complaints.filter(|it| !it.contains(" S-07: ")).collect()
}

pub(crate) async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_of_its_node_another_one_goes_on_with_a_channel() {
    let redis = RedisServer::start();
    let ways = [redis.url(), redis.url(), redis.url()];
    let mut all = Nodes::start(&ways).await;
    let owner = all.relay("news").await;
    // All tell the same of it, though one alone has it.
    let told = all.observed(owner, "news").await;
    let other = (owner + 1) % 3;
    let elsewhere = all.observed(other, "news").await;
    for field in ["state", "owner", "epoch", "generation", "source_url"] {
        assert_eq!(told[field], elsewhere[field], "{told}\n{elsewhere}");
    }
    let zero = Instant::now();
    let viewer = all.watch(other, "news", zero);
    sleep(KNOWN).await;
    viewer.relay_is_away(true);
    // A look that is under way is one of before.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let killed = zero.elapsed();
    drop(all.nodes[owner].take());
    viewer.media_died();
    let next = all.until_taken(other, "news", &told).await;
    assert_ne!(next["owner"], told["owner"]);
    viewer.relay_is_away(false);
    sleep(4).await;
    let watched = viewer.finish().await;
    println!("nothing new for {:.2?}", longest_silence(&watched, killed));
    let complaints = not_waived(&watched);
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_numbers_go_on(&watched);
    let silence = longest_silence(&watched, killed);
    assert!(silence < LEASE + TARGET_DURATION + SLACK, "{silence:?}");
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_folder_in_common_nothing_of_a_dead_node_is_lost() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display().to_string();
    let ways = [redis.url(), redis.url()];
    let mut all = Nodes::start_with(&ways, &["--store", &store]).await;
    let owner = all.relay("news").await;
    let other = 1 - owner;
    let before = all.observed(other, "news").await;
    let viewer = all.watch(other, "news", Instant::now());
    sleep(KNOWN).await;
    viewer.relay_is_away(true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(all.nodes[owner].take());
    all.until_taken(other, "news", &before).await;
    viewer.relay_is_away(false);
    sleep(3).await;
    // All that was ever listed is there for its time, with the same bytes, without a break.
    let watched = viewer.finish().await;
    assert!(watched.complaints.is_empty(), "{:#?}", watched.complaints);
    assert_numbers_go_on(&watched);
    let breaks = watched
        .segments
        .values()
        .filter(|it| it.entry.discontinuity);
    assert_eq!(breaks.count(), 0);
    // What the dead one had is the living one's.
    let epochs = std::fs::read_dir(folder.path().join("news")).unwrap();
    assert_eq!(epochs.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_stopped_longer_than_its_lease_shows_nothing_of_its_own() {
    let redis = RedisServer::start();
    let ways = [redis.url(), redis.url()];
    let all = Nodes::start(&ways).await;
    let owner = all.relay("news").await;
    let other = 1 - owner;
    let before = all.observed(owner, "news").await;
    all.at(owner).relay.signal("STOP");
    let stopped = Instant::now();
    // What it told last is told with its age.
    sleep(3).await;
    let silent = all.observed(other, "news").await;
    assert!(
        silent["newest_segment_age_ms"].as_u64() >= Some(3_000),
        "{silent}"
    );
    let newest = loop {
        let observed = all.observed(other, "news").await;
        if observed["epoch"].as_u64() > before["epoch"].as_u64()
            && observed["segments"].as_u64() > Some(2)
        {
            break observed["last_media_sequence"].as_u64().unwrap();
        }
        assert!(stopped.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(newest > before["last_media_sequence"].as_u64().unwrap());
    // In ten minutes of an outage it is a minute.
    let stays_stopped = Duration::from_secs(outage() / 10).saturating_sub(stopped.elapsed());
    tokio::time::sleep(stays_stopped).await;
    all.at(owner).relay.signal("CONT");
    let woken = Instant::now();
    // Whatever it answers now comes from the new owner.
    let mut answered = 0;
    while woken.elapsed() < Duration::from_secs(5) {
        if let (200, Some(list)) = playlist(all.at(owner).address(), "news").await {
            let last = list.entries.last().unwrap().number;
            assert!(last >= newest, "{last} < {newest}\n{}", all.logs());
            answered += 1;
        }
    }
    assert!(answered > 0, "{}", all.logs());
    assert_eq!(all.owner(owner, "news").await, other);
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_viewers_notice_nothing_and_with_an_empty_one_neither() {
    let outage = outage();
    let redis = RedisServer::start();
    let port = redis.port;
    let ways = [redis.url(), redis.url(), redis.url()];
    let all = Nodes::start(&ways).await;
    // One that is stopped is no node's.
    all.at(0).put("film", spec(&all.origin.url())).await;
    all.at(0).desire("film", "stop").await;
    let owner = all.relay("news").await;
    let before = all.observed(owner, "news").await;
    let zero = Instant::now();
    let viewers = [0, 1, 2].map(|by| all.watch(by, "news", zero));
    // All nodes look at all channels meanwhile.
    sleep(6).await;
    redis.signal("STOP");
    sleep(outage * 2 / 3).await;
    // Whoever has it tells of it all the same.
    let told = all.observed(owner, "news").await;
    assert_eq!(told["state"], "live", "{told}\n{}", all.logs());
    let asked = Instant::now();
    let refused = all.at(0).put("more", spec(&all.origin.url())).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(asked.elapsed() < Duration::from_secs(5));
    // So are all of them, as it cannot be said which there are.
    let url = format!("{}/api/v1/channels", all.at(owner).api);
    let listed = crate::viewers::client().get(url).send().await.unwrap();
    assert_eq!(listed.status(), 503);
    assert_eq!(listed.headers()["retry-after"], "1");
    sleep(outage / 3).await;
    drop(redis);
    let redis = RedisServer::start_at(port);
    let began = Instant::now();
    let key = "hls-relay:channel:{news}";
    let epoch = before["epoch"].to_string();
    while redis.ask(&["HGET", key, "epoch"]) != epoch {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        sleep(1).await;
    }
    sleep(8).await;
    assert_eq!(all.owner(0, "news").await, owner);
    // Whoever writes Redis itself counts on from there.
    let number = |text: String| text.parse::<u64>().unwrap_or_default();
    let newest = number(redis.ask(&["GET", "hls-relay:revision"]));
    assert!(newest > 0 && newest >= number(redis.ask(&["HGET", key, "revision"])));
    for viewer in viewers {
        let watched = viewer.finish().await;
        assert!(
            watched.complaints.is_empty(),
            "{:#?}\n{}",
            watched.complaints,
            all.logs()
        );
        assert_numbers_go_on(&watched);
        let silence = longest_silence(&watched, Duration::ZERO);
        assert!(silence < TARGET_DURATION * 2 + SLACK, "{silence:?}");
    }
    for node in all.nodes.iter().flatten() {
        let gone = "without channels that no node has: film;";
        node.relay.wait_for_log(gone);
        assert_eq!(node.log().matches(gone).count(), 1, "{}", node.log());
    }
    let taken = all.at(0).put("more", spec(&all.origin.url())).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_hands_its_channels_over() {
    let redis = RedisServer::start();
    let ways = [redis.url(), redis.url()];
    let mut all = Nodes::start(&ways).await;
    let owner = all.relay("news").await;
    let other = 1 - owner;
    let zero = Instant::now();
    let viewer = all.watch(other, "news", zero);
    sleep(3).await;
    let before = all.observed(other, "news").await;
    let asked = zero.elapsed();
    let leaving = all.nodes[owner].take().unwrap();
    leaving.relay.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(|| leaving.relay.wait())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    // Its segments end with it; the list is shown all along.
    viewer.relay_is_away(true);
    viewer.media_died();
    all.until_taken(other, "news", &before).await;
    viewer.relay_is_away(false);
    sleep(4).await;
    let watched = viewer.finish().await;
    let silence = longest_silence(&watched, asked);
    println!("nothing new for {silence:.2?}");
    let complaints = not_waived(&watched);
    assert!(
        complaints.is_empty(),
        "{complaints:#?}\n{log}\n{}",
        all.logs()
    );
    assert_numbers_go_on(&watched);
    assert!(
        silence < TARGET_DURATION * 2 + SLACK,
        "{silence:?}\n{log}\n{}",
        all.logs()
    );
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_alone_ends_before_another_one_has_taken_over() {
    let redis = RedisServer::start();
    let (one, two) = (Way::to(redis.port).await, Way::to(redis.port).await);
    let ways = [one.url(), two.url(), redis.url()];
    let all = Nodes::start(&ways).await;
    // One that can be cut off.
    let mut id = String::new();
    let mut owner = 2;
    for attempt in 0.. {
        if owner != 2 {
            break;
        }
        id = format!("news-{attempt}");
        owner = all.relay(&id).await;
    }
    let before = all.observed(2, &id).await;
    let mine = if owner == 0 { &one } else { &two };
    mine.cut(true);
    let cut = Instant::now();
    let url = format!("{}/{id}/index.m3u8", all.at(owner).address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let epoch = before["epoch"].to_string();
    let key = format!("hls-relay:channel:{{{id}}}");
    let mut shown_last = None;
    let taken = loop {
        let answer = client.get(&url).send().await.unwrap();
        if answer.status() == 200 {
            shown_last = Some(Instant::now());
        }
        if redis.ask(&["HGET", &key, "epoch"]) != epoch {
            break Instant::now();
        }
        assert!(cut.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let shown_last = shown_last.expect("it goes on for a while");
    println!(
        "shown for {:.2?}, taken after {:.2?}",
        shown_last - cut,
        taken - cut
    );
    assert!(shown_last < taken - Duration::from_millis(100));
    // What it may show at most, for a while, is nothing.
    let waited = Instant::now();
    while waited.elapsed() < Duration::from_secs(4) {
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // With Redis again it leads to the new owner.
    mine.cut(false);
    let mended = Instant::now();
    while client.get(&url).send().await.unwrap().status() != 200 {
        assert!(mended.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(all.owner(owner, &id).await, owner);
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_while_redis_is_away_says_what_it_could_not_hand_over() {
    let redis = RedisServer::start();
    let mut all = Nodes::start(&[redis.url()]).await;
    all.relay("news").await;
    redis.signal("STOP");
    let leaving = all.nodes[0].take().unwrap();
    leaving.relay.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| leaving.relay.wait());
    let (status, log) = ended.await.unwrap();
    redis.signal("CONT");
    assert_eq!(status.code(), Some(0), "{log}");
    let said = log
        .lines()
        .find(|it| it.contains("could not be given back"));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    assert!(said.contains("ERROR") && said.contains("news"), "{said}");
}

/// The process that had a channel before may still hold its journal, where several nodes have one folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_relayed_without_a_journal_that_another_process_holds() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url()]).await;
    let held = Recorder::start(&all.journal(0), &"news".into(), 1 << 20);
    assert!(held.is_ok(), "it is nobody's yet");
    all.relay("news").await;
    let logs = all.logs();
    assert!(logs.contains("it is relayed without a journal"), "{logs}");
}

/// Each node has seen whose each channel is, though nobody has asked it for that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_a_node_was_never_asked_for_is_found_while_redis_is_away() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    let added = all.at(0).put("news", spec(&all.origin.url())).await;
    assert_eq!(added.status, 201, "{added:?}");
    let key = "hls-relay:channel:{news}";
    let began = Instant::now();
    let owner = loop {
        let owner = redis.ask(&["HGET", key, "owner"]);
        if !owner.is_empty() {
            break usize::from(owner.starts_with("node-1"));
        }
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    until(all.at(owner).address(), "news", || all.logs(), |_| true).await;
    // All channels are looked at every four seconds, or somewhat more seldom.
    sleep(KNOWN).await;
    redis.signal("STOP");
    // Until it is known to be away a look is waited for.
    sleep(3).await;
    for _ in 0..20 {
        let (status, list) = playlist(all.at(1 - owner).address(), "news").await;
        assert!(list.is_some(), "{status}\n{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    redis.signal("CONT");
}
