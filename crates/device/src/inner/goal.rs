//! What the app wants of the engines, on the account's file and on those beside it.
//!
//! The network is used while the app wants it, and while a slot is open. To go offline ends all
//! slots: who opened one before that has no say any more.

use super::Inner;
use crate::options::Conditions;

/// What the app wants of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goal {
    /// The app wants the network, not only for a slot.
    wanted: bool,
    /// Slots that are open, and how often the app went offline: that ends all that are.
    slots: u32,
    offline: u32,
    /// Rows of lower priorities than this are no part of the slots that are open.
    priority_min: u8,
    pub closing: bool,
    pub conditions: Conditions,
    /// Goes up when the device's network is another one.
    pub network: u32,
}

impl Goal {
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            slots: 0,
            offline: 0,
            priority_min: 0,
            closing: false,
            conditions: Conditions::default(),
            network: 0,
        }
    }

    /// The network is to be used.
    pub fn online(&self) -> bool {
        self.wanted || self.slots > 0
    }

    /// If it is for slots alone: the lowest priority of rows that one of them is for.
    pub fn slot(&self) -> Option<u8> {
        (!self.wanted && self.slots > 0).then_some(self.priority_min)
    }

    /// Use the network, or not; for a slot alone, if one is given.
    pub fn set(&mut self, online: bool, slot: Option<u8>) {
        self.wanted = online && slot.is_none();
        self.slots = u32::from(online && slot.is_some());
        self.priority_min = slot.unwrap_or(0);
    }
}

impl Inner {
    /// Use the network, or not; not, whatever slots are open.
    pub fn set_online(&self, online: bool) {
        self.set_goal(|goal| {
            goal.wanted = online;
            if !online {
                (goal.slots, goal.offline) = (0, goal.offline.wrapping_add(1));
            }
        });
    }

    /// Use the network for a slot. What is returned ends it.
    pub fn open_slot(&self, priority_min: u8) -> u32 {
        self.set_goal(|goal| {
            goal.priority_min = goal.slot().map_or(priority_min, |open| open.min(priority_min));
            goal.slots = goal.slots.saturating_add(1);
        });
        self.goal.borrow().offline
    }

    /// The app went offline since the slot was opened, which ended it.
    pub fn has_ended(&self, opened: u32) -> bool {
        self.goal.borrow().offline != opened
    }

    /// The slot is over, if the app has not ended it by going offline.
    pub fn close_slot(&self, opened: u32) {
        self.set_goal(|goal| {
            if goal.offline == opened {
                goal.slots = goal.slots.saturating_sub(1);
            }
        });
    }

    fn set_goal(&self, change: impl FnOnce(&mut Goal)) {
        let mut online = false;
        self.goal.send_modify(|goal| {
            change(goal);
            online = goal.online();
        });
        for file in &self.shared {
            file.inner.follow(|| *self.goal.borrow());
        }
        if !online {
            // Nothing that is written from here on leaves with a session that is about to end.
            self.end_session();
        }
        self.wake.notify_one();
    }

    /// The app's wishes are others now, for all files.
    pub fn change_goal(&self, change: impl Fn(&mut Goal)) {
        for inner in self.shared.iter().map(|file| &*file.inner).chain([self]) {
            inner.goal.send_modify(&change);
            inner.wake.notify_one();
        }
    }

    /// Ask the engines to stop.
    pub fn stop(&self) {
        self.change_goal(|goal| goal.closing = true);
    }
}
