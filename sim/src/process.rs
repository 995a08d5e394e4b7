//! A process that runs the machine of a channel, and all the work it has asked for.

use crate::checks::generations::GenerationChecks;
use crate::checks::ledger::MediaKey;
use crate::checks::pace::PaceChecks;
use crate::checks::retries::RetryChecks;
use crate::checks::rungs::{MakingChecks, OfferChecks};
use crate::checks::switches::SwitchChecks;
use crate::checks::work::WorkChecks;
use crate::network::Cookies;
use crate::origin::{Listed as Offer, MediaRef};
use crate::published::Shown;
use crate::rng::Stream;
use crate::store::{Object, Saved};
use crate::workers::WorkerFaultKind;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::{
    ByteSpan, Content, FetchLimits, ObjectCheck, Publish, Transcode, TranscodeRung,
};
use hls_relay_core::event::{
    FetchError, LoadedPlaylist, PreloadError, StoredSegment, TranscodeError, Transcoded,
};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::ids::{ContentHash, Epoch, ObjectName, RequestId};
use hls_relay_core::planted::Planted;
use hls_relay_core::relay::{Relay, Wake};
use hls_relay_core::time::{Now, Span, Timestamp, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One life of the program.
#[derive(Debug)]
pub struct Process {
    /// Counts the processes of a world.
    pub incarnation: u64,
    /// The machine under test.
    pub machine: Relay,
    /// Steps made.
    pub steps: u64,
    /// Which of the wakeups in the queue is the present one.
    pub wake: u64,
    /// When that one is due, and why.
    pub wakes_at: Option<(Timestamp, Wake)>,
    /// Why it is woken by the step that comes.
    pub woken_for: Option<Wake>,
    /// What was asked for and has not been answered.
    pub works: BTreeMap<RequestId, Work>,
    /// What sources have given it to be shown to them.
    pub cookies: Cookies,
    /// How often sources were asked.
    pub pace: PaceChecks,
    /// How often what could not be had is asked for again.
    pub retries: RetryChecks,
    /// Requests, bounds.
    pub work: WorkChecks,
    /// For which configurations segments were asked for.
    pub generations: GenerationChecks,
    /// Work on rungs and edges.
    pub making: MakingChecks,
    /// To which rungs viewers are led.
    pub offer: OfferChecks,
    /// From source to source.
    pub switches: SwitchChecks,
    /// It dies after so many commands of its next step that has any.
    pub dies_after: Option<(usize, usize)>,
    /// The end it was told to come to in order, and since when.
    pub closing: Option<(usize, Timestamp)>,
    boot: u64,
}

/// One piece of work under way. What is large is boxed: work comes and goes in every step.
#[derive(Debug)]
pub enum Work {
    /// A playlist.
    Load(Box<Fetch>),
    /// A segment or what it needs, to be stored.
    Download {
        /// The request.
        fetch: Box<Fetch>,
        /// Its name.
        object: ObjectName,
        /// What it is.
        content: Content,
        /// The wish in force when it was asked for.
        revision: u64,
        /// It is to be told what it is made of.
        look: bool,
    },
    /// Playlists to be made visible, parsed once for all viewers.
    Publish(Box<Publish>, Shown),
    /// Objects to be deleted.
    Delete(Vec<ObjectName>),
    /// The playlist to be taken away.
    Withdraw,
    /// A checkpoint.
    Save(Saved),
    /// Rungs of a segment.
    Making(Box<Making>),
    /// What edges will have answered.
    Warming(Vec<Result<(), PreloadError>>),
    /// Objects to be looked for, and others to be kept.
    Check(Vec<ObjectCheck>, Vec<ObjectName>),
}

/// A worker at its work.
#[derive(Clone, Debug)]
pub struct Making {
    /// What it was asked for.
    pub transcode: Transcode,
    /// How its order is called in the queue; nothing where no worker is there.
    pub order: Option<u64>,
    /// A worker has begun with it.
    pub begun: bool,
    /// What befalls it.
    pub fault: Option<WorkerFaultKind>,
    /// It was told to stop.
    pub cancelled: bool,
    /// What it has answered, and will once more.
    pub again: Option<Result<Transcoded, TranscodeError>>,
    /// It was asked then.
    pub since: Timestamp,
}

/// A GET under way.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The configured address.
    pub asked: Arc<str>,
    /// Where it has been led.
    pub url: String,
    /// Redirects so far.
    pub hops: u32,
    /// When the first request was sent.
    pub sent_at: Timestamp,
    /// The entity tag it carries.
    pub etag: Option<Arc<str>>,
    /// What it may take.
    pub limits: FetchLimits,
    /// Which origin answers.
    pub origin: usize,
    /// The key that the segment is decrypted with on its way.
    pub key_url: Option<Arc<str>>,
    /// The bytes of the resource that are asked for.
    pub range: Option<ByteSpan>,
    /// The segments that the answer lists.
    pub offer: Option<Offer>,
    /// What the machine will be told.
    pub outcome: Option<Result<LoadedPlaylist, FetchError>>,
    /// The media that came.
    pub media: Option<MediaRef>,
    /// What a segment really is, as far as it is known.
    pub key: Option<MediaKey>,
}

