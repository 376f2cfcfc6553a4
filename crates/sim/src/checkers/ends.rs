//! I2 and I11 by what devices wrote down of themselves: what was acknowledged is received, every write
//! came to an end that its device can tell, and a refused one counts nowhere.
//!
//! No disaster excuses anything here. Of worlds with disasters [`super::survival`] and
//! [`super::outcomes`] know more.

use crate::evidence::{Device, Evidence, Finding};
use landfall_model::id::Dot;
use landfall_sync::device::store::{OpState, Outcome};

pub fn check(evidence: &Evidence) -> Option<Finding> {
    evidence.devices.iter().find_map(|device| {
        let found = |checker, invariant, message: String| {
            Finding::new(checker, invariant, format!("{}: {message}", device.name))
        };
        let lost = lost(evidence, device).map(|m| found("survival", "I2", m));
        lost.or_else(|| refusals(evidence, device).map(|m| found("outcomes", "I11", m)))
    })
}

fn is_received(evidence: &Evidence, dot: Dot) -> bool {
    evidence.accepted.under(dot).next().is_some()
}

fn lost(evidence: &Evidence, device: &Device) -> Option<String> {
    let told = &device.told;
    if let Some(failed) = told.failed.first() {
        return Some(format!("a transaction could not be written: {failed}"));
    }
    let lost = told.acknowledged.iter().find(|(dot, _)| !is_received(evidence, **dot));
    if let Some((dot, durable)) = lost {
        return Some(format!("{dot:?} was acknowledged (durable: {durable}) and is lost"));
    }
    let ended = |dot: &Dot| is_received(evidence, *dot) || is_refused(device, *dot);
    let lost = told.written.iter().find(|dot| !ended(dot));
    if let Some(dot) = lost {
        return Some(format!("{dot:?} was written, and it is nowhere"));
    }
    // The device's file is its own witness: what it gave a number is received, or void, or kept.
    let waits = device.ops.iter().find(|own| own.in_outbox() && !told.written.is_empty());
    waits.map(|own| format!("{:?} is still in the outbox: {:?}", own.sealed.op.dot, own.state))
}

/// The op stays on its device, with what it was refused for, or its outcome does.
fn is_refused(device: &Device, dot: Dot) -> bool {
    let rejected = |state: &OpState| matches!(state, OpState::Rejected { .. });
    device.ops.iter().any(|own| own.sealed.op.dot == dot && rejected(&own.state))
        || device.outcomes.iter().any(|(of, _, _)| *of == dot)
}

fn refusals(evidence: &Evidence, device: &Device) -> Option<String> {
    let told = |dot: &Dot| {
        let outcomes = device.outcomes.iter().filter(|(of, _, _)| of == dot);
        let mut kinds = outcomes.map(|(_, _, outcome)| outcome);
        kinds.any(|outcome| matches!(outcome, Outcome::Rejected { .. } | Outcome::Left))
    };
    let silent = device.told.refused.iter().find(|(dot, _)| !told(dot));
    if let Some((dot, code)) = silent {
        return Some(format!("{dot:?} was refused ({code}), silently"));
    }
    let received = |dot: &Dot| is_received(evidence, *dot);
    let counts = device.told.refused.iter().find(|(dot, _)| received(dot));
    counts.map(|(dot, code)| format!("{dot:?} ended as {code}, and it counts"))
}
