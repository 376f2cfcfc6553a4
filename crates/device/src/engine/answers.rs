//! Whether a region answers as it usually does.
//!
//! The clock runs while something that wants an answer is on its way, and begins anew with each
//! frame that comes. How long is long follows what this connection has shown so far, between
//! bounds; a link may also need its time for the bytes that wait.

use crate::options::Network;
use std::collections::VecDeque;
use std::time::Duration;

/// Answers that are remembered.
const KEPT: usize = 32;

/// What the slowest link that is worth using carries. Bytes on their way lengthen each wait.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// What is on its way to one region, and how long its answers took.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Since when there is something to answer and nothing was heard.
    since: Option<Duration>,
    bytes: u64,
    took: VecDeque<Duration>,
}

/// When to do something about an answer that does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// Offer the same to another region.
    pub hedge: Duration,
    /// Leave for another region.
    pub give_up: Duration,
}

impl Answers {
    /// A connection whose greeting took so long.
    pub fn after(greeting: Duration) -> Self {
        Self { took: VecDeque::from([greeting]), ..Self::default() }
    }

    /// Something that wants an answer leaves.
    pub fn sent(&mut self, now: Duration, bytes: usize) {
        self.since.get_or_insert(now);
        self.bytes += bytes as u64;
    }

    /// Something came. `answer`: it answers what was sent; `more`: other things are unanswered.
    pub fn heard(&mut self, now: Duration, answer: bool, more: bool) {
        let Some(since) = self.since else { return };
        if answer {
            if self.took.len() == KEPT {
                self.took.pop_front();
            }
            self.took.push_back(now.saturating_sub(since));
        }
        self.since = more.then_some(now);
        if !more {
            self.bytes = 0;
        }
    }

    /// When the silence becomes too long; `None` while nothing is waited for.
    pub fn deadlines(&self, network: &Network) -> Option<Deadlines> {
        let since = self.since?;
        let slow = Duration::from_millis(self.bytes * 1_000 / SLOWEST_BYTES_PER_SECOND);
        let usual = self.slow_one();
        let ms = Duration::from_millis;
        let bounded = |times: u32, least: u64, most: u64| {
            since + slow + (usual * times).clamp(ms(least.min(most)), ms(most))
        };
        Some(Deadlines {
            hedge: bounded(2, network.hedge_ms_min, network.hedge_ms_max),
            give_up: bounded(4, network.answer_ms_min, network.answer_ms_max),
        })
    }

    /// What nineteen of twenty answers did not exceed.
    fn slow_one(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.took.iter().copied().collect();
        sorted.sort_unstable();
        let at = (sorted.len() * 19).div_ceil(20).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits_follow_the_answers_between_their_bounds() {
        let network = Network::default();
        let check = |usual_ms: u64, hedge_ms: u64, give_up_ms: u64| {
            let mut answers = Answers::after(MS(usual_ms));
            assert_eq!(answers.deadlines(&network), None);
            answers.sent(MS(5_000), 0);
            let deadlines = answers.deadlines(&network).expect("something is waited for");
            assert_eq!(deadlines.hedge, MS(5_000 + hedge_ms));
            assert_eq!(deadlines.give_up, MS(5_000 + give_up_ms));
        };
        check(1, 250, 400);
        check(200, 400, 800);
        check(3_000, 1_000, 4_000);
    }

    #[test]
    fn one_slow_answer_of_many_does_not_count_and_frames_that_answer_nothing_do_not_either() {
        let network = Network::default();
        let mut answers = Answers::after(MS(200));
        let mut now = MS(0);
        let mut answer = |answers: &mut Answers, took_ms: u64, is_answer: bool| {
            answers.sent(now, 0);
            now += MS(took_ms);
            answers.heard(now, is_answer, false);
        };
        (0..KEPT - 2).for_each(|_| answer(&mut answers, 200, true));
        answer(&mut answers, 900, true);
        (0..5).for_each(|_| answer(&mut answers, 10, false));
        assert_eq!(answers.slow_one(), MS(200));
        (0..3).for_each(|_| answer(&mut answers, 300, true));
        assert_eq!(answers.slow_one(), MS(300), "what is usual by now");
        answers.sent(now, 0);
        let deadlines = answers.deadlines(&network).expect("something is waited for");
        assert_eq!((deadlines.hedge, deadlines.give_up), (now + MS(600), now + MS(1_200)));
    }

    #[test]
    fn a_long_queue_has_time_to_leave_over_a_slow_link() {
        let network = Network::default();
        let mut answers = Answers::after(MS(1));
        answers.sent(MS(0), 64 << 10);
        let deadlines = answers.deadlines(&network).expect("something is waited for");
        assert_eq!(deadlines.give_up, MS(4_400));
    }

    #[test]
    fn silence_counts_from_what_was_heard_last() {
        let network = Network::default();
        let mut answers = Answers::after(MS(1));
        answers.sent(MS(0), 10);
        answers.heard(MS(300), false, true);
        assert_eq!(answers.deadlines(&network).map(|d| d.hedge), Some(MS(550)));
        answers.heard(MS(310), true, false);
        assert_eq!(answers.deadlines(&network), None);
    }
}
