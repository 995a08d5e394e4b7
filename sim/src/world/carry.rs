//! What the machine wants is carried out: requests go to origins, work goes to the store.

use super::{Due, World};
use crate::census::Crash;
use crate::checks::ledger::{Ledger, MediaKey};
use crate::checks::{Held, broken};
use crate::network::{self, Arrival, Content, Cookies};
use crate::origin::{
    EncoderFault, Fault, FaultKind, Names, Origin, OriginRequest, RequestCounter, without_tokens,
};
use crate::plan::{Moment, NetworkFaultKind};
use crate::process::{Fetch, Work};
use crate::store::{Saved, StoreWork};
use hls_relay_core::command::{Command, Content as Wanted, Download, FetchLimits, LoadPlaylist};
use hls_relay_core::event::{Event, FetchError, LoadedPlaylist};
use hls_relay_core::ids::RequestId;
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::time::{Span, Timestamp};
use std::sync::Arc;

impl World {
    /// Carries out the commands of one step, as far as the process lives to see to it.
    pub(super) fn carry_all(&mut self, commands: &[Command]) -> Held {
        for (index, command) in commands.iter().enumerate() {
            let dies = self.process.as_ref().and_then(|process| process.dies_after);
            if let Some((after, end)) = dies
                && index >= after
            {
                return self.crash(end, Crash::BetweenCommands);
            }
            self.carry(command)?;
        }
        if let Some((_, end)) = self.process.as_ref().and_then(|process| process.dies_after)
            && !commands.is_empty()
        {
            return self.crash(end, Crash::AfterTheLast);
        }
        for command in commands {
            match command {
                Command::LoadPlaylist(_) => self.moment(Moment::LoadSent)?,
                Command::Publish(_) => self.moment(Moment::PublishSent)?,
                Command::Delete { .. } => self.moment(Moment::DeleteSent)?,
                Command::Notify(Notice::Preparing { .. }) => self.moment(Moment::Preparing)?,
                Command::Notify(Notice::Switched { why, .. }) => {
                    if let Some(process) = &mut self.process {
                        process.switches.switched(self.now, *why)?;
                    }
                }
                Command::Notify(Notice::StateChanged { to, .. }) => {
                    self.stays_live(*to)?;
                    if *to == State::Stalled {
                        self.moment(Moment::Stalled)?;
                    }
                }
                Command::Download(_)
                | Command::Transcode(_)
                | Command::Preload(_)
                | Command::CheckObjects { .. }
                | Command::Withdraw { .. }
                | Command::SaveCheckpoint { .. }
                | Command::Cancel { .. }
                | Command::Notify(_) => {}
            }
        }
        self.leave_if_finished()
    }

    fn carry(&mut self, command: &Command) -> Held {
        match command {
            Command::LoadPlaylist(load) => self.load(load),
            Command::Download(download) => {
                self.is_asked_again_in_time(download)?;
                let limits = download.limits;
                let fetch = self.new_fetch(&download.url, None, limits);
                let Some(mut fetch) = fetch else {
                    return unknown_address(&download.url);
                };
                fetch.key_url = download.decrypt.as_ref().map(|it| Arc::clone(&it.key_url));
                fetch.range = download.byte_range;
                let object = download.object.clone();
                self.begin_work(
                    download.request,
                    Work::Download {
                        fetch,
                        object,
                        content: download.content,
                        revision: self.wish.revision,
                        look: download.look,
                    },
                );
                self.ask(download.request);
                Ok(())
            }
            Command::Transcode(it) => self.transcode(it),
            Command::Preload(it) => self.preload(it),
            Command::Publish(publish) => {
                let sure = self.plan.store.is_sure();
                self.bounds.saved(&publish.checkpoint, sure)?;
                let shown = self.parse(publish)?;
                let (saved, ladder) = (&publish.checkpoint, self.wish.spec.ladder.as_ref());
                if let Some(process) = &mut self.process {
                    process.offer.publish(saved, &shown.lists, ladder)?;
                }
                self.store_work(
                    publish.request,
                    Work::Publish(Box::new(publish.clone()), shown),
                    StoreWork::Publish,
                );
                Ok(())
            }
            Command::CheckObjects {
                request,
                objects,
                keep,
                ..
            } => {
                self.store_work(
                    *request,
                    Work::Check(objects.clone(), keep.clone()),
                    StoreWork::Check,
                );
                Ok(())
            }
            Command::Delete {
                request, objects, ..
            } => {
                self.store_work(*request, Work::Delete(objects.clone()), StoreWork::Delete);
                Ok(())
            }
            Command::Withdraw { request, .. } => {
                self.keep.withdrawn(self.now)?;
                if let Some(process) = &mut self.process {
                    process.offer.withdrawn();
                }
                self.store_work(*request, Work::Withdraw, StoreWork::Delete);
                Ok(())
            }
            Command::SaveCheckpoint {
                request,
                checkpoint,
                ..
            } => {
                self.store_work(
                    *request,
                    Work::Save(Saved {
                        checkpoint: Arc::clone(checkpoint),
                        version: self.versions,
                    }),
                    StoreWork::Save,
                );
                Ok(())
            }
            Command::Cancel { request } => {
                self.cancel(*request);
                self.stop_making(*request);
                Ok(())
            }
            Command::Notify(notice) => self.is_left_out_by_right(notice),
        }
    }

