//! Changes to bytes, drawn from a seed: what a fuzzer does that sees nothing of the code.

/// Numbers at which code decides.
const EDGES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 63];

/// A source of changed inputs.
pub struct Mutator(u64);

impl Mutator {
    /// The same seed makes the same changes.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of the inputs with one to six changes, some of them pieces of another.
    pub fn changed(&mut self, inputs: &[Vec<u8>], bytes_max: usize) -> Vec<u8> {
        let mut bytes = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(6) {
            let other = self.below(inputs.len());
            self.change(&mut bytes, &inputs[other]);
        }
        bytes.truncate(bytes_max);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let length = 1 + self.below(8);
        let end = (at + length).min(bytes.len());
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => bytes.insert(at, self.next() as u8),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let edge = edge[8 - length..].iter().copied();
                bytes.splice(at..end, edge);
            }
            6 => bytes.truncate(at),
            _ => {
                let from = self.below(other.len() + 1);
                let piece = &other[from..(from + 4 * length).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
