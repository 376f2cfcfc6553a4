//! One account's file while no client has it open: what it says of itself, and what becomes of it
//! when an anonymous account is claimed.
//!
//! Each call is one transaction, on disk when it returns. Where files lie, how they are called and
//! how they are removed is the caller's: a directory here, a browser's private files there.

use crate::error::{Error, OpenError, code};
use crate::inner::{Fault, write_left};
use crate::options::{Account, Options};
use crate::store::{self, Database};
use landfall_model::id::{DeviceId, EntityKey, FieldId};
use landfall_model::op::Op;
use landfall_model::schema::LOCAL_HOME;
use landfall_model::text::Text;
use landfall_sync::device::node::{Node, WriteError};
use landfall_sync::device::store::{Base, OpState, OwnOp, Store};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

/// Why a write of an anonymous account waits for the app: it could not be made in the account's file.
pub(crate) const NOT_TAKEN_OVER: &str = "not_taken_over";

/// An account whose file is on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    /// Who.
    pub account: Account,
    /// Writes that are not yet as safe as was asked for.
    pub unsent: u64,
}

/// What of a file is nowhere else.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// The file's device ids. They are drawn at random, so they tell it from a later file under the
    /// same name.
    ids: BTreeSet<DeviceId>,
    /// The writes that no region has: those that never left the device, and those that all regions
    /// refused. By transaction, in order.
    transactions: Vec<Vec<OwnOp>>,
    /// The rows of `@local` types, which are never to leave it.
    local: Vec<LocalRow>,
}

/// A row of a `@local` type, with its texts.
type LocalRow = (EntityKey, Base, Vec<(FieldId, Text)>);

impl Unsent {
    /// How many writes they are.
    pub fn writes(&self) -> u64 {
        self.transactions.iter().map(|tx| tx.len() as u64).sum()
    }
}

/// An account's file.
pub struct AccountFile {
    database: Database,
    options: Options,
}

impl fmt::Debug for AccountFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountFile").field("path", &self.options.path).finish_non_exhaustive()
    }
}

impl AccountFile {
    /// Open the file at the options' path, whoever's it is. Codes `LF22xx`.
    pub fn open(options: Options) -> Result<Self, Error> {
        let of_file =
            store::Options { elsewhere: options.elsewhere(), ..store::Options::default() };
        let opened = Database::open(&options.path, &options.schema, of_file);
        let database = opened.map_err(|e| Error::from(OpenError::from(e)))?;
        Ok(Self { database, options })
    }

    /// Whose it is, and how many of its writes are not yet as safe as was asked for; `None` if
    /// nobody ever had it open.
    pub fn known(&mut self) -> Result<Option<KnownAccount>, Error> {
        let known = self.database.transact(false, |t| {
            let Some((tenant, subject)) = t.account()? else { return Ok(None) };
            let (mut unsent, mut after) = (0, 0);
            loop {
                let page = t.outbox(after, OPS_PER_READ)?;
                unsent += page.len() as u64;
                match page.last() {
                    Some(last) => after = last.order,
                    None => break,
                }
            }
            let account = Account { tenant, subject };
            Ok::<_, store::Error>(Some(KnownAccount { account, unsent }))
        })?;
        Ok(known)
    }

    /// What no region has. Fails with `LF2109` if something is on its way: regions know it under
    /// this account.
    pub fn unsent(&mut self) -> Result<Unsent, Error> {
        self.take_typed()?;
        let meta = self.database.transact(false, |t| t.meta())?.unwrap_or_default();
        let ids = meta.former.into_iter().chain([meta.device]).collect();
        let mut transactions: Vec<Vec<OwnOp>> = Vec::new();
        let mut after = 0;
        loop {
            let page = self.database.transact(false, |t| t.ops(after, OPS_PER_READ))?;
            let Some(last) = page.last() else {
                return Ok(Unsent { ids, transactions, local: self.local_rows()? });
            };
            after = last.order;
            for own in page {
                match own.state {
                    OpState::Rejected { .. } | OpState::Unsent => gather(&mut transactions, own),
                    _ => return Err(on_their_way()),
                }
            }
        }
    }

    /// What was typed when the last process ended becomes part of its op.
    fn take_typed(&mut self) -> Result<(), Error> {
        let (account, any) =
            self.database.look(|t| Ok::<_, store::Error>((t.account()?, t.has_typed()?)))?;
        let Some((tenant, subject)) = account.filter(|_| any) else { return Ok(()) };
        let mut node = self.node(&Account { tenant, subject })?;
        let now_ms = self.options.clock.now_ms();
        match self.database.transact(false, |t| write_left(&mut node, t, now_ms)) {
            Ok(_) => Ok(()),
            Err(Fault::Store(error)) => Err(error.into()),
            Err(Fault::Refused(error)) => Err(error),
        }
    }

    fn local_rows(&mut self) -> Result<Vec<LocalRow>, Error> {
        let schema = self.options.schema.clone();
        let rows = self.database.transact(false, |t| {
            let keys = t.held_by(LOCAL_HOME, None, usize::MAX)?;
            let row = |key: EntityKey| {
                let base = t.base(&key)?.unwrap_or_default();
                let fields = schema.text_fields(key.kind).into_iter();
                let texts = fields.map(|f| Ok((f, t.base_text(&key, f)?)));
                let texts = texts.collect::<Result<Vec<_>, store::Error>>()?;
                Ok((key, base, texts))
            };
            keys.into_iter().map(row).collect::<Result<Vec<LocalRow>, store::Error>>()
        })?;
        Ok(rows)
    }

