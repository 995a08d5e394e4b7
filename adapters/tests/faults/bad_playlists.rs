//! Something comes that is no playlist, or a playlist in an odd wrapping.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{Fault, FaultKind, OriginSpec, PlaylistFault, TextFault, Tokens};
use std::time::Duration;

/// Refused for six seconds with a reason, while the last good one stays; then all goes on.
async fn refused(kind: impl Into<FaultKind>, word: &str, words: &str) {
    let mut stage = Stage::open(spec()).await;
    stage.steady().await;
    let fault = stage.strike(kind, 6).await;
    stage.run(6).await;
    let mut story = stage.close().await;
    story.check_said(word, words);
    story.check_said("playlist_recovered", "loads again");
    story.check_recovery(fault.to, TARGET);
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_relayed_if_listed_at(Duration::ZERO);
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_html_page_with_200() {
    refused(PlaylistFault::Html200, "playlist_refused", "EXTM3U").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body() {
    refused(PlaylistFault::EmptyBody, "playlist_refused", "empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_of_tags() {
    let fault = TextFault::HugeTags { bytes: 50_000_000 };
    refused(fault, "playlist_failed", "larger than the limit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_loop() {
    refused(PlaylistFault::RedirectLoop, "playlist_failed", "redirects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb() {
    let fault = PlaylistFault::GzipBomb { bytes: 200_000_000 };
    refused(fault, "playlist_failed", "larger than the limit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_utf8() {
    refused(TextFault::NotUtf8, "playlist_refused", "UTF-8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul() {
    refused(TextFault::NulByte, "playlist_refused", "U+0000").await;
}

/// From the first request to the last, as if nothing were wrong.
async fn relayed_all_the_same(kind: impl Into<FaultKind>) {
    let fault = Fault::new(Span::ZERO, Span::from_secs(600), kind);
    relayed_as_a_plain_one(OriginSpec {
        faults: vec![fault],
        ..spec()
    })
    .await;
}

async fn relayed_as_a_plain_one(origin: OriginSpec) {
    let stage = Stage::open(origin).await;
    stage.steady().await;
    stage.run(12).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_relayed_if_listed_at(Duration::ZERO);
    story.check_nothing_downloaded_twice();
    let worse = story
        .log
        .iter()
        .find(|line| line.kind == "state_changed" && line.level != "INFO");
    story.check(worse.is_none(), format!("{worse:?}"));
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_content_type() {
    relayed_all_the_same(PlaylistFault::WrongContentType).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_that_nobody_asked_for() {
    relayed_all_the_same(PlaylistFault::UnaskedGzip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host() {
    relayed_all_the_same(PlaylistFault::RedirectToOtherHost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_change_at_every_reload() {
    relayed_all_the_same(TextFault::RotatingTokens).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_folders_that_change_at_every_reload() {
    let tokens = Tokens::Folder;
    relayed_as_a_plain_one(OriginSpec { tokens, ..spec() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_path_parameters_that_change_at_every_reload() {
    let tokens = Tokens::Parameter;
    relayed_as_a_plain_one(OriginSpec { tokens, ..spec() }).await;
}
