//! What edges were asked for: nothing is listed before they have it, and all that it needs, or have had their time.

use super::{Held, broken};
use crate::by_name::ByName;
use crate::published::Version;
use hls_relay_core::command::Preload;
use hls_relay_core::ids::{ObjectName, RequestId};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// The edges of one channel, whatever becomes of its processes.
#[derive(Debug, Default)]
pub struct EdgeChecks {
    /// So many there are.
    edges: usize,
    /// Of what is stored, as far as they were asked for it, until when they had time for that at first.
    asked: ByName<Timestamp>,
    /// What was listed once is listed by right: nobody looks at it again.
    listed: ByName<()>,
    under_way: BTreeMap<RequestId, Vec<ObjectName>>,
}

impl EdgeChecks {
    /// For a channel with so many edges.
    pub fn new(edges: usize) -> Self {
        Self {
            edges,
            ..Self::default()
        }
    }

    /// They are asked.
    pub fn asked(&mut self, now: Timestamp, preload: &Preload) -> Held {
        if preload.edges.len() != self.edges {
            return broken(
                "each edge is asked",
                self.edges.to_string(),
                preload.edges.len().to_string(),
            );
        }
        let until = now + preload.within;
        for it in &preload.objects {
            self.asked.get_or_insert_with(&it.0, || until);
        }
        let objects = preload.objects.clone();
        self.under_way.insert(preload.request, objects);
        Ok(())
    }

    /// It is there when its segment waits no longer: no time is left in which they could be asked for it.
    pub fn too_late(&mut self, now: Timestamp, object: &ObjectName) {
        self.asked.get_or_insert_with(&object.0, || now);
    }

    /// They have answered, or were told to leave it; whoever needs it all the same has to ask anew.
    pub fn answered(&mut self, now: Timestamp, request: RequestId, is_cancelled: bool) {
        for it in self.under_way.remove(&request).unwrap_or_default() {
            match self.asked.get_mut(&it.0) {
                Some(until) if *until > now && is_cancelled => drop(self.asked.remove(&it.0)),
                Some(until) => *until = now.min(*until),
                None => {}
            }
        }
    }

    /// Another process begins, with requests of its own.
    pub fn process_began(&mut self) {
        self.under_way.clear();
    }

    /// An object is gone.
    pub fn deleted(&mut self, object: &ObjectName) {
        self.asked.remove(&object.0);
        self.listed.remove(&object.0);
    }

    /// A version becomes visible.
    pub fn visible(&mut self, now: Timestamp, version: &Version) -> Held {
        if self.edges == 0 {
            return Ok(());
        }
        // Nobody waits for what lasts no time.
        let media = version.segments.iter().filter(|it| !it.gap);
        for it in media.filter(|it| it.duration > Span::ZERO) {
            if self.listed.get(&it.uri).is_some() {
                continue;
            }
            self.listed.insert(&it.uri, ());
            // What stays at its origin is no business of edges.
            let needs = it.needs.uris().filter(|uri| !uri.contains(':'));
            for uri in std::iter::once(&*it.uri).chain(needs) {
                self.is_had(now, it.number, uri)?;
            }
        }
        Ok(())
    }

    fn is_had(&self, now: Timestamp, number: u64, uri: &str) -> Held {
        let got = match self.asked.get(uri) {
            Some(until) if *until <= now => return Ok(()),
            Some(until) => format!("asked for, with {} ms to go", until.since(now).as_millis()),
            None => "not asked for".to_owned(),
        };
        broken(
            "segments are listed once edges have them and what they need",
            format!("{uri} of {number} at edges, or their time over"),
            got,
        )
    }
}
