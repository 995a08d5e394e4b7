//! What segments need beside their own bytes, as their playlist says it: init sections, keys, and how what is encrypted is
//! decrypted on its way.

use crate::command::{ByteSpan, Content, Decrypt};
use crate::config::KeyPolicy;
use crate::event::FetchError;
use crate::inline::has_data;
use crate::loader::{Offered, resolve};
use crate::playlist::{Key, Map, Segment};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// An init section or a key, as its source calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Need {
    pub(super) content: Content,
    pub(super) url: Arc<str>,
    pub(super) byte_range: Option<ByteSpan>,
    pub(super) decrypt: Option<Decrypt>,
    /// Where the same URL may lead to other bytes: a new run of the encoder, and for an init section
    /// a discontinuity.
    pub(super) era: (u64, u64),
}

impl Need {
    /// Whether segments of this run of an encoder, and of this discontinuity, may need it.
    pub(super) fn is_of(&self, (run, discontinuity): (u64, u64)) -> bool {
        let same = self.content == Content::Key || self.era.1 == discontinuity;
        self.era.0 == run && same
    }

    /// Where it is asked for: one answer tells of all that is there, whichever run of the encoder each is of.
    pub(super) fn address(&self) -> (&Arc<str>, Option<ByteSpan>) {
        (&self.url, self.byte_range)
    }
}

/// What a segment needs: an init section with what that needs, then the keys, in the order of its tags.
///
/// # Errors
/// A URL that cannot be asked for, or an encryption that cannot be undone.
pub(crate) fn needs_of(offered: &Offered, keys: KeyPolicy) -> Result<Vec<Need>, FetchError> {
    let segment = &offered.segment;
    if segment.keys.is_empty() && segment.map.is_none() {
        return Ok(Vec::new());
    }
    let base = base_of(offered)?;
    let (run, discontinuity) = (offered.run, offered.identity.discontinuity_sequence);
    let mut needs = Vec::new();
    let key = |key: &&Key| keys == KeyPolicy::Rehost && is_replaced(key, keys);
    let key_need = |key: &Key| {
        Ok::<Need, FetchError>(Need {
            content: Content::Key,
            url: absolute(&base, key.uri().unwrap_or_default())?,
            byte_range: None,
            decrypt: None,
            era: (run, 0),
        })
    };
    if let Some(map) = &segment.map {
        let decrypt = decrypt_of(&map.keys, &base, None, keys)?;
        // What stands there encrypted cannot be decrypted there.
        if is_placed(map) || decrypt.is_some() {
            needs.push(Need {
                content: Content::InitSection,
                url: absolute(&base, &map.uri)?,
                byte_range: map.byte_range.map(|range| ByteSpan {
                    offset: range.offset,
                    length: range.length,
                }),
                decrypt,
                era: (run, discontinuity),
            });
        }
        for key in map.keys.iter().filter(key) {
            needs.push(key_need(key)?);
        }
    }
    for key in segment.keys.iter().filter(key) {
        needs.push(key_need(key)?);
    }
    Ok(needs)
}

/// How a segment is decrypted on its way, where that is wanted.
///
/// # Errors
/// As [`needs_of`].
pub(crate) fn decryption_of(
    offered: &Offered,
    keys: KeyPolicy,
) -> Result<Option<Decrypt>, FetchError> {
    let Segment {
        keys: in_force,
        media_sequence,
        ..
    } = &offered.segment;
    if in_force.is_empty() {
        return Ok(None);
    }
    decrypt_of(in_force, &base_of(offered)?, Some(*media_sequence), keys)
}

/// Whether a key is re-hosted, or what it encrypts decrypted: where whole segments are under AES-128 with a key that is
/// just bytes. What DRM systems and sample encryption do stays between the origin and the player, and a key that stands in
/// the playlist has no place but that.
pub(crate) fn is_replaced(key: &Key, keys: KeyPolicy) -> bool {
    let is_bytes = key.method() == "AES-128" && key.keyformat() == "identity";
    let uri = key.uri().filter(|_| is_bytes);
    uri.is_some_and(|uri| match keys {
        KeyPolicy::Origin => false,
        KeyPolicy::Rehost => !has_data(uri),
        KeyPolicy::Decrypt => true,
    })
}

/// An init section that stands in the playlist stays there.
pub(crate) fn is_placed(map: &Map) -> bool {
    !has_data(&map.uri)
}

fn decrypt_of(
    in_force: &[Key],
    base: &Url,
    media_sequence: Option<u64>,
    keys: KeyPolicy,
) -> Result<Option<Decrypt>, FetchError> {
    let wanted = |key: &&Key| keys == KeyPolicy::Decrypt && is_replaced(key, keys);
    let Some(key) = in_force.iter().find(wanted) else {
        return Ok(None);
    };
    let uri = key.uri().unwrap_or_default();
    let key_url = match has_data(uri) {
        true => uri.into(),
        false => absolute(base, uri)?,
    };
    // Without an attribute it is the number (RFC 8216 5.2); an init section has none (C-32).
    let iv = match (key.iv(), media_sequence) {
        (Some(text), _) => u128::from_str_radix(text.get(2..).unwrap_or_default(), 16).ok(),
        (None, number) => number.map(u128::from),
    };
    let iv = iv.ok_or_else(|| FetchError::Key("EXT-X-KEY gives no IV for an EXT-X-MAP".into()))?;
    Ok(Some(Decrypt {
        key_url,
        iv: iv.to_be_bytes(),
    }))
}

fn base_of(offered: &Offered) -> Result<Url, FetchError> {
    Url::parse(&offered.base).map_err(|_| FetchError::BadUrl(Arc::clone(&offered.base)))
}

fn absolute(base: &Url, uri: &str) -> Result<Arc<str>, FetchError> {
    resolve(base, uri).map(|url| String::from(url).into())
}