    /// Where what is asked for can be told from what another run of the encoder calls so.
    fn is_asked_again_in_time(&mut self, download: &Download) -> Held {
        let Some(origin) = self.origin_of(&download.url) else {
            return Ok(());
        };
        let track = self.origins[origin].track_of(split(&download.url).1);
        let least_target = self.least_target_duration;
        match &mut self.process {
            Some(process) if names_once(&self.origins[origin]) => {
                let place = (origin, track);
                process
                    .retries
                    .sent(self.now, download, place, least_target)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn load(&mut self, load: &LoadPlaylist) -> Held {
        let now = self.now;
        if let Some(process) = self.process.as_mut() {
            process.pace.sent(now, load)?;
        }
        let Some(fetch) = self.new_fetch(&load.url, load.etag.clone(), load.limits) else {
            return unknown_address(&load.url);
        };
        self.begin_work(load.request, Work::Load(fetch));
        self.ask(load.request);
        Ok(())
    }

    fn new_fetch(
        &self,
        url: &Arc<str>,
        etag: Option<Arc<str>>,
        limits: FetchLimits,
    ) -> Option<Box<Fetch>> {
        let origin = self.origin_of(url)?;
        Some(Box::new(Fetch {
            asked: Arc::clone(url),
            url: url.to_string(),
            hops: 0,
            sent_at: self.now,
            etag,
            limits,
            origin,
            key_url: None,
            range: None,
            offer: None,
            outcome: None,
            media: None,
            key: None,
        }))
    }

    pub(super) fn begin_work(&mut self, request: RequestId, work: Work) {
        if let Some(process) = self.process.as_mut() {
            process.works.insert(request, work);
        }
    }

    /// Which origin an address belongs to.
    fn origin_of(&self, url: &str) -> Option<usize> {
        let host = url.strip_prefix("http://")?.split('/').next()?;
        self.origins
            .iter()
            .position(|origin| origin.spec().hosts.iter().any(|it| it == host))
    }

    /// Sends the present request of a fetch and sees what comes of it.
    fn ask(&mut self, request: RequestId) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        let incarnation = process.incarnation;
        let (fetch, segment) = match process.works.get_mut(&request) {
            Some(Work::Load(fetch)) => (fetch, false),
            Some(Work::Download { fetch, .. }) => (fetch, true),
            Some(_) | None => return,
        };
        let at = self.now.since(Timestamp::default());
        let blocked = self
            .plan
            .network
            .iter()
            .find(|fault| fault.origin == fetch.origin && fault.from <= at && at < fault.until);
        let arrival = match blocked {
            Some(fault) => {
                self.census.blocked(fault.kind);
                if fault.kind == NetworkFaultKind::Nowhere && !segment {
                    fetch.url = "nowhere".to_owned();
                }
                network::blocked(fault.kind, &fetch.limits)
            }
            None => {
                let counter = &mut self.counters[fetch.origin];
                let cookies = &mut process.cookies;
                let asked = cookies.with(request_for(fetch, &fetch.url, counter));
                let origin = &self.origins[fetch.origin];
                let reply = origin.respond(at, &asked);
                cookies.keep(&asked.host, &reply);
                let met = self.unmet[fetch.origin].meet(origin, at, &asked);
                met.iter().for_each(|fault| self.census.struck(fault));
                fetch.offer = reply.listed;
                let arrival = network::receive(reply, &fetch.limits, self.now.since(fetch.sent_at));
                match without_key(origin, at, fetch, (counter, cookies)) {
                    Some(error) if arrival.what.is_ok() => Arrival {
                        what: Err(error),
                        ..arrival
                    },
                    Some(_) | None => arrival,
                }
            }
        };
        let Arrival { after, what } = arrival;
        let done_at = self.now + after.max(Span::from_micros(1));
        let due = match what {
            Ok(Content::Redirect(url)) if fetch.hops < fetch.limits.max_redirects => {
                fetch.url = url;
                fetch.hops += 1;
                Due::Hop {
                    incarnation,
                    request,
                }
            }
            what => {
                settle(fetch, what);
                Due::Fetched {
                    incarnation,
                    request,
                }
            }
        };
        if segment {
            let half = Due::Half {
                incarnation,
                request,
            };
            self.queue.push(self.now + after.half(), half);
        }
        self.queue.push(done_at, due);
    }

    pub(super) fn hop(&mut self, request: RequestId) -> Held {
        self.ask(request);
        Ok(())
    }

    /// A GET has come to its end.
    pub(super) fn fetched(&mut self, request: RequestId) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        match process.works.get_mut(&request) {
            Some(Work::Load(_)) => self.playlist_loaded(request),
            Some(Work::Download { .. }) => self.segment_came(request),
            Some(_) | None => Ok(()),
        }
    }

    fn playlist_loaded(&mut self, request: RequestId) -> Held {
        let policy = self.wish.spec.reload;
        let now = self.now;
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let Some(Work::Load(fetch)) = process.works.remove(&request) else {
            return Ok(());
        };
        let outcome = fetch.outcome.unwrap_or(Err(FetchError::Cancelled));
        let asked = process.pace.asked(&fetch.asked);
        let usable = fetch.offer.is_some();
        let told = process
            .pace
            .answered(now, &fetch.asked, (&outcome, usable), policy);
        self.told_target_durations
            .extend(told.map(Span::rounded_secs));
        if let (Ok(_), Some(offer)) = (&outcome, fetch.offer) {
            let track = self.origins[fetch.origin].track_of(split(&fetch.url).1);
            let place = (fetch.origin, track);
            process.retries.listed(place, offer);
            self.ledger.offered(now, asked, place, offer);
        }
        self.step(Event::PlaylistLoaded { request, outcome })?;
        self.moment(Moment::PlaylistLoaded)
    }

    /// A segment that came is stored; one that failed is told.
    fn segment_came(&mut self, request: RequestId) -> Held {
        let takes = self.put_takes(request);
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let incarnation = process.incarnation;
        let Some(Work::Download { fetch, .. }) = process.works.get_mut(&request) else {
            return Ok(());
        };
        let came = fetch.media.is_some() && fetch.outcome.is_none();
        if came {
            self.queue.push(
                self.now + takes,
                Due::Shelf {
                    incarnation,
                    request,
                    phase: 1,
                },
            );
            return Ok(());
        }
        let error = match fetch.outcome.take() {
            Some(Err(error)) => error,
            Some(Ok(_)) | None => FetchError::Protocol("not media".into()),
        };
        self.segment_failed(request, error)
    }

    pub(super) fn segment_failed(&mut self, request: RequestId, error: FetchError) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        if let Some(Work::Download { fetch, content, .. }) = process.works.remove(&request) {
            if content == Wanted::Segment {
                let key = fetch.key.or_else(|| self.key_of(&fetch));
                self.ledger.downloaded(self.now, key, Some(&error));
            } else {
                let track = self.origins[fetch.origin].track_of(split(&fetch.url).1);
                self.need_failed(content, (fetch.origin, track), &error);
            }
        }
        self.step(Event::Downloaded {
            request,
            outcome: Err(error),
        })
    }

