//! A strict reader of multivariant playlists: RFC 8216 4.3.4 to the letter, and by other code than the
//! relay's (S-35 to S-42, S-63, S-64, C-54). It needs nothing but the text, so that whoever sees one can
//! ask it.

use std::collections::{BTreeMap, BTreeSet};

/// Attributes that are quoted strings; those that may be either are in no list.
const QUOTED: [&str; 21] = [
    "ALLOWED-CPC",
    "ASSOC-LANGUAGE",
    "AUDIO",
    "CHANNELS",
    "CHARACTERISTICS",
    "CODECS",
    "DATA-ID",
    "GROUP-ID",
    "INSTREAM-ID",
    "KEYFORMAT",
    "KEYFORMATVERSIONS",
    "LANGUAGE",
    "NAME",
    "PATHWAY-ID",
    "STABLE-RENDITION-ID",
    "STABLE-VARIANT-ID",
    "SUBTITLES",
    "SUPPLEMENTAL-CODECS",
    "URI",
    "VALUE",
    "VIDEO",
];

/// Attributes that are one of these words.
const WORDS: [(&str, &[&str]); 7] = [
    ("AUTOSELECT", &["YES", "NO"]),
    ("DEFAULT", &["YES", "NO"]),
    ("FORCED", &["YES", "NO"]),
    ("HDCP-LEVEL", &["TYPE-0", "TYPE-1", "NONE"]),
    ("TYPE", &["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"]),
    ("VIDEO-RANGE", &["SDR", "HLG", "PQ"]),
    ("FORMAT", &["JSON", "RAW"]),
];

/// By which variants name groups, which are their types too.
const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

/// Tags with a place of their own here; of the others those of media playlists are wrong.
const MEDIA_ONLY: [&str; 16] = [
    "EXTINF",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-BYTERANGE",
    "EXT-X-DISCONTINUITY",
    "EXT-X-KEY",
    "EXT-X-MAP",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXT-X-DATERANGE",
    "EXT-X-GAP",
    "EXT-X-BITRATE",
    "EXT-X-PART",
];

type Attributes = BTreeMap<String, String>;
type Read<T> = Result<T, String>;

#[derive(Default)]
struct List {
    variants: Vec<Attributes>,
    i_frames: Vec<Attributes>,
    renditions: Vec<Attributes>,
    data: Vec<Attributes>,
    keys: Vec<Attributes>,
    media: BTreeSet<String>,
}

/// Reads a multivariant playlist of ours, and gives the media playlists that it leads to.
///
/// # Errors
/// The first rule that it breaks, in words.
pub(crate) fn check(text: &str) -> Result<BTreeSet<String>, String> {
    let list = read(text)?;
    if list.variants.is_empty() {
        return Err("no variant".to_owned());
    }
    for variant in list.variants.iter().chain(&list.i_frames) {
        check_rates(variant)?;
    }
    check_variants(&list)?;
    check_renditions(&list.renditions)?;
    for variant in &list.i_frames {
        required(variant, &["URI"], "S-40")?;
    }
    check_session(&list)?;
    // What is relayed is had from here (S-65).
    match list
        .media
        .iter()
        .find(|uri| uri.contains("://") || uri.contains('?'))
    {
        Some(uri) => Err(format!("S-65: {uri} is not ours")),
        None => Ok(list.media),
    }
}

