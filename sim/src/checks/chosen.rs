//! What of a presentation a channel's owner has chosen: the same question as the core's, answered from what there is.

use crate::origin::{FormatsTold, PresentationSpec, TrackKind};
use hls_relay_core::config::Selection;
use std::sync::Arc;

/// So many variants, audio renditions, subtitles and views.
pub fn chosen(presentation: &PresentationSpec, selection: &Selection) -> [usize; 4] {
    // The same from another place is the same.
    let own = (0..presentation.tracks.len()).filter(|at| presentation.twin_of(*at) == *at);
    let kinds: Vec<&TrackKind> = own.map(|at| &presentation.tracks[at].kind).collect();
    let told = presentation.formats == FormatsTold::Stated;
    let count = |wanted: &dyn Fn(&TrackKind) -> bool| kinds.iter().filter(|it| wanted(it)).count();
    let speaks = |language: &String| {
        let languages = &selection.languages;
        languages.is_empty() || languages.iter().any(|it| **it == **language)
    };
    let variants = count(&|it| match it {
        TrackKind::Variant { bandwidth, height } => {
            let height = if told { *height } else { 0 };
            let (codecs, made_of) = (&selection.codecs, it.formats().codecs);
            let coded = |codec: &Arc<str>| made_of.iter().any(|own| own.starts_with(&**codec));
            selection.min_height.is_none_or(|least| height >= least)
                && selection.max_height.is_none_or(|most| height <= most)
                && selection
                    .max_bandwidth
                    .is_none_or(|most| *bandwidth <= most)
                && (!told || codecs.is_empty() || codecs.iter().any(coded))
        }
        TrackKind::Audio { .. }
        | TrackKind::Video { .. }
        | TrackKind::Subtitles { .. }
        | TrackKind::IFrames { .. } => false,
    });
    let sound = count(&|it| matches!(it, TrackKind::Audio { .. }));
    let wanted = count(&|it| matches!(it, TrackKind::Audio { language } if speaks(language)));
    [
        variants,
        // Pictures without sound are nobody's wish.
        if wanted > 0 { wanted } else { sound },
        count(&|it| matches!(it, TrackKind::Subtitles { language } if speaks(language))),
        count(&|it| matches!(it, TrackKind::Video { .. })),
    ]
}
