//! The writer of multivariant playlists: the source's lines where they stood, with what the relay
//! changes in them.

use super::line::Tag;
use super::render::{is_owned, write_kept, write_uri};
use super::{AttributeList, MultivariantPlaylist, Rendition, Resolution, SessionTag};
use super::{foreign, version};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use url::Url;

/// What becomes of the entries of a list, each by its place in the vector of that name in
/// [`MultivariantPlaylist`]. Entries for which nothing is said are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultivariantEdits {
    /// Of the variants.
    pub variants: Vec<Edit>,
    /// Of the renditions.
    pub renditions: Vec<Edit>,
    /// Of the lists of I-frames.
    pub i_frame_variants: Vec<Edit>,
    /// Of the session's keys.
    pub session_keys: Vec<Edit>,
    /// Lines that go, by their places in [`MultivariantPlaylist::lines`].
    pub dropped: BTreeSet<usize>,
    /// Lines about the list as a whole that read otherwise.
    pub changed: BTreeMap<usize, Arc<str>>,
    /// In place of this variant, which goes, stand these lines.
    pub in_place: Option<(usize, Arc<str>)>,
    /// Whether all segments are said to be independent, where that is not as the list has it.
    pub independent: Option<bool>,
    /// Where the list came from, after redirects: each URI that is not changed is written as it
    /// resolves against it, since the list is now served from elsewhere (RFC 3986 5.2). Nothing
    /// leaves those URIs as they are.
    pub base: Option<Url>,
}

/// What becomes of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays, with these attributes changed.
    Keep(Changes),
    /// It goes, and with it what only it refers to.
    LeaveOut,
}

impl Default for Edit {
    fn default() -> Self {
        Self::Keep(Changes::default())
    }
}

/// The attributes that are set; the others stay as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The URI of the media playlist, or of the key.
    pub uri: Option<Arc<str>>,
    /// `BANDWIDTH`, in bits per second.
    pub bandwidth: Option<u64>,
    /// `AVERAGE-BANDWIDTH`, in bits per second.
    pub average_bandwidth: Option<u64>,
    /// `CODECS` (RFC 6381).
    pub codecs: Option<Arc<str>>,
    /// `RESOLUTION`.
    pub resolution: Option<Resolution>,
}

/// Writes a multivariant playlist (RFC 8216 4.3.4; rules S-29, S-38, S-40 to S-42, S-63, S-64).
///
/// Every line stands where it stood, but for these:
/// - The header, the lowest version that is enough, and `EXT-X-INDEPENDENT-SEGMENTS` come first.
/// - An `EXT-X-STREAM-INF` stands right before its URI, as RFC 8216 4.3.4.2 asks.
/// - Entries that are left out, or that could not be used, are gone with their URIs.
/// - A reference to a group that has no rendition (any more) is gone, and so is a group that only
///   variants which were left out referred to.
/// - `EXT-X-CONTENT-STEERING` is gone: the paths that its server would steer to are the source's,
///   and every one of them is relayed from here.
///
/// What RFC 8216 asks of the entries together is put right: at most one `DEFAULT=YES` in a group, no
/// `AUTOSELECT=NO` beside it, `CLOSED-CAPTIONS=NONE` and `SCORE` on all variants or on none.
pub fn render_multivariant(list: &MultivariantPlaylist, edits: &MultivariantEdits) -> String {
    let entries = Entries::new(list, edits);
    let mut body = String::with_capacity(list.lines.iter().map(|line| line.len() + 32).sum());
    for (index, line) in list.lines.iter().enumerate() {
        if edits.dropped.contains(&index) {
            continue;
        }
        match Tag::of(line) {
            Tag::Uri | Tag::Multivariant(_) => {
                if let Some(written) = entries.written.get(&index) {
                    body.push_str(written);
                }
            }
            tag @ (Tag::Header
            | Tag::Head(_)
            | Tag::HeadLine(_)
            | Tag::Segment(_)
            | Tag::SegmentLine(_)
            | Tag::Other) => {
                let resolved = edits
                    .base
                    .as_ref()
                    .and_then(|base| foreign::resolved(line, base));
                let changed = edits.changed.get(&index).map(|it| &**it);
                let line = changed.or(resolved.as_deref()).unwrap_or(line);
                write_kept(&mut body, line, is_owned(tag));
            }
        }
    }
    let mut out = String::with_capacity(body.len() + 64);
    let version = version::of_multivariant_lines(body.lines());
    // Writing to a String cannot fail.
    let _ = writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}");
    if edits.independent.unwrap_or(list.independent_segments) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    out.push_str(&body);
    out
}

