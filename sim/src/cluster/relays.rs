//! What the machine of a channel wants is carried out: requests go to the origin, versions become visible.

use super::due::Due;
use super::plan::Slip;
use super::process::{Call, Work};
use super::redis::{Ask, Told};
use super::world::World;
use crate::checks::{Held, broken};
use crate::network::{self, Content};
use crate::origin::OriginRequest;
use crate::process::content;
use crate::published::{self, Version};
use hls_relay_core::command::{Command, Download, LoadPlaylist, Publish};
use hls_relay_core::event::{Event, FetchError, LoadedPlaylist, StoreError};
use hls_relay_core::ids::RequestId;
use hls_relay_core::node::cluster::{ClusterEvent, Fence};
use hls_relay_core::node::{ChannelId, NodeEvent};
use hls_relay_core::time::{Span, Timestamp};
use std::sync::Arc;

/// What a process takes for something of its own.
pub(super) const AT_ONCE: Span = Span::from_millis(2);

impl World {
    /// Lets the machine of a channel take one event, and sets about what it wants.
    pub(super) fn relay_step(&mut self, host: usize, id: &ChannelId, event: Event) -> Held {
        let (now, wall) = (self.now, self.wall_at_start);
        let Some(process) = self.hosts[host].process.as_mut() else {
            return Ok(());
        };
        let clocks = process.clocks(now, wall);
        let Some(run) = process.runs.get_mut(id) else {
            return Ok(());
        };
        if self.options.trace && event != Event::Tick {
            let line = format!(
                "{:>11} n{host} {id} {}",
                now.as_micros(),
                crate::words::event(&event)
            );
            self.trace.push(line.chars().take(300).collect());
        }
        let mut commands = Vec::new();
        let next = run.machine.step(clocks, event, &mut commands);
        run.wake += 1;
        let (number, wake, finished) = (run.number, run.wake, run.machine.is_finished());
        self.events += 1;
        self.digest.add(commands.as_slice());
        if let Some((at, _)) = next {
            let at = process.true_time(at).max(now);
            let due = Due::RelayWake {
                host,
                life: process.life,
                id: id.clone(),
                run: number,
                number: wake,
            };
            self.queue.push(at, due);
        }
        for command in commands {
            self.carry(host, id, command)?;
        }
        if finished {
            let process = self.hosts[host].process.as_mut();
            process.into_iter().for_each(|it| drop(it.runs.remove(id)));
            return self.node_step(
                host,
                NodeEvent::Closed {
                    id: id.clone(),
                    broke: None,
                },
            );
        }
        let Some(run) = self.run_of(host, id) else {
            return Ok(());
        };
        if next.is_none()
            && run.works.is_empty()
            && let Some(revision) = run.stops.take()
        {
            let idle = NodeEvent::Idle {
                id: id.clone(),
                revision,
            };
            return self.node_step(host, idle);
        }
        Ok(())
    }

    fn carry(&mut self, host: usize, id: &ChannelId, command: Command) -> Held {
        match command {
            Command::LoadPlaylist(load) => self.load(host, id, &load),
            Command::Download(download) => self.download(host, id, &download),
            Command::CheckObjects {
                request,
                objects,
                keep,
                ..
            } => {
                let Some(run) = self.run_of(host, id) else {
                    return Ok(());
                };
                let is = |it: &hls_relay_core::command::ObjectCheck| {
                    run.objects
                        .get(&it.object)
                        .is_some_and(|is| is.hash == it.hash)
                };
                let there: Vec<_> = objects.into_iter().filter(is).collect();
                run.objects.retain(|name, _| {
                    keep.contains(name) || there.iter().any(|it| it.object == *name)
                });
                let told = Event::ObjectsChecked {
                    request,
                    outcome: Ok(there),
                };
                self.begin(host, id, request, Work::Told(told), AT_ONCE);
            }
            Command::Publish(publish) => self.publish(host, id, publish)?,
            Command::Delete {
                request, objects, ..
            } => {
                if let Some(run) = self.run_of(host, id) {
                    objects.iter().for_each(|it| drop(run.objects.remove(it)));
                }
                let told = Event::Deleted {
                    request,
                    outcome: Ok(()),
                };
                self.begin(host, id, request, Work::Told(told), AT_ONCE);
            }
            Command::Withdraw { request, .. } => {
                self.run_of(host, id)
                    .into_iter()
                    .for_each(|it| it.list = None);
                let told = Event::Withdrawn {
                    request,
                    outcome: Ok(()),
                };
                self.begin(host, id, request, Work::Told(told), AT_ONCE);
            }
            Command::SaveCheckpoint {
                request,
                checkpoint,
                ..
            } => {
                let Some(process) = self.hosts[host].process.as_mut() else {
                    return Ok(());
                };
                process.saved.insert(id.clone(), Arc::clone(&checkpoint));
                let Some(run) = process.runs.get_mut(id) else {
                    return Ok(());
                };
                run.works.insert(request, Work::Asked);
                let (grant, run) = (run.grant.clone(), run.number);
                let call = Call::Save {
                    id: id.clone(),
                    run,
                    request,
                };
                self.ask(
                    host,
                    call,
                    Ask::Publish {
                        id: id.clone(),
                        grant,
                        checkpoint,
                    },
                );
            }
            Command::Cancel { request } => {
                let told = |work: &Work| match work {
                    Work::Told(Event::PlaylistLoaded { .. }) => Some(Event::PlaylistLoaded {
                        request,
                        outcome: Err(FetchError::Cancelled),
                    }),
                    Work::Stored(..) | Work::Told(Event::Downloaded { .. }) => {
                        Some(Event::Downloaded {
                            request,
                            outcome: Err(FetchError::Cancelled),
                        })
                    }
                    Work::Told(_) | Work::Show(_) | Work::Asked => None,
                };
                let work = self
                    .run_of(host, id)
                    .and_then(|it| told(it.works.get(&request)?));
                if let Some(event) = work {
                    self.begin(host, id, request, Work::Told(event), AT_ONCE);
                }
            }
            // No channel here has a ladder, or edges to be warmed.
            Command::Transcode(_) | Command::Preload(_) | Command::Notify(_) => {}
        }
        Ok(())
    }

