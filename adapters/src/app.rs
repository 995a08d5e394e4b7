//! Does what a command line says: puts the parts of the process together, and takes them apart in order.

mod feed;
mod node;
mod signals;
mod worker;

use crate::channel::{ONLY_EPOCH, OpenFailure, Opened, Places, last_lines};
use crate::cli::{Action, Cli, DemoArgs, JournalAction, Listen, RelayArgs, ShareArgs, in_words};
use crate::client::ClientError;
use crate::control_store::ControlStoreError;
use crate::driver::Control;
use crate::fetch::Fetcher;
use crate::journal::share::{self, ShareError};
use crate::logging::Screen;
use crate::logging::numbers::{self, Numbers};
use crate::mask::mask_url;
use crate::origin_server::OriginServer;
use crate::output::Outputs;
use crate::transcode::makers::Makers;
use crate::transcode::{ToolError, Transcoder};
use crate::{client, clock, server, status_line};
use hls_relay_core::event::{Configure, Desired};
use hls_relay_sim::origin::OriginSpec;
use hls_relay_sim::replay::ReplayError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signals::Signals;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What one channel by itself is never changes.
const ONLY_REVISION: u64 = 1;
/// How often the status line is drawn.
const REDRAW: Duration = Duration::from_secs(1);

/// Why the process ends other than well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 2.
    #[error("{0}")]
    Arguments(String),
    /// Exit code 3.
    #[error("cannot listen on {listen}: {error}{}", port_hint(option, error))]
    Listen {
        option: &'static str,
        listen: String,
        error: io::Error,
    },
    /// Exit code 4.
    #[error("--{option}: {0}", option = option_of(.0))]
    Open(#[from] OpenFailure),
    /// Exit code 4.
    #[error("--data: {0}")]
    Data(#[from] ControlStoreError),
    /// Exit code 5.
    #[error("{0}")]
    Replay(#[from] ReplayError),
    /// Exit code 5.
    #[error("{0}")]
    Share(#[from] ShareError),
    /// Exit codes 2, 6, 7 and 8.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// Exit code 9.
    #[error("{0}")]
    Ladder(#[from] ToolError),
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
            Self::Open(_) | Self::Data(_) => 4,
            Self::Replay(_) | Self::Share(_) => 5,
            Self::Client(error) => error.exit_code(),
            Self::Ladder(_) => 9,
            Self::Other(_) => 1,
        }
    }
}

fn option_of(failure: &OpenFailure) -> &'static str {
    match failure {
        OpenFailure::Store(_) | OpenFailure::Leftovers(_) => "store",
        OpenFailure::State(_) => "state",
        OpenFailure::Journal(_) => "journal",
    }
}

fn port_hint(option: &str, error: &io::Error) -> String {
    let hints = [
        (
            io::ErrorKind::AddrInUse,
            format!("; another program has this port: stop it, or choose another with {option}"),
        ),
        (
            io::ErrorKind::PermissionDenied,
            format!("; ports below 1024 need privileges: choose a higher one with {option}"),
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "; this host has no such address".to_owned(),
        ),
    ];
    let fitting = hints.into_iter().find(|(kind, _)| *kind == error.kind());
    fitting.map_or(String::new(), |(_, hint)| hint)
}

/// Does what the command line says, until it is done or told to leave.
pub async fn run(cli: Cli, screen: Screen) -> Result<(), Failure> {
    raise_file_limit();
    match cli.action {
        Action::Relay(args) => relay(*args, screen).await,
        Action::Node(args) => node::run(&args).await,
        Action::Channel(command) => Ok(client::run(*command).await?),
        Action::Drain(args) => Ok(client::drain::run(args).await?),
        Action::Feed(args) => feed::run(*args).await,
        Action::Worker(args) => worker::run(*args).await,
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
    let spec = args.spec();
    args.channel.check(&spec).map_err(Failure::Arguments)?;
    let resolved = spec.resolve();
    let (spec, accesses) = resolved.map_err(|fault| Failure::Arguments(in_words(&fault)))?;
    let makers = match spec.ladder {
        Some(_) => Makers::one(Transcoder::of_this_machine(None).await?),
        None => Makers::nobody("this process makes no ladders"),
    };
    let listener = bind("--listen", &args.listen).await?;
    // Until here a signal ends the process as it does any other; from here on there is something to finish.
    let signals = Signals::new()?;
    let name = args.name.name();
    let places = Places {
        store: args.store,
        newest: Arc::default(),
        state: args.state,
        journal: args.record.journal.map(|it| (it, args.record.journal_size)),
        fetcher: Fetcher::through(args.proxy),
        makers,
    };
    let Opened {
        driver,
        control,
        output,
        recorded,
    } = places.open(name, None).await?;
    let address = server::address_of(listener.local_addr()?, name);

    let outputs = Outputs::default();
    outputs.insert(name.clone(), output);
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, outputs, None, async {
        let _ = serving_stopped.await;
    }));

    let driving = tokio::spawn(driver.run());
    let source = mask_url(&args.source);
    let known = Numbers {
        epoch: Some(ONLY_EPOCH.0),
        revision: Some(ONLY_REVISION),
    };
    numbers::know(name, known);
    tracing::info!(channel = &**name, source, %address, "relaying");
    say(&address);
    let configure = Configure {
        revision: ONLY_REVISION,
        desired: Desired::Run,
        spec: Arc::new(spec),
    };
    let _ = control.send(Control::Configure(configure, accesses)).await;

    let drawing = tokio::spawn(draw_status(name.clone(), screen.clone(), control.clone()));
    let erased = screen.clone();
    let leave = async move {
        let _ = control.send(Control::ShutDown).await;
    };
    let leaving = tokio::spawn(signals.shut_down(leave, move || erased.show_status("")));
    let driven = driving.await;
    drawing.abort();
    screen.show_status("");
    driven.map_err(io::Error::other)?;
    let _ = stop_serving.send(());
    serving.await.map_err(io::Error::other)?;
    last_lines(recorded).await;
    // Viewers were still being served until now, and a second signal would have ended that too.
    leaving.abort();
    tracing::info!(channel = &**name, "finished");
    Ok(())
}

async fn bind(option: &'static str, listen: &Listen) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(&*listen.addresses).await;
    bound.map_err(|error| Failure::Listen {
        option,
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
        if let Ok(observed) = answer.await {
            screen.show_status(&status_line::render(&name, &observed.status));
        }
        tokio::time::sleep(REDRAW).await;
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
    let source = origin.url();
    tracing::info!(origin = source, "the built-in live origin is on");
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
