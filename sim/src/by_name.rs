//! Things by name, found by a digest of it: a number is compared faster than names that begin alike, and each
//! step looks at many.

use hls_relay_core::digest::Digest;
use std::collections::BTreeMap;

/// A map whose order is that of the digests, and so the same in every run. Of 64 bits no two names of a world
/// share one.
#[derive(Clone, Debug)]
pub(crate) struct ByName<T>(BTreeMap<u64, T>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByName<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.0.get(&Digest::of(name))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.0.get_mut(&Digest::of(name))
    }

    pub(crate) fn get_or_insert_with(&mut self, name: &str, make: impl FnOnce() -> T) -> &mut T {
        self.0.entry(Digest::of(name)).or_insert_with(make)
    }

    pub(crate) fn insert(&mut self, name: &str, it: T) {
        self.0.insert(Digest::of(name), it);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        self.0.remove(&Digest::of(name))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|_, it| keep(it));
    }
}
