//! Our multivariant playlist, as strictly as a careful player reads it (S-01, S-34 to S-41).

use super::{check_text, quoted};
use crate::lines::lines;
use hls_relay_core::ids::PlaylistName;
use std::sync::Arc;

/// What viewers open where there are several media playlists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multivariant {
    /// Its bytes.
    pub text: Arc<str>,
    /// In the order in which they stand.
    pub variants: Vec<Variant>,
    /// Those that have a playlist of their own.
    pub renditions: Vec<Rendition>,
    /// The playlists of I-frames.
    pub i_frames: Vec<PlaylistName>,
}

/// EXT-X-STREAM-INF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its media playlist.
    pub name: PlaylistName,
    /// AUDIO, SUBTITLES, VIDEO.
    pub groups: [Option<Arc<str>>; 3],
}

/// EXT-X-MEDIA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Its media playlist.
    pub name: PlaylistName,
    /// What it is an alternative to.
    pub kind: Alternative,
    /// GROUP-ID.
    pub group: Arc<str>,
    /// DEFAULT=YES.
    pub default: bool,
}

/// TYPE of EXT-X-MEDIA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// AUDIO.
    Audio,
    /// SUBTITLES.
    Subtitles,
    /// VIDEO.
    Video,
}

/// In the order of [`Variant::groups`].
const ALTERNATIVES: [(&str, Alternative); 3] = [
    ("AUDIO", Alternative::Audio),
    ("SUBTITLES", Alternative::Subtitles),
    ("VIDEO", Alternative::Video),
];

impl Multivariant {
    /// Every playlist that it leads to.
    pub fn names(&self) -> impl Iterator<Item = &PlaylistName> {
        let variants = self.variants.iter().map(|it| &it.name);
        let renditions = self.renditions.iter().map(|it| &it.name);
        variants.chain(renditions).chain(&self.i_frames)
    }

    /// Whether the others wait for a playlist: subtitles may be empty for long, and I-frames only help to
    /// seek.
    pub fn is_waited_for(&self, name: &str) -> bool {
        let variants = self.variants.iter().map(|it| &it.name);
        let renditions = self.renditions.iter();
        let renditions = renditions.filter(|it| it.kind != Alternative::Subtitles);
        let mut waited = variants.chain(renditions.map(|it| &it.name));
        waited.any(|it| *it.0 == *name)
    }

    /// The sound that plays with a variant whose own has been put elsewhere.
    pub fn audio_of(&self, variant: &Variant) -> Option<&PlaylistName> {
        let audio: Vec<_> = self.group_of(variant, Alternative::Audio).collect();
        let default = audio.iter().find(|it| it.default);
        default.or(audio.first()).map(|it| &it.name)
    }

    /// The alternatives of one kind that go with a variant.
    pub fn group_of(
        &self,
        variant: &Variant,
        kind: Alternative,
    ) -> impl Iterator<Item = &Rendition> {
        let groups = ALTERNATIVES.iter().zip(variant.groups.clone());
        let mut own = groups.filter(move |((_, it), _)| *it == kind);
        let group = own.next().and_then(|(_, group)| group);
        let renditions = self.renditions.iter();
        renditions.filter(move |it| it.kind == kind && Some(&it.group) == group.as_ref())
    }
}

