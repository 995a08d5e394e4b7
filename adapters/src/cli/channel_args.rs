//! What can be said of a channel, by `relay`, `channel add` and `channel set` alike.

use crate::spec::ladder::{self, LadderAudio, RungSpec};
use crate::spec::preload::{DEFAULT_CONCURRENCY, EdgeSpec, MOST_CONCURRENCY};
use crate::spec::{self, ChannelSpec, SpecFault};
use clap::Args;
use hls_relay_core::config::{DEFAULT_WINDOW, HolePolicy, KeyPolicy};
use hls_relay_core::ladder::{Preset, VideoCodec};
use std::sync::Arc;
use url::Url;

/// See the help of each. What is not said stays as it is, by default or by what was said before.
#[derive(Args, Clone, Debug, Default)]
pub struct ChannelArgs {
    /// Another origin of the same channel, used while those before it fail; may be repeated
    ///
    /// It takes over when the source in use has brought no new segment for three target durations
    /// (5 s at the least), with one discontinuity. The first one is gone back to after it has been
    /// well for 60 s.
    #[arg(long = "backup", value_name = "URL", value_parser = source)]
    pub backups: Vec<String>,
    /// How many segments the playlist lists; more where three target durations need more
    #[arg(long, value_name = "N", help = window_help(), value_parser = window)]
    pub window: Option<usize>,
    /// How lost media is said to players [default: gap]
    ///
    /// gap: EXT-X-GAP stands for what was lost and the timeline goes on; what the window has no room
    /// for is said as a discontinuity. discontinuity: the next segment follows an
    /// EXT-X-DISCONTINUITY, for players that don't know gaps; what is lost before the first segment or
    /// behind the last is then told in the log alone. Of several media playlists in step it is always a gap.
    #[arg(long, value_name = "gap|discontinuity", value_parser = hole)]
    pub hole: Option<HolePolicy>,
    /// What becomes of segments under AES-128 [default: origin]
    ///
    /// origin leaves the key where the source says it is, and so leaves it to its server who gets it;
    /// rehost fetches it once, with the headers of the source, and serves it beside the segments to
    /// everybody; decrypt publishes segments in the clear. What DRM systems and SAMPLE-AES encrypt
    /// passes as it is.
    #[arg(long, value_name = "origin|rehost|decrypt", value_parser = keys)]
    pub keys: Option<KeyPolicy>,
    /// Leave out tags with this name, as EXT-X-CUE-OUT; may be repeated
    ///
    /// A '*' at the end stands for all names that begin so: 'EXT-X-CUE*'. A '*' alone is every tag and
    /// comment that can be left out. What segments cannot be played without is refused. Without this, tags
    /// that the relay does not know stay where they stood.
    #[arg(long, value_name = "NAME", value_parser = spec::drop_tag)]
    pub drop_tag: Vec<Arc<str>>,
    /// Keep tags with this name, whatever --drop-tag says; may be repeated
    #[arg(long, value_name = "NAME", value_parser = spec::keep_tag)]
    pub keep_tag: Vec<Arc<str>>,
    /// Never reload sooner than one target duration after a change (RFC 8216 6.3.4 to the letter)
    ///
    /// Without it the wait is the last segment's duration, and half a target duration at the least,
    /// as players do: new segments are then seen sooner.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub strict_reload: Option<bool>,
    /// What the sources are asked with.
    #[command(flatten)]
    pub asking: AskingArgs,
    /// What is relayed of a multivariant playlist.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// What is made of it.
    #[command(flatten)]
    pub ladder: LadderArgs,
    /// Ask this edge of a CDN for each segment before it is listed, so that it has it; may be repeated
    ///
    /// URL is where viewers find the channel there, with a '/' at its end, as https://EDGE/live/news/,
    /// or holds {object} where the name of a segment belongs. A segment is listed once all edges have it and what
    /// it needs (its init section, a key that is served here), and at most its own length later. An edge that is asked otherwise (HEAD, with headers of its own), and a CDN that
    /// is told by POST what to fetch, are written into the configuration of a node.
    #[arg(long, value_name = "URL")]
    pub preload: Vec<String>,
    /// How many seconds a segment waits for edges at most [default: as long as it lasts]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub preload_patience: Option<u64>,
    /// How many requests of the channel each edge gets at a time
    #[arg(long, value_name = "N", help = concurrency_help(), value_parser = clap::value_parser!(u64).range(1..=MOST_CONCURRENCY))]
    pub preload_concurrency: Option<u64>,
}

