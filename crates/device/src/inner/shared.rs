//! Shared scopes: files beside the account's, with rows that are the same for every account.
//!
//! Each shared scope of the schema has a file in the directory that the app named, one for all
//! accounts of a tenant. A client opens those files with its own and runs an engine on each, as on any
//! file: with a device id that is the file's, a lease among all clients and processes that have it
//! open, a cursor, and the tokens of the account that is signed in here. No op is ever made in it, so
//! regions bind its device id to nobody: who asks is judged by the token of each session, as always.
//! What is told of the file (changes, progress) is told to the account's observers.
//!
//! **Who sees it.** The file keeps how each account stands to it ([`readers`](super::readers)): what it
//! wants, and whether a region refused it. Until a region has said something, the schema's word
//! counts: the type is marked as one for every account. From then on the region's last word does, also
//! offline and after a restart. An account that was refused does not see the rows, does not sync them,
//! and they leave the disk unless another account wants them and may see them. A region's refusal in a
//! session is about the account whose session it is: the file's state machine never hears it.
//!
//! **Durable** is each of these when the call returns, or the region's frame was taken in, like every
//! other commit of the file. A crash leaves the file at a commit. A first download that was cut off
//! goes on where it was, under whichever account comes next.

use super::core::{Core, Session};
use super::readers::{Reader, ReaderId, Readers};
use super::{Goal, Inner, Observers, lock, room};
use crate::error::{Error, OpenError, code};
use crate::event::{ConnectionState, Coverage, Event, Missing, Progress};
use crate::options::{Account, Options};
use crate::store;
use landfall_model::hash::hash128;
use landfall_model::id::{Scope, TypeId};
use landfall_sync::device::store::{Store, Subscription, Terms};
use landfall_sync::wire::RegionFrame;
use landfall_sync::wire::region_frame::Kind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What the names of shared files end with.
pub(crate) const EXTENSION: &str = "shared";

/// Codes of files that are destroyed, or whose columns no schema change leads to the present ones.
const MADE_ANEW: [&str; 3] = ["LF2202", "LF2204", "LF2205"];

/// The code with which regions refuse a scope, and tokens that do not name it.
const NOT_ALLOWED: &str = "not_allowed";

/// A shared scope's file, as one client has it open.
#[derive(Debug)]
pub(crate) struct SharedFile {
    pub scope: Scope,
    /// The types whose rows it has.
    pub kinds: BTreeSet<TypeId>,
    pub inner: Arc<Inner>,
}

/// How an account stands to the shared file that it has open.
#[derive(Debug)]
pub(super) struct Standing {
    scope: Scope,
    reader: ReaderId,
    now: Mutex<Stand>,
}

#[derive(Debug, Default)]
struct Stand {
    /// The app wants to be online, and if it is for slots alone, for rows of which priority.
    online: bool,
    slot: Option<u8>,
    /// The file subscribes its scope.
    held: bool,
    refused: Option<String>,
}

/// What an account is called in shared files, and its own file in a directory of accounts.
pub(crate) fn reader_id(account: &Account) -> ReaderId {
    hash128(format!("{}\0{}", account.tenant, account.subject).as_bytes())
}

/// What the names of all shared files of a tenant begin with.
pub(crate) fn tenant_prefix(tenant: &str) -> String {
    format!("{}-", hex(tenant))
}

/// The file of a tenant's scope.
pub(crate) fn path_of(dir: &Path, tenant: &str, scope: &str) -> PathBuf {
    dir.join(format!("{}{}", tenant_prefix(tenant), hex(scope))).with_extension(EXTENSION)
}

