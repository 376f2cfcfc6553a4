//! Waits that can be given up, for a language whose generated half does not cancel a future: Swift.
//!
//! A cancelled task there leaves a future of the library running. So the hand-written half makes a
//! [`Waiter`] for each call that waits, and gives it up when the task is cancelled: the future inside is
//! dropped, as Rust and Kotlin drop theirs, and the call returns at once. What was given up says so by
//! what it returns.

use crate::client::Client;
use crate::error::CallError;
use crate::event::{Event, EventStream};
use crate::slot::{SyncLimits, SyncReport};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::Notify;

/// One call that waits, and the means to end it. To be used once.
#[derive(Debug, Default, uniffi::Object)]
pub struct Waiter {
    given_up: Notify,
}

#[uniffi::export]
impl Waiter {
    /// A wait that has not begun.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wait no longer; a call that begins later does not wait at all.
    pub fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// See [`Client::settle`]; false if it was given up.
    pub async fn settle(&self, client: Arc<Client>, timeout_ms: u64) -> Result<bool, CallError> {
        Ok(self.unless_given_up(client.settle(timeout_ms)).await.transpose()?.is_some())
    }

    /// See [`Client::drain`]; false if it was given up.
    pub async fn drain(&self, client: Arc<Client>, timeout_ms: u64) -> Result<bool, CallError> {
        Ok(self.unless_given_up(client.drain(timeout_ms)).await.transpose()?.is_some())
    }

    /// See [`Client::sync_once`]; nothing if it was given up.
    pub async fn sync_once(
        &self,
        client: Arc<Client>,
        limits: SyncLimits,
    ) -> Result<Option<SyncReport>, CallError> {
        self.unless_given_up(client.sync_once(limits)).await.transpose()
    }

    /// See [`EventStream::next`]; nothing also if it was given up, which loses no event.
    pub async fn next(&self, events: Arc<EventStream>) -> Option<Event> {
        self.unless_given_up(events.next()).await.flatten()
    }
}

impl Waiter {
    /// What is done is told even if it was given up at the same moment.
    async fn unless_given_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut given_up) = (pin!(work), pin!(self.given_up.notified()));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => given_up.as_mut().poll(context).map(|()| None),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Action, Edit};
    use crate::open::{OpenOptions, TokenError, TokenProvider, TokenReason};
    use std::time::Duration;

    const SCHEMA: &str =
        "type Thing @entity(strategy: LAST_WRITE_WINS, scope: \"all\") { id: ID! }";

    struct NoTokens;

    #[async_trait::async_trait]
    impl TokenProvider for NoTokens {
        async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
            Err(TokenError::Unavailable { detail: String::new() })
        }
    }

    /// A client with a write that no region will ever have.
    fn client(dir: &std::path::Path) -> Arc<Client> {
        let path = dir.join("a.landfall").to_string_lossy().into_owned();
        let options = OpenOptions {
            path,
            schema: SCHEMA.to_owned(),
            tenant: String::new(),
            subject: "ann".to_owned(),
            regions: Vec::new(),
            start_offline: true,
            disk_bytes_max: None,
            network: None,
        };
        let client = Client::open(options, Arc::new(NoTokens)).expect("opened");
        let (kind, id) = ("Thing".to_owned(), "t-1".to_owned());
        let edit = Edit { kind, id, action: Action::Upsert, home: None, changes: Vec::new() };
        client.write(vec![edit]).expect("written");
        client
    }

    /// Runs to the end, on a thread of its own, what is given up from this one.
    fn given_up<T: Send + 'static>(work: impl FnOnce(Arc<Waiter>) -> T + Send + 'static) -> T {
        let wait = Waiter::new();
        let running = std::thread::spawn({
            let wait = wait.clone();
            move || work(wait)
        });
        std::thread::sleep(Duration::from_millis(20));
        wait.give_up();
        running.join().expect("it ended")
    }

    fn block_on<F: Future>(work: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(work)
    }

    #[test]
    fn waits_end_when_they_are_given_up() {
        const LONG_MS: u64 = 20_000;
        let dir = tempfile::tempdir().expect("a directory");
        let client = client(dir.path());
        let limits = SyncLimits { deadline_ms: LONG_MS, bytes_max: None, priority_min: 0 };
        let events = client.events();
        assert_eq!(given_up(move |w| block_on(w.next(events))), None);
        let c = client.clone();
        assert_eq!(given_up(move |w| block_on(w.settle(c, LONG_MS))), Ok(false));
        let c = client.clone();
        assert_eq!(given_up(move |w| block_on(w.drain(c, LONG_MS))), Ok(false));
        assert_eq!(given_up(move |w| block_on(w.sync_once(client, limits))), Ok(None));
    }

    #[test]
    fn what_is_done_is_told_and_what_was_given_up_before_does_not_wait() {
        let wait = Waiter::new();
        wait.give_up();
        assert_eq!(block_on(wait.unless_given_up(async { 7 })), Some(7));
        assert_eq!(block_on(wait.unless_given_up(std::future::pending::<u8>())), None);
    }
}
