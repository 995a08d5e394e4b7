//! The first moments of an encoder: this program again, which gives up what an encoder does not need and
//! becomes ffmpeg.
//!
//! What is set here stays in force in ffmpeg. That an encoder is killed with the relay, even where that is
//! killed itself, has to be asked for by the encoder: nobody is left to do it.

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit,
};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the program is called with to be a guard.
pub(super) const GUARD: &str = "guard-an-encoder";

/// The most processor time in seconds. Whoever started it kills it much earlier; this is for when nobody does.
const MOST_SECONDS: u64 = 600;

/// Becomes ffmpeg where the command line says so: `guard-an-encoder PARENT MEMORY PROGRAM ARGUMENT...`, with the
/// most memory in bytes.
/// Otherwise it returns, and nothing has happened. To be called before any thread is started.
pub fn become_encoder_if_asked() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == GUARD) {
        let failure = become_encoder(words);
        eprintln!("{failure}");
        std::process::exit(127);
    }
}

fn become_encoder(mut words: impl Iterator<Item = OsString>) -> String {
    let parent = words.next().and_then(|it| it.to_str()?.parse().ok());
    let memory = words.next().and_then(|it| it.to_str()?.parse().ok());
    let (Some(memory), Some(program)) = (memory, words.next()) else {
        return format!("{GUARD} is what hls-relay calls itself with, and nothing for people");
    };
    if let Err(error) = give_up(memory) {
        return format!("cannot limit an encoder: {error}");
    }
    // The relay may have died before it could be told of.
    if getppid().map(Pid::as_raw_nonzero) != parent {
        return "the relay has ended".to_owned();
    }
    let error = Command::new(&program).args(words).exec();
    format!("cannot start {}: {error}", program.display())
}

fn give_up(memory: u64) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    // It is counted by addresses, of which threads reserve more than they use.
    limit(Resource::As, memory)?;
    limit(Resource::Cpu, MOST_SECONDS)?;
    // It reads and writes pipes, and no file.
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)
}