fn hex(name: &str) -> String {
    hash128(name.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

impl SharedFile {
    /// Open the files of all shared scopes that the options keep beside the account's.
    pub fn open_all(options: &Options, observers: &Observers) -> Result<Vec<Self>, OpenError> {
        let scopes = options.shared_scopes();
        scopes.into_keys().map(|scope| Self::open(options, &scope, observers)).collect()
    }

    /// Open one, or make it.
    pub fn open(
        options: &Options,
        scope: &Scope,
        observers: &Observers,
    ) -> Result<Self, OpenError> {
        let kinds = options.schema.shared_scopes().remove(scope).unwrap_or_default();
        let (account, dir) = (&options.account, options.shared.clone().unwrap_or_default());
        let standing = Standing {
            scope: scope.clone(),
            reader: reader_id(account),
            now: Mutex::new(Stand { online: !options.network.start_offline, ..Stand::default() }),
        };
        let options = Options {
            path: path_of(&dir, &account.tenant, scope),
            schema: Arc::new(options.schema.part(|kind| kinds.contains(&kind.id))),
            // The file is the tenant's. No op is made in it that would need a name.
            account: Account { tenant: account.tenant.clone(), subject: String::new() },
            shared: None,
            publishes: false,
            ..options.clone()
        };
        let core = match Core::open(&options, false) {
            // All that is in it is at the regions, too.
            Err(error) if MADE_ANEW.contains(&error.code()) => {
                tracing::warn!(%error, "a shared scope's file is made anew");
                store::remove(&options.path).map_err(|e| {
                    let message = "A shared scope's file could not be made anew.";
                    Error::new(code::ACCOUNT_FILES, message).because(e)
                })?;
                Core::open(&options, false)?
            }
            opened => opened?,
        };
        let inner = Inner::new(options, core, observers.clone(), Vec::new(), Some(standing));
        inner.restand()?;
        Ok(Self { scope: scope.clone(), kinds, inner })
    }

    /// True if the account may see its rows.
    pub fn is_shown(&self) -> bool {
        self.inner.standing.as_ref().is_some_and(|s| lock(&s.now).refused.is_none())
    }

    /// How far the account's subscription is; `None` if it has none.
    pub fn progress(&self) -> Result<Option<Progress>, Error> {
        let Some(standing) = &self.inner.standing else { return Ok(None) };
        let (reader, held) = self
            .inner
            .read(|t| Ok((Readers::read(t)?.of(standing.reader), t.subscription(&self.scope)?)))?;
        let Some(terms) = reader.wants else { return Ok(None) };
        Ok(Some(match (reader.refused, held) {
            (None, Some(held)) => room::progress(&self.scope, &held),
            (denied, _) => Progress {
                scope: self.scope.clone(),
                rows: 0,
                total: 0,
                coverage: Coverage::Partial,
                missing: Missing { older_than_ms: terms.keep_ms, for_room: false, denied },
                as_of_ms: 0,
            },
        }))
    }
}

impl Inner {
    /// The file of a shared scope.
    pub fn shared_scope(&self, scope: &str) -> Option<&SharedFile> {
        self.shared.iter().find(|file| *file.scope == *scope)
    }

    /// The file that has the rows of a type, if it is not the account's.
    pub fn shared_kind(&self, kind: TypeId) -> Option<&SharedFile> {
        self.shared.iter().find(|file| file.kinds.contains(&kind))
    }

    // ---- on a shared scope's file ----

    /// The account wants so much of the scope, or nothing of it any more.
    pub fn want(&self, wants: Option<Terms>) -> Result<(), Error> {
        self.change_readers(|readers, id| readers.put(Reader { wants, ..readers.of(id) }))
    }

    /// What the account wants.
    #[cfg(not(target_family = "wasm"))]
    pub fn wants(&self) -> Result<Option<Terms>, Error> {
        let Some(standing) = &self.standing else { return Ok(None) };
        self.read(|t| Ok(Readers::read(t)?.of(standing.reader).wants))
    }

    /// The account is no more.
    #[cfg(not(target_family = "wasm"))]
    pub fn forget_reader(&self) -> Result<(), Error> {
        self.change_readers(Readers::remove)
    }

    /// What a region said of the account: `None`: it may see the scope.
    fn judged(&self, refused: Option<String>) -> Result<(), Error> {
        let Some(standing) = &self.standing else { return Ok(()) };
        if lock(&standing.now).refused.is_some() == refused.is_some() {
            return Ok(());
        }
        // The rows are hidden whether or not the file can be written now.
        lock(&standing.now).refused.clone_from(&refused);
        self.sync_or_not();
        let told = refused.clone();
        let kept = self.change_readers(|readers, id| {
            readers.put(Reader { refused, ..readers.of(id) });
        });
        if let Some(code) = told {
            // Nobody may be listening.
            let _ = self.events.send(Event::Denied { scope: standing.scope.clone(), code });
        }
        self.live.all_changed();
        kept
    }

    fn change_readers(&self, change: impl FnOnce(&mut Readers, ReaderId)) -> Result<(), Error> {
        let Some(standing) = &self.standing else { return Ok(()) };
        self.run(|node, t, now| {
            let mut readers = Readers::read(t)?;
            change(&mut readers, standing.reader);
            Ok(((), readers.keep(t, node, &standing.scope, now)?))
        })?;
        let held = self.read(|t| t.subscription(&standing.scope))?;
        if let Some(session) = self.lock()?.as_mut().and_then(|core| core.session.as_mut()) {
            let Session { subscribed, complete, .. } = session;
            match &held {
                Some(_) => subscribed.insert(standing.scope.clone()),
                None => subscribed.remove(&standing.scope),
            };
            if held.is_none_or(|held| held.loading) {
                complete.remove(&standing.scope);
            }
        }
        self.live.all_changed();
        self.restand()
    }

    /// Look into the file how the account stands, and sync or not accordingly.
    pub fn restand(&self) -> Result<(), Error> {
        let Some(standing) = &self.standing else { return Ok(()) };
        let (refused, held) = self.read(|t| {
            let refused = Readers::read(t)?.of(standing.reader).refused;
            Ok((refused, t.subscription(&standing.scope)?.is_some()))
        })?;
        let shows_otherwise = {
            let mut now = lock(&standing.now);
            let before = std::mem::replace(&mut now.refused, refused);
            now.held = held;
            before.is_some() != now.refused.is_some()
        };
        if shows_otherwise {
            self.live.all_changed();
        }
        self.sync_or_not();
        Ok(())
    }

    /// The account's file uses the network, or not. It is asked under the lock, so of two who tell
    /// at once the later one tells how it is.
    pub(super) fn follow(&self, goal: impl FnOnce() -> Goal) {
        let Some(standing) = &self.standing else { return };
        {
            let mut now = lock(&standing.now);
            let goal = goal();
            (now.online, now.slot) = (goal.online(), goal.slot());
        }
        self.sync_or_not();
    }

    /// A file that nobody wants, or whose rows this account may not see, is left to others.
    fn sync_or_not(&self) {
        let Some(standing) = &self.standing else { return };
        let (online, slot) = {
            let now = lock(&standing.now);
            (now.online && now.held && now.refused.is_none(), now.slot)
        };
        let mut before = *self.goal.borrow();
        self.goal.send_modify(|goal| {
            before = *goal;
            goal.set(online, slot);
        });
        if before.online() && !online {
            self.end_session();
            self.release_lease();
        }
        if (before.online(), before.slot()) != (online, slot.filter(|_| online)) {
            self.wake.notify_one();
        }
    }

    fn release_lease(&self) {
        let Ok(mut core) = self.lock() else { return };
        let Some(core) = core.as_mut() else { return };
        if let Err(error) = core.database.release_lease(&self.holder) {
            // It runs out by itself.
            tracing::debug!(%error, "the lease was not released");
        }
    }

    /// Take out of the frames for a shared file what is said of the account and not of the file.
    pub(super) fn without_denials(
        &self,
        mut frames: Vec<RegionFrame>,
    ) -> (Vec<RegionFrame>, Option<String>) {
        let mut denied = None;
        if self.standing.is_some() {
            frames.retain(|frame| match &frame.kind {
                Some(Kind::Denied(d)) => {
                    denied = Some(d.error.as_ref().map_or_else(String::new, |e| e.code.clone()));
                    false
                }
                _ => true,
            });
        }
        (frames, denied)
    }

    /// A region refused the account the scope, in a session on its file.
    pub(super) fn denied(&self, code: String) -> Result<(), Error> {
        self.judged(Some(code))
    }

    // ---- on an account's file ----

    /// Tell the shared files what a region said that the account may read. A file that fails shows
    /// what it showed, or less, and is told again at the next session.
    pub(super) fn judge_shared(&self) {
        if !self.unjudged.load(Ordering::Acquire) {
            return;
        }
        let granted = lock(&self.granted).clone().unwrap_or_default();
        for file in &self.shared {
            let refused = (!granted.includes(&file.scope)).then(|| NOT_ALLOWED.to_owned());
            if let Err(error) = file.inner.judged(refused) {
                tracing::warn!(%error, "a shared scope's file could not be written");
            }
        }
        self.unjudged.store(false, Ordering::Release);
        self.settled.notify_all();
    }

    /// Subscriptions that the account's file has of scopes that are shared by now are its wish there.
    pub(super) fn hand_over(&self) -> Result<(), Error> {
        for file in &self.shared {
            if let Some(before) = self.read(|t| t.subscription(&file.scope))? {
                file.inner.want(Some(before.terms))?;
                self.run(|node, t, _| Ok(((), node.unsubscribe(t, &file.scope)?)))?;
            }
        }
        Ok(())
    }

    /// Nothing is left to do on the shared files: each is heard to its end, by this client or as far
    /// as the one says that syncs it, or is nothing that this account waits for.
    pub(super) fn shared_is_settled(&self, priority_min: u8) -> Result<bool, Error> {
        if self.unjudged.load(Ordering::Acquire) {
            return Ok(false);
        }
        for file in &self.shared {
            if !file.inner.is_settled_here(priority_min)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_settled_here(&self, priority_min: u8) -> Result<bool, Error> {
        let idle = self.standing.as_ref().is_some_and(|standing| {
            let now = lock(&standing.now);
            now.refused.is_some() || !now.held
        });
        if idle {
            return Ok(true);
        }
        let elsewhere = *self.connection.borrow() == ConnectionState::Standby;
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        if elsewhere {
            let subs = core.database.subscriptions()?;
            let done = |(_, sub): &(Scope, Subscription)| {
                !sub.loading || sub.terms.priority < priority_min
            };
            return Ok(subs.iter().all(done));
        }
        core.is_settled(priority_min)
    }
}
