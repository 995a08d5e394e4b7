//! The writer of the multivariant playlist of a ladder, all of which is the relay's own.

use super::MeasuredBandwidth;
use super::version;
use crate::formats::Formats;
use std::fmt::Write;
use std::sync::Arc;

/// A rung as it is offered.
#[derive(Clone, Debug)]
pub struct LadderVariant<'a> {
    /// Of its media playlist.
    pub uri: Arc<str>,
    /// As it is measured.
    pub bandwidth: Option<MeasuredBandwidth>,
    /// What it is made of, as far as that is known.
    pub formats: Option<&'a Formats>,
}

/// Writes a multivariant playlist (rule S-29) of nothing but these; and where all segments of all of them are
/// `independent`, that they are (RFC 8216 4.3.5.1).
pub fn render_ladder(variants: &[LadderVariant<'_>], independent: bool) -> String {
    let body = ladder_lines(variants);
    let version = version::of_multivariant_lines(body.lines());
    let head = match independent {
        true => "#EXT-X-INDEPENDENT-SEGMENTS\n",
        false => "",
    };
    format!("#EXTM3U\n#EXT-X-VERSION:{version}\n{head}{body}")
}

/// The lines of these (RFC 8216 4.3.4.2; rules S-35 to S-37): the peak and the average bit rate as they are measured,
/// formats, size and frame rate of the picture where they are known.
pub fn ladder_lines(variants: &[LadderVariant<'_>]) -> String {
    let mut body = String::new();
    for variant in variants {
        let measured = variant.bandwidth.unwrap_or(MeasuredBandwidth {
            peak: 1,
            average: 1,
        });
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
            measured.peak, measured.average
        );
        if let Some(formats) = variant.formats {
            if !formats.codecs.is_empty() {
                let _ = write!(body, ",CODECS=\"{}\"", formats.codecs.join(","));
            }
            if let Some(it) = formats.resolution {
                let _ = write!(body, ",RESOLUTION={}x{}", it.width, it.height);
            }
            if let Some(rate) = formats.frame_rate {
                let _ = write!(body, ",FRAME-RATE={}.{:03}", rate / 1_000, rate % 1_000);
            }
        }
        let _ = writeln!(body, "\n{}", variant.uri);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::Resolution;

    #[test]
    fn a_rung_says_what_it_needs_and_what_it_is_made_of() {
        let formats = Formats {
            codecs: vec!["avc1.64001f".into(), "mp4a.40.2".into()],
            resolution: Some(Resolution {
                width: 1_280,
                height: 720,
            }),
            frame_rate: Some(29_970),
        };
        let sound = Formats {
            codecs: vec!["mp4a.40.2".into()],
            ..Formats::default()
        };
        let variant = |uri: &str, peak, formats| LadderVariant {
            uri: uri.into(),
            bandwidth: Some(MeasuredBandwidth {
                peak,
                average: peak / 2,
            }),
            formats,
        };
        let variants = [
            variant("720p.m3u8", 3_000_000, Some(&formats)),
            variant("sound.m3u8", 130_000, Some(&sound)),
            variant("untold.m3u8", 90_000, None),
        ];
        let expected = "#EXTM3U\n#EXT-X-VERSION:1\n\
            #EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=1500000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970\n\
            720p.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=65000,CODECS=\"mp4a.40.2\"\n\
            sound.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=45000\n\
            untold.m3u8\n";
        assert_eq!(render_ladder(&variants, false), expected);
        let independent = render_ladder(&variants, true);
        let tag = "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF";
        assert_eq!(independent, expected.replacen("#EXT-X-STREAM-INF", tag, 1));
    }
}
