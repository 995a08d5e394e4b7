//! What a client may count on from an origin, the machine from a store, and nodes and workers from the queue
//! between them: scripts that the simulated ones and the real ones must both fulfil, so that what holds in a simulated night holds in a real one.
//!
//! A file holds cases, parted by empty lines. A case begins with its title (`# …`); each line after it
//! is something that is done, and behind `->` what must come of it. The words are read here; whoever
//! tests an implementation does what they say and tells what came of it in the words of this module.

use crate::origin::{FaultKind, OriginSpec, SegmentDurations, Tokens};
use crate::scenario::{Words, fault};
use crate::workers::queue::Waiting;
use hls_relay_core::command::FetchLimits;
use hls_relay_core::event::{FetchError, LoadedPlaylist, StoreError};
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::Span;
use hls_relay_core::turn::Turn;

/// Segments so long that none is added while a case runs, even where time is real.
const SEGMENT: u64 = 60;

/// An order is of use for so long where nothing else is said.
const OF_USE: Span = Span::from_secs(30);

/// What the requests of a case are held to: short, as a test waits for real.
pub const LIMITS: FetchLimits = FetchLimits {
    first_byte: Span::from_millis(1_500),
    whole: Span::from_secs(20),
    least_bytes: 10_000,
    rate_window: Span::from_millis(1_000),
    max_bytes: 20_000_000,
    max_redirects: 5,
};

/// One promise, in steps.
#[derive(Clone, Debug)]
pub struct Case<Act> {
    /// What is promised.
    pub title: String,
    /// How it is seen to be kept.
    pub steps: Vec<Step<Act>>,
}

/// Something that is done.
#[derive(Clone, Debug)]
pub struct Step<Act> {
    /// What.
    pub act: Act,
    /// What must come of it; nothing where it only sets the scene.
    pub expected: String,
}

/// What is done with an origin.
#[derive(Clone, Debug)]
pub enum OriginAct {
    /// It is one with entity tags.
    HasEntityTags,
    /// It is one whose tokens change at every reload.
    HasTokens,
    /// It is one that gives a cookie with its playlists, and no segment without it.
    HasCookies,
    /// From here on something is wrong.
    Fault(FaultKind),
    /// From here on nothing is.
    Cured,
    /// The playlist is asked for; `again`: with the entity tag of the last one.
    Playlist {
        /// Whether what is there already is named.
        again: bool,
    },
    /// The segment with this number is asked for.
    Segment(u64),
}

/// What is done with a store.
#[derive(Clone, Debug)]
pub enum StoreAct {
    /// The case is about this kind alone.
    Only(String),
    /// An object is stored.
    Put(String, String),
    /// A viewer asks for an object.
    Has(String),
    /// Objects are deleted.
    Delete(Vec<String>),
    /// The store is looked through: which of `asked` (name and content) it has, and what it is to keep.
    Check {
        /// Names and contents.
        asked: Vec<(String, String)>,
        /// Names.
        keep: Vec<String>,
    },
    /// Playlists are published with the checkpoint of this number: names and contents.
    Publish(u64, Vec<(String, String)>),
    /// A viewer asks for the playlist of that name.
    Shown(String),
    /// The playlists are taken down.
    Withdraw,
    /// A checkpoint is saved alone.
    Save(u64),
    /// A new process would find this checkpoint.
    Saved,
    /// The process dies, and another one starts.
    Restart,
    /// Nothing can be written from here on.
    Broken,
    /// It can again.
    Mended,
}

/// What is done with a queue of segments that wait for a worker. Orders are called by numbers, workers by letters.
#[derive(Clone, Debug)]
pub enum QueueAct {
    /// An order is put down.
    Add {
        /// Whose it is.
        channel: String,
        /// How it is called.
        order: u64,
        /// Where it stands in line.
        turn: Turn,
        /// It is of use for so long.
        within: Span,
    },
    /// A worker asks for one.
    Take(String),
    /// A worker says that it is at work on these.
    Hold(String, Vec<u64>),
    /// An order is over.
    Finish(u64),
    /// A worker takes no more.
    Leave(String),
    /// So much time goes by.
    Wait(Span),
    /// What waits, and who is there.
    Look,
    /// What was put aside.
    Dead,
}

