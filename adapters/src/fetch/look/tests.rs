use super::{Look, formats_of};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::limits;
use hls_relay_core::playlist::Resolution;
use std::sync::Arc;

/// Real media of every kind.
fn media(name: &str) -> Vec<u8> {
    let path = format!(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/media/{}"),
        name
    );
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn told(bytes: &[u8]) -> (String, Option<(u64, u64)>) {
    let Formats {
        codecs, resolution, ..
    } = formats_of(bytes).expect("it tells");
    let size = resolution.map(|Resolution { width, height }| (width, height));
    (codecs.join(","), size)
}

#[test]
fn real_media_tells_what_its_encoder_was_asked_for() {
    for (name, codecs, size) in [
        ("ts/loop0.ts", "avc1.4d401e,mp4a.40.2", Some((640, 360))),
        ("hevc/0.ts", "hvc1.1.6.L60.90,mp4a.40.2", Some((320, 180))),
        ("fmp4/init.mp4", "avc1.4d400c,mp4a.40.2", Some((320, 180))),
        ("multi/video-108/init.mp4", "avc1.4d400b", Some((192, 108))),
        ("multi/audio-de/init.mp4", "mp4a.40.2", None),
        ("audio/0.aac", "mp4a.40.2", None),
        ("multi/text-de/0.vtt", "", None),
    ] {
        let (codecs, size) = (codecs.to_owned(), size);
        assert_eq!(told(&media(name)), (codecs, size), "{name}");
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes(), &kind[..], body].concat()
}

/// An init section with one track of this format.
fn init(kind: &[u8; 4], fields: usize, config: &[u8]) -> Vec<u8> {
    let mut entry = vec![0; fields];
    if fields == 78 {
        entry[24..28].copy_from_slice(&[7, 128, 4, 56]);
    }
    entry.extend(config);
    let entries = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &boxed(kind, &entry)].concat();
    let path = [b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"];
    let moov = path
        .into_iter()
        .fold(entries, |body, kind| boxed(kind, &body));
    [boxed(b"ftyp", b"iso6\0\0\0\0"), moov].concat()
}

#[test]
fn formats_of_mp4_are_named_as_players_know_them() {
    let hevc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0];
    let main_10 = [1, 0x22, 0x20, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 120, 0xf0, 0];
    // A decoder and an object type behind headers of every length.
    let aac = [
        &[
            0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 25, 0, 0, 0, 4, 0x80, 0x80, 0x80, 17, 0x40,
        ][..],
        &[0; 12],
        &[5, 2, 0x2b, 0x92],
    ]
    .concat();
    let mp3 = [&[0, 0, 0, 0, 3, 18, 0, 0, 0, 4, 13, 0x6b][..], &[0; 12]].concat();
    let usac = [
        &[0, 0, 0, 0, 3, 24, 0, 0, 0x80, 9, 9, 4, 17, 0x40][..],
        &[0; 12],
        &[5, 2, 0xf9, 0x40],
    ]
    .concat();
    let esds = |config: &[u8]| boxed(b"esds", config);
    for (kind, fields, config, name) in [
        (
            b"avc1",
            78,
            boxed(b"avcC", &[1, 0x64, 0, 0x28]),
            "avc1.640028",
        ),
        (b"hvc1", 78, boxed(b"hvcC", &hevc), "hvc1.1.6.L93.90"),
        (b"hev1", 78, boxed(b"hvcC", &main_10), "hev1.2.4.H120.B0"),
        (
            b"av01",
            78,
            boxed(b"av1C", &[0x81, 8, 0x4c, 0]),
            "av01.0.08M.10",
        ),
        (
            b"vp09",
            78,
            boxed(b"vpcC", &[1, 0, 0, 0, 2, 31, 0xa2, 1]),
            "vp09.02.31.10",
        ),
        (b"mp4a", 28, esds(&aac), "mp4a.40.5"),
        (b"mp4a", 28, esds(&mp3), "mp4a.6B"),
        (b"mp4a", 28, esds(&usac), "mp4a.40.42"),
        (b"ec-3", 28, boxed(b"dec3", &[0; 5]), "ec-3"),
        (b"Opus", 28, boxed(b"dOps", &[0; 11]), "Opus"),
        (b"wvtt", 8, boxed(b"vttC", b"WEBVTT"), "wvtt"),
    ] {
        let (codecs, size) = told(&init(kind, fields, &config));
        assert_eq!(codecs, name);
        assert_eq!(size, (fields == 78).then_some((1920, 1080)), "{name}");
    }
}

#[test]
fn sound_without_a_container_is_named_by_its_frames() {
    let tag = [&b"ID3\x04\0\0\0\0\x01\x02"[..], &[7; 130]].concat();
    for (frame, name) in [
        (&[0xff, 0xf1, 0x50, 0x80][..], "mp4a.40.2"),
        (&[0xff, 0xfb, 0x90, 0][..], "mp4a.40.34"),
        (&[0xff, 0xfd, 0x90, 0][..], "mp4a.40.33"),
        (&[0x0b, 0x77, 0, 0, 0, 0x40, 0][..], "ac-3"),
        (&[0x0b, 0x77, 0, 0, 0, 0x80, 0][..], "ec-3"),
    ] {
        let (codecs, _) = told(&[&tag, frame].concat());
        assert_eq!(codecs, name);
    }
}