/// S-63: lines, and each with what it needs.
fn read(text: &str) -> Read<List> {
    let body = text.strip_prefix("#EXTM3U\n").ok_or("S-63: no EXTM3U")?;
    let body = body
        .strip_suffix('\n')
        .ok_or("S-63: no line end at the end")?;
    let (mut list, mut once, mut variant) = (List::default(), BTreeSet::new(), None);
    for line in body.split('\n') {
        if line.is_empty() || line.contains(char::is_control) || line.trim() != line {
            return Err(format!("S-63: {line:?}"));
        }
        if !line.starts_with('#') {
            let attributes = variant
                .take()
                .ok_or(format!("a URI of no variant: {line}"))?;
            list.variants.push(attributes);
            list.media.insert(line.to_owned());
            continue;
        }
        if variant.is_some() {
            return Err(format!("no URI right behind EXT-X-STREAM-INF: {line}"));
        }
        let (name, value) = line[1..].split_once(':').unwrap_or((&line[1..], ""));
        match name {
            "EXT-X-STREAM-INF" => variant = Some(attributes(value)?),
            "EXT-X-I-FRAME-STREAM-INF" => list.i_frames.push(attributes(value)?),
            "EXT-X-MEDIA" => list.renditions.push(attributes(value)?),
            "EXT-X-SESSION-DATA" => list.data.push(attributes(value)?),
            "EXT-X-SESSION-KEY" => list.keys.push(attributes(value)?),
            "EXT-X-VERSION" | "EXT-X-INDEPENDENT-SEGMENTS" | "EXT-X-START"
                if !once.insert(name) =>
            {
                return Err(format!("C-05: {name} stands twice"));
            }
            "EXTM3U" | "EXT-X-CONTENT-STEERING" | "EXT-X-DEFINE" => {
                return Err(format!("{name} has no place here"));
            }
            _ if MEDIA_ONLY.contains(&name) => {
                return Err(format!("C-04: {name} is of media playlists"));
            }
            _ => {}
        }
    }
    if variant.is_some() || !once.contains("EXT-X-VERSION") {
        return Err("S-29: no version, or no URI at the end".to_owned());
    }
    let leads = list.i_frames.iter().chain(&list.renditions);
    let leads: Vec<String> = leads.filter_map(|it| text_of(it, "URI")).collect();
    list.media.extend(leads);
    Ok(list)
}

