//! Carries the channels of a company's database into the control store: what has changed every few seconds,
//! and everything now and then. What is to be changed is decided in the core ([`plan`]).

pub mod database;

use crate::control_store::{ChangeError, ControlStore};
use crate::spec::ChannelSpec;
use database::{Cursor, Database, DatabaseError};
use hls_relay_core::feed::{MassStop, Plan, Step, plan};
use hls_relay_core::node::{ChannelId, Record, Writer};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// After a failure, then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often what is read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What has changed.
    pub every: Duration,
    /// Everything.
    pub reconcile: Duration,
}

/// One database, one control store.
pub struct Feed {
    database: Database,
    store: ControlStore,
    pace: Pace,
    mass_stop: bool,
    /// What the store holds, as far as is known.
    known: BTreeMap<ChannelId, Record<ChannelSpec>>,
    cursor: Option<Cursor>,
    /// Everything is read again then.
    reconcile_at: Instant,
    /// The failure that has been told.
    failing: Option<String>,
    /// And the stops that are not made.
    held_back: Option<MassStop>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("{0}")]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Store(#[from] ChangeError),
}

impl Feed {
    /// Nothing is read yet.
    pub fn new(database: Database, store: ControlStore, pace: Pace, mass_stop: bool) -> Self {
        Self {
            database,
            store,
            pace,
            mass_stop,
            known: BTreeMap::new(),
            cursor: None,
            reconcile_at: Instant::now(),
            failing: None,
            held_back: None,
        }
    }

    /// Goes on until it is dropped: a change that is under way is then made or not, and looked at by the
    /// next who feeds the store.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.round().await;
            let wait = match &outcome {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    self.pace.every
                }
                Err(_) => {
                    let doubled = (pause * 2).min(LONGEST_PAUSE);
                    std::mem::replace(&mut pause, doubled)
                }
            };
            self.tell(outcome);
            tokio::time::sleep(wait).await;
        }
    }

    /// Once in a row, and when it is over.
    fn tell(&mut self, outcome: Result<(), RoundError>) {
        match outcome {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!("both sides answer again");
                }
            }
            Err(error) => {
                // Where a side is away another may have changed what is known of it.
                self.reconcile_at = Instant::now();
                let why = error.to_string();
                if self.failing.as_ref() != Some(&why) {
                    tracing::error!("{why}; nothing is changed, and it is tried again");
                    self.failing = Some(why);
                }
            }
        }
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        let reconcile = self.reconcile_at <= Instant::now();
        if reconcile {
            self.known = self.store.list().await?.into_iter().collect();
        }
        let since = self.cursor.as_ref().filter(|_| !reconcile);
        let (reading, cursor) = self.database.read(since).await?;
        let Plan { steps, held_back } = plan(&reading, &self.known, self.mass_stop);
        if let Some(mass_stop) = held_back.filter(|_| self.held_back != held_back) {
            tracing::error!(
                "{mass_stop}: none of them is stopped. If they are to stop, start it again with --allow-mass-stop"
            );
        }
        self.held_back = held_back;
        for step in steps {
            self.make(step).await?;
        }
        // Not before all of it is made: what failed is read again.
        self.cursor = cursor;
        if reconcile {
            self.reconcile_at = Instant::now() + self.pace.reconcile;
        }
        Ok(())
    }

    async fn make(&mut self, step: Step<ChannelSpec>) -> Result<(), ChangeError> {
        let Step {
            id,
            change,
            condition,
        } = step;
        let made = self.store.change(&id, Writer::Feed, change, condition);
        let channel = &**id.name();
        match made.await {
            Ok(changed) => {
                let revision = changed.revision;
                if let Some(record) = changed.record {
                    tracing::info!(channel, revision, desired = ?record.desired, "changed as the database says");
                    self.known.insert(id, record);
                }
                Ok(())
            }
            // Somebody was faster, or there is no room: looked at anew with everything else.
            Err(error @ (ChangeError::Refused(_) | ChangeError::Full)) => {
                tracing::warn!(channel, "cannot be changed as the database says: {error}");
                self.reconcile_at = Instant::now() + self.pace.every;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
