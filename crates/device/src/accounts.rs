//! Several people on one device: a file for each account, and what becomes of it when somebody
//! leaves.
//!
//! A directory holds the files, each under a name that is made from tenant and subject and tells
//! neither. No row and no write of one account is ever in the file of another, and a write is only
//! ever pushed under the account that made it. There is no list beside the files that could say
//! something else than they do.
//!
//! Signing out never loses a write by itself: the caller says whether what is unsent is kept for
//! the account's return, waited for, or discarded. Where a call fails, the account is as it was.
//!
//! Beside the accounts' files is one for each shared scope of each tenant (`@shared` in the schema):
//! rows that are the same for every account, downloaded and kept once ([`crate::Options::shared`]).
//! Nothing that an account wrote is in it, and whoever is wiped leaves it to the others.
//!
//! Somebody who has no account yet works under an anonymous one. When an account is made or signed
//! in to, it takes the anonymous file over ([`Accounts::claim`]): rows and all unsent writes, which
//! from then on are its own. Local rows come along, but for those of whose id the account has one.

use crate::account_file::{AccountFile, KnownAccount};
use crate::client::Client;
use crate::error::{Error, OpenError, code};
use crate::fates::WriteOutcome;
use crate::inner::Observers;
use crate::inner::shared::{self, SharedFile};
use crate::options::{Account, Options, TokenProvider};
use crate::store::{self, Peek};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the names of the files end with.
const EXTENSION: &str = "landfall";

/// The accounts of a device.
#[derive(Debug, Clone)]
pub struct Accounts {
    dir: PathBuf,
    defaults: Options,
}

/// What to do with what is unsent when somebody signs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOut {
    /// Keep the file with all that is in it, until the account returns.
    Keep,
    /// Wait until every write is as safe as was asked for, at most this long; then remove the file.
    Wait(Duration),
    /// Remove the file with all that is in it, unsent writes too.
    Discard,
}

