//! What happened lately, for who asks why: states of the connection, and errors by their codes.
//! Memory: it begins with the client.

use crate::event::ConnectionState;
use std::collections::VecDeque;

/// The latest of each kind that are kept.
const KEPT: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct History {
    connections: VecDeque<(i64, ConnectionState)>,
    errors: VecDeque<(i64, &'static str)>,
}

impl History {
    pub fn connection(&mut self, at_ms: i64, state: ConnectionState) {
        push(&mut self.connections, (at_ms, state));
    }

    pub fn error(&mut self, at_ms: i64, code: &'static str) {
        push(&mut self.errors, (at_ms, code));
    }

    pub fn connections(&self) -> impl Iterator<Item = &(i64, ConnectionState)> {
        self.connections.iter()
    }

    pub fn errors(&self) -> impl Iterator<Item = &(i64, &'static str)> {
        self.errors.iter()
    }
}

fn push<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == KEPT {
        all.pop_front();
    }
    all.push_back(one);
}
