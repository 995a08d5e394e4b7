//! The epoch and the revision of each channel, in every line of the log that is about it.
//!
//! A line is written where something happens, and who writes it often knows no more than the name of the channel. So
//! they are added in one place: to each line that has a channel and says nothing of them. Where this process has never
//! had the channel they are not known, and said to be so.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Of so many channels they are kept.
const MOST_KNOWN: usize = 20_000;

/// What is known of each channel. There is one log in a process, and one of these.
static KNOWN: Mutex<BTreeMap<Arc<str>, Numbers>> = Mutex::new(BTreeMap::new());

/// Of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Counts its owners.
    pub epoch: Option<u64>,
    /// Of what is wanted of it.
    pub revision: Option<u64>,
}

/// Says what is known of a channel from now on.
pub fn know(channel: &Arc<str>, numbers: Numbers) {
    let mut known = known();
    if known.get(channel) == Some(&numbers) {
        return;
    }
    if known.len() >= MOST_KNOWN {
        known.clear();
    }
    known.insert(channel.clone(), numbers);
}

fn known() -> MutexGuard<'static, BTreeMap<Arc<str>, Numbers>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a line looks, and with it what is missing in it.
pub(super) struct Numbered<F> {
    pub(super) line: F,
    pub(super) is_json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Numbered<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut about = About::default();
        event.record(&mut about);
        let Some(missing) = about.missing() else {
            return self.line.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.line
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end_matches('\n');
        match self.is_json {
            true => {
                write!(writer, "{}", line.strip_suffix('}').unwrap_or(line))?;
                for (name, value) in missing {
                    let value = value.map_or("null".to_owned(), |it| it.to_string());
                    write!(writer, ",\"{name}\":{value}")?;
                }
                writer.write_str("}\n")
            }
            false => {
                write!(writer, "{line}")?;
                for (name, value) in missing {
                    let value = value.map_or("unknown".to_owned(), |it| it.to_string());
                    write!(writer, " {name}={value}")?;
                }
                writer.write_char('\n')
            }
        }
    }
}

type Missing = Vec<(&'static str, Option<u64>)>;

/// What a line says itself.
#[derive(Default)]
struct About {
    channel: Option<String>,
    epoch: bool,
    revision: bool,
}

impl About {
    /// What it should say besides, if it is about a channel.
    fn missing(&self) -> Option<Missing> {
        let channel = self.channel.as_deref()?;
        let Numbers { epoch, revision } = known().get(channel).copied().unwrap_or_default();
        let mut missing = Missing::new();
        if !self.epoch {
            missing.push(("epoch", epoch));
        }
        if !self.revision {
            missing.push(("revision", revision));
        }
        Some(missing).filter(|it| !it.is_empty())
    }
}

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "channel" {
            self.channel = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        match field.name() {
            "epoch" => self.epoch = true,
            "revision" => self.revision = true,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
