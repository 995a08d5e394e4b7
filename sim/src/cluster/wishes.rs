//! What is wanted of channels: asked of a node, or written into Redis by some program, until it is acknowledged.

use super::due::Due;
use super::plan::{ChangePlan, Wish};
use super::process::Call;
use super::redis::{Ask, Told};
use super::world::{World, channel_id};
use crate::checks::Held;
use hls_relay_core::config::{Selection, Source, Spec};
use hls_relay_core::node::{NodeEvent, Record, Writer};
use hls_relay_core::time::{Span, Timestamp};
use std::sync::Arc;

/// A change that was not answered with success is asked for again after this.
const ASK_AGAIN: Span = Span::from_millis(900);

impl World {
    /// Somebody wants something of a channel.
    pub(super) fn change(&mut self, number: usize) -> Held {
        let ChangePlan { channel, by, .. } = self.plan.changes[number];
        let id = channel_id(channel);
        match by {
            Some(host)
                if self.hosts[host].process.is_some()
                    && self.hosts[host].paused_until.is_none() =>
            {
                self.ask(host, Call::ReadFor(number), Ask::Read(id));
                Ok(())
            }
            Some(_) => self.change_again(number),
            None if !self.redis.is_up => self.change_again(number),
            None => {
                let told = self.carry_out_at_redis(Ask::Read(id))?;
                let Told::Read { found, next } = told else {
                    return Ok(());
                };
                let read = found.map(|it| it.0.revision);
                let takes = Span::from_micros(300 + self.draw() % 30_000);
                self.queue.push(
                    self.now + takes,
                    Due::Write {
                        change: number,
                        read,
                        next,
                    },
                );
                Ok(())
            }
        }
    }

    fn change_again(&mut self, number: usize) -> Held {
        self.count("change refused");
        if self.now.since(Timestamp::default()) < self.plan.healed_at + Span::from_secs(5) {
            self.queue.push(self.now + ASK_AGAIN, Due::Change(number));
        }
        Ok(())
    }

    fn wanted(&self, number: usize, revision: u64) -> (Record<Spec>, bool) {
        let ChangePlan { wish, .. } = self.plan.changes[number];
        let (window, source) = match wish {
            Wish::Run { window, source } => (window, source),
            Wish::Stop | Wish::Remove => (6, 0),
        };
        let spec = Spec {
            sources: vec![Source {
                url: url_of(source).into(),
            }],
            window: Some(window),
            selection: Selection::default(),
            ..base_spec()
        };
        let record = Record {
            revision,
            desired: wish.desired(),
            writer: Writer::Api,
            spec: Arc::new(spec),
        };
        (record, wish == Wish::Remove)
    }

    /// Whether there is something to be changed: what is not there can neither be stopped nor removed.
    fn is_possible(&self, number: usize, is_there: bool) -> bool {
        is_there || matches!(self.plan.changes[number].wish, Wish::Run { .. })
    }

    pub(super) fn read_for(&mut self, host: usize, number: usize, told: Option<Told>) -> Held {
        let id = channel_id(self.plan.changes[number].channel);
        let Some(Told::Read { found, next }) = told else {
            return self.change_again(number);
        };
        if !self.is_possible(number, found.is_some()) {
            return Ok(());
        }
        let (record, removed) = self.wanted(number, next);
        let read = found.map(|it| it.0.revision);
        self.ask(
            host,
            Call::WriteFor(number, next),
            Ask::Write {
                id,
                read,
                record,
                removed,
            },
        );
        Ok(())
    }

    pub(super) fn write_directly(&mut self, number: usize, read: Option<u64>, next: u64) -> Held {
        if !self.redis.is_up {
            return self.change_again(number);
        }
        if !self.is_possible(number, read.is_some()) {
            return Ok(());
        }
        let id = channel_id(self.plan.changes[number].channel);
        let (record, removed) = self.wanted(number, next);
        let told = self.carry_out_at_redis(Ask::Write {
            id,
            read,
            record,
            removed,
        })?;
        self.written_for(None, number, next, Some(told))
    }

    /// A change was made, or was not, or nobody knows.
    pub(super) fn written_for(
        &mut self,
        host: Option<usize>,
        number: usize,
        revision: u64,
        told: Option<Told>,
    ) -> Held {
        let Some(Told::Written(true)) = told else {
            return self.change_again(number);
        };
        self.count("change made");
        let id = channel_id(self.plan.changes[number].channel);
        let (record, removed) = self.wanted(number, revision);
        // What a Redis has acknowledged that is no more may be lost with it.
        let is_old = self
            .redis
            .channels()
            .get(&id)
            .is_none_or(|it| it.record.revision < revision);
        let watch = self.channels.entry(id.clone()).or_default();
        watch.newest_change = watch.newest_change.max(revision);
        if !is_old {
            watch.acknowledged = watch.acknowledged.max(Some(revision));
        }
        let Some(host) = host else { return Ok(()) };
        self.note_change(host, &id, revision, removed);
        let event = match removed {
            true => NodeEvent::Removed { id, revision },
            false => NodeEvent::Wanted { id, record },
        };
        self.node_step(host, event)
    }
}

/// The sources have the same media under other hosts.
fn url_of(source: usize) -> String {
    match source {
        0 => "http://origin.test/live/index.m3u8".to_owned(),
        other => format!("http://origin-{other}.test/live/index.m3u8"),
    }
}

fn base_spec() -> Spec {
    use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy};
    use hls_relay_core::tags::TagPolicy;
    Spec {
        sources: Vec::new(),
        window: Some(6),
        room: None,
        hole: HolePolicy::default(),
        reload: ReloadPolicy::default(),
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: Default::default(),
        preload: Default::default(),
    }
}