/// An attribute list, taken apart at the commas that stand outside of quotes.
pub(crate) fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for character in text.chars() {
        quoted ^= character == '"';
        match parts.last_mut() {
            Some(part) if character != ',' || quoted => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// S-64, R 4.2: no blanks, no name twice, each value of its type.
fn attributes(text: &str) -> Read<Attributes> {
    let mut found = Attributes::new();
    for part in parts(text) {
        let wrong = || format!("S-64: {part} in {text}");
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let plain = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '-';
        let is_string = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let inner = if is_string {
            &value[1..value.len() - 1]
        } else {
            value
        };
        let closed =
            !inner.contains('"') && !inner.is_empty() && (is_string || !value.contains(' '));
        let number = |text: &str| text.parse::<u64>().is_ok() && !text.starts_with('+');
        let decimal = |text: &str| {
            let mut digits = text.split('.');
            text.split('.').count() <= 2 && digits.all(number)
        };
        let typed = match name {
            "BANDWIDTH" | "AVERAGE-BANDWIDTH" | "PROGRAM-ID" | "BIT-DEPTH" | "SAMPLE-RATE" => {
                number(value)
            }
            "FRAME-RATE" | "SCORE" => decimal(value),
            "RESOLUTION" => value
                .split_once('x')
                .is_some_and(|(width, height)| number(width) && number(height)),
            _ if QUOTED.contains(&name) => is_string,
            _ => WORDS
                .iter()
                .find(|it| it.0 == name)
                .is_none_or(|it| it.1.contains(&value)),
        };
        let named = !name.is_empty() && name.chars().all(plain);
        if !(named && closed && typed) || found.insert(name.to_owned(), value.to_owned()).is_some()
        {
            return Err(wrong());
        }
    }
    Ok(found)
}

fn text_of(attributes: &Attributes, name: &str) -> Option<String> {
    attributes
        .get(name)
        .map(|it| it.trim_matches('"').to_owned())
}

fn required(attributes: &Attributes, names: &[&str], rule: &str) -> Read<()> {
    match names.iter().find(|name| !attributes.contains_key(**name)) {
        Some(name) => Err(format!("{rule}: no {name} in {attributes:?}")),
        None => Ok(()),
    }
}

/// S-35: a peak, and an average below it.
fn check_rates(variant: &Attributes) -> Read<()> {
    required(variant, &["BANDWIDTH"], "S-35")?;
    let rate = |name: &str| variant.get(name).and_then(|it| it.parse::<u64>().ok());
    let peak = rate("BANDWIDTH").filter(|it| *it > 0);
    match (peak, rate("AVERAGE-BANDWIDTH")) {
        (None, _) => Err(format!("S-35: {variant:?}")),
        (Some(peak), Some(average)) if average > peak => {
            Err(format!("S-35: {average} on average is over {peak}"))
        }
        _ => Ok(()),
    }
}

/// C-54, S-38, S-42: groups are there, and what is said of one is said of all.
fn check_variants(list: &List) -> Read<()> {
    let groups: BTreeSet<_> = list.renditions.iter().map(group_of).collect();
    for variant in list.variants.iter().chain(&list.i_frames) {
        for kind in GROUPS {
            let none = variant.get(kind).is_some_and(|it| it == "NONE");
            if none && kind == "CLOSED-CAPTIONS" {
                continue;
            }
            let named = text_of(variant, kind).map(|name| (Some(kind.to_owned()), Some(name)));
            if named.as_ref().is_some_and(|it| !groups.contains(it)) {
                return Err(format!("C-54: nobody is in {named:?}"));
            }
        }
    }
    let says = |name: &str, wanted: Option<&str>| {
        let said = list.variants.iter().filter(|it| match it.get(name) {
            Some(value) => wanted.is_none_or(|wanted| wanted == value),
            None => false,
        });
        said.count()
    };
    let all = list.variants.len();
    if ![0, all].contains(&says("CLOSED-CAPTIONS", Some("NONE"))) {
        return Err("S-38: CLOSED-CAPTIONS=NONE on some variants".to_owned());
    }
    if ![0, all].contains(&says("SCORE", None)) {
        return Err("S-42: SCORE on some variants".to_owned());
    }
    Ok(())
}

fn group_of(rendition: &Attributes) -> (Option<String>, Option<String>) {
    (text_of(rendition, "TYPE"), text_of(rendition, "GROUP-ID"))
}

/// C-54, S-38.
fn check_renditions(renditions: &[Attributes]) -> Read<()> {
    let (mut names, mut defaults) = (BTreeSet::new(), BTreeSet::new());
    for rendition in renditions {
        required(rendition, &["TYPE", "GROUP-ID", "NAME"], "C-54")?;
        let (group, name) = (group_of(rendition), text_of(rendition, "NAME"));
        let has = |name: &str| rendition.contains_key(name);
        let is = |name: &str, value: &str| rendition.get(name).is_some_and(|it| it == value);
        let wrong = |why: &str| Err(format!("{why}: {rendition:?}"));
        if !names.insert((group.clone(), name)) {
            return wrong("C-54: the name stands twice in its group");
        }
        if is("DEFAULT", "YES") && !defaults.insert(group) {
            return wrong("S-38: two defaults in a group");
        }
        if is("DEFAULT", "YES") && is("AUTOSELECT", "NO") {
            return wrong("S-38: a default that is not to be selected");
        }
        if is("TYPE", "SUBTITLES") && !has("URI") {
            return wrong("C-54: subtitles without URI");
        }
        if is("TYPE", "CLOSED-CAPTIONS") && (has("URI") || !has("INSTREAM-ID")) {
            return wrong("C-54: captions are in the pictures");
        }
        if has("FORCED") && !is("TYPE", "SUBTITLES") {
            return wrong("C-54: only subtitles are forced");
        }
    }
    Ok(())
}

/// S-41.
fn check_session(list: &List) -> Read<()> {
    let mut known = BTreeSet::new();
    for data in &list.data {
        required(data, &["DATA-ID"], "S-41")?;
        let id = (data.get("DATA-ID"), data.get("LANGUAGE"));
        if data.contains_key("VALUE") == data.contains_key("URI") || !known.insert(id) {
            return Err(format!("S-41: {data:?}"));
        }
    }
    for key in &list.keys {
        required(key, &["METHOD", "URI"], "S-41")?;
        if key.get("METHOD").is_some_and(|it| it == "NONE") {
            return Err(format!("S-41: {key:?}"));
        }
    }
    Ok(())
}
