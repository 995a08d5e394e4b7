//! What an owner before has left in a folder that the nodes of a cluster share: `ROOT/CHANNEL/EPOCH/` is one
//! owner's alone.

use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::ids::ObjectName;
use std::fs;
use std::path::{Path, PathBuf};

/// Gives the owner of `epoch` the objects that his checkpoint knows, under their names, and takes away the folders of
/// the owners before. What is in them is looked at before it is listed, so what cannot be had is no failure.
pub(super) fn inherit(folder: &Path, epoch: u64, checkpoint: Option<&Checkpoint>) {
    let mine = folder.join(epoch.to_string());
    for (_, before) in epochs(folder).into_iter().filter(|(it, _)| *it < epoch) {
        for object in checkpoint.into_iter().flat_map(objects) {
            // The same bytes under a second name, however long they are.
            let _ = fs::hard_link(before.join(&*object.0), mine.join(&*object.0));
        }
        if let Err(error) = fs::remove_dir_all(&before) {
            let channel = channel_of(folder);
            tracing::warn!(channel, "cannot remove {}: {error}", before.display());
        }
    }
}

/// Takes away all that owners have left.
pub(super) fn forget(folder: &Path) {
    for (_, of_owner) in epochs(folder) {
        if let Err(error) = fs::remove_dir_all(&of_owner) {
            let channel = channel_of(folder);
            tracing::warn!(channel, "cannot remove {}: {error}", of_owner.display());
        }
    }
}

fn channel_of(folder: &Path) -> &str {
    let name = folder.file_name().and_then(|it| it.to_str());
    name.unwrap_or_default()
}

/// The folders of owners in a channel's folder.
fn epochs(folder: &Path) -> Vec<(u64, PathBuf)> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let epochs = found.filter_map(|it| {
        let name = it.file_name();
        let epoch = name.to_str()?.parse().ok()?;
        it.path().is_dir().then(|| (epoch, it.path()))
    });
    epochs.collect()
}

fn objects(checkpoint: &Checkpoint) -> impl Iterator<Item = &ObjectName> {
    let entries = checkpoint.tracks.iter().flat_map(|it| &it.window);
    let listed = entries.flat_map(|it| it.stored.iter().chain(&it.resources));
    let listed = listed.map(|it| &it.object);
    let retired = checkpoint.retired.iter().map(|it| &it.object);
    let leaving = checkpoint.leaving.iter().map(|it| &it.object);
    listed.chain(retired).chain(leaving)
}
