//! A page in place of media: of a portal that wants a login, of an edge that has an error and calls it a success.
//!
//! Types lie in both directions, so the bytes decide. No media that players know begins as a page does; what is
//! encrypted does so by chance once in more segments than there are, or once in a thousand that are called pages.

use reqwest::header::{self, HeaderMap};

/// What a page begins with, in small letters.
const BEGINNINGS: [&[u8]; 2] = [b"<!doctype html", b"<html"];
/// Text may begin with it, and so may a page.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// So many bytes are enough, with some blanks before them.
const ENOUGH: usize = 256;

/// The first bytes of an answer, in however many pieces they come.
pub(super) struct FirstBytes {
    /// It is called a page: one that begins otherwise is one as well, as long as it looks like markup.
    called_so: bool,
    seen: Vec<u8>,
}

impl FirstBytes {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let said = headers.get(header::CONTENT_TYPE).map(|it| it.as_bytes());
        let called_so = said.is_some_and(|said| begins_with(said, b"text/html"));
        let seen = Vec::new();
        Self { called_so, seen }
    }

    /// Takes the next bytes; whether it is a page, as far as is known now.
    pub(super) fn are_of_a_page(&mut self, come: &[u8]) -> bool {
        let room = ENOUGH - self.seen.len();
        if room == 0 {
            return false;
        }
        self.seen.extend_from_slice(&come[..come.len().min(room)]);
        let text = self.seen.strip_prefix(BYTE_ORDER_MARK);
        let text = text.unwrap_or(&self.seen).trim_ascii_start();
        let is_markup = self.called_so && begins_as_markup(text);
        is_markup || BEGINNINGS.iter().any(|it| begins_with(text, it))
    }
}

fn begins_as_markup(text: &[u8]) -> bool {
    let begins = |it: &u8| it.is_ascii_alphabetic() || b"!?/".contains(it);
    text.first() == Some(&b'<') && text.get(1).is_some_and(begins)
}

/// Whatever the case of its letters is.
fn begins_with(bytes: &[u8], beginning: &[u8]) -> bool {
    let begins = bytes.get(..beginning.len());
    begins.is_some_and(|it| it.eq_ignore_ascii_case(beginning))
}
