//! Byte ranges: what was asked for is what is stored, whichever way the origin answers (C-27).

use hls_relay_core::command::ByteSpan;
use hls_relay_core::event::FetchError;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};

/// The value of the Range header.
pub(super) fn header_value(range: ByteSpan) -> String {
    format!("bytes={}-{}", range.offset, last_byte(range))
}

/// Which part of an answer's body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    skip: u64,
    /// `None`: all that comes.
    take: Option<u64>,
    wanted: Option<u64>,
}

impl Cut {
    /// Judges an answer by its status and head.
    pub(super) fn of_answer(
        status: StatusCode,
        head: &HeaderMap,
        asked: Option<ByteSpan>,
    ) -> Result<Self, FetchError> {
        match (status, asked) {
            (StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION, None) => Ok(Self {
                skip: 0,
                take: None,
                wanted: None,
            }),
            (StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION, Some(range)) => Ok(Self {
                skip: range.offset,
                take: Some(range.length),
                wanted: Some(range.length),
            }),
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let sent = content_range(head).ok_or(FetchError::WrongRange)?;
                if sent != (range.offset, last_byte(range)) {
                    return Err(FetchError::WrongRange);
                }
                Ok(Self {
                    skip: 0,
                    take: Some(range.length),
                    wanted: Some(range.length),
                })
            }
            // Nobody asked for a part: its rest would be missing in silence.
            (StatusCode::PARTIAL_CONTENT, None) => Err(FetchError::WrongRange),
            _ => Err(FetchError::Status(status.as_u16())),
        }
    }

    /// The wanted part of the next bytes.
    pub(super) fn apply<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip -= skipped as u64;
        let rest = &bytes[skipped..];
        let Some(left) = self.take.as_mut() else {
            return rest;
        };
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
        *left -= taken as u64;
        &rest[..taken]
    }

    /// No further byte is wanted.
    pub(super) fn is_complete(&self) -> bool {
        self.take == Some(0)
    }

    /// All bytes have come: whether that was all of the range.
    pub(super) fn finish(&self) -> Result<(), FetchError> {
        match (self.wanted, self.take) {
            (Some(expected), Some(left)) if left > 0 => Err(FetchError::Truncated {
                received: expected - left,
                expected,
            }),
            _ => Ok(()),
        }
    }
}

fn last_byte(range: ByteSpan) -> u64 {
    range.offset.saturating_add(range.length).saturating_sub(1)
}

/// First and last byte of `Content-Range: bytes FIRST-LAST/TOTAL`.
fn content_range(head: &HeaderMap) -> Option<(u64, u64)> {
    let value = head.get(header::CONTENT_RANGE)?.to_str().ok()?.trim();
    let (unit, rest) = value.split_once(' ')?;
    let (first, last) = rest.trim().split_once('/')?.0.split_once('-')?;
    let numbers = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    unit.eq_ignore_ascii_case("bytes").then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: ByteSpan = ByteSpan {
        offset: 4,
        length: 3,
    };

    fn head(content_range: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_RANGE, content_range.parse().unwrap())])
    }

    #[test]
    fn c_27_a_whole_answer_is_cut_to_the_range() {
        let mut cut = Cut::of_answer(StatusCode::OK, &HeaderMap::new(), Some(ASKED)).unwrap();
        let parts: Vec<&[u8]> = [&b"012"[..], b"34", b"56", b"789"]
            .iter()
            .map(|b| cut.apply(b))
            .collect();
        assert_eq!(parts.concat(), b"456");
        assert!(cut.is_complete() && cut.finish().is_ok());
    }

    #[test]
    fn c_27_a_part_must_be_the_one_asked_for() {
        let partial = |text| Cut::of_answer(StatusCode::PARTIAL_CONTENT, &head(text), Some(ASKED));
        assert!(partial("bytes 4-6/10").is_ok() && partial("Bytes 4-6/*").is_ok());
        for wrong in [
            "bytes 0-2/10",
            "bytes 4-7/10",
            "bytes 4-5/10",
            "bytes */10",
            "4-6/10",
            "x",
        ] {
            assert_eq!(partial(wrong), Err(FetchError::WrongRange), "{wrong}");
        }
        let unasked = Cut::of_answer(StatusCode::PARTIAL_CONTENT, &head("bytes 0-2/10"), None);
        assert_eq!(unasked, Err(FetchError::WrongRange));
    }

    #[test]
    fn c_27_a_range_beyond_the_end_is_cut_short() {
        let mut cut = Cut::of_answer(StatusCode::OK, &HeaderMap::new(), Some(ASKED)).unwrap();
        assert_eq!(cut.apply(b"01234"), b"4");
        assert_eq!(
            cut.finish(),
            Err(FetchError::Truncated {
                received: 1,
                expected: 3
            })
        );
    }
}
