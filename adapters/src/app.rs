//! Puts the parts together for one channel, and takes them apart in order.

use crate::checkpoint_file::{CheckpointFile, Found, StateError};
use crate::cli::{
    Action, Cli, DemoArgs, JournalAction, Listen, RecordArgs, RelayArgs, ShareArgs, StoreArg,
};
use crate::driver::{Control, Driver};
use crate::fetch::{Fetcher, SourceAccess};
use crate::journal::Recorder;
use crate::journal::share::{self, ShareError};
use crate::logging::Screen;
use crate::origin_server::OriginServer;
use crate::output::{Output, Outputs};
use crate::store::{OpenError, Store};
use crate::worker::{Channel, Worker};
use crate::{clock, mask, server, status_line};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::config::{ReloadPolicy, Selection, Source, Spec};
use hls_relay_core::event::{Configure, Desired};
use hls_relay_core::ids::Epoch;
use hls_relay_core::tags::TagPolicy;
use hls_relay_sim::origin::OriginSpec;
use hls_relay_sim::replay::ReplayError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use url::Url;

/// How often the status line is drawn.
const REDRAW: Duration = Duration::from_secs(1);
/// What is left of the journal at the end is waited for so long.
const LAST_LINES: Duration = Duration::from_secs(2);
/// Without a cluster a channel has one owner, this one.
const ONLY_EPOCH: Epoch = Epoch(1);

/// Why the process ends other than well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 2.
    #[error("{0}")]
    Arguments(String),
    /// Exit code 3.
    #[error("cannot listen on {listen}: {error}{}", port_hint(error))]
    Listen { listen: String, error: io::Error },
    /// Exit code 4.
    #[error("--store: {0}")]
    Store(#[from] OpenError),
    /// Exit code 4.
    #[error("--state: {0}")]
    State(#[from] StateError),
    /// Exit code 4.
    #[error("--journal: {0}")]
    Journal(OpenError),
    /// Exit code 5.
    #[error("{0}")]
    Replay(#[from] ReplayError),
    /// Exit code 5.
    #[error("{0}")]
    Share(#[from] ShareError),
    /// Exit code 1.
    #[error("{0}")]
    Other(#[from] io::Error),
}

impl Failure {
    /// See the end of `--help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) => 2,
            Self::Listen { .. } => 3,
            Self::Store(_) | Self::State(_) | Self::Journal(_) => 4,
            Self::Replay(_) | Self::Share(_) => 5,
            Self::Other(_) => 1,
        }
    }
}

fn port_hint(error: &io::Error) -> &'static str {
    let hints = [
        (
            io::ErrorKind::AddrInUse,
            "; another program has this port: stop it, or choose another with --listen",
        ),
        (
            io::ErrorKind::PermissionDenied,
            "; ports below 1024 need privileges: choose a higher one with --listen",
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "; this host has no such address",
        ),
    ];
    let fitting = hints.into_iter().find(|(kind, _)| *kind == error.kind());
    fitting.map_or("", |(_, hint)| hint)
}

/// Does what the command line says, until it is done or told to leave.
pub async fn run(cli: Cli, screen: Screen) -> Result<(), Failure> {
    raise_file_limit();
    match cli.action {
        Action::Relay(args) => relay(*args, screen).await,
        Action::Demo(args) => demo(args, screen).await,
        Action::Replay(args) => Ok(args.run(&mut io::stdout().lock())?),
        Action::Journal(JournalAction::Share(args)) => share(&args),
    }
}

/// A viewer takes a file each, and what shells allow at first is little.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    // Where it cannot be raised the server takes fewer viewers.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
}

async fn relay(args: RelayArgs, screen: Screen) -> Result<(), Failure> {
    let (spec, accesses) = configuration(&args)?;
    let store = match &args.store {
        StoreArg::Memory => Store::memory(),
        StoreArg::Directory(root) => Store::directory(root, &args.name)?,
    };
    let (checkpoint_file, checkpoint) = open_state(&args)?;
    let listener = bind(&args.listen).await?;
    // Until here a signal ends the process as it does any other; from here on there is something to finish.
    let signals = Signals::new()?;
    if checkpoint.is_none() {
        empty(&store).await?;
    }
    let (recorder, recorded) = record(&args.record, &args.name)?.unzip();
    let address = server::address_of(listener.local_addr()?, &args.name);

    let output = Arc::new(Output::new(store));
    let outputs = Outputs::default();
    outputs.insert(args.name.clone(), output.clone());
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, outputs, async {
        let _ = serving_stopped.await;
    }));

    let channel = Channel::new(
        args.name.clone(),
        Fetcher::through(args.asking.proxy.clone()),
        output,
        checkpoint_file,
    );
    let worker = Worker::new(Arc::new(channel), ONLY_EPOCH, checkpoint.map(Arc::from));
    let (driver, control) = Driver::new(worker, recorder);
    let driving = tokio::spawn(driver.run());
    let source = mask::mask(&args.source);
    tracing::info!(channel = &*args.name, source, %address, "relaying");
    say(&address);
    let configure = Configure {
        revision: 1,
        desired: Desired::Run,
        spec: Arc::new(spec),
    };
    let _ = control.send(Control::Configure(configure, accesses)).await;

    let drawing = tokio::spawn(draw_status(
        args.name.clone(),
        screen.clone(),
        control.clone(),
    ));
    let leaving = tokio::spawn(signals.shut_down(control, screen.clone()));
    let driven = driving.await;
    drawing.abort();
    screen.show_status("");
    driven.map_err(io::Error::other)?;
    let _ = stop_serving.send(());
    serving.await.map_err(io::Error::other)?;
    if let Some(recorded) = recorded {
        // A disk that hangs does not keep the process.
        let _ = tokio::time::timeout(LAST_LINES, recorded).await;
    }
    // Viewers were still being served until now, and a second signal would have ended that too.
    leaving.abort();
    tracing::info!(channel = &*args.name, "finished");
    Ok(())
}