    /// What segments of a track are read with cannot be had, or stored: a key is all of those that are under it.
    pub(super) fn need_failed(
        &mut self,
        content: Wanted,
        (origin, track): (usize, u16),
        error: &FetchError,
    ) {
        let tracks = match content {
            Wanted::Key => self.origins[origin].under_keys_of(track),
            Wanted::Segment | Wanted::InitSection => vec![track],
        };
        for track in tracks {
            self.ledger.need_failed(self.now, (origin, track), error);
        }
    }

    /// What a segment is that never came: its origin knows by its address.
    fn key_of(&self, fetch: &Fetch) -> Option<MediaKey> {
        let (_, path) = split(&fetch.url);
        let at = self.now.since(Timestamp::default());
        let origin = &self.origins[fetch.origin];
        if fetch.range.is_some() {
            let mut counter = RequestCounter::default();
            let asked = request_for(fetch, &fetch.url, &mut counter);
            let media = origin.segment_at(at, &asked)?;
            return Some(MediaKey::of(fetch.origin, &media));
        }
        let track = origin.track(origin.track_of(path));
        let path = without_tokens(path);
        let offered = track.segments_offered_since(at.saturating_sub(Span::from_secs(300)), at);
        let found = offered
            .iter()
            .rev()
            .find(|it| path.ends_with(it.path.as_str()))?;
        Some(MediaKey::of(fetch.origin, &found.media))
    }

