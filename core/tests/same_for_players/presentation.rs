//! Multivariant playlists: what they offer, read by quick-m3u8, and by our own reader beside it.

use crate::player::{absolute, attributes, lines, located, raw, without_variables};
use hls_relay_core::playlist::{MultivariantPlaylist, Variant};
use proptest::prelude::*;
use quick_m3u8::HlsLine;
use std::collections::BTreeMap;
use url::Url;

type Attributes = BTreeMap<String, String>;

/// A multivariant playlist as it is understood: entries in their order, with the URLs they lead to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Offer {
    pub(crate) variants: Vec<(Attributes, String)>,
    /// Renditions, lists of I-frames, session data and session keys: by tag.
    pub(crate) entries: Vec<(String, Attributes)>,
    pub(crate) independent: bool,
    /// Every other line, in order.
    pub(crate) lines: Vec<String>,
}

/// Reads a multivariant playlist that was had from `base`.
pub(crate) fn offer(text: &str, base: &Url) -> Offer {
    let text = without_variables(text, base);
    let (mut offer, mut pending) = (Offer::default(), None);
    for line in lines(&text) {
        match line {
            HlsLine::Blank | HlsLine::KnownTag(_) => {}
            HlsLine::Comment(text) => offer.lines.push(format!("#{text}")),
            HlsLine::Uri(uri) => {
                let of = pending.take().expect("a URI is that of a variant");
                offer.variants.push((of, absolute(base, &uri)));
            }
            HlsLine::UnknownTag(tag) => match tag.name() {
                "M3U" | "-X-VERSION" => {}
                "-X-INDEPENDENT-SEGMENTS" => offer.independent = true,
                "-X-STREAM-INF" => pending = Some(attributes(&tag)),
                name @ ("-X-MEDIA"
                | "-X-I-FRAME-STREAM-INF"
                | "-X-SESSION-DATA"
                | "-X-SESSION-KEY") => {
                    let of = located(attributes(&tag), base);
                    offer.entries.push((name.to_owned(), of));
                }
                _ => offer.lines.push(raw(&tag)),
            },
        }
    }
    offer
}

/// Our reader finds the same variants, and the same groups to choose from.
pub(crate) fn check_reader(offer: &Offer, list: &MultivariantPlaylist, base: &Url) {
    assert_eq!(list.variants.len(), offer.variants.len());
    for (ours, (theirs, url)) in list.variants.iter().zip(&offer.variants) {
        let text = |name: &str| theirs.get(name).map(String::as_str);
        assert_eq!(absolute(base, &ours.uri), *url);
        assert_eq!(ours.bandwidth.to_string(), theirs["BANDWIDTH"]);
        let Variant {
            audio,
            video,
            subtitles,
            closed_captions,
            codecs,
            ..
        } = ours;
        assert_eq!(audio.as_deref(), text("AUDIO"));
        assert_eq!(video.as_deref(), text("VIDEO"));
        assert_eq!(subtitles.as_deref(), text("SUBTITLES"));
        assert_eq!(closed_captions.as_deref(), text("CLOSED-CAPTIONS"));
        assert_eq!(codecs.as_deref(), text("CODECS"));
        let resolution = ours
            .resolution
            .map(|it| format!("{}x{}", it.width, it.height));
        assert_eq!(resolution.as_deref(), text("RESOLUTION"));
    }
    let of = |name: &str| offer.entries.iter().filter(|it| it.0 == name).count();
    assert_eq!(list.renditions.len(), of("-X-MEDIA"));
    assert_eq!(list.i_frame_variants.len(), of("-X-I-FRAME-STREAM-INF"));
    assert_eq!(list.session_data.len(), of("-X-SESSION-DATA"));
    assert_eq!(list.session_keys.len(), of("-X-SESSION-KEY"));
}

/// m3u8-rs reads a list of ours, and finds nothing in it that it cannot read.
pub(crate) fn check_m3u8_rs(text: &str, offer: &Offer) {
    let (rest, list) = m3u8_rs::parse_master_playlist(text.as_bytes()).expect("m3u8-rs reads it");
    assert!(rest.is_empty(), "unread: {rest:?}\n{text}");
    let typed = [
        "X-STREAM-INF",
        "X-MEDIA",
        "X-I-FRAME-STREAM-INF",
        "X-SESSION-DATA",
        "X-SESSION-KEY",
    ];
    let unread = list
        .unknown_tags
        .iter()
        .find(|tag| typed.contains(&&*tag.tag));
    assert!(unread.is_none(), "{unread:?} in\n{text}");
    let (i_frames, variants): (Vec<_>, Vec<_>) = list.variants.iter().partition(|it| it.is_i_frame);
    let uris: Vec<_> = variants.iter().map(|it| it.uri.clone()).collect();
    let of = |name: &str| offer.entries.iter().filter(|it| it.0 == name).count();
    assert_eq!(uris.len(), offer.variants.len(), "{text}");
    assert_eq!(i_frames.len(), of("-X-I-FRAME-STREAM-INF"), "{text}");
    assert_eq!(list.alternatives.len(), of("-X-MEDIA"), "{text}");
}

