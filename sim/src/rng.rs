//! Random numbers as a function, not as a state.
//!
//! Every draw is named: the same seed, stream and index give the same number, whatever else was
//! drawn before. So a plan from which one fault is removed keeps all the rest of its jitter.

/// One independent stream of random numbers, named within a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of this name.
    pub const fn new(seed: u64, name: &str) -> Self {
        Self {
            key: mix(seed ^ mix(hash_bytes(name.as_bytes()))),
        }
    }

    /// A stream of its own below this one, for something that has an index and draws many times.
    pub const fn child(self, index: u64) -> Self {
        Self {
            key: mix(self.key ^ mix(index ^ 0x6a09_e667_f3bc_c909)),
        }
    }

    /// The number at `index`, any of 2^64.
    pub const fn draw(self, index: u64) -> u64 {
        mix(self
            .key
            .wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The number at `index`, below `limit`; zero where the limit is zero.
    pub const fn below(self, index: u64, limit: u64) -> u64 {
        // The high half of the product: even enough for every limit far below 2^64.
        ((self.draw(index) as u128 * limit as u128) >> 64) as u64
    }
}

/// A hash of bytes that is the same on every machine and in every release.
pub const fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    mix(hash)
}

/// The finalizer of splitmix64: every bit of the input moves every bit of the output.
const fn mix(input: u64) -> u64 {
    let mut word = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_name_and_index_only() {
        let stream = Stream::new(7, "publish");
        assert_eq!(stream.draw(3), Stream::new(7, "publish").draw(3));
        assert_ne!(stream.draw(3), stream.draw(4));
        assert_ne!(stream.draw(3), Stream::new(8, "publish").draw(3));
        assert_ne!(stream.draw(3), Stream::new(7, "latency").draw(3));
        assert_ne!(stream.draw(3), stream.child(0).draw(3));
    }

    #[test]
    fn the_formula_is_fixed_for_ever() {
        // A changed value here makes every recorded seed mean something else.
        assert_eq!(Stream::new(0, "").draw(0), 0xc23c_9668_61cf_406d);
    }

    #[test]
    fn draws_below_a_limit_fill_it_evenly() {
        let stream = Stream::new(1, "even");
        let mut seen = [0_u32; 10];
        for index in 0..10_000 {
            seen[stream.below(index, 10) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (900..1_100).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(stream.below(5, 0), 0);
    }
}