    /// Something will come of a piece of work after a while.
    pub(super) fn begin(
        &mut self,
        host: usize,
        id: &ChannelId,
        request: RequestId,
        work: Work,
        takes: Span,
    ) {
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        let life = process.life;
        let Some(run) = process.runs.get_mut(id) else {
            return;
        };
        run.works.insert(request, work);
        let due = Due::Work {
            host,
            life,
            id: id.clone(),
            run: run.number,
            request,
        };
        self.queue.push(self.now + takes, due);
    }

    fn arrival(
        &mut self,
        url: &str,
        etag: Option<&Arc<str>>,
        limits: &hls_relay_core::command::FetchLimits,
    ) -> network::Arrival {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let asked = OriginRequest {
            host: host.to_owned(),
            path_and_query: path.to_owned(),
            range: None,
            if_none_match: etag.map(|etag| etag.to_string()),
            cookie: None,
            sequence: self.counter.next(path),
        };
        let at = self.now.since(Timestamp::default());
        network::receive(self.origin.respond(at, &asked), limits, Span::ZERO)
    }

    fn load(&mut self, host: usize, id: &ChannelId, load: &LoadPlaylist) {
        let arrival = self.arrival(&load.url, load.etag.as_ref(), &load.limits);
        let outcome = match arrival.what {
            Err(error) => Err(error),
            Ok(Content::NotModified) => Ok(LoadedPlaylist::NotModified),
            Ok(Content::Bytes { body, etag }) => Ok(LoadedPlaylist::Body {
                url: load.url.clone(),
                body,
                etag,
            }),
            Ok(Content::Redirect(_) | Content::Media(_)) => {
                Err(FetchError::Protocol("no playlist".into()))
            }
        };
        let told = Event::PlaylistLoaded {
            request: load.request,
            outcome,
        };
        self.begin(
            host,
            id,
            load.request,
            Work::Told(told),
            arrival.after.max(AT_ONCE),
        );
    }

    fn download(&mut self, host: usize, id: &ChannelId, download: &Download) {
        let arrival = self.arrival(&download.url, None, &download.limits);
        let request = download.request;
        let work = match arrival.what {
            Ok(Content::Media(media)) => {
                Work::Stored(download.object.clone(), content(0, &media, None))
            }
            Ok(_) => Work::Told(Event::Downloaded {
                request,
                outcome: Err(FetchError::Protocol("no media".into())),
            }),
            Err(error) => Work::Told(Event::Downloaded {
                request,
                outcome: Err(error),
            }),
        };
        self.begin(host, id, request, work, arrival.after.max(AT_ONCE));
    }

    /// First the checkpoint, with the fence; then it is visible, where the lease still holds.
    fn publish(&mut self, host: usize, id: &ChannelId, publish: Publish) -> Held {
        let request = publish.request;
        let before = self
            .channels
            .entry(id.clone())
            .or_default()
            .list
            .last()
            .cloned();
        let Some(text) = publish.entry().cloned() else {
            return Ok(());
        };
        self.versions += 1;
        let version = published::parse(self.versions, self.now, &text, before.as_deref());
        let version = match version {
            Ok(version) => Arc::new(version),
            Err(why) => {
                return broken(
                    "S-01 every version is a good playlist",
                    "no fault",
                    format!("{why}\n{text}"),
                );
            }
        };
        let (now, slip) = (self.now, self.slip);
        let Some(process) = self.hosts[host].process.as_mut() else {
            return Ok(());
        };
        process
            .saved
            .insert(id.clone(), Arc::clone(&publish.checkpoint));
        let Some(run) = process.runs.get(id) else {
            return Ok(());
        };
        let (grant, run) = (run.grant.clone(), run.number);
        let checked = slip != Some(Slip::ServedAfterLease);
        if checked && !process.may_act(now, &grant) {
            self.count("publish refused: lease over");
            return self.published(host, id, request, Err(StoreError::NotValid));
        }
        if process.is_alone(now, &grant) {
            self.count("published alone");
            let work = Work::Show(Box::new((publish, version)));
            self.begin(host, id, request, work, AT_ONCE);
            return Ok(());
        }
        let checkpoint = Arc::clone(&publish.checkpoint);
        if slip == Some(Slip::VisibleBeforeSaved) {
            self.show(host, id, &version)?;
        }
        if let Some(run) = self.run_of(host, id) {
            run.works.insert(request, Work::Asked);
        }
        let version = Box::new((publish, version));
        self.ask(
            host,
            Call::Publish {
                id: id.clone(),
                run,
                version,
            },
            Ask::Publish {
                id: id.clone(),
                grant,
                checkpoint,
            },
        );
        Ok(())
    }

