//! The text of the playlist, as an encoder of some other make would write it.
//!
//! It shares no code with the relay's own writer, so that a mistake is not made on both sides.

use super::encoder::{Encoder, Place, Window};
use super::fault::TextFault;
use super::form::{self, Form};
use super::media::MediaRef;
use super::names::{self, DateForm};
use super::spec::{Keeps, OriginSpec, Tokens};
use crate::rng::Stream;
use hls_relay_core::time::Span;
use std::fmt::Write;

/// For whom a playlist is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) host: &'a str,
    /// The folder of this host in front of every path.
    pub(super) prefix: &'a str,
    /// How many reloads came before.
    pub(super) sequence: u64,
    /// What stands behind each URI, that says when it was given out.
    pub(super) issued: &'a str,
}

/// What a playlist is written of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) spec: &'a OriginSpec,
    pub(super) form: &'a Form,
    pub(super) encoder: &'a Encoder,
    /// The byte range of a segment in its file, where files hold several.
    pub(super) range: &'a dyn Fn(Place) -> Option<(u64, MediaRef)>,
    /// Whether a segment has a URI that a client asks for.
    pub(super) fetchable: &'a dyn Fn(Place) -> bool,
    /// Whether it is said that there is nothing to ask for.
    pub(super) gap: &'a dyn Fn(Place) -> bool,
}

/// Writes the playlist of a window.
pub(super) fn render(
    source: Source<'_>,
    window: &Window,
    reader: Reader<'_>,
    faults: &[TextFault],
) -> String {
    let Source {
        spec,
        form,
        encoder,
        range,
        fetchable,
        gap,
    } = source;
    let mut out = String::with_capacity(128 + 96 * window.places.len());
    write_head(&mut out, spec, encoder, window, faults);
    if form.first_frame {
        out.push_str("#EXT-X-I-FRAMES-ONLY\n");
    }
    let (mut init, mut key) = (None, None);
    let token = Stream::new(spec.seed, "token").draw(reader.sequence);
    let rotates = faults.contains(&TextFault::RotatingTokens);
    let tokens = match spec.tokens == Tokens::None && rotates {
        true => Tokens::Query,
        false => spec.tokens,
    };
    for (nth, &place) in window.places.iter().enumerate() {
        let piece = encoder.piece(place);
        if piece.discontinuity && place.index == 0 {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let number = piece.first_number + place.index;
        // The init section is clear: it stands before the key.
        if init != form.init_of(encoder, place) {
            init = form.init_of(encoder, place);
            if let Some((names, discontinuity)) = init {
                let issued = reader.issued;
                let name = form::init_name(names, discontinuity);
                let _ = writeln!(out, "#EXT-X-MAP:URI=\"{name}{issued}\"");
            }
        }
        if key != form.key_of(number) {
            key = form.key_of(number);
            let name = key.map(|key| form::key_name(piece.names, key));
            let folder = if form.shared_keys { "../t0/" } else { "" };
            let address = format!("{folder}{}{}", name.unwrap_or_default(), reader.issued);
            out.push_str(&form.key_lines(key, &address));
        }
        if let Some(lines) = spec.tags.get(&(piece.first_number + place.index)) {
            for line in lines {
                out.push_str(line);
                out.push('\n');
            }
        }
        if spec.program_date_time {
            out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
            let start = names::wall(spec, piece.start(place.index));
            names::write_utc(&mut out, start, DateForm::Extended);
            out.push('\n');
        }
        write_duration(&mut out, spec, piece.duration(place.index));
        if nth == 0 && faults.contains(&TextFault::NulByte) {
            out.push_str("#EXT-X-BROKEN:\0\n");
        }
        if let Some((offset, media)) = range(place) {
            let _ = writeln!(out, "#EXT-X-BYTERANGE:{}@{offset}", media.len);
        }
        if gap(place) {
            out.push_str("#EXT-X-GAP\n");
        }
        match fetchable(place) {
            true => names::write_base(&mut out, spec, (reader.host, reader.prefix)),
            false => names::write_foreign_base(&mut out, spec),
        }
        names::write_uri(&mut out, spec, (form, encoder), place, (tokens, token));
        out.push_str(reader.issued);
        out.push('\n');
    }
    if window.ended {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}

fn write_head(
    out: &mut String,
    spec: &OriginSpec,
    encoder: &Encoder,
    window: &Window,
    faults: &[TextFault],
) {
    let (Some(&first), Some(&last)) = (window.places.first(), window.places.last()) else {
        return;
    };
    let head = encoder.piece(first);
    let media_sequence = head.first_number + first.index + spec.counted_higher;
    let mut target_duration = encoder.piece(last).target_duration;
    let mut version = spec.version;
    let mut again = None;
    for fault in faults {
        match *fault {
            TextFault::Version { version: claimed } => version = claimed,
            TextFault::DuplicateTags { agree } => again = Some(u64::from(!agree)),
            TextFault::TargetDuration {
                target_duration: claimed,
            } => target_duration = claimed,
            TextFault::ByteOrderMark if out.is_empty() => out.push('\u{feff}'),
            TextFault::ByteOrderMark => {}
            TextFault::RotatingTokens
            | TextFault::NotUtf8
            | TextFault::NulByte
            | TextFault::ForeignScheme
            | TextFault::Gaps
            | TextFault::Odd(_)
            | TextFault::HugeTags { .. } => {}
        }
    }
    let _ = write!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target_duration}\n\
         #EXT-X-MEDIA-SEQUENCE:{media_sequence}\n"
    );
    match spec.keeps {
        Keeps::Window => {}
        Keeps::Event => out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        Keeps::Vod => out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
    }
    if let Some(difference) = again {
        let _ = write!(
            out,
            "#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            target_duration + difference,
            media_sequence + difference
        );
    }
    // The tag counts what has left the list: a discontinuity at its first segment is still in it.
    let still_listed = u64::from(head.discontinuity && first.index == 0);
    let left = head.discontinuity_sequence - still_listed;
    let said = match spec.discontinuity_sequence {
        true => Some(left).filter(|left| *left > 0),
        false => spec.discontinuity_sequence_says,
    };
    if let Some(said) = said {
        let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{said}");
    }
}

/// EXTINF with six decimals, or whole seconds where the version knows no others.
fn write_duration(out: &mut String, spec: &OriginSpec, duration: Span) {
    let micros = duration.as_micros();
    // Every reload has some of these, and formatting is what takes the time of a simulated day.
    let mut digits = itoa::Buffer::new();
    out.push_str("#EXTINF:");
    if spec.version < 3 {
        out.push_str(digits.format(duration.rounded_secs()));
    } else {
        out.push_str(digits.format(micros / 1_000_000));
        out.push('.');
        // The one in front keeps the zeros.
        out.push_str(&digits.format(1_000_000 + micros % 1_000_000)[1..]);
    }
    out.push_str(",\n");
}
