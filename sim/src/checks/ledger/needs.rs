//! What a segment is read with is what its source has for it: the same init section, the same key, and the
//! vector that its number at the source gives (S-31 to S-33).

use super::line::Books;
use super::{Held, Known, MediaKey, Stored, broken};
use crate::origin::{Fault, FaultKind, MediaKind, MediaRef, Origin, TextFault};
use crate::published::{Listed, quoted};
use hls_relay_core::config::KeyPolicy;
use hls_relay_core::time::Timestamp;

impl Known {
    /// What becomes of a segment's key, where that was not wished otherwise since it was first listed.
    fn keys_of(&self, stored: Stored) -> Option<KeyPolicy> {
        let first = self.offers.get(&stored.key)?.first;
        let steady = self.keys.since < first && stored.asker.process == self.process;
        steady.then_some(self.keys.policy)
    }
}

/// Whether a segment is listed with just what it needs. It `is_broken` off from what came before it: there is a
/// discontinuity right before it, or before the gaps between the two.
pub(super) fn right(books: &Books<'_>, stored: Stored, listed: &Listed, is_broken: bool) -> Held {
    is_called_right(stored.media.kind, listed)?;
    is_rated(books.origin(stored.key), &stored.media, listed)?;
    keeps_lines(books, stored.key, listed, is_broken)?;
    let (key, at) = (stored.key, books.now.since(Timestamp::default()));
    let wanted = books.origin(key).needs_of(&stored.media, at);
    let named = |value: &Option<std::sync::Arc<str>>| {
        value
            .as_deref()
            .and_then(|value| quoted(value, "URI"))
            .map(str::to_owned)
    };
    let hash = |uri: &str| {
        let stored = books.known.objects.get(uri);
        stored.map(|stored| stored.media.hash)
    };
    let map = named(&listed.needs.map);
    let init = map.as_deref().map(hash);
    let good = match (&wanted.init, init) {
        (None, None) => true,
        (Some(editions), Some(Some(hash))) => editions.contains(&hash),
        (Some(_), None | Some(None)) | (None, Some(_)) => false,
    };
    if !good {
        return broken(
            "S-31 a segment is listed with its init section",
            format!("{:?} of {key:?}", wanted.init),
            format!("{:?}: {init:?}", listed.needs.map),
        );
    }
    let uri = named(&listed.needs.key);
    let wish = books.known.keys_of(stored);
    if wish.is_some_and(|it| stored.decrypted && it != KeyPolicy::Decrypt) {
        return broken(
            "what becomes of keys is as wished",
            format!("{wish:?} of {key:?}"),
            "decrypted",
        );
    }
    let key_wanted = wanted.key.filter(|it| it.untouched || !stored.decrypted);
    let said = |name| said(listed, name);
    let good = match (&key_wanted, uri.as_deref()) {
        (None, None) => true,
        // Left where it was, or ours.
        (Some(own), Some(uri)) => {
            let left = uri
                .split('?')
                .next()
                .is_some_and(|path| path.ends_with(own.name.as_str()));
            let vectors = match own.vector {
                Some(vector) => vec![vector],
                None => books.numbers(key).into_iter().map(u128::from).collect(),
            };
            let here = !own.untouched && hash(uri) == Some(own.hash);
            let (left, here) = match wish.filter(|_| !own.untouched) {
                Some(KeyPolicy::Origin) => (left, false),
                Some(KeyPolicy::Rehost) => (false, here),
                Some(KeyPolicy::Decrypt) => (false, false),
                None => (left, here),
            };
            let vector = match own.untouched {
                // Where its source says none, the media has it.
                true => said("IV").is_none(),
                false => has_vector(listed, &vectors),
            };
            (left || here) && vector && said("METHOD") == Some(own.method)
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    if good {
        return Ok(());
    }
    broken(
        "S-32 a segment is listed with its key and its vector",
        format!("{key_wanted:?} of {key:?}"),
        format!("{:?} at {}", listed.needs.key, listed.number),
    )
}

/// What the source says of a segment and the relay does not understand stands before it, in its order, and nothing else.
fn keeps_lines(books: &Books<'_>, key: MediaKey, listed: &Listed, is_broken: bool) -> Held {
    let spec = books.origin(key).spec();
    let of_text = |fault: &Fault| matches!(fault.kind, FaultKind::Text(_));
    if books.known.chooses_tags || spec.faults.iter().any(of_text) {
        return Ok(());
    }
    let told = spec.tags.get(&key.number).into_iter().flatten();
    let told: Vec<&str> = told.map(String::as_str).filter(|it| is_kept(it)).collect();
    let kept: Vec<&str> = crate::lines::lines(&listed.block)
        .filter(|it| it.starts_with('#') && is_kept(it))
        .collect();
    // What stands before the first segment of a list may be about the list.
    let offer = books.known.offers.get(&key);
    let may_lack = kept.is_empty() && offer.is_none_or(|it| it.at_head);
    // Behind a hole that is a discontinuity stands what stood in the hole, too.
    let own_at = kept.len().saturating_sub(told.len());
    let of_others = |line: &&str| {
        let mut all = books.origins.iter().flat_map(|it| it.spec().tags.values());
        all.any(|lines| lines.iter().any(|it| it == line))
    };
    let may_have_more = is_broken && kept[..own_at].iter().all(of_others);
    if kept == told || may_lack || (may_have_more && kept[own_at..] == told) {
        return Ok(());
    }
    broken(
        "DESIGN 5.7 what is not understood stays where it stood",
        format!("{told:?} before {key:?}"),
        format!("{kept:?}"),
    )
}

/// Whether a line is none of those that the relay writes itself.
fn is_kept(line: &str) -> bool {
    const OWN: [&str; 7] = [
        "#EXTINF:",
        "#EXT-X-PROGRAM-DATE-TIME:",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-GAP",
        "#EXT-X-BYTERANGE:",
        "#EXT-X-BITRATE:",
        "#EXT-X-DATERANGE:",
    ];
    !OWN.iter().any(|own| line.starts_with(own))
}

/// C-58: a bit rate is one that the source has stated, or the segment's own.
fn is_rated(origin: &Origin, media: &MediaRef, listed: &Listed) -> Held {
    let Some(rate) = &listed.needs.bit_rate else {
        return Ok(());
    };
    let odd = |fault: &Fault| matches!(fault.kind, FaultKind::Text(TextFault::Odd(_)));
    let mut lines = origin.spec().tags.values().flatten();
    let mut stated = lines
        .by_ref()
        .filter_map(|it| it.strip_prefix("#EXT-X-BITRATE:"));
    let own = (media.len * 8_000 / media.duration.as_micros().max(1)).max(1);
    if stated.any(|it| it == &**rate)
        || own.to_string() == **rate
        || origin.spec().faults.iter().any(odd)
    {
        return Ok(());
    }
    broken(
        "C-58 a bit rate is stated by the source, or true",
        format!("one of the source's, or {own}"),
        rate.to_string(),
    )
}

/// S-43: what is neither a transport stream nor a fragment is served as what it is, by the ending of its name.
fn is_called_right(kind: MediaKind, listed: &Listed) -> Held {
    let ending = match kind {
        MediaKind::Text => ".vtt",
        MediaKind::Packed => ".aac",
        MediaKind::TransportStream
        | MediaKind::Fragment
        | MediaKind::InitSection
        | MediaKind::Key => return Ok(()),
    };
    if listed.uri.ends_with(ending) {
        return Ok(());
    }
    broken("S-43 media is named by its kind", ending, &*listed.uri)
}

/// What its key says under a name, where that stands without quotes.
fn said<'a>(listed: &'a Listed, name: &str) -> Option<&'a str> {
    let value = listed.needs.key.as_deref().unwrap_or_default();
    let named = |it: &'a str| it.strip_prefix(name)?.strip_prefix('=');
    value.split(',').find_map(named)
}

/// The vector is one of these, said or by the segment's own number here.
fn has_vector(listed: &Listed, vectors: &[u128]) -> bool {
    match said(listed, "IV") {
        Some(vector) => {
            let digits = vector.trim_start_matches("0x").trim_start_matches("0X");
            u128::from_str_radix(digits, 16).is_ok_and(|it| vectors.contains(&it))
        }
        None => vectors.contains(&u128::from(listed.number)),
    }
}
