//! Log lines on stderr, and below them, on a terminal, one line of status that is drawn over and over.
//!
//! Writing never fails for the one who logs: a terminal that has gone away must not end a relay.

pub mod numbers;

use crate::one_line::one_line;
use clap::ValueEnum;
use numbers::Numbered;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people and grep: the message, then key=value.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Somebody has to act.
    Error,
    /// Viewers may notice something.
    Warn,
    /// Every change of state.
    #[default]
    Info,
    /// What the relay does.
    Debug,
    /// Every wakeup.
    Trace,
}

/// Stderr, shared by the log and the status line. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Screen {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What stands in the last line at this moment; empty for none.
    status: String,
    /// It can be drawn over.
    is_terminal: bool,
}

/// Starts logging; called once in a process.
pub fn init(format: LogFormat, level: LogLevel) -> Screen {
    let is_terminal = format == LogFormat::Text
        && io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let screen = Screen {
        shared: Arc::new(Mutex::new(Shared {
            is_terminal,
            ..Shared::default()
        })),
    };
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let lines = fmt::layer().with_ansi(colour).with_writer(screen.clone());
    let line = fmt::format().with_target(false).with_ansi(colour);
    let lines = match format {
        LogFormat::Text => {
            let is_json = false;
            lines.event_format(Numbered { line, is_json }).boxed()
        }
        LogFormat::Json => {
            let (line, is_json) = (line.json().flatten_event(true), true);
            let fields = fmt::format::JsonFields::new();
            let lines = lines.fmt_fields(fields);
            lines.event_format(Numbered { line, is_json }).boxed()
        }
    };
    let ours = Targets::new()
        .with_default(Level::WARN)
        .with_target("hls_relay", level.into_tracing());
    tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let why = panic.payload_as_str().unwrap_or("no reason given");
        let why = one_line(why);
        tracing::error!(place, "a broken invariant: {why}");
    }));
    screen
}

impl LogLevel {
    fn into_tracing(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
            Self::Trace => Level::TRACE,
        }
    }
}

impl Screen {
    /// Whether a status line can be drawn.
    pub fn is_terminal(&self) -> bool {
        self.lock().is_terminal
    }

    /// Draws the status line anew; an empty one takes it away.
    pub fn show_status(&self, status: &str) {
        let mut shared = self.lock();
        if !shared.is_terminal {
            return;
        }
        shared.status = cut_to(status, columns());
        let drawn = format!("{ERASE}{}", shared.status);
        let _ = io::stderr().write_all(drawn.as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To the first column, and the line is empty.
const ERASE: &str = "\r\x1b[2K";

/// A finished line goes above the status line.
impl Write for Screen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared = self.lock();
        let whole = if shared.status.is_empty() {
            line.to_vec()
        } else {
            [ERASE.as_bytes(), line, shared.status.as_bytes()].concat()
        };
        let _ = io::stderr().write_all(&whole);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// One column less than there are: a full line would wrap, and only its end would be erased.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns < 20 { 79 } else { columns - 1 }
}

fn cut_to(text: &str, columns: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(columns)
        .collect()
}
