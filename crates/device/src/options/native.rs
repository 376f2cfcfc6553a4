//! What an app lends where there is an operating system: its wall clock, its threads, HTTP.

use super::{Account, Clock, FixedToken, Network, Options, SystemRandom, compile};
use crate::error::OpenError;
use crate::read::READ_STEPS_MAX;
use crate::runtime::Threads;
use crate::transport::Http;
use landfall_model::schema::Schema;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The system's wall clock, which it does not follow backwards: a user who sets the clock back
/// does not set back the app. (It does follow forwards, because the time that a phone slept shows
/// nowhere else.)
#[derive(Debug)]
pub struct SystemClock {
    last: Mutex<(Instant, i64)>,
}

impl SystemClock {
    /// A clock that starts at the wall clock's time.
    pub fn new() -> Self {
        Self { last: Mutex::new((Instant::now(), wall_ms())) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let mut last = self.last.lock().expect("no panic under this lock");
        let passed_ms = last.0.elapsed().as_millis() as i64;
        let now_ms = wall_ms().max(last.1 + passed_ms);
        if now_ms > last.1 {
            *last = (Instant::now(), now_ms);
        }
        now_ms
    }
}

#[expect(clippy::disallowed_methods, reason = "the SDK is the edge of the app's process")]
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

impl Options {
    /// Options with the system's clock, randomness and threads, HTTP, and an empty token; to be
    /// completed through the fields.
    pub fn new(path: impl Into<PathBuf>, schema: Arc<Schema>, account: Account) -> Self {
        Self {
            path: path.into(),
            schema,
            account,
            regions: Vec::new(),
            tokens: Arc::new(FixedToken::default()),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            transport: Arc::new(Http::new()),
            runtime: Arc::new(Threads::new()),
            network: Network::default(),
            disk_bytes_max: None,
            shared: None,
            publishes: false,
            read_steps_max: READ_STEPS_MAX,
        }
    }

    /// Like [`Options::new`], from the text of a schema. Fails with `LF2101` and its first fault.
    pub fn from_sdl(
        path: impl Into<PathBuf>,
        sdl: &str,
        account: Account,
    ) -> Result<Self, OpenError> {
        Ok(Self::new(path, Arc::new(compile(sdl)?), account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = SystemClock::new();
        clock.last.lock().unwrap().1 += 60_000;
        let first = clock.now_ms();
        assert!(first >= wall_ms() + 59_000);
        assert!(clock.now_ms() >= first);
    }

    #[test]
    fn a_faulty_schema_is_told_with_its_code() {
        let account = Account { tenant: String::new(), subject: "u".into() };
        let error = Options::from_sdl("x.db", "type A { id: ID! }", account).unwrap_err();
        assert_eq!(error.code(), "LF2101");
    }
}