    /// Cancelled work ends at once, if nothing was faster.
    fn cancel(&mut self, request: RequestId) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.retries.cancelled(request);
        let incarnation = process.incarnation;
        let fetch = match process.works.get_mut(&request) {
            Some(Work::Load(fetch)) => {
                process.pace.cancelled(&fetch.asked);
                fetch
            }
            Some(Work::Download { fetch, .. }) => fetch,
            Some(_) | None => return,
        };
        fetch.outcome = Some(Err(FetchError::Cancelled));
        self.queue.push(
            self.now,
            Due::Fetched {
                incarnation,
                request,
            },
        );
    }
}

/// An origin gives no name to two segments, and none of its lists looks as if it did.
fn names_once(origin: &Origin) -> bool {
    let names_again = |fault: &Fault| {
        matches!(
            fault.kind,
            FaultKind::Encoder(
                EncoderFault::Restart {
                    names: Names::Same,
                    ..
                } | EncoderFault::EndList {
                    names: Names::Same,
                    ..
                }
            )
        )
    };
    !Ledger::may_repeat(origin) && !origin.spec().faults.iter().any(names_again)
}

fn request_for(fetch: &Fetch, url: &str, counter: &mut RequestCounter) -> OriginRequest {
    let (host, path) = split(url);
    let range = fetch.range;
    OriginRequest {
        host: host.to_owned(),
        path_and_query: path.to_owned(),
        range: range.map(|it| (it.offset, Some(it.offset + it.length - 1))),
        if_none_match: fetch.etag.as_ref().map(|etag| etag.to_string()),
        cookie: None,
        sequence: counter.next(path.split('?').next().unwrap_or_default()),
    }
}

/// Why the key cannot be had that a segment is decrypted with on its way.
fn without_key(
    origin: &Origin,
    at: Span,
    fetch: &Fetch,
    (counter, cookies): (&mut RequestCounter, &Cookies),
) -> Option<FetchError> {
    let url = fetch.key_url.as_ref()?;
    let asked = cookies.with(OriginRequest {
        range: None,
        ..request_for(fetch, url, counter)
    });
    let reply = origin.respond(at, &asked);
    let arrival = network::receive(reply, &fetch.limits, Span::ZERO);
    let error = arrival.what.err()?;
    Some(FetchError::Key(error.to_string().into()))
}

/// Writes down what came, in the form in which the machine will be told.
fn settle(fetch: &mut Fetch, what: Result<Content, FetchError>) {
    fetch.outcome = match what {
        Err(error) => Some(Err(error)),
        Ok(Content::NotModified) => Some(Ok(LoadedPlaylist::NotModified)),
        Ok(Content::Redirect(_)) => Some(Err(FetchError::TooManyRedirects(
            fetch.limits.max_redirects,
        ))),
        Ok(Content::Bytes { body, etag }) => Some(Ok(LoadedPlaylist::Body {
            url: fetch.url.as_str().into(),
            body,
            etag,
        })),
        Ok(Content::Media(media)) => {
            fetch.media = Some(media);
            fetch.key = Some(MediaKey::of(fetch.origin, &media));
            None
        }
    };
}

fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
}

fn unknown_address(url: &str) -> Held {
    broken(
        "only known addresses are asked",
        "an address that a source has named",
        url.to_owned(),
    )
}