/// The attributes by which variants name groups, which are the types of those groups too
/// (RFC 8216 4.3.4.2).
const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

/// A group: its type and its name (RFC 8216 4.3.4.1.1).
type Group = (String, String);

/// The entries that stay, as text, by the line at which they are written.
struct Entries {
    written: BTreeMap<usize, String>,
}

impl Entries {
    fn new(list: &MultivariantPlaylist, edits: &MultivariantEdits) -> Self {
        let base = edits.base.as_ref();
        let mut written = BTreeMap::new();
        let variants: Vec<_> = kept(&list.variants, &edits.variants).collect();
        let i_frame_variants: Vec<_> =
            kept(&list.i_frame_variants, &edits.i_frame_variants).collect();
        let of_variants = variants.iter().map(|(it, _)| &it.attributes);
        let of_i_frames = i_frame_variants.iter().map(|(it, _)| &it.attributes);
        let used: BTreeSet<Group> = of_variants.chain(of_i_frames).flat_map(groups_of).collect();
        let of_all = list.variants.iter().map(|it| &it.attributes);
        let unused: BTreeSet<Group> = of_all
            .flat_map(groups_of)
            .filter(|group| !used.contains(group))
            .collect();
        let renditions = kept(&list.renditions, &edits.renditions)
            .filter(|(rendition, _)| !unused.contains(&group_of(rendition)));

        let mut groups = BTreeSet::new();
        let mut defaults = BTreeSet::new();
        for (rendition, changes) in renditions {
            let group = group_of(rendition);
            let is_default = rendition.default && defaults.insert(group.clone());
            let attributes = one_default(rendition, is_default);
            let uri = rendition.uri.as_deref();
            let attributes = with_uri(changed(&attributes, changes), uri, changes, base);
            written.insert(rendition.tag_line, tag_line("MEDIA", &attributes));
            groups.insert(group);
        }

        let all_have = |name: &str| {
            let mut all = variants.iter();
            all.all(|(variant, _)| variant.attributes.get(name).is_some())
        };
        let no_captions = variants
            .iter()
            .all(|(variant, _)| variant.attributes.get("CLOSED-CAPTIONS") == Some("NONE"));
        let has_scores = all_have("SCORE");
        for (variant, changes) in &variants {
            let mut attributes = with_groups(&variant.attributes, &groups, no_captions);
            if !has_scores {
                attributes = attributes.without("SCORE");
            }
            let mut text = tag_line("STREAM-INF", &changed(&attributes, changes));
            let own = resolved(&variant.uri, base);
            write_uri(&mut text, changes.uri.as_deref().unwrap_or(&own));
            written.insert(variant.uri_line, text);
        }
        let in_place = edits.in_place.as_ref();
        if let Some((place, lines)) =
            in_place.and_then(|(variant, lines)| list.variants.get(*variant).zip(Some(lines)))
        {
            written.insert(place.uri_line, lines.to_string());
        }
        for (variant, changes) in i_frame_variants {
            let attributes = with_groups(&variant.attributes, &groups, false);
            let attributes = changed(&attributes, changes);
            let attributes = with_uri(attributes, Some(&variant.uri), changes, base);
            let text = tag_line("I-FRAME-STREAM-INF", &attributes);
            written.insert(variant.tag_line, text);
        }
        let data = kept(&list.session_data, &[]);
        written.extend(data.map(|(tag, changes)| session("SESSION-DATA", tag, changes, base)));
        let keys = kept(&list.session_keys, &edits.session_keys);
        written.extend(keys.map(|(tag, changes)| session("SESSION-KEY", tag, changes, base)));
        Self { written }
    }
}

