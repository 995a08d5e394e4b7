//! For which configuration each listed segment was asked for. A generation has taken over when its first segment is
//! listed, and from then on nothing is listed that was asked of another source for an older one.
//!
//! The generation is that of the request by which a segment came, and not the one under which the machine says that
//! it publishes. Where a source stays, what was asked of it for an older generation belongs to the newer one as well:
//! it goes on without a break. Rungs of a ladder are judged by what they are made of.

use super::{Held, broken};
use crate::by_name::ByName;
use crate::published::Version;
use hls_relay_core::command::Command;
use hls_relay_core::config::Spec;
use hls_relay_core::ids::{Generation, ObjectName, PlaylistName};
use hls_relay_core::notice::Notice;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one process has asked for and listed.
#[derive(Debug, Default)]
pub struct GenerationChecks {
    /// The URLs of the sources of each generation.
    sources: BTreeMap<Generation, Vec<Arc<str>>>,
    /// Of objects that are not listed yet, in whose name they were asked for.
    asked: ByName<Asked>,
    /// What has taken over.
    listed: TookOver,
}

/// In whose name something was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    generation: Generation,
    /// The URL of the source.
    source: Arc<str>,
}

/// The newest generation of each source that has a segment listed.
type TookOver = BTreeMap<Arc<str>, Generation>;

impl GenerationChecks {
    /// What a step wants; `spec` is what the channel was last wished to be.
    pub fn commands(&mut self, commands: &[Command], spec: &Spec) {
        for command in commands {
            match command {
                Command::Notify(Notice::Configured { generation, .. }) => {
                    let urls = spec.sources.iter().map(|it| Arc::clone(&it.url));
                    self.sources.insert(Generation(*generation), urls.collect());
                }
                Command::Download(it) => {
                    let sources = self.sources.get(&it.generation);
                    if let Some(source) = sources.and_then(|all| all.get(it.source)) {
                        let (generation, source) = (it.generation, Arc::clone(source));
                        self.asked
                            .insert(&it.object.0, Asked { generation, source });
                    }
                }
                Command::LoadPlaylist(_)
                | Command::Transcode(_)
                | Command::Preload(_)
                | Command::CheckObjects { .. }
                | Command::Publish(_)
                | Command::Delete { .. }
                | Command::Withdraw { .. }
                | Command::SaveCheckpoint { .. }
                | Command::Cancel { .. }
                | Command::Notify(_) => {}
            }
        }
    }

    /// An object is gone.
    pub fn deleted(&mut self, object: &ObjectName) {
        self.asked.remove(&object.0);
    }

    /// These become visible at once: what a list has before the first segment of a generation is no older than
    /// what the others show of it.
    pub fn visible(&mut self, lists: &[(PlaylistName, Arc<Version>)]) -> Held {
        let before = self.listed.clone();
        for (name, version) in lists {
            let mut listed = before.clone();
            for segment in version.segments.iter().filter(|it| !it.gap) {
                let Some(asked) = self.asked.remove(&segment.uri) else {
                    continue;
                };
                let belongs_to = self.belongs_to(&asked);
                not_outdated(name, segment.number, (&asked, belongs_to), &listed)?;
                for listed in [&mut listed, &mut self.listed] {
                    let newest = listed.entry(Arc::clone(&asked.source)).or_default();
                    *newest = asked.generation.max(*newest);
                }
            }
        }
        Ok(())
    }

    /// The newest generation that has the same sources, without another in between.
    fn belongs_to(&self, asked: &Asked) -> Generation {
        let sources = self.sources.get(&asked.generation);
        let since = self.sources.range(asked.generation..);
        let same = since.take_while(|(_, it)| Some(*it) == sources);
        same.last().map_or(asked.generation, |(newest, _)| *newest)
    }
}

fn not_outdated(
    name: &PlaylistName,
    number: u64,
    (asked, belongs_to): (&Asked, Generation),
    listed: &TookOver,
) -> Held {
    let newer = |(source, newest): &(&Arc<str>, &Generation)| {
        **source != asked.source && **newest > belongs_to
    };
    let Some((source, newest)) = listed.iter().find(newer) else {
        return Ok(());
    };
    broken(
        "3 nothing of an older generation is listed once a newer one took over",
        format!("only of {newest:?} and newer, since that of {source} is listed"),
        format!("{asked:?} as segment {number} of {}", name.0),
    )
}
