//! A digest of anything that can be serialized: the same on every machine and in every release of
//! the standard library, so that two runs, or a run and its replay, can be compared by a number.
//!
//! It guards against accidents, not against enemies. Names of variants count, names of fields do
//! not: a field may be renamed without making every journal worthless.

use crate::inline::hidden;
use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt;

/// A digest that grows with each value added; the order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    state: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            state: 0x243f_6a88_85a3_08d3,
        }
    }
}

impl Digest {
    /// The digest of one value.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> u64 {
        let mut digest = Self::default();
        digest.add(value);
        digest.value()
    }

    /// Takes one more value in.
    pub fn add<T: Serialize + ?Sized>(&mut self, value: &T) {
        if value.serialize(&mut *self).is_err() {
            // A value that refuses to be serialized is a fact like any other.
            self.word(u64::MAX);
        }
    }

    /// What it comes to so far.
    pub fn value(&self) -> u64 {
        fold(self.state, 0x9e37_79b9_7f4a_7c15)
    }

    fn word(&mut self, word: u64) {
        self.state =
            fold(self.state ^ word, 0xa076_1d64_78bd_642f).rotate_left(23) ^ 0xe703_7ed1_a0b4_28db;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let last = rest
                .iter()
                .rev()
                .fold(0, |word, &byte| (word << 8) | u64::from(byte));
            self.word(last);
        }
    }
}

/// Both halves of the product, so that every bit of the input reaches every bit of the output.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Why a value could not be taken in; the digest then says that, instead of the value.
#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the value refuses to be serialized")
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Numbers of one kind each become one word.
macro_rules! words {
    ($($method:ident: $number:ty),* $(,)?) => {
        $(fn $method(self, value: $number) -> Result<(), Refused> {
            self.word(value as u64);
            Ok(())
        })*
    };
}

impl<'a> Serializer for &'a mut Digest {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = &'a mut Digest;
    type SerializeTuple = &'a mut Digest;
    type SerializeTupleStruct = &'a mut Digest;
    type SerializeTupleVariant = &'a mut Digest;
    type SerializeMap = &'a mut Digest;
    type SerializeStruct = &'a mut Digest;
    type SerializeStructVariant = &'a mut Digest;

    words! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_char: char,
    }

    #[expect(
        clippy::disallowed_types,
        reason = "serde asks for it; its bits are digested"
    )]
    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        self.serialize_u32(value.to_bits())
    }

    #[expect(
        clippy::disallowed_types,
        reason = "serde asks for it; its bits are digested"
    )]
    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        self.bytes(hidden(value).as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.word(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.serialize_u8(2)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.bytes(variant.as_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Refused> {
        self.word(length.unwrap_or(usize::MAX) as u64);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.bytes(variant.as_bytes());
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Refused> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.bytes(variant.as_bytes());
        Ok(self)
    }
}

/// The parts of every compound value follow each other.
macro_rules! parts {
    ($($shape:ident $method:ident),* $(,)?) => {
        $(impl $shape for &mut Digest {
            type Ok = ();
            type Error = Refused;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                value.serialize(&mut **self)
            }
            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

/// The same where the parts have names.
macro_rules! named_parts {
    ($($shape:ident),* $(,)?) => {
        $(impl $shape for &mut Digest {
            type Ok = ();
            type Error = Refused;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                value.serialize(&mut **self)
            }
            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

named_parts! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for &mut Digest {
    type Ok = ();
    type Error = Refused;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, FetchError};
    use crate::ids::RequestId;
    use crate::time::Span;

    #[test]
    fn the_formula_is_fixed_for_ever() {
        // A changed value here makes every recorded journal differ from its replay.
        assert_eq!(Digest::of(&Event::Tick), Digest::of("Tick"));
        assert_eq!(format!("{:016x}", Digest::of("")), "5c981c5f66651cad");
        assert_eq!(
            format!("{:016x}", Digest::of("twelve bytes")),
            "4901bb37e54afc8e"
        );
    }

    #[test]
    fn every_part_counts() {
        let failed = |request, error| {
            Digest::of(&Event::PlaylistLoaded {
                request: RequestId(request),
                outcome: Err(error),
            })
        };
        let all = [
            failed(1, FetchError::Empty),
            failed(2, FetchError::Empty),
            failed(1, FetchError::Cancelled),
            failed(1, FetchError::Status(404)),
            failed(1, FetchError::Status(405)),
            failed(1, FetchError::FirstByteTimeout(Span::from_secs(1))),
            failed(1, FetchError::WholeTimeout(Span::from_secs(1))),
            Digest::of(&Event::Tick),
            Digest::of(&Event::ShutDown),
        ];
        for (index, digest) in all.iter().enumerate() {
            assert!(!all[..index].contains(digest), "{index}");
        }
    }

    #[test]
    fn lengths_keep_neighbours_apart() {
        assert_ne!(Digest::of(&("ab", "c")), Digest::of(&("a", "bc")));
        assert_ne!(
            Digest::of(&(Some(1), None::<u8>)),
            Digest::of(&(None::<u8>, Some(1)))
        );
        assert_ne!(
            Digest::of(&vec![vec![1], vec![]]),
            Digest::of(&vec![vec![], vec![1]])
        );
    }
}
