//! What the nodes of a cluster know each other by while Redis is away: it stands in Redis, and whoever reads that is
//! one of them.

use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use subtle::ConstantTimeEq;

/// Redis that has lost it has a new one; a node that has not seen that knows the others by the one before.
const MOST: usize = 4;

/// Those that were seen last, the newest first.
#[derive(Debug, Default)]
pub struct Secrets {
    known: VecDeque<String>,
}

impl Secrets {
    /// One to begin with, from the system's randomness.
    pub fn draw() -> String {
        let draw = || RandomState::new().hash_one(0);
        format!(
            "{:016x}{:016x}{:016x}{:016x}",
            draw(),
            draw(),
            draw(),
            draw()
        )
    }

    /// Redis has this one.
    pub fn learn(&mut self, secret: String) {
        if !self.known.contains(&secret) {
            self.known.push_front(secret);
            self.known.truncate(MOST);
        }
    }

    /// All of them, to be shown to another node.
    pub fn text(&self) -> String {
        let known: Vec<_> = self.known.iter().map(|it| &**it).collect();
        known.join(",")
    }

    /// Whether who shows these is one of the nodes. The time that it takes tells nothing of how much is right.
    pub fn is_one_of(&self, shown: &str) -> bool {
        let hash = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        let shown: Vec<_> = shown.split(',').take(MOST).map(hash).collect();
        let mut known = self.known.iter().map(|it| hash(it));
        known.any(|own| shown.iter().any(|it| it.ct_eq(&own).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_common_will_do_and_no_other() {
        let (mut one, mut other) = (Secrets::default(), Secrets::default());
        assert!(!one.is_one_of("") && !one.is_one_of(&other.text()));
        let secrets = [Secrets::draw(), Secrets::draw(), Secrets::draw()];
        assert!(secrets[0] != secrets[1] && secrets[0].len() == 64);
        one.learn(secrets[0].clone());
        other.learn(secrets[1].clone());
        assert!(!one.is_one_of(&other.text()) && !one.is_one_of(&secrets[0][1..]));
        other.learn(secrets[0].clone());
        assert!(one.is_one_of(&other.text()) && other.is_one_of(&one.text()));
        for _ in 0..MOST {
            one.learn(Secrets::draw());
        }
        assert!(!one.is_one_of(&secrets[0]));
    }
}