impl Accounts {
    /// The accounts whose files are in a directory, which is made if it is not there. Path, account,
    /// tokens and the directory of shared scopes of `defaults` do not count; everything else is every
    /// account's.
    pub fn new(dir: impl Into<PathBuf>, defaults: Options) -> Result<Self, Error> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(|e| files("made", e))?;
        let defaults = Options { shared: Some(dir.clone()), ..defaults };
        Ok(Self { dir, defaults })
    }

    /// An account for somebody who has none yet: a name that no other device draws. An app that
    /// syncs it gives tokens for that subject; one that does not keeps it offline.
    pub fn anonymous(&self) -> Account {
        let subject = format!("anonymous-{:016x}", self.defaults.random.next());
        Account { tenant: String::new(), subject }
    }

    /// Open an account's file, or make it, and begin to sync.
    pub fn sign_in(
        &self,
        account: Account,
        tokens: Arc<dyn TokenProvider>,
    ) -> Result<Client, OpenError> {
        let path = self.file(&account);
        Client::open(Options { path, tokens, ..self.options(&account) })
    }

    /// Close an account's client, and do with its file as `how` says. Returns how many writes were
    /// unsent: kept, or discarded. Fails with `LF2109` if waiting took too long, or refused writes
    /// wait for the app to look at them; the client is open then as before. It is closed, and the
    /// file kept with all that is in it, where something was written while the wait ended.
    pub fn sign_out(&self, client: &Client, how: SignOut) -> Result<u64, Error> {
        let account = client.account().clone();
        let waits = matches!(how, SignOut::Wait(_));
        if let SignOut::Wait(most) = how {
            client.drain(most)?;
            let outcomes = client.outcomes()?;
            let refused = |o: &WriteOutcome| o.is_of_a_refused_write();
            if outcomes.iter().any(refused) {
                return Err(unsent("Writes were refused. Make them anew or dismiss them first."));
            }
        }
        let status = client.outbox_status()?;
        client.close()?;
        // Nobody writes any more, and somebody may have until just now.
        if waits && self.holds_unsent(&account)? {
            return Err(unsent("Something was written while the account was signed out."));
        }
        if how != SignOut::Keep {
            self.wipe(&account)?;
        }
        Ok(status.pending + status.accepted)
    }

    /// Every account that has a file here, by tenant and subject.
    pub fn list(&self) -> Result<Vec<KnownAccount>, Error> {
        let mut known = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|e| files("listed", e))? {
            let path = entry.map_err(|e| files("listed", e))?.path();
            if path.extension().is_none_or(|e| e != EXTENSION) {
                continue;
            }
            // What is no file of ours is not listed; what is damaged says so when it is opened.
            let Ok(Peek { tenant, subject, unsent }) = store::peek(&path) else { continue };
            known.push(KnownAccount { account: Account { tenant, subject }, unsent });
        }
        known.sort_by(|a, b| {
            let name = |k: &KnownAccount| (k.account.tenant.clone(), k.account.subject.clone());
            name(a).cmp(&name(b))
        });
        Ok(known)
    }

    /// Remove an account's file with all that is in it. Not while it is open. Shared scopes stay for
    /// the other accounts of its tenant, and go with the last one.
    pub fn wipe(&self, account: &Account) -> Result<(), Error> {
        let shared = self.shared_files(&account.tenant)?;
        let stays = !shared.is_empty() && {
            let of_tenant = |other: &Account| other.tenant == account.tenant && other != account;
            self.list()?.iter().any(|known| of_tenant(&known.account))
        };
        if stays {
            // First: what is killed in between has its file, and asks again when it is opened.
            self.each_shared(account, |file| file.inner.forget_reader())?;
        }
        store::remove(&self.file(account)).map_err(|e| files("removed", e))?;
        let mut gone = shared.iter().filter(|_| !stays);
        gone.try_for_each(|path| store::remove(path).map_err(|e| files("removed", e)))
    }

    /// What an anonymous account wants of shared scopes, the account wants.
    fn want_as(&self, anonymous: &Account, account: &Account) -> Result<(), Error> {
        self.each_shared(anonymous, |file| {
            let Some(terms) = file.inner.wants()? else { return Ok(()) };
            let options = self.options(account);
            let theirs = SharedFile::open(&options, &file.scope, &Observers::default())?;
            if theirs.inner.wants()?.is_none() {
                theirs.inner.want(Some(terms))?;
            }
            theirs.inner.close(true)
        })
    }

    /// Do something on each shared file of an account's tenant that is there.
    fn each_shared(
        &self,
        account: &Account,
        work: impl Fn(&SharedFile) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let options = self.options(account);
        for scope in options.shared_scopes().into_keys() {
            if shared::path_of(&self.dir, &account.tenant, &scope).exists() {
                let file = SharedFile::open(&options, &scope, &Observers::default())?;
                work(&file)?;
                file.inner.close(true)?;
            }
        }
        Ok(())
    }

    /// The shared files of a tenant, those of scopes that the schema had once too.
    fn shared_files(&self, tenant: &str) -> Result<Vec<PathBuf>, Error> {
        let prefix = shared::tenant_prefix(tenant);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|e| files("listed", e))? {
            let path = entry.map_err(|e| files("listed", e))?.path();
            let named = path.file_stem().is_some_and(|n| n.to_string_lossy().starts_with(&prefix));
            if named && path.extension().is_some_and(|e| e == shared::EXTENSION) {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn options(&self, account: &Account) -> Options {
        Options { account: account.clone(), ..self.defaults.clone() }
    }

    /// Let an account take over what an anonymous one did here: its rows and its unsent writes.
    /// Neither is open meanwhile. Where the account has a file already, the writes are made again
    /// in it, in their order, and the rows come by sync. Returns how many writes were taken over.
    ///
    /// Fails with `LF2109` if the anonymous account was synced and a write of it is on its way:
    /// regions know it under that account. Let it settle first.
    pub fn claim(&self, anonymous: &Account, account: &Account) -> Result<u64, Error> {
        account.check()?;
        let (from, to) = (self.file(anonymous), self.file(account));
        let mut old = self.open(&from)?;
        let unsent = old.unsent()?;
        self.want_as(anonymous, account)?;
        if to.exists() {
            self.open(&to)?.take_over(account, &unsent)?;
            drop(old);
        } else {
            old.adopt(account)?;
            // Closing moves the log into the file, which alone is renamed.
            drop(old);
            fs::rename(&from, &to).map_err(|e| files("renamed", e))?;
            // After a loss of power the account would look for its file under the new name.
            sync_folder(&self.dir).map_err(|e| files("renamed", e))?;
        }
        self.wipe(anonymous)?;
        Ok(unsent.writes())
    }

    /// A closed file has writes that are nowhere else.
    fn holds_unsent(&self, account: &Account) -> Result<bool, Error> {
        let path = self.file(account);
        Ok(path.exists() && self.open(&path)?.known()?.is_some_and(|known| known.unsent > 0))
    }

    /// A file that is there.
    fn open(&self, path: &Path) -> Result<AccountFile, Error> {
        if !path.exists() {
            let message = "The account has no file on this device.";
            return Err(Error::new(code::ACCOUNT_FILES, message));
        }
        AccountFile::open(Options { path: path.to_owned(), ..self.defaults.clone() })
    }

    fn file(&self, account: &Account) -> PathBuf {
        let name: String = shared::reader_id(account).iter().map(|b| format!("{b:02x}")).collect();
        self.dir.join(name).with_extension(EXTENSION)
    }
}

/// Have the names of the files in a folder survive a loss of power.
#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Elsewhere a folder is nothing that can be opened, and its file system keeps a log of names.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unsent(message: &str) -> Error {
    Error::new(code::UNSENT, message)
}

fn files(what: &str, error: io::Error) -> Error {
    let message = format!("A file of an account could not be {what}.");
    Error::new(code::ACCOUNT_FILES, message).because(error)
}