/// The entries that stay, with what is changed in them.
fn kept<'a, T>(entries: &'a [T], edits: &'a [Edit]) -> impl Iterator<Item = (&'a T, &'a Changes)> {
    const UNCHANGED: &Changes = &Changes {
        uri: None,
        bandwidth: None,
        average_bandwidth: None,
        codecs: None,
        resolution: None,
    };
    entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| match edits.get(index) {
            None => Some((entry, UNCHANGED)),
            Some(Edit::Keep(changes)) => Some((entry, changes)),
            Some(Edit::LeaveOut) => None,
        })
}

fn group_of(rendition: &Rendition) -> Group {
    (rendition.kind.to_string(), rendition.group_id.to_string())
}

/// The groups that a variant refers to. `NONE` without quotes is no group.
fn groups_of(attributes: &AttributeList) -> Vec<Group> {
    let named = GROUPS.into_iter().filter_map(|kind| {
        let value = attributes.get(kind).filter(|value| *value != "NONE")?;
        let name = super::attributes::unquoted(value);
        Some((kind.to_owned(), name.to_owned()))
    });
    named.collect()
}

/// Without references to groups that nothing is in (rules C-54, S-38).
fn with_groups(
    attributes: &AttributeList,
    groups: &BTreeSet<Group>,
    no_captions: bool,
) -> AttributeList {
    let mut attributes = attributes.clone();
    for group in groups_of(&attributes) {
        if !groups.contains(&group) {
            attributes = attributes.without(&group.0);
        }
    }
    if !no_captions && attributes.get("CLOSED-CAPTIONS") == Some("NONE") {
        attributes = attributes.without("CLOSED-CAPTIONS");
    }
    attributes
}

/// One default in a group, which players may choose by themselves (RFC 8216 4.3.4.1, rule S-38).
fn one_default(rendition: &Rendition, is_default: bool) -> AttributeList {
    let attributes = &rendition.attributes;
    match (rendition.default, is_default) {
        (true, false) => attributes.with_plain("DEFAULT", "NO"),
        (true, true) if attributes.get("AUTOSELECT").is_some() => {
            attributes.with_plain("AUTOSELECT", "YES")
        }
        (true, true) | (false, _) => attributes.clone(),
    }
}

fn changed(attributes: &AttributeList, changes: &Changes) -> AttributeList {
    let mut attributes = attributes.clone();
    let resolution = changes
        .resolution
        .map(|it| format!("{}x{}", it.width, it.height));
    for (name, value) in [
        ("BANDWIDTH", changes.bandwidth.map(|it| it.to_string())),
        (
            "AVERAGE-BANDWIDTH",
            changes.average_bandwidth.map(|it| it.to_string()),
        ),
        ("RESOLUTION", resolution),
    ] {
        if let Some(value) = value {
            attributes = attributes.with_plain(name, &value);
        }
    }
    if let Some(codecs) = &changes.codecs {
        attributes = attributes.with_quoted("CODECS", codecs);
    }
    attributes
}

/// With the URI as it is to be written, where there is one.
fn with_uri(
    attributes: AttributeList,
    own: Option<&str>,
    changes: &Changes,
    base: Option<&Url>,
) -> AttributeList {
    match (&changes.uri, own) {
        (Some(uri), _) => attributes.with_quoted("URI", uri),
        (None, Some(own)) => attributes.with_quoted("URI", &resolved(own, base)),
        (None, None) => attributes,
    }
}

/// What cannot be resolved (`data:` URLs can) stays as it is: it leads nowhere from there either.
fn resolved(uri: &str, base: Option<&Url>) -> String {
    base.and_then(|base| base.join(uri).ok())
        .map_or_else(|| uri.to_owned(), String::from)
}

fn session(name: &str, tag: &SessionTag, changes: &Changes, base: Option<&Url>) -> (usize, String) {
    let attributes = with_uri(tag.attributes.clone(), tag.uri.as_deref(), changes, base);
    (tag.tag_line, tag_line(name, &attributes))
}

fn tag_line(name: &str, attributes: &AttributeList) -> String {
    let mut line = format!("#EXT-X-{name}:");
    super::render::write_blanked(&mut line, attributes.as_str());
    line.push('\n');
    line
}
