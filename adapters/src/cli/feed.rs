//! `hls-relay feed`.

use super::values::{database, redis, seconds};
use crate::redis::address::Address;
use clap::Args;
use std::time::Duration;
use url::Url;

pub(super) const EXAMPLES: &str = "\
The database has a table or a view with a row for each channel, hls_relay_channels unless --query
says otherwise, with these columns:
  id          the channel's name: letters, digits, '-', '_' and '.'
  spec        the URL of its playlist, or a spec as the API takes it:
              {\"sources\": [\"https://a.example/x.m3u8\"], \"headers\": [\"Authorization: Bearer abc\"]}
  desired     'run' or 'stop'; a flag or 1 and 0 will do
  updated_at  when the row was changed: a timestamp, in SQLite also a text in UTC or Unix seconds

In PostgreSQL, for one:
  CREATE TABLE hls_relay_channels (
    id text PRIMARY KEY, spec text NOT NULL, desired text NOT NULL DEFAULT 'run',
    updated_at timestamptz NOT NULL DEFAULT now());

Examples:
  hls-relay feed --database postgres://relay@db.example/tv --redis redis://redis.example

  hls-relay feed --database mysql://relay@db.example/tv --redis redis://redis.example \\
    --query \"SELECT code AS id, source AS spec, active AS desired, changed AS updated_at FROM channels\"

  hls-relay feed --database sqlite:///srv/tv.db?mode=ro --redis redis://redis.example

A row that cannot be used is told and leaves its channel as it is. A channel whose row has
vanished is stopped at the next reading of everything, and is no longer the database's:
'hls-relay channel' may run or remove it, until there is such a row again. Where more than a
fifth of the channels that the database runs would stop at once, and more than one, none does,
until --allow-mass-stop allows it. What the database names can be changed there only: the API
answers 409. Passwords are better kept in the environment: HLS_RELAY_DATABASE and HLS_RELAY_REDIS.";

/// See the help of each.
#[derive(Args, Clone, Debug)]
pub struct FeedArgs {
    /// The database: postgres://…, mysql://… (MariaDB as well) or sqlite://FILE
    #[arg(long, value_name = "URL", env = "HLS_RELAY_DATABASE", hide_env_values = true, value_parser = database)]
    pub database: Url,
    /// The Redis that the nodes share: redis://…, redis+sentinel://…/MASTER or redis-cluster://…
    #[arg(long, value_name = "URL", env = "HLS_RELAY_REDIS", hide_env_values = true, value_parser = redis)]
    pub redis: Address,
    /// What is asked: anything that gives the columns id, spec, desired and updated_at
    #[arg(long, value_name = "SQL", default_value = crate::feed::database::DEFAULT_QUERY)]
    pub query: String,
    /// How often it is asked what has changed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub every: Duration,
    /// How far behind the newest change it is asked each time: longer than the longest transaction that
    /// writes channels
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub overlap: Duration,
    /// How often everything is read and compared, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub reconcile: Duration,
    /// Stop however many channels the database stops or no longer names
    #[arg(long)]
    pub allow_mass_stop: bool,
}
