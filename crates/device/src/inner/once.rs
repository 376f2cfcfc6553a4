//! Transactions that come with a name, for callers that may have to ask twice.
//!
//! A caller in another process, or in another tab of a browser, can lose the answer to a write and
//! with it the knowledge of whether it was made. It gives the write a name; the last names are
//! kept in the file, in the transaction that they are of, so that asking again finds the write.

use super::Inner;
use super::core;
use crate::client::WriteReceipt;
use crate::error::Error;
use crate::store::{self, Transaction};
use crate::transaction::NamedEdit;
use landfall_model::id::{DeviceId, Dot};
use landfall_sync::device::node::{Edit, Output};
use landfall_sync::device::store::Store;

/// Names that are kept. Who asks again does so at once, and asks for few.
const NAMES_KEPT: usize = 64;

/// Where they are kept.
const FACT: &str = "once";

/// A name, and the dots of its write.
type Written = (String, Vec<([u8; 16], u64)>);

impl Inner {
    /// Write edits, unless a write of this name was made already: then its receipt, as far as its
    /// ops are still here.
    pub fn write_once(&self, name: &str, edits: Vec<NamedEdit>) -> Result<WriteReceipt, Error> {
        let receipt = self.run(|node, t, now| {
            let mut names = read(t)?;
            if let Some((_, dots)) = names.iter().find(|(known, _)| known == name) {
                return Ok((again(t, dots)?, Output::default()));
            }
            let edits: Vec<Edit> = edits.into_iter().map(core::edit).collect();
            let (receipt, output) = node.write(t, now, &edits)?;
            let dots = receipt.dots.iter().map(|dot| (dot.device.0, dot.seq)).collect();
            names.push((name.to_owned(), dots));
            let surplus = names.len().saturating_sub(NAMES_KEPT);
            write(t, &names[surplus..])?;
            Ok((receipt.into(), output))
        })?;
        self.wake.notify_one();
        Ok(receipt)
    }
}

fn again(t: &mut Transaction<'_>, dots: &[([u8; 16], u64)]) -> Result<WriteReceipt, store::Error> {
    let dots: Vec<Dot> = dots.iter().map(|(d, seq)| Dot::new(DeviceId(*d), *seq)).collect();
    let mut keys = Vec::new();
    for dot in &dots {
        keys.extend(t.op(*dot)?.map(|op| op.sealed.op.key));
    }
    Ok(WriteReceipt { dots, keys })
}

/// Names that cannot be read are of another version of this crate, and are forgotten.
fn read(t: &Transaction<'_>) -> Result<Vec<Written>, store::Error> {
    let bytes = t.fact(FACT)?.unwrap_or_default();
    Ok(minicbor::decode(&bytes).unwrap_or_default())
}

fn write(t: &mut Transaction<'_>, names: &[Written]) -> Result<(), store::Error> {
    let bytes = minicbor::to_vec(names).expect("a vector takes what is written to it");
    t.put_fact(FACT, &bytes)
}