/// The origin that a case is about.
pub fn origin_of(case: &Case<OriginAct>) -> OriginSpec {
    let is = |wanted: fn(&OriginAct) -> bool| case.steps.iter().any(|step| wanted(&step.act));
    OriginSpec {
        durations: SegmentDurations::Constant(Span::from_secs(SEGMENT)),
        target_duration: SEGMENT,
        etag: is(|act| matches!(act, OriginAct::HasEntityTags)),
        cookies: is(|act| matches!(act, OriginAct::HasCookies)),
        tokens: if is(|act| matches!(act, OriginAct::HasTokens)) {
            Tokens::Query
        } else {
            Tokens::None
        },
        ..OriginSpec::default()
    }
}

/// Reads the contract of an origin.
pub fn origin_cases(text: &str) -> Result<Vec<Case<OriginAct>>, String> {
    cases(text, |words| {
        Ok(match words.word()? {
            "origin" => match words.word()? {
                "etag" => OriginAct::HasEntityTags,
                "tokens" => OriginAct::HasTokens,
                "cookies" => OriginAct::HasCookies,
                other => return Err(format!("no such origin: {other}")),
            },
            "fault" => OriginAct::Fault(fault(words)?),
            "cured" => OriginAct::Cured,
            "playlist" => OriginAct::Playlist {
                again: words.next() == Some("again"),
            },
            "segment" => OriginAct::Segment(words.number()?),
            other => return Err(format!("unknown word {other}")),
        })
    })
}

/// Reads the contract of a store.
pub fn store_cases(text: &str) -> Result<Vec<Case<StoreAct>>, String> {
    cases(text, |words| {
        Ok(match words.word()? {
            "only" => StoreAct::Only(words.word()?.to_owned()),
            "put" => StoreAct::Put(words.word()?.to_owned(), words.word()?.to_owned()),
            "has" => StoreAct::Has(words.word()?.to_owned()),
            "delete" => StoreAct::Delete(rest(words)),
            "check" => {
                let words = rest(words);
                let (asked, keep) = match words.iter().position(|word| word == "keep") {
                    Some(at) => (&words[..at], words[at + 1..].to_vec()),
                    None => (&words[..], Vec::new()),
                };
                let pair = |word: &String| pair(word).ok_or("name=content".to_owned());
                let asked = asked.iter().map(pair).collect::<Result<_, _>>()?;
                StoreAct::Check { asked, keep }
            }
            "publish" => {
                let number = words.number()?;
                // A content without a name is the entry's.
                let entry = |word: String| (PlaylistName::ENTRY.to_owned(), word);
                let playlists = rest(words)
                    .into_iter()
                    .map(|word| pair(&word).unwrap_or_else(|| entry(word)));
                StoreAct::Publish(number, playlists.collect())
            }
            "shown" => StoreAct::Shown(words.next().unwrap_or(PlaylistName::ENTRY).to_owned()),
            "withdraw" => StoreAct::Withdraw,
            "save" => StoreAct::Save(words.number()?),
            "saved" => StoreAct::Saved,
            "restart" => StoreAct::Restart,
            "broken" => StoreAct::Broken,
            "mended" => StoreAct::Mended,
            other => return Err(format!("unknown word {other}")),
        })
    })
}

/// Reads the contract of a queue.
pub fn queue_cases(text: &str) -> Result<Vec<Case<QueueAct>>, String> {
    cases(text, |words| {
        Ok(match words.word()? {
            "add" => {
                let (channel, order) = (words.word()?.to_owned(), words.number()?);
                let turn = match words.word()? {
                    "first" => Turn::First,
                    "further" => Turn::Further,
                    other => return Err(format!("no such turn: {other}")),
                };
                let within = match words.next() {
                    Some("within") => Span::from_millis(words.number()?),
                    Some(other) => return Err(format!("unknown word {other}")),
                    None => OF_USE,
                };
                QueueAct::Add {
                    channel,
                    order,
                    turn,
                    within,
                }
            }
            "take" => QueueAct::Take(words.word()?.to_owned()),
            "hold" => {
                let worker = words.word()?.to_owned();
                let mut orders = Vec::new();
                while !words.0.is_empty() {
                    orders.push(words.number()?);
                }
                QueueAct::Hold(worker, orders)
            }
            "finish" => QueueAct::Finish(words.number()?),
            "leave" => QueueAct::Leave(words.word()?.to_owned()),
            "wait" => QueueAct::Wait(Span::from_millis(words.number()?)),
            "look" => QueueAct::Look,
            "dead" => QueueAct::Dead,
            other => return Err(format!("unknown word {other}")),
        })
    })
}