impl Process {
    /// A process that starts from what the store kept; its sources have so many tracks at most.
    pub fn start(
        seed: u64,
        incarnation: u64,
        checkpoint: Option<Arc<Checkpoint>>,
        planted: Planted,
        tracks: usize,
    ) -> Self {
        let stream = Stream::new(seed, "process");
        let offer = OfferChecks::of(checkpoint.as_deref());
        let checkpoint = checkpoint.map(|it| Checkpoint::clone(&it));
        Self {
            incarnation,
            machine: Relay::new(stream.draw(incarnation), Epoch(1), checkpoint).planted(planted),
            steps: 0,
            wake: 0,
            wakes_at: None,
            woken_for: None,
            works: BTreeMap::new(),
            cookies: Cookies::default(),
            pace: PaceChecks::default(),
            retries: RetryChecks::default(),
            work: WorkChecks::new(tracks),
            generations: GenerationChecks::default(),
            making: MakingChecks::default(),
            offer,
            switches: SwitchChecks::default(),
            dies_after: None,
            closing: None,
            // The monotonic clock of another boot has nothing to do with the one before.
            boot: Stream::new(seed, "boot")
                .child(incarnation)
                .below(0, 1 << 40),
        }
    }

    /// Both clocks as this process reads them. True time begins with the world; its wall clock at
    /// `wall_at_start`.
    pub fn clocks(&self, now: Timestamp, wall_at_start: WallTime) -> Now {
        let since = now.since(Timestamp::default());
        Now {
            monotonic: Timestamp::from_micros(self.boot) + since,
            wall: wall_at_start + since,
        }
    }

    /// When something due on the clock of this process happens in true time; at once, where it is
    /// overdue since before the world began.
    pub fn true_time(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(at.as_micros().saturating_sub(self.boot))
    }
}

/// A rung of a stored segment: as long as its bit rate wants, and of the same bytes whoever makes it.
pub fn made_of(input: &Object, rung: &TranscodeRung, duration: Span) -> StoredSegment {
    let mut hash = input.hash.0;
    let name = rung.name.bytes().chain(rung.height.to_le_bytes());
    for (byte, mark) in hash.iter_mut().rev().zip(name) {
        *byte ^= mark.wrapping_add(1);
    }
    let bits = u128::from(rung.bitrate) * u128::from(duration.as_micros()) / 1_000_000;
    StoredSegment {
        length: u64::try_from(bits / 8).unwrap_or(u64::MAX).max(1),
        hash: ContentHash(hash),
        formats: None,
    }
}

/// A segment as the machine is told of it. The origin is part of its hash.
pub fn content(
    origin: usize,
    media: &MediaRef,
    formats: Option<Result<Formats, Unreadable>>,
) -> StoredSegment {
    let mut hash = [0; 32];
    let words = [
        media.hash,
        origin as u64,
        media.number,
        u64::from(media.run),
    ];
    for (place, word) in hash.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    StoredSegment {
        length: media.len,
        hash: ContentHash(hash),
        formats,
    }
}
