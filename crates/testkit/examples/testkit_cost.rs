//! What a test pays: `cargo run --example testkit_cost`, with or without `--release`. Times are those of
//! the quickest of many rounds and of the middle one, since others use the machine, too.

use landfall_testkit::{Refusal, Testkit};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;

const SCHEMA: &str = include_str!("../../../examples/shop/schema.graphql");

fn main() {
    measure("schema and world", || drop(Testkit::new(SCHEMA).expect("a sound schema")));
    measure("schema, world, a device", || drop(one()));
    let kit = one();
    let mut names = 0;
    measure("one more device", || {
        names += 1;
        kit.device(&names.to_string()).expect("a device");
    });
    measure("offline, reject, reconnect, other device, all in all", story);
}

fn one() -> Testkit {
    let kit = Testkit::new(SCHEMA).expect("a sound schema");
    kit.device("ann").expect("a device");
    kit
}

fn story() {
    let kit = Testkit::new(SCHEMA).expect("a sound schema");
    let (ann, bob) = (kit.device("ann").expect("a device"), kit.device("bob").expect("a device"));
    bob.client().subscribe("region/fr").expect("a scope");
    kit.settle().expect("settles");
    ann.offline();
    let order = [("market", "fr".into()), ("placedAt", 0.into()), ("status", "PLACED".into())];
    let app = ann.client();
    let placed = app.transaction().upsert("Order", "o-1", order).commit().expect("a write");
    kit.settle().expect("settles");
    kit.region().reject_next("Order", Refusal::new("over_limit")).expect("a type");
    ann.online();
    kit.settle().expect("settles");
    app.resubmit(placed.dots[0]).expect("a refused write");
    kit.settle().expect("settles");
    assert!(bob.client().get("Order", "o-1").expect("a read").is_some());
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn measure(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort();
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!("{what}: {:.2} ms, in the middle {:.2} ms", ms(times[0]), ms(times[ROUNDS / 2]));
}
