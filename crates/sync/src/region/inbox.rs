//! Frames that wait for the region's next turn.
//!
//! Each connection has a line of its own, in the order in which its frames came. Lines are served one
//! after the other, a few frames at a time: who sends much waits for itself, and not
//! others for it.

use super::session::SessionId;
use crate::wire;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};

/// A link to a peer region, as numbered by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// Dropped when a frame has been worked on, or is given up with its connection: whoever queues frames
/// bounds by it what they may take in memory.
pub type Guard = Box<dyn Any + Send>;

#[derive(Debug)]
pub(super) enum Frame {
    Device(SessionId, wire::DeviceFrame),
    Peer(LinkId, wire::PeerFrame),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Line {
    Device(SessionId),
    Peer(LinkId),
}

#[derive(Default)]
pub(super) struct Inbox {
    lines: BTreeMap<Line, VecDeque<(Frame, Guard)>>,
    /// Those that have something, the next one first. A line that was given up may still be in it.
    turns: VecDeque<Line>,
}

impl Frame {
    pub fn line(&self) -> Line {
        match self {
            Self::Device(id, _) => Line::Device(*id),
            Self::Peer(id, _) => Line::Peer(*id),
        }
    }
}

impl Inbox {
    pub fn push(&mut self, frame: Frame, guard: Guard) {
        self.line_of(&frame).push_back((frame, guard));
    }

    /// What is left of a frame that was begun comes before all others of its line.
    pub fn put_back(&mut self, frame: Frame, guard: Guard) {
        self.line_of(&frame).push_front((frame, guard));
    }

    fn line_of(&mut self, frame: &Frame) -> &mut VecDeque<(Frame, Guard)> {
        let line = frame.line();
        self.lines.entry(line).or_insert_with(|| {
            self.turns.push_back(line);
            VecDeque::new()
        })
    }

    pub fn pop(&mut self) -> Option<(Frame, Guard)> {
        while let Some(line) = self.turns.pop_front() {
            let Some(waiting) = self.lines.get_mut(&line) else { continue };
            let first = waiting.pop_front();
            if waiting.is_empty() {
                self.lines.remove(&line);
            } else {
                self.turns.push_back(line);
            }
            if first.is_some() {
                return first;
            }
        }
        None
    }

    /// The line that was served last is served next, too, if it has anything.
    pub fn stay(&mut self, line: Line) {
        if self.turns.back() == Some(&line) {
            self.turns.rotate_right(1);
        }
    }

    /// The connection is gone, and nobody wants answers.
    pub fn forget(&mut self, line: Line) {
        self.lines.remove(&line);
    }

    pub fn has(&self, line: Line) -> bool {
        self.lines.contains_key(&line)
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::device_frame::Kind;
    use std::sync::Arc;

    fn push(inbox: &mut Inbox, session: u64, n: i64) {
        inbox.push(ping(session, n), Box::new(()));
    }

    fn ping(session: u64, n: i64) -> Frame {
        let ping = wire::Ping { sent_ms: n };
        Frame::Device(SessionId(session), wire::DeviceFrame { kind: Some(Kind::Ping(ping)) })
    }

    fn popped(inbox: &mut Inbox) -> Option<(u64, i64)> {
        match inbox.pop()?.0 {
            Frame::Device(id, wire::DeviceFrame { kind: Some(Kind::Ping(p)) }) => {
                Some((id.0, p.sent_ms))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_take_turns_and_each_keeps_its_order() {
        let mut inbox = Inbox::default();
        for (session, n) in [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (2, 2)] {
            push(&mut inbox, session, n);
        }
        let order: Vec<_> = std::iter::from_fn(|| popped(&mut inbox)).collect();
        assert_eq!(order, [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3)]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_line_may_stay_for_another_frame() {
        let mut inbox = Inbox::default();
        for (session, n) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            push(&mut inbox, session, n);
        }
        assert_eq!(popped(&mut inbox), Some((1, 1)));
        inbox.stay(Line::Device(SessionId(1)));
        assert_eq!(popped(&mut inbox), Some((1, 2)));
        inbox.stay(Line::Device(SessionId(1)));
        let rest: Vec<_> = std::iter::from_fn(|| popped(&mut inbox)).collect();
        assert_eq!(rest, [(2, 1), (2, 2)]);
    }

    #[test]
    fn the_rest_of_a_frame_comes_before_what_is_behind_it_and_after_the_other_lines() {
        let mut inbox = Inbox::default();
        for (session, n) in [(1, 1), (1, 2), (2, 1)] {
            push(&mut inbox, session, n);
        }
        let (frame, guard) = inbox.pop().unwrap();
        inbox.put_back(frame, guard);
        let order: Vec<_> = std::iter::from_fn(|| popped(&mut inbox)).collect();
        assert_eq!(order, [(2, 1), (1, 1), (1, 2)]);
        // The only frame of its line, too.
        inbox.put_back(ping(4, 1), Box::new(()));
        assert_eq!(popped(&mut inbox), Some((4, 1)));
    }

    #[test]
    fn what_a_connection_had_waiting_goes_with_it_and_so_do_its_guards() {
        let mut inbox = Inbox::default();
        let (gone, stays) = (Arc::new(()), Arc::new(()));
        inbox.push(ping(1, 1), Box::new(Arc::clone(&gone)));
        inbox.push(ping(2, 1), Box::new(Arc::clone(&stays)));
        inbox.forget(Line::Device(SessionId(1)));
        assert_eq!((Arc::strong_count(&gone), Arc::strong_count(&stays)), (1, 2));
        assert!(!inbox.has(Line::Device(SessionId(1))) && inbox.has(Line::Device(SessionId(2))));
        assert_eq!(popped(&mut inbox), Some((2, 1)));
        assert_eq!(popped(&mut inbox), None);
    }
}
