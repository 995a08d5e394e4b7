//! A version told by what each of its segments is, whatever that is called.

use super::{Ledger, MediaKey};
use crate::lines::lines;
use crate::published::{Listed, Version};

impl Ledger {
    /// A version in one line, each segment by what it is.
    pub fn story(&self, version: &Version) -> String {
        let mut line = format!(
            "list from {} discontinuity {}:",
            version.media_sequence, version.discontinuity_sequence
        );
        for listed in &version.segments {
            line.push_str(if listed.discontinuity { " / " } else { " " });
            line.push_str(&self.called(listed));
        }
        if version.ended {
            line.push_str(" end");
        }
        line
    }

    /// A version as it stands, but for the names of objects, which no story is about.
    pub fn in_full(&self, version: &Version) -> String {
        let mut segments = version.segments.iter();
        let mut text = String::new();
        for line in lines(&version.text) {
            match line.starts_with('#') {
                true => text.push_str(&self.without_names(line)),
                false => text.extend(segments.next().map(|it| self.called(it))),
            }
            text.push('\n');
        }
        text
    }

    /// A line with what its URI is in place of a name of ours.
    fn without_names(&self, line: &str) -> String {
        let uri = crate::published::quoted(line, "URI");
        let stored = uri.and_then(|uri| self.known.objects.get(uri));
        match (uri, stored) {
            (Some(uri), Some(stored)) => line.replace(uri, &format!("{:016x}", stored.media.hash)),
            _ => line.to_owned(),
        }
    }

    /// What a listed segment is: the letter of its origin, a mark for each restart, its number.
    fn called(&self, listed: &Listed) -> String {
        match self.known.objects.get(&*listed.uri) {
            Some(stored) if !listed.gap => {
                let MediaKey {
                    origin,
                    run,
                    number,
                    ..
                } = stored.key;
                let letter = char::from(b'a' + u8::try_from(origin % 26).unwrap_or(0));
                format!("{letter}{}{number}", "'".repeat(run as usize))
            }
            Some(_) | None => "~".to_owned(),
        }
    }
}