/// Nothing of it ever enters a log or a journal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the sources are asked")]
pub struct AskingArgs {
    /// A header for the requests to the sources, as 'Name: value'; may be repeated
    ///
    /// Authorization, Cookie and Proxy-Authorization are sent only to the host of the source's own
    /// URL, never to where its playlists or redirects lead. What only one source may know is said
    /// with --header-for, or put into its URL.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<String>,
    /// A header for the requests to the source on this host alone; may be repeated
    ///
    /// HOST is as it stands in the URL of the source or of a backup, with its port where one stands
    /// there: --header-for b.example 'Authorization: Bearer x'. It takes the place of a --header of
    /// the same name.
    #[arg(long = "header-for", num_args = 2, value_names = ["HOST", "HEADER"])]
    pub headers_for: Vec<String>,
    /// What the relay calls itself to the sources, as some CDNs let only players in
    #[arg(long, value_name = "TEXT", value_parser = user_agent)]
    pub user_agent: Option<String>,
}

/// What is relayed of a multivariant playlist: all of it where nothing is said.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Of a multivariant playlist")]
pub struct SelectionArgs {
    /// Only variants whose picture is at least so many pixels high; none that does not tell (RESOLUTION)
    #[arg(long, value_name = "PIXELS")]
    pub min_height: Option<u64>,
    /// Only variants whose picture is at most so many pixels high, and those that do not tell
    #[arg(long, value_name = "PIXELS")]
    pub max_height: Option<u64>,
    /// Only variants whose BANDWIDTH is at most so many bits per second
    #[arg(long, value_name = "BITS")]
    pub max_bandwidth: Option<u64>,
    /// Only variants with this format, told by its beginning, as avc1 or hvc1.2, and those that do not tell
    /// (CODECS); may be repeated
    #[arg(long, value_name = "FORMAT")]
    pub codec: Vec<Arc<str>>,
    /// Only audio and subtitles in this language, as en, which is en-GB as well, and those that do not
    /// tell (LANGUAGE); may be repeated. Where no audio is left, all of it is relayed
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Vec<Arc<str>>,
}

/// What is made of the channel beside what its source sends.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "A ladder of bit rates, made by ffmpeg")]
pub struct LadderArgs {
    /// Make these rungs of each segment, as in 720p,480p:900k,240p
    ///
    /// Each is an even height from 64 to 2160, and a bit rate where the usual one is not wanted. Viewers get a multivariant
    /// playlist of the rungs and the source, aligned segment by segment. A segment is listed once its rungs
    /// are made, at most one segment's length later; a rung that cannot be made in time gets a gap, and is
    /// left out for a while where that goes on. Needs ffmpeg 5.1 or newer with libx264. The source is one
    /// media playlist, or one variant of a multivariant playlist: choose it by --max-height and the like. A channel
    /// that has begun without a ladder and without --multivariant gets one when it is stopped, and run again once
    /// its list is gone: a media playlist that viewers have open cannot become a multivariant playlist.
    #[arg(long = "ladder", value_name = "RUNGS", value_parser = rungs)]
    pub rungs: Option<Rungs>,
    /// With a ladder, offer the source's own media, too [default: true]
    #[arg(long = "ladder-source", value_name = "true|false")]
    pub offers_source: Option<bool>,
    /// Have viewers open a multivariant playlist also without a ladder, so that one can be added while they watch
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub multivariant: Option<bool>,
    /// What the pictures of rungs are encoded as: h264, which everything plays [default: h264]
    #[arg(long = "ladder-codec", value_name = "CODEC", value_parser = ladder::codec)]
    pub pictures: Option<VideoCodec>,
    /// How much work a picture of a rung is worth: ultrafast to slow, as x264 names them [default: veryfast]
    #[arg(long = "ladder-preset", value_name = "PRESET", value_parser = ladder::preset)]
    pub preset: Option<Preset>,
    /// The sound of rungs: 'copy' of the source's, or AAC at a bit rate, as in 96k [default: copy]
    #[arg(long = "ladder-audio", value_name = "copy|RATE", value_parser = ladder::audio)]
    pub audio: Option<LadderAudio>,
    /// How many seconds a segment waits for its rungs at most [default: as long as it lasts]
    ///
    /// The source's own media is listed then, and a rung that comes later has a gap: 1 where viewers are to see
    /// the source soon, whatever becomes of its rungs.
    #[arg(long = "ladder-patience", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: Option<u64>,
}

