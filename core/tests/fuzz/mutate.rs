//! Inputs made of other inputs: lines are moved, bytes are changed, and words of the format put in.

/// A small generator of chance (SplitMix64): the same seed draws the same.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.draw() % end.max(1) as u64) as usize
    }

    fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Words that have broken parsers.
const WORDS: [&str; 36] = [
    ",",
    "\"",
    "=",
    ":",
    " ",
    "\t",
    "\r",
    "\n",
    "#",
    "@",
    ".",
    "-",
    "0",
    "1",
    "9999999999",
    "18446744073709551615",
    "\u{FEFF}",
    "\u{85}",
    "é",
    "NONE",
    "EXT",
    "YES",
    "{$a}",
    "\n----\n",
    "\n#EXTINF:1,\na.ts\n",
    "\n#EXT-X-ENDLIST\n",
    "\n#EXT-X-DISCONTINUITY\n",
    "\n#EXT-X-GAP\n",
    "\n#EXT-X-KEY:METHOD=NONE\n",
    "\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n",
    "\n#EXT-X-MAP:URI=\"i\"\n",
    "\n#EXT-X-BYTERANGE:5\n",
    "\n#EXT-X-PROGRAM-DATE-TIME:2026-03-02T18:59:48.12Z\n",
    "\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n",
    "\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n",
    "\n#EXTM3U\n",
];

/// One of the inputs, changed in up to eight places.
pub(crate) fn mutated(chance: &mut Chance, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs[chance.below(inputs.len())].clone();
    for _ in 0..=chance.below(8) {
        let other = &inputs[chance.below(inputs.len())];
        change(chance, &mut input, other);
    }
    input
}

fn change(chance: &mut Chance, input: &mut Vec<u8>, other: &[u8]) {
    let at = chance.below(input.len() + 1);
    match chance.below(8) {
        0 => {
            let word = chance.one_of(&WORDS);
            input.splice(at..at, word.bytes());
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = chance.below(256) as u8;
            }
        }
        2 => {
            let end = at + chance.below(9).min(input.len() - at);
            input.drain(at..end);
        }
        3 => {
            // A number becomes another one.
            if let Some(byte) = input.get_mut(at).filter(|byte| byte.is_ascii_digit()) {
                *byte = b'0' + chance.below(10) as u8;
            }
        }
        _ => {
            let mut lines = lines_of(input);
            let (first, second) = (chance.below(lines.len()), chance.below(lines.len()));
            match chance.below(4) {
                0 => drop(lines.remove(first)),
                1 => lines.swap(first, second),
                2 => lines.insert(first, lines[second].clone()),
                _ => {
                    let others = lines_of(other);
                    let from = chance.below(others.len());
                    let to = from + chance.below(6).min(others.len() - from);
                    lines.splice(first..first, others[from..to].iter().cloned());
                }
            }
            *input = lines.concat();
        }
    }
}

/// At least one.
fn lines_of(input: &[u8]) -> Vec<Vec<u8>> {
    let lines = input
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec);
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        vec![Vec::new()]
    } else {
        lines
    }
}