#[test]
fn what_cannot_be_told_says_why() {
    let ts = media("ts/loop0.ts");
    let no_config = init(b"avc1", 78, &[]);
    for (what, bytes, why) in [
        ("nothing", &b""[..], Unreadable::Container),
        ("noise", &[0x55; 1000], Unreadable::Container),
        ("encrypted", &media("aes128/0.ts"), Unreadable::Container),
        (
            "a protected track",
            &init(b"encv", 78, &[]),
            Unreadable::Format("encv".into()),
        ),
        (
            "no configuration",
            &no_config,
            Unreadable::Format("avc1".into()),
        ),
        (
            "no moov",
            &boxed(b"styp", b"msdh"),
            Unreadable::Beginning("there is no moov box".into()),
        ),
        (
            "no tracks",
            &boxed(b"moov", b""),
            Unreadable::Broken("moov has no tracks".into()),
        ),
        (
            "no map",
            &ts[188 * 3..188 * 6],
            Unreadable::Beginning("no program map in it lists pictures or sound".into()),
        ),
    ] {
        assert_eq!(formats_of(bytes), Err(why), "{what}");
    }
}

/// Cut anywhere, with any byte changed, nested as deep as there is room for: an answer comes, in time.
#[test]
fn hostile_bytes_are_answered() {
    let nested = (0..60_000).fold(Vec::new(), |body: Vec<u8>, _| {
        // From the innermost: each holds the next.
        let mut outer = body;
        let length = u32::try_from(outer.len() + 8).unwrap();
        outer.extend(b"voom");
        outer.extend(length.to_le_bytes());
        outer
    });
    let nested: Vec<u8> = nested.into_iter().rev().collect();
    assert!(formats_of(&nested).is_err());
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % below
    };
    for name in ["ts/loop0.ts", "hevc/0.ts", "fmp4/init.mp4", "audio/0.aac"] {
        let mut whole = media(name);
        whole.truncate(188 * 60);
        for length in 0..whole.len().min(2_000) {
            let _ = formats_of(&whole[..length]);
        }
        for _ in 0..3_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + draw(8) {
                let at = draw(bytes.len().min(1_500));
                bytes[at] = u8::try_from(draw(256)).unwrap();
            }
            let _ = formats_of(&bytes);
        }
    }
}

#[test]
fn no_more_than_the_beginning_is_kept() {
    let mut look = Look::default();
    let ts = media("ts/loop0.ts");
    look.push(&ts[..1_000]);
    look.push(&ts[1_000..]);
    for _ in 0..20 {
        look.push(&[0; 64 << 10]);
    }
    assert_eq!(look.begins.len(), limits::LOOKED_INTO_BYTES);
    assert_eq!(look.tell().unwrap().codecs.len(), 2);
}

/// A packet of a transport stream with a whole section in it.
fn section(pid: u16, table: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    let length = u8::try_from(5 + body.len() + 4).unwrap();
    // A number, a version that is in force, the first section of one.
    let head = [table, 0xb0, length, 0, 1, 0xc1, 0, 0];
    let mut section = [&head[..], body].concat();
    // CRC-32 as ISO/IEC 13818-1 annex A has it.
    let crc = section.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let out = crc & 0x8000_0000 != 0;
            crc << 1 ^ if out { 0x04c1_1db7 } else { 0 }
        })
    });
    section.extend(crc.to_be_bytes());
    let mut packet = [&[0x47, 0x40 | high, low, 0x10, 0][..], &section].concat();
    packet.resize(188, 0xff);
    packet
}

#[test]
fn what_a_program_map_lists_is_named_or_refused_and_data_is_passed_over() {
    let stream = |kind: u8, pid: u8, descriptors: &[u8]| {
        let length = u8::try_from(descriptors.len()).unwrap();
        [&[kind, 0xe1, pid, 0xf0, length][..], descriptors].concat()
    };
    let tell = |streams: &[Vec<u8>]| {
        let map = [&[0xe1, 0, 0xf0, 0][..], &streams.concat()].concat();
        let ts = [
            section(0, 0, &[0, 1, 0xe0, 0x20]),
            section(0x20, 2, &map),
            section(0x1fff, 0, &[]),
        ];
        formats_of(&ts.concat())
    };
    let data = [
        stream(0x15, 1, &[]),
        stream(0x86, 2, &[]),
        stream(0x06, 3, &[0x59, 1, 0]),
    ];
    for (kind, descriptors, name) in [
        (0x81, &[][..], "ac-3"),
        (0x87, &[], "ec-3"),
        (0x06, &[0x0a, 1, 0, 0x6a, 0], "ac-3"),
        (0x06, &[0x7a, 1, 0], "ec-3"),
        (0x06, b"\x05\x04Opus", "Opus"),
    ] {
        let streams = [&data[..], &[stream(kind, 9, descriptors)]].concat();
        let formats = tell(&streams).expect(name);
        assert_eq!(formats.codecs, [Arc::<str>::from(name)]);
    }
    assert_eq!(
        tell(&[stream(0x42, 9, &[])]),
        Err(Unreadable::Format("stream type 0x42".into()))
    );
    let set = "no sequence parameter set that can be read";
    for pictures in [
        stream(0x1b, 9, &[]),
        stream(0x24, 9, &[]),
        stream(0x06, 9, b"\x05\x04HEVC"),
    ] {
        assert_eq!(tell(&[pictures]), Err(Unreadable::Beginning(set.into())));
    }
    let sound = "no frame of a sound";
    assert_eq!(
        tell(&[stream(0x0f, 9, &[])]),
        Err(Unreadable::Beginning(sound.into()))
    );
    assert!(matches!(tell(&data), Err(Unreadable::Beginning(_))));
}
