//! One account's file while no client has it open: what it says of itself, and what becomes of it
//! when an anonymous account is claimed.
//!
//! Each call is one transaction, on disk when it returns. Where files lie, how they are called and
//! how they are removed is the caller's: a directory here, a browser's private files there.

use crate::error::{Error, OpenError, code};
use crate::options::{Account, Options};
use crate::store::{self, Database};
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::op::Op;
use landfall_model::schema::LOCAL_HOME;
use landfall_model::text::Text;
use landfall_sync::device::node::{Node, WriteError};
use landfall_sync::device::store::{Base, OpState, Store};
use std::fmt;
use std::sync::Arc;

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

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
    /// The writes that never left the device, by transaction, in order.
    transactions: Vec<Vec<Op>>,
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

    /// What never left the device. Fails with `LF2109` if something is on its way: regions know
    /// it under this account.
    pub fn unsent(&mut self) -> Result<Unsent, Error> {
        let mut transactions: Vec<Vec<Op>> = Vec::new();
        let mut after = 0;
        loop {
            let page = self.database.transact(false, |t| t.ops(after, OPS_PER_READ))?;
            let Some(last) = page.last() else {
                return Ok(Unsent { transactions, local: self.local_rows()? });
            };
            after = last.order;
            for own in page {
                match own.state {
                    OpState::Rejected { .. } => {}
                    OpState::Unsent => gather(&mut transactions, own.sealed.op),
                    _ => return Err(on_their_way()),
                }
            }
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
    /// All of it or nothing, and once: a crash before the anonymous file is removed leaves it to be
    /// claimed again, and what was made again already is known by its name.
    pub fn take_over(
        &mut self,
        account: &Account,
        anonymous: &Account,
        unsent: &Unsent,
    ) -> Result<(), Error> {
        let now_ms = self.options.clock.now_ms();
        let mut node = self.node(account)?;
        let claimed = format!("claimed/{}/{}", anonymous.tenant, anonymous.subject);
        self.database.transact(true, |t| {
            if t.fact(&claimed)?.is_some() {
                return Ok(());
            }
            t.put_fact(&claimed, &[])?;
            for ops in &unsent.transactions {
                node.make_again(t, now_ms, ops).map_err(again)?;
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

fn gather(transactions: &mut Vec<Vec<Op>>, op: Op) {
    let same = |tx: &&mut Vec<Op>| {
        tx.last().is_some_and(|o| o.tx == op.tx && o.dot.device == op.dot.device)
    };
    match transactions.last_mut().filter(same) {
        Some(tx) => tx.push(op),
        None => transactions.push(vec![op]),
    }
}

fn again(error: WriteError<store::Error>) -> Error {
    match error {
        WriteError::Store(error) => error.into(),
        WriteError::Refused(refused) => refused.into(),
    }
}

fn on_their_way() -> Error {
    let message = "A write of the anonymous account is on its way. Let it settle, then claim it.";
    Error::new(code::UNSENT, message)
}