/// Orders, in the words of the contract.
pub fn order_words(orders: &[u64]) -> String {
    if orders.is_empty() {
        return "nothing".to_owned();
    }
    let orders = orders.iter().map(u64::to_string);
    orders.collect::<Vec<_>>().join(" ")
}

/// An order that a worker was given, in the words of the contract.
pub fn given_words(given: Option<(u64, u64)>) -> String {
    given.map_or("nothing".to_owned(), |(order, attempt)| {
        format!("{order}, try {attempt}")
    })
}

/// What waits, in the words of the contract.
pub fn waiting_words(waiting: Waiting) -> String {
    let Waiting {
        workers,
        waiting,
        under_way,
    } = waiting;
    format!("{workers} workers, {waiting} wait, {under_way} under way")
}

fn rest(words: &mut Words<'_>) -> Vec<String> {
    std::iter::from_fn(|| words.next())
        .map(str::to_owned)
        .collect()
}

/// `name=content`
fn pair(word: &str) -> Option<(String, String)> {
    let (name, content) = word.split_once('=')?;
    Some((name.to_owned(), content.to_owned()))
}

fn cases<Act>(
    text: &str,
    read: impl Fn(&mut Words<'_>) -> Result<Act, String>,
) -> Result<Vec<Case<Act>>, String> {
    let mut cases: Vec<Case<Act>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: String| format!("line {}: {why}: {line}", number + 1);
        if let Some(title) = line.strip_prefix("# ") {
            let (title, steps) = (title.to_owned(), Vec::new());
            cases.push(Case { title, steps });
        } else if !line.is_empty() {
            let (act, expected) = line.split_once(" -> ").unwrap_or((line, ""));
            let words: Vec<&str> = act.split_whitespace().collect();
            let mut words = Words(&words);
            let act = read(&mut words)
                .and_then(|act| words.end().map(|()| act))
                .map_err(wrong)?;
            let expected = expected.to_owned();
            let case = cases
                .last_mut()
                .ok_or_else(|| wrong("no title".to_owned()))?;
            case.steps.push(Step { act, expected });
        }
    }
    Ok(cases)
}

/// What came of a request for a playlist, in the words of the contract. `asked` is its address.
pub fn playlist_words(asked: &str, outcome: &Result<LoadedPlaylist, FetchError>) -> String {
    match outcome {
        Ok(LoadedPlaylist::NotModified) => "not modified".to_owned(),
        Ok(LoadedPlaylist::Body { url, body, .. }) => {
            let text = String::from_utf8_lossy(&body.0);
            let elsewhere = if **url == *asked {
                ""
            } else {
                " from elsewhere"
            };
            if text.is_empty() {
                "nothing".to_owned()
            } else if text.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
                format!("list of {}{elsewhere}", text.matches("#EXTINF").count())
            } else {
                "no list".to_owned()
            }
        }
        Err(error) => fetch_words(error),
    }
}

/// What a request failed of, in the words of the contract.
pub fn fetch_words(error: &FetchError) -> String {
    match error {
        FetchError::Status(code) => return format!("status {code}"),
        FetchError::Store(error) => return store_words(error).to_owned(),
        FetchError::Connect(_) => "no connection",
        FetchError::FirstByteTimeout(_) => "no answer in time",
        FetchError::WholeTimeout(_) => "not complete in time",
        FetchError::TooSlow { .. } => "too slow",
        FetchError::Interrupted { .. } => "broken off",
        FetchError::Truncated { .. } => "cut short",
        FetchError::TooLarge { .. } => "too large",
        FetchError::Empty => "nothing",
        FetchError::TooManyRedirects(_) => "too many redirects",
        FetchError::PrivateAddress(_) => "a private address",
        FetchError::BadUrl(_) => "no address",
        FetchError::WrongRange => "another range",
        FetchError::BadEncoding(_) => "cannot be unpacked",
        FetchError::Key(_) => "no key",
        FetchError::Protocol(_) => "no HTTP",
        FetchError::Cancelled => "cancelled",
    }
    .to_owned()
}

/// What a store failed of, in the words of the contract.
pub fn store_words(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full => "full",
        StoreError::Failed(_) => "failed",
        StoreError::Unknown => "unknown",
        StoreError::Fenced(_) => "fenced",
        StoreError::NotValid => "lease over",
    }
}
