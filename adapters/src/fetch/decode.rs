//! Content codings are undone here and not by the HTTP client, so that the limit of size holds for
//! what comes out: a few KB of gzip can be gigabytes (C-63).

use flate2::write::MultiGzDecoder;
use hls_relay_core::event::FetchError;
use reqwest::header::{self, HeaderMap};
use std::io::Write;

/// Fed to the inflater at once. Gzip grows a thousandfold at the most, so no more than 4 MB come out
/// before the limit is looked at.
const SLICE: usize = 4 << 10;
/// How a gzip stream starts; no text does.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Turns what came over the wire into what was meant.
pub(super) struct Decoder {
    coding: Coding,
    limit: u64,
    produced: u64,
}

enum Coding {
    /// Nothing is said, and the first two bytes decide; those seen so far.
    Undecided(Vec<u8>),
    Identity,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Decoder {
    /// By what the head says. Origins send gzip to those who never asked, so it is undone wherever it
    /// is named; with `sniff` also where only the bytes tell, as with a compressed file served as it is.
    pub(super) fn new(head: &HeaderMap, sniff: bool, limit: u64) -> Result<Self, FetchError> {
        let codings: Vec<String> = head
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|value| words(&String::from_utf8_lossy(value.as_bytes())))
            .filter(|word| word != "identity")
            .collect();
        let coding = match codings.as_slice() {
            [] if sniff => Coding::Undecided(Vec::new()),
            [] => Coding::Identity,
            [one] if one == "gzip" || one == "x-gzip" => Coding::gzip(),
            _ => {
                return Err(FetchError::BadEncoding(
                    shortened(&codings.join(", ")).into(),
                ));
            }
        };
        Ok(Self {
            coding,
            limit,
            produced: 0,
        })
    }

    /// The bytes pass through as they are.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// What the next bytes mean: they themselves where they pass through, or what `buffer` then holds.
    pub(super) fn decode<'a>(
        &mut self,
        bytes: &'a [u8],
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], FetchError> {
        if self.is_identity() {
            self.produced += bytes.len() as u64;
            return self.check_size().map(|()| bytes);
        }
        buffer.clear();
        self.push(bytes, buffer)?;
        Ok(buffer)
    }

    /// Takes the next bytes and appends to `out` what they mean.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FetchError> {
        match &mut self.coding {
            Coding::Undecided(seen) => {
                seen.extend_from_slice(bytes);
                if seen.len() < GZIP_MAGIC.len() {
                    return Ok(());
                }
                let seen = std::mem::take(seen);
                let is_gzip = seen.starts_with(&GZIP_MAGIC);
                self.coding = if is_gzip {
                    Coding::gzip()
                } else {
                    Coding::Identity
                };
                self.push(&seen, out)
            }
            Coding::Identity => {
                self.produced += bytes.len() as u64;
                self.check_size()?;
                out.extend_from_slice(bytes);
                Ok(())
            }
            Coding::Gzip(_) => bytes
                .chunks(SLICE)
                .try_for_each(|slice| self.inflate(slice, out)),
        }
    }

    /// All bytes have come: what is left, or what is missing.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), FetchError> {
        match &mut self.coding {
            Coding::Undecided(seen) => {
                out.append(seen);
                Ok(())
            }
            Coding::Identity => Ok(()),
            Coding::Gzip(inflater) => {
                inflater.try_finish().map_err(|error| broken(&error))?;
                self.inflate(&[], out)
            }
        }
    }

    fn inflate(&mut self, slice: &[u8], out: &mut Vec<u8>) -> Result<(), FetchError> {
        let Coding::Gzip(inflater) = &mut self.coding else {
            return Ok(());
        };
        inflater.write_all(slice).map_err(|error| broken(&error))?;
        let inflated = inflater.get_mut();
        self.produced += inflated.len() as u64;
        out.append(inflated);
        self.check_size()
    }

    fn check_size(&self) -> Result<(), FetchError> {
        if self.produced > self.limit {
            return Err(FetchError::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

impl Coding {
    fn gzip() -> Self {
        Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
    }
}

/// The words of a header's comma separated list, in lower case.
fn words(list: &str) -> Vec<String> {
    let words = list.split(',').map(|word| word.trim().to_ascii_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

fn broken(error: &std::io::Error) -> FetchError {
    FetchError::BadEncoding(format!("gzip: {error}").into())
}

/// A stranger's word in an error, kept short.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn head(coding: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, coding.parse().unwrap())])
    }

    fn decode(mut decoder: Decoder, chunks: &[&[u8]]) -> Result<Vec<u8>, FetchError> {
        let mut out = Vec::new();
        chunks
            .iter()
            .try_for_each(|chunk| decoder.push(chunk, &mut out))?;
        decoder.finish(&mut out).map(|()| out)
    }

    #[test]
    fn gzip_is_undone_however_it_is_cut() {
        let packed = gzip(b"#EXTM3U\n");
        let bytewise: Vec<&[u8]> = packed.chunks(1).collect();
        for coding in ["gzip", "x-gzip", "GZIP", "identity, gzip"] {
            let decoder = Decoder::new(&head(coding), false, 100).unwrap();
            assert_eq!(decode(decoder, &bytewise).unwrap(), b"#EXTM3U\n");
        }
        let sniffing = Decoder::new(&HeaderMap::new(), true, 100).unwrap();
        assert_eq!(decode(sniffing, &bytewise).unwrap(), b"#EXTM3U\n");
    }

    #[test]
    fn only_a_playlist_is_sniffed() {
        let packed = gzip(b"media");
        let decoder = Decoder::new(&HeaderMap::new(), false, 100).unwrap();
        assert_eq!(decode(decoder, &[&packed]).unwrap(), packed);
    }

    #[test]
    fn a_text_of_one_byte_comes_out_whole() {
        let sniffing = Decoder::new(&HeaderMap::new(), true, 100).unwrap();
        assert_eq!(decode(sniffing, &[b"#"]).unwrap(), b"#");
    }

    #[test]
    fn c_63_a_gzip_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 50 << 20]);
        let decoder = Decoder::new(&head("gzip"), false, 1 << 20).unwrap();
        assert_eq!(
            decode(decoder, &[&bomb]),
            Err(FetchError::TooLarge { limit: 1 << 20 })
        );
    }

    #[test]
    fn what_cannot_be_undone_says_so() {
        assert!(matches!(
            Decoder::new(&head("br"), true, 9),
            Err(FetchError::BadEncoding(_))
        ));
        assert!(matches!(
            Decoder::new(&head("gzip, gzip"), true, 9),
            Err(FetchError::BadEncoding(_))
        ));
        let packed = gzip(b"#EXTM3U\n");
        let half = Decoder::new(&head("gzip"), false, 100).unwrap();
        assert!(matches!(
            decode(half, &[&packed[..12]]),
            Err(FetchError::BadEncoding(_))
        ));
        let lie = Decoder::new(&head("gzip"), false, 100).unwrap();
        assert!(matches!(
            decode(lie, &[b"#EXTM3U\n"]),
            Err(FetchError::BadEncoding(_))
        ));
    }
}