/// Lists that break no rule, so that nothing of them has to be put right. Media playlists are called
/// `a.m3u8` to `z.m3u8`, in folders of all kinds.
pub(crate) fn presentation() -> impl Strategy<Value = String> {
    let groups = (0..3_usize, 0..3_usize, 0..3_usize, any::<bool>());
    let none = Just((0, 0, 0, false));
    let groups = prop_oneof![6 => groups, 1 => none];
    let variants = prop::collection::vec((any::<[bool; 6]>(), 0..4_usize), 1..5);
    let kept = prop::sample::subsequence(KEPT.to_vec(), 0..=KEPT.len());
    let i_frames = 0..3_usize;
    (groups, variants, kept, i_frames, any::<bool>()).prop_map(
        |((audio, subtitles, video, captions), variants, kept, i_frames, crlf)| {
            let mut names = ('a'..='z').map(|name| format!("{name}.m3u8"));
            let mut name = || names.next().expect("one of 26");
            let mut lines = Vec::new();
            for index in 0..audio {
                lines.push(format!(
                    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"snd\",NAME=\"No. {index}\",LANGUAGE=\"l{index}\",\
                     DEFAULT={},AUTOSELECT=YES,CHANNELS=\"2\",X-OWN=\"a, b\",URI=\"../audio/{}\"",
                    if index == 0 { "YES" } else { "NO" },
                    name(),
                ));
            }
            for index in 0..subtitles {
                lines.push(format!(
                    "#EXT-X-MEDIA:TYPE=SUBTITLES,URI=\"{{$text}}/{}\",GROUP-ID=\"sub=1\",NAME=\"É{index}\",\
                     FORCED=NO,CHARACTERISTICS=\"public.easy-to-read\"",
                    name(),
                ));
            }
            for index in 0..video {
                lines.push(format!(
                    "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"cam\",NAME=\"Angle {index}\",URI=\"//cdn.example/v/{}\"",
                    name(),
                ));
            }
            if captions {
                lines.push(
                    "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"Captions\",INSTREAM-ID=\"CC1\""
                        .to_owned(),
                );
            }
            let places = ["", "./x/../", "/deep/", "https://other.example/"];
            let mut shared = None;
            for (index, ([rated, framed, scored, average, shares, odd], place)) in
                variants.into_iter().enumerate()
            {
                // Those that are told apart by their pictures need as much as each other.
                let less = if framed { 0 } else { index * 1_000 };
                let mut line = format!("#EXT-X-STREAM-INF:BANDWIDTH={}", 5_000_000 - less);
                let mut add = |wanted: bool, text: &str| {
                    if wanted {
                        line += text;
                    }
                };
                add(average, ",AVERAGE-BANDWIDTH=4000000");
                add(rated, ",FRAME-RATE=25.000,VIDEO-RANGE=SDR");
                add(framed, &format!(",RESOLUTION={}x720,HDCP-LEVEL=NONE", 1_280 + index));
                add(scored, ",STABLE-VARIANT-ID=\"s\",X-VENDOR=\"a=1,b\"");
                add(odd, ",CODECS=\"avc1.64001f,mp4a.40.2\"");
                // What nobody refers to is not offered: the first refers to all there is.
                let all = index == 0;
                add(audio > 0 && (all || rated), ",AUDIO=\"snd\"");
                add(subtitles > 0 && (all || framed), ",SUBTITLES=\"sub=1\"");
                add(video > 0 && (all || scored), ",VIDEO=\"cam\"");
                add(captions && (all || odd), ",CLOSED-CAPTIONS=\"cc\"");
                lines.push(line);
                let own = format!("{}{}?v=1", places[place], name());
                let uri = shared.clone().filter(|_| shares).unwrap_or(own);
                shared.get_or_insert_with(|| uri.clone());
                lines.push(uri);
            }
            for index in 0..i_frames {
                lines.push(format!(
                    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},CODECS=\"avc1.64001f\",URI=\"i/{}\"",
                    900_000 + index,
                    name(),
                ));
            }
            for (index, line) in kept.into_iter().enumerate() {
                // Never between a variant and its URI.
                let mut at = index * 7 % (lines.len() + 1);
                if at > 0 && lines[at - 1].starts_with("#EXT-X-STREAM-INF") {
                    at -= 1;
                }
                lines.insert(at, line.to_owned());
            }
            let text = format!(
                "#EXTM3U\n#EXT-X-VERSION:10\n#EXT-X-DEFINE:NAME=\"text\",VALUE=\"t/u\"\n\
                 #EXT-X-DEFINE:NAME=\"here\",VALUE=\".\"\n{}\n",
                lines.join("\n")
            );
            match crlf {
                true => text.replace('\n', "\r\n"),
                false => text,
            }
        },
    )
}

/// A media playlist of one of these, whose segments are where a variable says that the multivariant playlist
/// defines (C-38).
pub(crate) fn importing(list: &str) -> String {
    let import = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-DEFINE:IMPORT=\"here\"\n";
    let lines = list
        .lines()
        .filter(|line| !line.starts_with("#EXTM3U") && !line.starts_with("#EXT-X-VERSION"));
    let told = lines.map(|line| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{{$here}}/{line}\n"),
    });
    import
        .chars()
        .chain(told.collect::<String>().chars())
        .collect()
}

const KEPT: [&str; 8] = [
    "# a comment",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-START:TIME-OFFSET=-12.5",
    "#EXT-X-SESSION-DATA:DATA-ID=\"com.example.title\",VALUE=\"a, \u{fc}=b\",LANGUAGE=\"de\"",
    "#EXT-X-SESSION-DATA:DATA-ID=\"com.example.data\",URI=\"data.json\"",
    "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://fair\",KEYFORMAT=\"com.apple.streamingkeydelivery\"",
    "#EXT-X-VENDOR-THING:A=\"b,c\"",
    "#EXTVLCOPT:network-caching=1000",
];
