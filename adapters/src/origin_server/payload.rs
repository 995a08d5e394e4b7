//! The bytes of a body, those too many to hold included: a head, a unit that is sent again and
//! again, and a tail.

use flate2::{Compress, Compression, Crc, FlushCompress};
use hls_relay_sim::origin::{Body, MediaLoop};
use std::iter;

/// RFC 1952 2.3: gzip, deflate, no flags, no time, no extra flags, an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// RFC 1951 3.2.6: the last block, with fixed codes and nothing in it.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A body as it goes over the wire.
#[derive(Debug, Default)]
pub(super) struct Payload {
    head: Vec<u8>,
    unit: Vec<u8>,
    times: u64,
    tail: Vec<u8>,
}

impl Payload {
    /// The bytes that `body` means, packed if need be.
    pub(super) fn new(body: &Body, media_loop: &MediaLoop, gzip: bool) -> Self {
        let plain = match body {
            Body::Empty => Self::default(),
            Body::Text(text) => Self::once(text.clone().into_bytes()),
            Body::Bytes(bytes) => Self::once(bytes.clone()),
            Body::Media { media, first, len } => {
                let (first, len) = (*first as usize, *len as usize);
                let mut bytes = media_loop.bytes(media);
                bytes.truncate(first + len);
                Self::once(bytes.split_off(first))
            }
            Body::Repeat { head, unit, times } => Self {
                head: head.clone(),
                unit: unit.clone(),
                times: *times,
                tail: Vec::new(),
            },
        };
        if gzip { plain.packed() } else { plain }
    }

    /// How many bytes go over the wire.
    pub(super) fn len(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.unit.len() as u64 * self.times
    }

    /// The bytes in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let units = (0..self.times).map(|_| self.unit.as_slice());
        iter::once(self.head.as_slice())
            .chain(units)
            .chain(iter::once(self.tail.as_slice()))
    }

    fn once(head: Vec<u8>) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    /// The same as one gzip member. The unit is packed once, by itself: after a full flush a piece
    /// of a deflate stream ends on a whole byte and refers to nothing before it, so it may be sent
    /// any number of times.
    fn packed(&self) -> Self {
        let mut checksum = checksum_of(&self.head);
        let unit_checksum = checksum_of(&self.unit);
        for _ in 0..self.times {
            checksum.combine(&unit_checksum);
        }
        let mut tail = LAST_BLOCK.to_vec();
        tail.extend_from_slice(&checksum.sum().to_le_bytes());
        tail.extend_from_slice(&checksum.amount().to_le_bytes());
        Self {
            head: [GZIP_HEADER.to_vec(), deflate(&self.head)].concat(),
            unit: deflate(&self.unit),
            times: self.times,
            tail,
        }
    }
}

fn checksum_of(bytes: &[u8]) -> Crc {
    let mut checksum = Crc::new();
    checksum.update(bytes);
    checksum
}

/// Deflate blocks of which none is the last.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    // Stored blocks at the worst, with five bytes each, and the empty block of the flush.
    let mut packed = Vec::with_capacity(bytes.len() + bytes.len() / 1_000 + 64);
    let mut compress = Compress::new(Compression::best(), false);
    // Into memory of sufficient size the compressor cannot fail.
    let _ = compress.compress_vec(bytes, &mut packed, FlushCompress::Full);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn wire(payload: &Payload) -> Vec<u8> {
        payload.parts().flatten().copied().collect()
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_packed_text_is_gzip() {
        let text = "#EXTM3U\n#EXT-X-VERSION:3\n".to_owned();
        let body = Body::Text(text.clone());
        let payload = Payload::new(&body, &MediaLoop::embedded(), true);
        assert_eq!(unpacked(&wire(&payload)), text.into_bytes());
        assert_eq!(payload.len(), wire(&payload).len() as u64);
    }

    #[test]
    fn a_packed_repetition_is_one_gzip_member_that_is_a_thousand_times_shorter() {
        let body = Body::Repeat {
            head: b"head".to_vec(),
            unit: vec![0; 65_536],
            times: 200,
        };
        let payload = Payload::new(&body, &MediaLoop::embedded(), true);
        let bytes = unpacked(&wire(&payload));
        assert_eq!(bytes.len() as u64, body.len());
        assert!(bytes.starts_with(b"head\0"));
        assert!(payload.len() * 500 < body.len(), "{} bytes", payload.len());
    }
}
