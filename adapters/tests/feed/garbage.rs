//! What cannot be used: rows, times, addresses.

use crate::servers::{Database, Kind, free_port};
use crate::support::redis_server::RedisServer;
use crate::{Feed, all_run, field, source};

const LOOSE: &str = "SELECT id, spec, desired, updated_at FROM tv";

/// A table with room for whatever a database of this kind can hold; and how it says now.
async fn loose_table(database: &Database, kind: Kind) -> &'static str {
    let (columns, now) = match kind {
        Kind::Postgres => (
            "id text, spec text, desired text, updated_at timestamptz",
            "clock_timestamp()",
        ),
        Kind::MariaDb => (
            "id varbinary(99), spec varbinary(999), desired varbinary(9), updated_at varchar(99)",
            "current_timestamp(6)",
        ),
        Kind::Sqlite => ("id, spec, desired, updated_at", "datetime('now', 'subsec')"),
    };
    let table = format!("CREATE TABLE tv ({columns})");
    database.execute(&table).await;
    now
}

async fn insert(database: &Database, id: &str, spec: &str, desired: &str, updated_at: &str) {
    let row = format!("INSERT INTO tv VALUES ({id}, {spec}, {desired}, {updated_at})");
    database.execute(&row).await;
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

async fn garbage_harms_its_row_only(kind: Kind, garbage: &[&str]) {
    let redis = RedisServer::start();
    let database = Database::start(kind).await;
    let now = loose_table(&database, kind).await;
    for id in ["news", "film"] {
        insert(&database, &quoted(id), &quoted(&source(id)), "'run'", now).await;
    }
    let feed = Feed::start(&database, &redis, &["--query", LOOSE]);
    let both = || all_run(&redis, &["news", "film"]);
    feed.until("carried", both).await;

    for (number, garbage) in garbage.iter().enumerate() {
        let spec = quoted(&source("x"));
        insert(&database, garbage, &spec, "'run'", now).await;
        let id = format!("'no-spec-{number}'");
        insert(&database, &id, garbage, "'run'", now).await;
        let id = format!("'no-wish-{number}'");
        insert(&database, &id, &spec, garbage, now).await;
        for change in ["spec", "desired"] {
            let change = format!("UPDATE tv SET {change} = {garbage}, updated_at = {now}");
            let id = "WHERE id = 'film'";
            database.execute(&format!("{change} {id}")).await;
        }
        let late = format!("late-{number}");
        insert(
            &database,
            &quoted(&late),
            &quoted(&source(&late)),
            "'run'",
            now,
        )
        .await;
        feed.until("carried", || all_run(&redis, &[&late])).await;
        // Also by a reading of everything.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        assert!(both(), "{}", feed.log());
        assert!(field(&redis, "film", "spec").contains(&source("film")));
        let channels = redis.ask(&["SCARD", "hls-relay:channels"]);
        assert_eq!(channels, (3 + number).to_string(), "{}", feed.log());
        for id in [
            &format!("no-spec-{number}"),
            &format!("no-wish-{number}"),
            "film",
        ] {
            let told = format!("channel=\"{id}\"");
            assert!(feed.log().contains(&told), "{told} in\n{}", feed.log());
        }
    }
    assert!(!feed.log().contains("ERROR"), "{}", feed.log());
    feed.leave().await;
}

#[tokio::test]
async fn garbage_in_postgresql_harms_its_row_only() {
    garbage_harms_its_row_only(Kind::Postgres, &["NULL", "'\n'"]).await;
}

#[tokio::test]
async fn garbage_in_mariadb_harms_its_row_only() {
    garbage_harms_its_row_only(Kind::MariaDb, &["NULL", "x'ff00'"]).await;
}

#[tokio::test]
async fn garbage_in_sqlite_harms_its_row_only() {
    let garbage = ["NULL", "x'ff00'", "CAST(x'fe' AS TEXT)"];
    garbage_harms_its_row_only(Kind::Sqlite, &garbage).await;
}

async fn what_is_no_time_hides_no_change(kind: Kind, garbage: &[&str]) {
    let redis = RedisServer::start();
    let database = Database::start(kind).await;
    let now = loose_table(&database, kind).await;
    insert(&database, "'news'", &quoted(&source("news")), "'run'", now).await;
    for (number, garbage) in garbage.iter().enumerate() {
        let id = format!("'timeless-{number}'");
        insert(&database, &id, &quoted(&source("x")), "'run'", garbage).await;
    }
    // Not within this test.
    let feed = Feed::of(&database.url, &redis, "600", &["--query", LOOSE]);
    let first = || all_run(&redis, &["news", "timeless-0"]);
    feed.until("carried", first).await;
    insert(&database, "'late'", &quoted(&source("late")), "'run'", now).await;
    feed.until("carried", || all_run(&redis, &["late"])).await;
    let told = || feed.log().contains("updated_at: ") && feed.log().contains("\"timeless-0\"");
    feed.until("told", told).await;
    feed.leave().await;
}

#[tokio::test]
async fn what_is_no_time_in_mariadb_hides_no_change() {
    what_is_no_time_hides_no_change(Kind::MariaDb, &["'soon'"]).await;
}

#[tokio::test]
async fn what_is_no_time_in_sqlite_hides_no_change() {
    let garbage = ["'soon'", "x'ff'", "CAST(x'fe' AS TEXT)"];
    what_is_no_time_hides_no_change(Kind::Sqlite, &garbage).await;
}

#[tokio::test]
async fn a_database_that_refuses_is_told_by_where_and_why() {
    let redis = RedisServer::start();
    for scheme in ["postgres", "mysql"] {
        let port = free_port();
        let url = format!("{scheme}://relay:hunter2@127.0.0.1:{port}/tv");
        let feed = Feed::of(&url, &redis, "3", &[]);
        let told = || feed.log().contains("ERROR");
        feed.until("told", told).await;
        for words in [&format!("127.0.0.1:{port}"), "refused"] {
            assert!(feed.log().contains(words), "{words} in\n{}", feed.log());
        }
        assert!(!feed.log().contains("hunter2"), "{}", feed.log());
        feed.leave().await;
    }
}

#[tokio::test]
async fn a_file_that_another_has_taken_the_place_of_is_opened_anew() {
    let redis = RedisServer::start();
    let database = Database::start(Kind::Sqlite).await;
    database.insert("news", &source("news")).await;
    let feed = Feed::start(&database, &redis, &[]);
    feed.until("carried", || all_run(&redis, &["news"])).await;
    let other = Database::start(Kind::Sqlite).await;
    for id in ["news", "late"] {
        other.insert(id, &source(id)).await;
    }
    database.replace_by(&other);
    feed.until("carried", || all_run(&redis, &["news", "late"]))
        .await;
    feed.leave().await;
}
