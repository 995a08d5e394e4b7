//! What a playlist may cost in memory while it is read: under 64 MB, whatever it is (rule C-63).

use hls_relay_core::limits::{ATTRIBUTES, BODY_BYTES, LINE_BYTES, LINES};
use hls_relay_core::playlist::parse;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MOST: usize = 64 << 20;
const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:6\n";
const SEGMENT: &str = "#EXTINF:6,\na.ts\n";

/// These lines again and again behind a beginning, as many as the limits let in.
fn filled(beginning: &str, lines: &str) -> String {
    let room = (BODY_BYTES - beginning.len()) / lines.len();
    let most = (LINES - beginning.matches('\n').count() - 1) / lines.matches('\n').count();
    format!("{beginning}{}", lines.repeat(room.min(most)))
}

/// What costs most of each kind that a playlist is made of.
fn worst_cases() -> Vec<(&'static str, String)> {
    let media = |lines: &str| filled(MEDIA, lines);
    let long = "u".repeat(LINE_BYTES - 1);
    let names: String = (0..ATTRIBUTES).map(|n| format!("X-{n}=\"a\",")).collect();
    let value = "v".repeat(LINE_BYTES - 40);
    let defined = format!("{MEDIA}#EXT-X-DEFINE:NAME=\"v\",VALUE=\"{value}\"\n");
    let short = format!("{MEDIA}#EXT-X-DEFINE:NAME=\"v\",VALUE=\"vv\"\n");
    let defines: String = (0..256)
        .map(|n| format!("#EXT-X-DEFINE:NAME=\"{n}\",VALUE=\"{value}\"\n"))
        .collect();
    let key = |n: usize| {
        format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k{n}\",KEYFORMAT=\"f{}\"\n",
            n % 16
        )
    };
    let keys: String = (0..30_000).map(|n| key(n) + SEGMENT).collect();
    let maps: String = (0..33_000)
        .map(|n| format!("#EXT-X-MAP:URI=\"i{n}\"\n{SEGMENT}"))
        .collect();
    let variants: String = (0..40_000)
        .map(|n| format!("#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"{n}\"\nv{n}\n"))
        .collect();
    let renditions: String = (0..70_000)
        .map(|n| format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{n}\",NAME=\"n\",URI=\"u\"\n"))
        .collect();
    let data: String = (0..70_000)
        .map(|n| format!("#EXT-X-SESSION-DATA:DATA-ID=\"{n}\",VALUE=\"v\"\n"))
        .collect();
    let multivariant = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n";
    vec![
        ("uri lines", media("a\n")),
        ("segments", media("#EXTINF:6,\na\n")),
        (
            "dated segments",
            media("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n#EXTINF:6,t\na\n"),
        ),
        ("long uris", media(&format!("#EXTINF:6,\n{long}\n"))),
        ("bytes of any kind", "\u{7f}".repeat(BODY_BYTES)),
        (
            "one line",
            format!("#EXTM3U\n#{}", "x".repeat(BODY_BYTES - 9)),
        ),
        (
            "one attribute list",
            format!(
                "{MEDIA}#EXT-X-KEY:METHOD=AES-128,URI=\"{}\"\n",
                "k".repeat(BODY_BYTES - 200)
            ),
        ),
        ("attributes", media(&format!("#EXT-X-DATERANGE:{names}\n"))),
        (
            "attributes without an end",
            media(&format!("#EXT-X-KEY:{}\n", "A=1,".repeat(4_000))),
        ),
        (
            "quotes",
            media(&format!(
                "#EXT-X-DATERANGE:ID=\"{}\n",
                "\",\"".repeat(5_000)
            )),
        ),
        ("variables", format!("{MEDIA}{defines}")),
        (
            "expansions of a long value",
            filled(&defined, "#EXTINF:6,\n{$v}\n"),
        ),
        (
            "expansions of a short value",
            filled(&short, "#EXTINF:6,\n{$v}\n"),
        ),
        (
            "many expansions in a line",
            filled(&short, &format!("#EXTINF:6,\n{}\n", "{$v}".repeat(4_000))),
        ),
        (
            "references to nothing",
            filled(&short, &format!("#X{}\n", "{$".repeat(8_000))),
        ),
        (
            "keys",
            format!("{MEDIA}{}", &keys[..keys.len().min(BODY_BYTES - 100)]),
        ),
        (
            "keys without a segment",
            media("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n"),
        ),
        ("init sections", format!("{MEDIA}{maps}")),
        ("unknown tags", media("#EXT-X-U\n")),
        (
            "long unknown tags",
            media(&format!("#EXT-X-U:{}\n", "u".repeat(16_000))),
        ),
        ("comments", media("#\n")),
        ("blank lines", media("\n")),
        ("discontinuities", media("#EXT-X-DISCONTINUITY\n")),
        ("tags of the head", media("#EXT-X-START:TIME-OFFSET=1\n")),
        ("parts", media("#EXT-X-PART:DURATION=1,URI=\"p\"\n")),
        ("variants", format!("#EXTM3U\n{variants}")),
        ("renditions", format!("{multivariant}{renditions}")),
        ("session data", format!("{multivariant}{data}")),
        (
            "unknown tags of a multivariant list",
            filled(multivariant, "#U\n"),
        ),
        ("lines of both kinds", filled(multivariant, SEGMENT)),
    ]
}

#[test]
fn c_63_reading_takes_under_64_mb_whatever_the_body_is() {
    let mut read = 0;
    for (name, body) in worst_cases() {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let outcome = parse(body.as_bytes());
        let took = MEMORY.peak_usage() - before;
        let fault = outcome.as_ref().err().map(ToString::to_string);
        assert!(took < MOST, "{name}: {took} bytes, {fault:?}");
        read += usize::from(outcome.is_ok());
    }
    // Refusing is cheap: what is measured are lists that are taken.
    assert!(read >= 15, "{read} are read");
}
