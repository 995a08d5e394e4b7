//! What ends a process from outside.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C and SIGTERM.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// A file that may not become longer (ulimit -f) is a full disk and not our end.
    _file_size: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            interrupt,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The first signal lets everything end in order, the second ends it at once.
    pub(super) async fn shut_down(mut self, leave: impl Future<Output = ()>, tidy: impl Fn()) {
        self.next().await;
        tracing::info!("finishing what is in flight; once more to leave at once");
        leave.await;
        let code = self.next().await;
        tidy();
        std::process::exit(code);
    }

    /// The exit code that tells of the signal, as shells count.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}
