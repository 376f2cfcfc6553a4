//! `landfall sim --shrink`: a failing seed with nothing around its failure.

use super::{Args, repeat, tell};
use crate::exit::Exit;
use crate::terminal;
use landfall_sim::shrink::{Shrunk, shrink};
use landfall_sim::{Options, Plan};
use serde_json::json;

/// Worlds that are run at most for one seed.
const RUNS_MAX: u64 = 2_000;

pub(super) fn run(args: &Args, seed: u64, options: &Options) -> Exit {
    let Some(shrunk) = shrink(seed, options, RUNS_MAX) else {
        match args.json {
            true => terminal::say(json!({ "seed": seed, "failed": false })),
            false => terminal::say(format!("seed {seed} passes: there is nothing to shrink")),
        }
        return Exit::No;
    };
    if args.json {
        terminal::say(to_json(args, seed, &shrunk));
    } else {
        tell(args, seed, &shrunk.failure, &shrunk.overrides);
        let Shrunk { before, after, .. } = &shrunk;
        terminal::say(format!("devices {} -> {}", before.devices, after.devices));
        terminal::say(format!("transactions {} -> {}", before.acts, after.acts));
        let (were, left) = (before.troubles().len(), kinds(after));
        terminal::say(format!("kinds of trouble {were} -> {}: {}", left.len(), left.join(", ")));
        terminal::note(format!("{} worlds were run", shrunk.runs));
    }
    Exit::Done
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.troubles().into_iter().collect()
}

fn to_json(args: &Args, seed: u64, shrunk: &Shrunk) -> serde_json::Value {
    let size =
        |plan: &Plan| json!({ "devices": plan.devices, "acts": plan.acts, "kinds": kinds(plan) });
    let f = &shrunk.failure;
    json!({
        "seed": seed, "failed": true, "checker": f.checker, "invariant": f.invariant,
        "message": f.message, "story": f.story, "runs": shrunk.runs,
        "before": size(&shrunk.before), "after": size(&shrunk.after),
        "repeat": repeat(args, seed, &shrunk.overrides),
    })
}