    fn published(
        &mut self,
        host: usize,
        id: &ChannelId,
        request: RequestId,
        outcome: Result<(), StoreError>,
    ) -> Held {
        if outcome.is_err() {
            self.channels.entry(id.clone()).or_default().unpublished = true;
        }
        let told = Event::Published { request, outcome };
        self.begin(host, id, request, Work::Told(told), AT_ONCE);
        Ok(())
    }

    fn show(&mut self, host: usize, id: &ChannelId, version: &Arc<Version>) -> Held {
        let version = Arc::new(Version {
            at: self.now,
            ..(**version).clone()
        });
        if let Some(run) = self.run_of(host, id) {
            run.list = Some(Arc::clone(&version));
        }
        self.shown(host, id, &version)
    }

    /// A version whose checkpoint is saved, or need not be, becomes visible where the lease still holds.
    fn show_if_valid(
        &mut self,
        host: usize,
        id: &ChannelId,
        run: u64,
        version: &(Publish, Arc<Version>),
    ) -> Held {
        let (now, checked) = (self.now, self.slip != Some(Slip::ServedAfterLease));
        let request = version.0.request;
        let process = self.hosts[host].process.as_ref();
        let Some((process, it)) = process.and_then(|it| Some((it, it.runs.get(id)?))) else {
            return Ok(());
        };
        if it.number != run {
            return Ok(());
        }
        if checked && !process.may_act(now, &it.grant) {
            return self.published(host, id, request, Err(StoreError::Unknown));
        }
        self.show(host, id, &version.1)?;
        self.published(host, id, request, Ok(()))
    }

    /// Something has come of a piece of work.
    pub(super) fn work(&mut self, host: usize, id: &ChannelId, request: RequestId) -> Held {
        let Some(run) = self.run_of(host, id) else {
            return Ok(());
        };
        if matches!(run.works.get(&request), Some(Work::Asked)) {
            return Ok(());
        }
        let number = run.number;
        match run.works.remove(&request) {
            None | Some(Work::Asked) => Ok(()),
            Some(Work::Told(event)) => self.relay_step(host, id, event),
            Some(Work::Stored(..)) if !self.has_store(host) => {
                let outcome = Err(FetchError::Store(StoreError::Unknown));
                self.relay_step(host, id, Event::Downloaded { request, outcome })
            }
            Some(Work::Stored(object, segment)) => {
                let Some(run) = self.run_of(host, id) else {
                    return Ok(());
                };
                run.objects.insert(object, segment.clone());
                self.relay_step(
                    host,
                    id,
                    Event::Downloaded {
                        request,
                        outcome: Ok(segment),
                    },
                )
            }
            Some(Work::Show(version)) => self.show_if_valid(host, id, number, &version),
        }
    }

    pub(super) fn publish_answered(
        &mut self,
        host: usize,
        id: &ChannelId,
        run: u64,
        version: &(Publish, Arc<Version>),
        told: Option<Told>,
    ) -> Held {
        let now = self.now;
        let request = version.0.request;
        let process = self.hosts[host].process.as_ref();
        let Some((process, it)) = process.and_then(|it| Some((it, it.runs.get(id)?))) else {
            return Ok(());
        };
        if it.number != run {
            return Ok(());
        }
        let alone = process.is_alone(now, &it.grant);
        match told {
            Some(Told::Fence(Fence::Done)) => self.show_if_valid(host, id, run, version),
            Some(Told::Fence(Fence::Fenced(epoch))) => {
                self.count("publish fenced");
                self.published(host, id, request, Err(StoreError::Fenced(epoch)))?;
                let fenced = ClusterEvent::Fenced {
                    id: id.clone(),
                    epoch,
                };
                self.node_step(host, NodeEvent::Cluster(fenced))
            }
            Some(Told::Fence(Fence::Lost)) => {
                self.count("publish found nothing");
                self.published(host, id, request, Err(StoreError::Unknown))?;
                let forgotten = ClusterEvent::Forgotten { id: id.clone() };
                self.node_step(host, NodeEvent::Cluster(forgotten))
            }
            Some(_) | None if alone => self.show_if_valid(host, id, run, version),
            Some(_) | None => {
                self.count("publish unanswered");
                self.published(host, id, request, Err(StoreError::Unknown))
            }
        }
    }
}