    /// The file is this account's from now on, with its rows and its unsent writes. To adopt twice
    /// is to adopt once. Fails with `LF2109` if a write of it is on its way.
    pub fn adopt(&mut self, account: &Account) -> Result<(), Error> {
        let random = self.options.random.clone();
        let mut node = self.node(account)?;
        let adopted = self.database.transact(true, |t| {
            let subject = account.subject.as_str().into();
            let adopted = node.adopt(t, subject, &mut || random.next())?;
            if adopted {
                t.put_account(&account.tenant, &account.subject)?;
            }
            Ok::<bool, store::Error>(adopted)
        })?;
        if adopted { Ok(()) } else { Err(on_their_way()) }
    }

    /// Make the unsent writes of an anonymous account again in this account's file, in their order.
    /// Local rows come along, but for those of whose id the account has one.
    ///
    /// What was refused is kept as refused. So is a transaction that cannot be made here, as an update
    /// of a row that the account's file does not hold yet: the app may make it anew, or dismiss it.
    ///
    /// All of it or nothing, and each write once: a crash before the anonymous file is removed
    /// leaves it to be claimed again, perhaps with more that was written to it since. How far a
    /// file was taken over is kept under its device id, and not under the account's name, which an
    /// app may give to another file later.
    pub fn take_over(&mut self, account: &Account, unsent: &Unsent) -> Result<(), Error> {
        let now_ms = self.options.clock.now_ms();
        let mut node = self.node(account)?;
        self.database.transact(true, |t| {
            let mut taken = 0;
            for id in &unsent.ids {
                taken = taken.max(order_in(t.fact(&claimed(*id))?));
            }
            let before = taken;
            for tx in &unsent.transactions {
                let last = tx.last().map_or(0, |own| own.order);
                if last > before {
                    take_over_one(&mut node, t, now_ms, tx)?;
                }
                taken = taken.max(last);
            }
            for id in &unsent.ids {
                t.put_fact(&claimed(*id), &taken.to_be_bytes())?;
            }
            for row in &unsent.local {
                put_local(&mut node, t, row)?;
            }
            Ok(())
        })
    }

    fn node(&mut self, account: &Account) -> Result<Node, Error> {
        let (schema, random) = (self.options.schema.clone(), self.options.random.clone());
        let subject: Arc<str> = account.subject.as_str().into();
        let now_ms = self.options.clock.now_ms();
        let open = |t: &mut store::Transaction<'_>| {
            Node::open(t, schema, subject, &mut || random.next(), now_ms)
        };
        Ok(self.database.transact(false, open)?)
    }
}

/// One transaction of the anonymous file.
fn take_over_one(
    node: &mut Node,
    t: &mut store::Transaction<'_>,
    now_ms: i64,
    tx: &[OwnOp],
) -> Result<(), Error> {
    let refused = |own: &&OwnOp| matches!(own.state, OpState::Rejected { .. });
    let (refused, unsent): (Vec<&OwnOp>, Vec<&OwnOp>) = tx.iter().partition(refused);
    let mut kept: Vec<OwnOp> = refused.into_iter().cloned().collect();
    let ops: Vec<Op> = unsent.iter().map(|own| own.sealed.op.clone()).collect();
    match node.make_again(t, now_ms, &ops) {
        Ok(_) => {}
        Err(WriteError::Store(error)) => return Err(error.into()),
        Err(WriteError::Refused(why)) => {
            let (code, detail) = (NOT_TAKEN_OVER.to_owned(), format!("{}", why.problem));
            let state = OpState::Rejected { code, field: None, detail };
            kept.extend(
                unsent.into_iter().map(|own| OwnOp { state: state.clone(), ..own.clone() }),
            );
        }
    }
    Ok(node.keep_refused(t, now_ms, kept)?)
}

/// Put a local row where there is none of its id.
fn put_local(
    node: &mut Node,
    t: &mut store::Transaction<'_>,
    (key, base, texts): &LocalRow,
) -> Result<(), store::Error> {
    if t.base(key)?.is_some() {
        return Ok(());
    }
    t.put_base(key, base)?;
    texts.iter().try_for_each(|(field, text)| t.put_base_text(key, *field, text))?;
    let view = node.view(t, key)?;
    t.show(key, view.as_ref())
}

/// Where the account's file notes how far it took over the file of this device id.
fn claimed(file: DeviceId) -> String {
    format!("claimed/{file}")
}

fn order_in(fact: Option<Vec<u8>>) -> u64 {
    fact.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

fn gather(transactions: &mut Vec<Vec<OwnOp>>, own: OwnOp) {
    let name = |own: &OwnOp| (own.sealed.op.device(), own.sealed.op.tx);
    let same = |tx: &&mut Vec<OwnOp>| tx.last().is_some_and(|o| name(o) == name(&own));
    match transactions.last_mut().filter(same) {
        Some(tx) => tx.push(own),
        None => transactions.push(vec![own]),
    }
}

fn on_their_way() -> Error {
    let message = "A write of the anonymous account is on its way. Let it settle, then claim it.";
    Error::new(code::UNSENT, message)
}
