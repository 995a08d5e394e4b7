//! Events and commands as a person reads them: one line each.

use hls_relay_core::command::Command;
use hls_relay_core::event::{Event, LoadedPlaylist};
use hls_relay_core::journal::Machine;
use hls_relay_core::node::{Node, NodeCommand, NodeEvent};
use hls_relay_core::relay::Relay;
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// A machine whose journal can be read and told.
pub trait Spoken: Machine<Event: DeserializeOwned> + DeserializeOwned {
    /// One line for an event.
    fn event(event: &Self::Event) -> String;
    /// One line for a command.
    fn command(command: &Self::Command) -> String;
}

impl Spoken for Relay {
    fn event(it: &Event) -> String {
        event(it)
    }

    fn command(it: &Command) -> String {
        command(it)
    }
}

/// Their names say what they are.
impl Spoken for Node<()> {
    fn event(it: &NodeEvent<()>) -> String {
        format!("{it:?}")
    }

    fn command(it: &NodeCommand<()>) -> String {
        format!("{it:?}")
    }
}

/// One line for an event.
pub fn event(event: &Event) -> String {
    match event {
        Event::Tick => "tick".to_owned(),
        Event::ShutDown => "shut down".to_owned(),
        Event::Configure(wish) => {
            let urls: Vec<&str> = wish.spec.sources.iter().map(|it| &*it.url).collect();
            format!(
                "configure: {:?}, revision {}, window {}, {:?}, {:?}, sources {urls:?}",
                wish.desired,
                wish.revision,
                window(wish.spec.window),
                wish.spec.hole,
                wish.spec.reload
            )
        }
        Event::PlaylistLoaded { request, outcome } => match outcome {
            Ok(LoadedPlaylist::NotModified) => format!("playlist {}: not modified", request.0),
            Ok(LoadedPlaylist::Body { body, .. }) => {
                format!(
                    "playlist {}: {}",
                    request.0,
                    playlist(&String::from_utf8_lossy(&body.0))
                )
            }
            Err(error) => format!("playlist {}: {error}", request.0),
        },
        Event::Downloaded { request, outcome } => match outcome {
            Ok(segment) => format!("segment {}: {} bytes stored", request.0, segment.length),
            Err(error) => format!("segment {}: {error}", request.0),
        },
        Event::Transcoded { request, outcome } => match outcome {
            Ok(it) => {
                let made = it.rungs.iter().filter(|it| it.is_ok()).count();
                format!(
                    "transcoded {}: {made} of {} rungs",
                    request.0,
                    it.rungs.len()
                )
            }
            Err(error) => format!("transcoded {}: {error}", request.0),
        },
        Event::Preloaded { request, outcomes } => {
            let warm = outcomes.iter().filter(|it| it.is_ok()).count();
            format!(
                "preloaded {}: {warm} of {} edges",
                request.0,
                outcomes.len()
            )
        }
        Event::ObjectsChecked { request, outcome } => match outcome {
            Ok(there) => format!("objects {}: {} there", request.0, there.len()),
            Err(error) => format!("objects {}: {error}", request.0),
        },
        Event::Published { request, outcome } => done("published", request.0, outcome),
        Event::Deleted { request, outcome } => done("deleted", request.0, outcome),
        Event::Withdrawn { request, outcome } => done("withdrawn", request.0, outcome),
        Event::CheckpointSaved { request, outcome } => done("checkpoint saved", request.0, outcome),
    }
}

fn done<E: std::fmt::Display>(what: &str, request: u64, outcome: &Result<(), E>) -> String {
    match outcome {
        Ok(()) => format!("{what} {request}"),
        Err(error) => format!("{what} {request}: {error}"),
    }
}

/// One line for a command.
pub fn command(command: &Command) -> String {
    match command {
        Command::LoadPlaylist(it) => {
            format!(
                "load playlist {}: source {}, {}",
                it.request.0, it.source, it.url
            )
        }
        Command::Download(it) => format!(
            "download {}: source {}, {} as {}",
            it.request.0, it.source, it.url, it.object
        ),
        Command::Transcode(it) => {
            let rungs: Vec<&str> = it.rungs.iter().map(|it| &*it.name).collect();
            let before = it.before.as_ref().map_or("nothing", |it| &it.object.0);
            format!(
                "transcode {}: {} behind {before} to {}",
                it.request.0,
                it.input,
                rungs.join(" ")
            )
        }
        Command::Preload(it) => {
            let names: Vec<&str> = it.objects.iter().map(|it| &*it.0).collect();
            format!("preload {}: {}", it.request.0, names.join(" "))
        }
        Command::CheckObjects {
            request, objects, ..
        } => {
            format!("check {}: {} objects", request.0, objects.len())
        }
        Command::Publish(it) => {
            let lists = it.playlists.iter();
            let lists: Vec<String> = lists
                .map(|list| format!("{} {}", list.name.0, playlist(&list.text)))
                .collect();
            format!(
                "publish {}: generation {}, {}",
                it.request.0,
                it.generation.0,
                lists.join(", ")
            )
        }
        Command::Delete {
            request, objects, ..
        } => {
            let names: Vec<&str> = objects.iter().map(|it| &*it.0).collect();
            format!("delete {}: {}", request.0, names.join(" "))
        }
        Command::Withdraw { request, .. } => format!("withdraw {}", request.0),
        Command::SaveCheckpoint { request, .. } => format!("save checkpoint {}", request.0),
        Command::Cancel { request } => format!("cancel {}", request.0),
        Command::Notify(notice) => format!("notify: {notice}"),
    }
}

/// A playlist on one line: its numbers, and its segments from the first to the last.
pub fn playlist(text: &str) -> String {
    let mut line = String::new();
    let mut marks = String::new();
    for text in text.lines() {
        let (tag, value) = text.split_once(':').unwrap_or((text, ""));
        let _ = match tag {
            "#EXT-X-TARGETDURATION" => write!(line, "td {value}"),
            "#EXT-X-MEDIA-SEQUENCE" => write!(line, " ms {value}"),
            "#EXT-X-DISCONTINUITY-SEQUENCE" => write!(line, " ds {value}"),
            "#EXT-X-DISCONTINUITY" => write!(marks, "/"),
            "#EXT-X-GAP" => write!(marks, "~"),
            "#EXT-X-ENDLIST" => write!(line, " end"),
            _ if !text.starts_with('#') && !text.is_empty() => {
                write!(line, " {}{text}", std::mem::take(&mut marks))
            }
            _ => Ok(()),
        };
    }
    line.chars().take(400).collect()
}

/// What a panic says.
pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}

/// How many segments are to be listed.
pub fn window(wanted: Option<usize>) -> String {
    wanted.map_or_else(|| "by default".to_owned(), |it| it.to_string())
}