fn configuration(args: &RelayArgs) -> Result<(Spec, Vec<Arc<SourceAccess>>), Failure> {
    let urls: Vec<_> = std::iter::once(&args.source).chain(&args.backups).collect();
    if let Some(twice) = urls
        .iter()
        .enumerate()
        .find(|(at, url)| urls[..*at].contains(url))
    {
        let shown = mask::mask(twice.1);
        return Err(Failure::Arguments(format!(
            "{shown} is given twice: a backup is another origin"
        )));
    }
    let headers = args.asking.headers_of(&urls).map_err(Failure::Arguments)?;
    let accesses: Vec<_> = urls
        .into_iter()
        .zip(&headers)
        .map(|(url, headers)| Arc::new(SourceAccess::new(url, headers)))
        .collect();
    let spec = Spec {
        sources: accesses
            .iter()
            .map(|access| Source {
                url: access.public_url(),
            })
            .collect(),
        window: args.window,
        hole: args.hole,
        selection: Selection::from(&args.selection),
        reload: match args.strict_reload {
            true => ReloadPolicy::TargetDuration,
            false => ReloadPolicy::LastSegment,
        },
        keys: args.keys,
        tags: TagPolicy {
            drop: args.drop_tag.clone(),
            keep: args.keep_tag.clone(),
        },
    };
    Ok((spec, accesses))
}

fn open_state(
    args: &RelayArgs,
) -> Result<(Option<CheckpointFile>, Option<Box<Checkpoint>>), Failure> {
    let Some(folder) = &args.state else {
        return Ok((None, None));
    };
    let (file, found) = CheckpointFile::open(folder, &args.name)?;
    let checkpoint = match found {
        Found::Nothing => None,
        Found::Checkpoint(checkpoint) => Some(checkpoint),
        Found::Refused { why, moved_to } => {
            let channel = &*args.name;
            tracing::error!(
                channel,
                "the saved state cannot be used: {why}; it is kept as {}, and the numbering begins \
                 anew",
                moved_to.display()
            );
            None
        }
    };
    Ok((Some(file), checkpoint))
}

fn record(
    args: &RecordArgs,
    channel: &Arc<str>,
) -> Result<Option<(Recorder, oneshot::Receiver<()>)>, Failure> {
    let Some(folder) = &args.journal else {
        return Ok(None);
    };
    let started = Recorder::start(folder, channel, args.journal_size);
    started.map(Some).map_err(Failure::Journal)
}

/// Without a checkpoint nobody knows what the files in the folder were.
async fn empty(store: &Store) -> Result<(), Failure> {
    let withdrawn = store.withdraw().await;
    let emptied = withdrawn.and(store.check(Vec::new(), Vec::new()).await);
    emptied
        .map(drop)
        .map_err(|error| Failure::Other(io::Error::other(error)))
}

async fn bind(listen: &Listen) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(&*listen.addresses).await;
    bound.map_err(|error| Failure::Listen {
        listen: listen.text.clone(),
        error,
    })
}

/// The one line on stdout, for scripts and people. A closed pipe there is nobody's loss.
fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

async fn draw_status(name: Arc<str>, screen: Screen, control: mpsc::Sender<Control>) {
    if !screen.is_terminal() {
        return;
    }
    loop {
        let (reply, answer) = oneshot::channel();
        if control.send(Control::Inspect(reply)).await.is_err() {
            return;
        }
        if let Ok(status) = answer.await {
            screen.show_status(&status_line::render(&name, &status));
        }
        tokio::time::sleep(REDRAW).await;
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// A file that may not become longer (ulimit -f) is a full disk and not our end.
    _file_size: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            interrupt,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The first signal ends the relay in order, the second at once.
    async fn shut_down(mut self, control: mpsc::Sender<Control>, screen: Screen) {
        self.next().await;
        tracing::info!("finishing what is in flight; once more to leave at once");
        let _ = control.send(Control::ShutDown).await;
        let code = self.next().await;
        screen.show_status("");
        std::process::exit(code);
    }

    /// The exit code that tells of the signal, as shells count.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

/// The built-in origin on a free port of this host, relayed like any other.
async fn demo(args: DemoArgs, screen: Screen) -> Result<(), Failure> {
    let spec = OriginSpec {
        program_date_time: true,
        wall_at_start: clock::wall(),
        ..OriginSpec::default()
    };
    let origin = OriginServer::start(spec, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let source = Url::parse(&origin.url()).map_err(io::Error::other)?;
    tracing::info!(origin = %source, "the built-in live origin is on");
    let greeting = "A live channel with a clock and a beat. Open this address in any player, \
                    Ctrl-C ends it:";
    say(greeting);
    relay(RelayArgs::plain(source, args.listen, args.record), screen).await
}

fn share(args: &ShareArgs) -> Result<(), Failure> {
    let steps = share::share(&args.files, &args.out)?;
    say(&format!(
        "{}: {steps} steps without secrets, replayed without a difference",
        args.out.display()
    ));
    Ok(())
}
