//! Updates of a live query that wait to be fetched.
//!
//! The hub puts them in, the app fetches them one by one, or is busy elsewhere: a screen that nobody
//! looks at, a task that is held up. Each update holds all rows of its time, so no more than
//! [`UNREAD_MAX`] wait. Where one more comes, a single one takes the place of all of them: it leads
//! from the rows that were fetched last to the present ones, so who carries changes out on a copy
//! misses nothing but the states in between. Nothing here is durable.

use super::WatchUpdate;
use super::diff::{Keying, diff};
use crate::error::Error;
use crate::event::Coverage;
use crate::read::Row;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::Notify;

/// Updates that wait.
const UNREAD_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Unread {
    keying: Keying,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Result<WatchUpdate, Error>>,
    /// What was fetched last.
    fetched: Option<(Arc<Vec<Row>>, Coverage)>,
    /// Nothing more will come.
    ended: bool,
}

impl Unread {
    pub fn new(keying: Keying) -> Self {
        Self { keying, state: Mutex::default(), told: Notify::new() }
    }

    pub fn put(&self, update: WatchUpdate) {
        let mut state = self.lock();
        if state.waiting.len() < UNREAD_MAX {
            state.waiting.push_back(Ok(update));
        } else {
            state.waiting.clear();
            let merged = state.since_fetched(&self.keying, update);
            state.waiting.extend(merged.map(Ok));
        }
        self.told.notify_one();
    }

    /// The last thing that is told.
    pub fn fail(&self, error: Error) {
        self.lock().waiting.push_back(Err(error));
        self.told.notify_one();
    }

    pub fn end(&self) {
        self.lock().ended = true;
        self.told.notify_one();
    }

    /// The next one; `None` at the end. For one caller at a time.
    pub async fn next(&self) -> Option<Result<WatchUpdate, Error>> {
        loop {
            if let Poll::Ready(next) = self.lock().take() {
                return next;
            }
            self.told.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Poll<Option<Result<WatchUpdate, Error>>> {
        match self.waiting.pop_front() {
            Some(next) => {
                if let Ok(update) = &next {
                    self.fetched = Some((update.rows.clone(), update.coverage));
                }
                Poll::Ready(Some(next))
            }
            None if self.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// The latest update, as it is to who knows what was fetched and nothing since; `None` if that is
    /// nothing new.
    fn since_fetched(&self, keying: &Keying, latest: WatchUpdate) -> Option<WatchUpdate> {
        let none = Vec::new();
        let before = self.fetched.as_ref().map_or(&none, |(rows, _)| rows.as_ref());
        let changes = diff(keying, before, &latest.rows);
        let is_news = self.fetched.as_ref().is_none_or(|(_, known)| *known != latest.coverage);
        (is_news || !changes.is_empty()).then_some(WatchUpdate { changes, ..latest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::apply;

    fn row(n: i64) -> Row {
        Row { columns: ["id".to_owned()].into(), values: [n.into()].into() }
    }

    /// Updates as the hub makes them: from the first of these states to the last.
    fn updates(states: &[Vec<i64>]) -> Vec<WatchUpdate> {
        let rows = |state: &Vec<i64>| state.iter().map(|n| row(*n)).collect::<Vec<Row>>();
        let mut before = Vec::new();
        let update = |state: &Vec<i64>| {
            let now = rows(state);
            let changes = diff(&Keying::FirstOrWhole, &before, &now);
            before.clone_from(&now);
            let (rows, coverage) = (Arc::new(now), Coverage::Partial);
            WatchUpdate { changes, rows, coverage, incremental: false }
        };
        states.iter().map(update).collect()
    }

    fn fetch(unread: &Unread) -> Vec<WatchUpdate> {
        let next = || match unread.lock().take() {
            Poll::Ready(Some(update)) => Some(update.unwrap()),
            _ => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn of_many_that_wait_one_is_made_that_leads_to_the_present() {
        let states: Vec<Vec<i64>> = (1..=100).map(|n| (n / 2..n).collect()).collect();
        let unread = Unread::new(Keying::FirstOrWhole);
        let (mut copy, mut all) = (Vec::new(), updates(&states).into_iter());
        for gap in [1, 3, UNREAD_MAX, UNREAD_MAX + 1, 50, 13] {
            let mut last = None;
            for update in all.by_ref().take(gap) {
                last = Some(update.rows.clone());
                unread.put(update);
                assert!(unread.lock().waiting.len() <= UNREAD_MAX);
            }
            fetch(&unread).iter().for_each(|update| apply(&mut copy, &update.changes));
            assert_eq!(Some(&copy), last.as_deref(), "after {gap}");
        }
    }

    #[test]
    fn what_came_and_went_unseen_is_told_no_more_but_a_first_update_always_is() {
        let there_and_back: Vec<Vec<i64>> = (0..=2 * UNREAD_MAX as i64)
            .map(|n| if n % 2 == 0 { vec![] } else { vec![n] })
            .collect();
        let unread = Unread::new(Keying::FirstOrWhole);
        updates(&there_and_back[..=UNREAD_MAX]).into_iter().for_each(|u| unread.put(u));
        let first = fetch(&unread);
        assert_eq!(first.len(), 1, "nothing was fetched before");
        assert!(first[0].rows.is_empty() && first[0].changes.is_empty());
        updates(&there_and_back).drain(1..=UNREAD_MAX).for_each(|u| unread.put(u));
        assert_eq!(unread.lock().waiting.len(), UNREAD_MAX);
        updates(&there_and_back).drain(2..=2).for_each(|u| unread.put(u));
        assert!(fetch(&unread).is_empty());
    }
}
