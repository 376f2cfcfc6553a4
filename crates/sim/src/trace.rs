//! What happened, for people and for comparison: the last events in words, and a hash over all.

use std::collections::VecDeque;

/// Events that a failure's story tells.
const STORY: usize = 80;

#[derive(Debug)]
pub struct Trace {
    hash: u64,
    steps: u64,
    last: VecDeque<String>,
    /// Print events as they come, for whoever hunts a failure.
    pub keep_all: bool,
    pub all: Vec<String>,
}

impl Default for Trace {
    fn default() -> Self {
        let hash = 0xcbf2_9ce4_8422_2325;
        Self { hash, steps: 0, last: VecDeque::new(), keep_all: false, all: Vec::new() }
    }
}

impl Trace {
    /// Note an event.
    pub fn say(&mut self, now: i64, what: String) {
        self.steps += 1;
        let line = format!("{:>7} ms  {what}", now - crate::world::EPOCH_MS);
        self.mix(line.as_bytes());
        if self.keep_all {
            self.all.push(line.clone());
        }
        if self.last.len() == STORY {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Take bytes into the hash without telling them.
    pub fn mix(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.hash = (self.hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn story(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