/// All that is said with one `--ladder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rungs(pub Vec<RungSpec>);

fn rungs(text: &str) -> Result<Rungs, String> {
    ladder::rungs(text).map(Rungs)
}

impl ChannelArgs {
    /// Nothing that is said is ignored: how rungs are made or edges are asked is said where the spec has some.
    ///
    /// # Errors
    /// The first option that means nothing, and what to do.
    pub fn check(&self, spec: &ChannelSpec) -> Result<(), String> {
        let LadderArgs {
            rungs: _,
            multivariant: _,
            offers_source,
            pictures,
            preset,
            audio,
            patience,
        } = &self.ladder;
        let of_ladder = [
            ("--ladder-source", offers_source.is_some()),
            ("--ladder-codec", pictures.is_some()),
            ("--ladder-preset", preset.is_some()),
            ("--ladder-audio", audio.is_some()),
            ("--ladder-patience", patience.is_some()),
        ];
        let of_preload = [
            ("--preload-patience", self.preload_patience.is_some()),
            ("--preload-concurrency", self.preload_concurrency.is_some()),
        ];
        let first = |said: &[(&'static str, bool)]| said.iter().find(|it| it.1).map(|it| it.0);
        match (first(&of_ladder), first(&of_preload)) {
            (Some(option), _) if spec.ladder.is_empty() => Err(format!(
                "{option} says how rungs are made, and there are none: say --ladder, too"
            )),
            (_, Some(option)) if spec.preload.is_empty() => Err(format!(
                "{option} says how edges are asked, and there are none: say --preload, too"
            )),
            (_, _) => Ok(()),
        }
    }

    /// Puts what was said into a spec. A source that is given takes the place of all that were there.
    pub fn change(&self, source: Option<&str>, spec: &mut ChannelSpec) {
        match source {
            Some(source) => {
                spec.sources = vec![source.to_owned()];
                spec.sources.extend(self.backups.iter().cloned());
            }
            None if !self.backups.is_empty() => {
                spec.sources.truncate(1);
                spec.sources.extend(self.backups.iter().cloned());
            }
            None => {}
        }
        set_some(&mut spec.window, &self.window);
        set(&mut spec.hole, self.hole);
        set(&mut spec.keys, self.keys);
        set(&mut spec.strict_reload, self.strict_reload);
        set_list(&mut spec.drop_tags, &self.drop_tag);
        set_list(&mut spec.keep_tags, &self.keep_tag);
        let AskingArgs {
            headers,
            headers_for,
            user_agent,
        } = &self.asking;
        set_list(&mut spec.headers, headers);
        if !headers_for.is_empty() {
            spec.headers_for.clear();
        }
        for pair in headers_for.chunks_exact(2) {
            let of_host = spec.headers_for.entry(pair[0].clone()).or_default();
            of_host.push(pair[1].clone());
        }
        set_some(&mut spec.user_agent, user_agent);
        let SelectionArgs {
            min_height,
            max_height,
            max_bandwidth,
            codec,
            language,
        } = &self.selection;
        set_some(&mut spec.min_height, min_height);
        set_some(&mut spec.max_height, max_height);
        set_some(&mut spec.max_bandwidth, max_bandwidth);
        set_list(&mut spec.codecs, codec);
        set_list(&mut spec.languages, language);
        let LadderArgs {
            rungs,
            offers_source,
            multivariant,
            pictures,
            preset,
            audio,
            patience,
        } = &self.ladder;
        set(&mut spec.ladder, rungs.clone().map(|it| it.0));
        set(&mut spec.ladder_source, *offers_source);
        set(&mut spec.multivariant, *multivariant);
        set(&mut spec.ladder_codec, *pictures);
        set(&mut spec.ladder_preset, *preset);
        set(&mut spec.ladder_audio, *audio);
        set_some(&mut spec.ladder_patience, patience);
        let edges: Vec<_> = self.preload.iter().cloned().map(EdgeSpec::of).collect();
        set_list(&mut spec.preload, &edges);
        set_some(&mut spec.preload_patience, &self.preload_patience);
        set_some(&mut spec.preload_concurrency, &self.preload_concurrency);
    }
}

/// A fault of a spec in the words of the command line.
pub fn in_words(fault: &SpecFault) -> String {
    let SpecFault { field, why } = fault;
    match field.split(['[', '.']).next().unwrap_or_default() {
        "sources" => why.clone(),
        "headers" => format!("--header: {why}"),
        "headers_for" => format!("--header-for: {why}"),
        whole if whole.starts_with("ladder") || whole.starts_with("preload") => {
            format!("--{}: {why}", field.replace('_', "-"))
        }
        _ => format!("{field}: {why}"),
    }
}

fn set<T>(field: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *field = said;
    }
}

fn set_some<T: Clone>(field: &mut Option<T>, said: &Option<T>) {
    if said.is_some() {
        field.clone_from(said);
    }
}

fn set_list<T: Clone>(field: &mut Vec<T>, said: &[T]) {
    if !said.is_empty() {
        *field = said.to_vec();
    }
}

/// The URL of a source, as it was written.
pub(super) fn source(text: &str) -> Result<String, String> {
    spec::source_url(text).map(|_: Url| text.to_owned())
}

fn concurrency_help() -> String {
    format!(
        "How many requests of the channel each edge gets at a time [default: {DEFAULT_CONCURRENCY}]"
    )
}

fn window_help() -> String {
    format!(
        "How many segments the playlist lists; more where three target durations need more [default: {DEFAULT_WINDOW}; of a source with EXT-X-PLAYLIST-TYPE, or that has ended, all of it]"
    )
}

fn window(text: &str) -> Result<usize, String> {
    // What is no number is out of range, too.
    spec::window(text.parse().unwrap_or_default())
}

fn keys(text: &str) -> Result<KeyPolicy, String> {
    match text {
        "origin" => Ok(KeyPolicy::Origin),
        "rehost" => Ok(KeyPolicy::Rehost),
        "decrypt" => Ok(KeyPolicy::Decrypt),
        _ => Err("it is 'origin', 'rehost' or 'decrypt'".to_owned()),
    }
}

fn hole(text: &str) -> Result<HolePolicy, String> {
    match text {
        "gap" => Ok(HolePolicy::Gap),
        "discontinuity" => Ok(HolePolicy::Discontinuity),
        _ => Err("give 'gap' or 'discontinuity'".to_owned()),
    }
}

fn header(text: &str) -> Result<String, String> {
    spec::header(text).map(|_| text.to_owned())
}

fn user_agent(text: &str) -> Result<String, String> {
    spec::user_agent(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused_by_its_option() {
        let mut spec = ChannelSpec::of(vec!["http://a/".to_owned()]);
        let mut said = ChannelArgs::default();
        said.ladder.audio = Some(LadderAudio::Copy);
        said.preload_concurrency = Some(4);
        let refused = said.check(&spec).unwrap_err();
        assert!(refused.starts_with("--ladder-audio says"), "{refused}");
        // What the channel has already is as good as what is said.
        spec.ladder = ladder::rungs("240p").unwrap();
        let refused = said.check(&spec).unwrap_err();
        assert!(
            refused.starts_with("--preload-concurrency says"),
            "{refused}"
        );
        spec.preload = vec![EdgeSpec::of("http://e/".to_owned())];
        said.check(&spec).unwrap();
        ChannelArgs::default()
            .check(&ChannelSpec::of(Vec::new()))
            .unwrap();
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut spec = ChannelSpec::of(vec!["http://a/".to_owned(), "http://b/".to_owned()]);
        spec.window = Some(7);
        spec.headers = vec!["X: 1".to_owned()];
        let before = spec.clone();
        let mut said = ChannelArgs::default();
        said.change(None, &mut spec);
        assert_eq!(spec, before);
        said.backups = vec!["http://c/".to_owned()];
        said.strict_reload = Some(true);
        said.change(None, &mut spec);
        assert_eq!(spec.sources, ["http://a/", "http://c/"]);
        assert!(spec.strict_reload && spec.window == Some(7));
        ChannelArgs::default().change(Some("http://d/"), &mut spec);
        assert_eq!(spec.sources, ["http://d/"]);
    }
}
