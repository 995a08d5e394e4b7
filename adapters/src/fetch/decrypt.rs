//! Undoes AES-128 (RFC 8216 4.3.2.4): CBC mode, PKCS7 padding, begun anew in each segment.

use aes::Aes128;
use cbc::Decryptor;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use data_url::{DataUrl, DataUrlError};
use hls_relay_core::event::FetchError;
use std::fmt;

const BLOCK: usize = 16;

/// A key of AES-128. It is in no log: its `Debug` says nothing.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) [u8; BLOCK]);

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key")
    }
}

impl Key {
    pub(super) const BYTES: usize = BLOCK;

    /// What was had where it is; of what is longer, one byte more is enough.
    pub(super) fn of(bytes: Vec<u8>) -> Result<Self, FetchError> {
        let wrong = |bytes: Vec<u8>| match bytes.len() {
            length if length > BLOCK => FetchError::Protocol("longer than 16 bytes".into()),
            length => FetchError::Protocol(format!("{length} bytes in place of 16").into()),
        };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// What stands in a `data:` URL (RFC 2397). No error quotes it.
    pub(super) fn in_url(data: Result<DataUrl<'_>, DataUrlError>) -> Result<Self, FetchError> {
        let bytes = data.ok().and_then(|it| it.decode_to_vec().ok());
        let (bytes, _) = bytes.ok_or(FetchError::Protocol("no data that can be read".into()))?;
        Self::of(bytes)
    }
}

/// One segment on its way.
pub(super) struct Decryption {
    cipher: Decryptor<Aes128>,
    /// What has come and is not decrypted: the last block may be padding.
    held: Vec<u8>,
}

impl Decryption {
    /// The beginning of a segment.
    pub(super) fn new(key: Key, iv: [u8; BLOCK]) -> Self {
        Self {
            cipher: Decryptor::new(&key.0.into(), &iv.into()),
            held: Vec::new(),
        }
    }

    /// Takes the next bytes and appends to `out` what they hide.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let sure = self.held.len().saturating_sub(1) / BLOCK * BLOCK;
        let blocks: Vec<u8> = self.held.drain(..sure).collect();
        out.reserve(sure);
        for block in blocks.as_chunks::<BLOCK>().0 {
            out.extend_from_slice(&self.decrypt(*block));
        }
    }

    /// All bytes have come.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), FetchError> {
        let Ok(last) = <[u8; BLOCK]>::try_from(&*self.held) else {
            return Err(FetchError::Key(
                "what is encrypted does not end with a whole block".into(),
            ));
        };
        let last = self.decrypt(last);
        let padding = usize::from(last[BLOCK - 1]);
        let text = BLOCK.checked_sub(padding).filter(|_| padding > 0);
        let text = text.filter(|at| last[*at..].iter().all(|it| usize::from(*it) == padding));
        let Some(text) = text else {
            return Err(FetchError::Key("it does not fit what it is for".into()));
        };
        out.extend_from_slice(&last[..text]);
        Ok(())
    }

    fn decrypt(&mut self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = block.into();
        self.cipher.decrypt_block(&mut block);
        block.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of the CBC examples of NIST SP 800-38A (F.2.2), as a segment that ends there.
    #[test]
    fn what_is_decrypted_is_the_text_whatever_the_pieces() {
        let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
        let iv = hex("000102030405060708090a0b0c0d0e0f");
        let encrypted = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
                         55e21d7100b988ffec32feeafaf23538";
        let encrypted: Vec<u8> = bytes(encrypted);
        let text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
        for piece in [1, 7, 16, 17, 48] {
            let mut out = Vec::new();
            let mut it = Decryption::new(Key(key), iv);
            for bytes in encrypted.chunks(piece) {
                it.push(bytes, &mut out);
            }
            let ended = it.finish(&mut out);
            assert_eq!(ended, Ok(()), "pieces of {piece}");
            assert_eq!(out, bytes(text), "pieces of {piece}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_and_half_a_block_are_told() {
        for (length, word) in [(32, "fit"), (31, "whole"), (0, "whole")] {
            let mut it = Decryption::new(Key([7; 16]), [0; 16]);
            let mut out = Vec::new();
            it.push(&vec![1; length], &mut out);
            let error = it.finish(&mut out).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    fn bytes(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        let byte = |it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }

    fn hex(text: &str) -> [u8; 16] {
        bytes(text).try_into().unwrap()
    }
}