/// Reads a multivariant playlist; says what is wrong with it in words.
pub fn parse_multivariant(text: &Arc<str>) -> Result<Multivariant, String> {
    check_text(text)?;
    let mut read = Multivariant {
        text: Arc::clone(text),
        variants: Vec::new(),
        renditions: Vec::new(),
        i_frames: Vec::new(),
    };
    let mut variant = None;
    let mut groups: Vec<(&str, Arc<str>)> = Vec::new();
    for (index, line) in lines(text).enumerate() {
        let fault = |what: &str| format!("line {}: {what}: {line}", index + 1);
        if (index == 0) != (line == "#EXTM3U") {
            return Err(fault("EXTM3U is the first line"));
        }
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        if variant.is_some() && line.starts_with('#') {
            return Err(fault("no URI behind EXT-X-STREAM-INF"));
        }
        let group = |name| quoted(value, name).map(Arc::from);
        let name = |uri: &str| PlaylistName(uri.into());
        match tag {
            "#EXT-X-STREAM-INF" => {
                if !value.split(',').any(|it| it.starts_with("BANDWIDTH=")) {
                    return Err(fault("no BANDWIDTH (S-35)"));
                }
                variant = Some(ALTERNATIVES.map(|(kind, _)| group(kind)));
            }
            "#EXT-X-MEDIA" => {
                let group = group("GROUP-ID").ok_or_else(|| fault("no GROUP-ID"))?;
                let is_of = |(kind, _): &&(&str, _)| value.contains(&format!("TYPE={kind},"));
                let Some((kind, alternative)) = ALTERNATIVES.iter().find(is_of) else {
                    continue;
                };
                groups.push((*kind, Arc::clone(&group)));
                if let Some(uri) = quoted(value, "URI") {
                    read.renditions.push(Rendition {
                        name: name(uri),
                        kind: *alternative,
                        group,
                        default: value.contains("DEFAULT=YES"),
                    });
                }
            }
            "#EXT-X-I-FRAME-STREAM-INF" => {
                let uri = quoted(value, "URI").ok_or_else(|| fault("no URI"))?;
                read.i_frames.push(name(uri));
            }
            "#EXTINF" | "#EXT-X-TARGETDURATION" | "#EXT-X-MEDIA-SEQUENCE" => {
                return Err(fault("a tag of media playlists"));
            }
            uri if !uri.starts_with('#') => {
                let groups = variant.take().ok_or_else(|| fault("a URI alone"))?;
                let name = name(line);
                read.variants.push(Variant { name, groups });
            }
            _ => {}
        }
    }
    if variant.is_some() || read.variants.is_empty() {
        return Err("no variant, or one without a URI".to_owned());
    }
    let named = |it: &Variant| {
        let kinds = ALTERNATIVES.iter().map(|(kind, _)| *kind);
        let named = kinds.zip(it.groups.clone());
        named
            .filter_map(|(kind, group)| Some((kind, group?)))
            .collect::<Vec<_>>()
    };
    let mut named = read.variants.iter().flat_map(named);
    match named.find(|it| !groups.contains(it)) {
        Some((_, group)) => Err(format!("a group that nobody is in: {group}")),
        None => Ok(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#EXTM3U\n#EXT-X-VERSION:4\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"fr\",DEFAULT=NO,URI=\"a0.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"a1.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv0.m3u8\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i0.m3u8\"\n";

    #[test]
    fn a_good_one_is_read_whole() {
        let read = parse_multivariant(&GOOD.into()).unwrap();
        let names: Vec<&str> = read.names().map(|it| &*it.0).collect();
        assert_eq!(names, ["v0.m3u8", "a0.m3u8", "a1.m3u8", "i0.m3u8"]);
        let audio = read.audio_of(&read.variants[0]);
        assert_eq!(audio.map(|it| &*it.0), Some("a1.m3u8"));
    }

    #[test]
    fn what_a_player_would_stumble_over_is_an_error() {
        for bad in [
            GOOD.replace("v0.m3u8\n", ""),
            GOOD.replace("AUDIO=\"a\"", "AUDIO=\"b\""),
            GOOD.replace(":BANDWIDTH=1,AUDIO", ":AUDIO"),
            GOOD.replace("#EXTM3U\n", ""),
            format!("{GOOD}v1.m3u8\n"),
            format!("{GOOD}#EXTINF:4.0,\n"),
        ] {
            assert!(parse_multivariant(&bad.as_str().into()).is_err(), "{bad}");
        }
    }
}
