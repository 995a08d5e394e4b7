//! One run of ffmpeg: bytes in, bytes out, and nothing left of it whatever happens.

use super::guard::GUARD;
use super::tool::Tool;
use crate::one_line::one_line;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// So much of what it says is kept, which is the beginning of it: what comes later follows from that.
const MOST_SAID: usize = 4 << 10;

/// Why there is nothing that came out of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// It could not be started.
    #[error("ffmpeg cannot be started: {0}")]
    Start(io::Error),
    /// It ended with a failure, and this is what it said first.
    #[error("{said}")]
    Failed { said: String },
    /// Somebody or the system has ended it.
    #[error("ffmpeg was ended by others ({status}): {said}")]
    Ended { status: ExitStatus, said: String },
    /// More came out than there may be of it.
    #[error("more than {0} bytes were made of it")]
    TooLarge(usize),
    /// Its pipes broke.
    #[error("the pipes to ffmpeg: {0}")]
    Pipe(io::Error),
}

/// What it is to do, and how much of each thing it may take for that.
pub(super) struct Job {
    pub(super) arguments: Vec<String>,
    pub(super) input: Vec<u8>,
    /// What comes out, in bytes.
    pub(super) most: usize,
    /// In bytes.
    pub(super) memory: u64,
}

/// Runs it. Dropped before that is done, it kills ffmpeg at once.
pub(super) async fn run(tool: &Tool, job: Job) -> Result<Vec<u8>, RunError> {
    let Job {
        arguments,
        input,
        most,
        memory,
    } = job;
    let mut child = start(tool, memory, arguments)
        .await
        .map_err(RunError::Start)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(RunError::Pipe(io::ErrorKind::BrokenPipe.into()));
    };
    let feed = async move {
        // One that has seen enough, or has failed, closes its end: what it says then tells more.
        let _ = stdin.write_all(&input).await;
        drop(stdin);
        Ok(())
    };
    let (made, said, ()) = tokio::try_join!(whole(stdout, most), beginning_of(stderr), feed)?;
    let status = child.wait().await.map_err(RunError::Pipe)?;
    let said = first_line(&said);
    if status.success() {
        Ok(made)
    } else if was_ended(status) {
        Err(RunError::Ended { status, said })
    } else {
        Err(RunError::Failed { said })
    }
}

async fn whole(mut out: impl AsyncRead + Unpin, most: usize) -> Result<Vec<u8>, RunError> {
    let mut made = Vec::new();
    loop {
        let read = out.read_buf(&mut made).await.map_err(RunError::Pipe)?;
        if read == 0 {
            return Ok(made);
        }
        if made.len() > most {
            return Err(RunError::TooLarge(most));
        }
    }
}

async fn beginning_of(mut out: impl AsyncRead + Unpin) -> Result<Vec<u8>, RunError> {
    let mut said = Vec::new();
    let mut rest = Vec::new();
    while out.read_buf(&mut rest).await.map_err(RunError::Pipe)? > 0 {
        let room = MOST_SAID - said.len();
        said.extend(rest.drain(..).take(room));
    }
    Ok(said)
}

/// `[h264 @ 0x5581] no frame!` says more to people without the address.
fn first_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let first = said.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or("ffmpeg says nothing of it").trim();
    let part = first.strip_prefix('[').and_then(|it| it.split_once("] "));
    let part = part.and_then(|(part, text)| Some((part.split_once(" @ 0x")?.0, text)));
    match part {
        Some((name, text)) => one_line(&format!("{name}: {text}")),
        None => one_line(first),
    }
}

/// By a signal that an operator or the system sends, or that it has itself understood as such: it then ends
/// with 255. A signal of its own making is a mistake in it, which this segment has brought about.
fn was_ended(status: ExitStatus) -> bool {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    let sent = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    status.code() == Some(255) || status.signal().is_some_and(|it| sent.contains(&it))
}

/// What is asked of the thread that starts encoders.
struct Start {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts it from a thread that lives as long as the process: an encoder is killed when the thread that has
/// started it ends ([`super::guard`]), and the runtime's own threads come and go.
async fn start(tool: &Tool, memory: u64, arguments: Vec<String>) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Start>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (starter, asked) = mpsc::channel::<Start>();
        std::thread::spawn(move || {
            for mut start in asked {
                let _runtime = start.runtime.enter();
                // Dropped by whoever does not want it any more, it is killed.
                let _ = start.started.send(start.command.spawn());
            }
        });
        starter
    });
    let mut command = Command::new(&tool.guard);
    command
        .arg(GUARD)
        .arg(std::process::id().to_string())
        .arg(memory.to_string())
        .arg(&tool.program)
        .args(arguments)
        // It would write a report, and may write no file.
        .env_remove("FFREPORT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let (started, child) = oneshot::channel();
    let start = Start {
        command,
        runtime: Handle::current(),
        started,
    };
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    starter.send(start).map_err(|_| gone(()))?;
    child.await.map_err(|_| gone(()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ffmpeg_says_first_is_told_without_addresses() {
        let said =
            b"\n[h264 @ 0x55f1] non-existing PPS 0 referenced\nError marking filters as finished\n";
        assert_eq!(first_line(said), "h264: non-existing PPS 0 referenced");
        let plain = "pipe:0: Invalid data found when processing input";
        assert_eq!(first_line(plain.as_bytes()), plain);
        assert_eq!(first_line(b""), "ffmpeg says nothing of it");
        let much = [b"[a] b\n".as_slice(), &vec![b'x'; 3 * MOST_SAID]].concat();
        let kept = beginning_of(&*much).await.unwrap();
        assert_eq!(
            (kept.len(), first_line(&kept)),
            (MOST_SAID, "[a] b".to_owned())
        );
    }
}
