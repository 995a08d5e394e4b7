//! The ffmpeg of this machine: which it is, and whether it can do what is wanted of it.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The first one that passes times through as they are asked for here.
const LEAST: (u32, u32) = (5, 1);
/// The encoders that are used.
const ENCODERS: [&str; 2] = ["libx264", "aac"];
/// It answers what it is within a fraction of this.
const PATIENCE: Duration = Duration::from_secs(20);
/// More threads than this gain an encoder nothing at these sizes.
const MOST_THREADS: usize = 8;

/// How ffmpeg is started.
#[derive(Clone, Debug)]
pub struct Tool {
    /// ffmpeg itself: a path, or a name to be looked for.
    pub program: PathBuf,
    /// hls-relay itself, of any version since it guards encoders.
    pub guard: PathBuf,
    /// For each decoder and each encoder.
    pub threads: NonZeroUsize,
}

/// Why ladders cannot be made here, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("a ladder needs ffmpeg, and there is none: {install}", install = install())]
    Missing,
    #[error("a ladder needs ffmpeg, and it cannot be started: {0}")]
    Start(io::Error),
    #[error("ffmpeg does not say what it is: {0}")]
    Silent(String),
    #[error(
        "a ladder needs ffmpeg {}.{}, and {found} is the first one on the PATH: {install}, where that is newer, or put a newer one of \
         https://ffmpeg.org/download.html before it", LEAST.0, LEAST.1, install = install()
    )]
    Old { found: String },
    #[error(
        "a ladder needs an ffmpeg with {encoder}, and the first one on the PATH was built without it: {install}, or put one that has it before it",
        install = install()
    )]
    NoEncoder { encoder: &'static str },
}

impl Tool {
    /// The ffmpeg that is found by its name, guarded by this very program, for so many segments at once.
    pub fn of_this_machine(slots: NonZeroUsize) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.div_ceil(slots.get()).clamp(1, MOST_THREADS);
        Ok(Self {
            program: "ffmpeg".into(),
            guard: this_program()?,
            threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        })
    }

    /// Whether it is there, new enough, and has what is needed. Gives its version.
    ///
    /// # Errors
    /// What is missing, and the command that installs it.
    pub async fn check(&self) -> Result<String, ToolError> {
        let said = self.ask("-version").await?;
        let version = version_of(&said).ok_or_else(|| {
            ToolError::Silent(crate::one_line::one_line(said.lines().next().unwrap_or("")))
        })?;
        if numbers_of(version).is_some_and(|numbers| numbers < LEAST) {
            let found = version.to_owned();
            return Err(ToolError::Old { found });
        }
        let encoders = self.ask("-encoders").await?;
        let names = || {
            encoders
                .lines()
                .filter_map(|it| it.split_whitespace().nth(1))
        };
        match ENCODERS
            .into_iter()
            .find(|it| !names().any(|name| name == *it))
        {
            Some(encoder) => Err(ToolError::NoEncoder { encoder }),
            None => Ok(version.to_owned()),
        }
    }

    async fn ask(&self, what: &str) -> Result<String, ToolError> {
        let mut command = Command::new(&self.program);
        command
            .args(["-hide_banner", "-loglevel", "error", "-nostdin", what])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let answer = tokio::time::timeout(PATIENCE, command.output());
        match answer.await {
            Ok(Ok(answer)) => Ok(String::from_utf8_lossy(&answer.stdout).into_owned()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(ToolError::Missing),
            Ok(Err(error)) => Err(ToolError::Start(error)),
            Err(_) => Err(ToolError::Silent(format!("no answer within {PATIENCE:?}"))),
        }
    }
}

/// Also after its file was replaced by a newer one.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

fn version_of(said: &str) -> Option<&str> {
    said.strip_prefix("ffmpeg version ")?
        .split_whitespace()
        .next()
}

/// Builds from a repository are named otherwise, and are taken for new ones.
fn numbers_of(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('n').split(['.', '-']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

/// The command that brings it, by the name that the system has for itself.
fn install() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_on(&release).to_owned()
}

fn install_on(release: &str) -> &'static str {
    let value = |line: &'_ str| -> Option<String> {
        let (key, value) = line.split_once('=')?;
        matches!(key, "ID" | "ID_LIKE").then(|| value.trim_matches('"').to_owned())
    };
    let names: Vec<_> = release.lines().filter_map(value).collect();
    let is = |name: &str| names.iter().any(|it| it.split(' ').any(|it| it == name));
    match () {
        () if is("debian") => "apt-get install ffmpeg",
        () if is("alpine") => "apk add ffmpeg",
        () if is("arch") => "pacman -S ffmpeg",
        () if is("fedora") || is("rhel") => {
            "dnf install ffmpeg (of RPM Fusion: ffmpeg-free has no libx264)"
        }
        () if is("suse") => "zypper install ffmpeg",
        () if cfg!(target_os = "macos") => "brew install ffmpeg",
        () => "install ffmpeg, or see https://ffmpeg.org/download.html",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (said, found) in [
            ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)", Some((5, 1))),
            ("ffmpeg version n7.0 Copyright", Some((7, 0))),
            ("ffmpeg version 6 Copyright", Some((6, 0))),
            (
                "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
                Some((4, 4)),
            ),
            ("ffmpeg version N-109542-g2f7f5d2 Copyright", None),
        ] {
            assert_eq!(version_of(said).and_then(numbers_of), found, "{said}");
        }
        assert_eq!(version_of("zsh: no such thing"), None);
    }

    #[test]
    fn the_command_that_installs_it_is_that_of_the_system() {
        for (release, command) in [
            (
                "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n",
                "apt-get install ffmpeg",
            ),
            ("ID=debian\n", "apt-get install ffmpeg"),
            ("ID=alpine\n", "apk add ffmpeg"),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                "dnf install ffmpeg (of RPM Fusion: ffmpeg-free has no libx264)",
            ),
            (
                "ID=opensuse\nID_LIKE=\"opensuse suse\"\n",
                "zypper install ffmpeg",
            ),
        ] {
            assert_eq!(install_on(release), command, "{release}");
        }
    }
}
