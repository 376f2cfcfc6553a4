//! How long a write takes to show in a list of 100 out of 10,000 rows, without any binding: from
//! before the write to the update that has it. `bindings/kotlin/test/Measure.kt` is the same in
//! Kotlin, through the binding. `measure SECONDS` prints one line.

use landfall_device::{Account, Client, Options, Query, Value, Watch};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const ROWS: u64 = 10_000;
const WRITES_PER_SECOND: u64 = 100;
const WINDOW: u64 = 100;
const SHOP: &str = include_str!("../../../examples/shop/schema.graphql");

/// When each write that does not show yet was begun.
type Begun = Arc<Mutex<HashMap<String, Instant>>>;

#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let seconds: u64 = std::env::args().nth(1).as_deref().unwrap_or("10").parse()?;
    let folder = tempfile::tempdir()?;
    let account = Account { tenant: String::new(), subject: "measure".into() };
    let client = Client::open(Options::from_sdl(folder.path().join("m.landfall"), SHOP, account)?)?;
    for block in 0..ROWS / 1_000 {
        let block = block * 1_000..(block + 1) * 1_000;
        let all = block.fold(client.transaction(), |t, n| {
            t.upsert(
                "Product",
                &format!("p-{n}"),
                [("description", Value::Text(format!("a{n:09}")))],
            )
        });
        all.commit()?;
    }
    run(&client, "b", WRITES_PER_SECOND * 2)?;
    let writes = WRITES_PER_SECOND * seconds;
    let mut taken = run(&client, "c", writes)?;
    client.close()?;
    taken.sort();
    let at = |share: f64| {
        let place = (taken.len() - 1) as f64 * share;
        taken[place as usize].as_secs_f64() * 1_000.0
    };
    let (p50, p99, shown) = (at(0.5), at(0.99), taken.len());
    println!("rust    {writes} writes, {shown} shown: p50 {p50:.2} ms, p99 {p99:.2} ms");
    Ok(())
}

fn run(client: &Client, word: &str, writes: u64) -> Result<Vec<Duration>, Box<dyn Error>> {
    let query = Query::table("Product").descending("description").limit(WINDOW);
    let watch = client.observe(query)?;
    let begun = Begun::default();
    let (sender, taken) = mpsc::channel();
    let last = format!("{word}{:09}", writes - 1);
    let watching = {
        let begun = begun.clone();
        thread::spawn(move || collect(watch, &last, &begun, &sender))
    };
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    for n in 0..writes {
        let due = start + Duration::from_secs(n) / WRITES_PER_SECOND as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let description = format!("{word}{n:09}");
        begun.lock().expect("no panic under it").insert(description.clone(), Instant::now());
        let id = format!("p-{}", n * 37 % ROWS);
        client
            .transaction()
            .update("Product", &id, [("description", Value::Text(description))])
            .commit()?;
    }
    watching.join().expect("it does not panic");
    Ok(taken.iter().collect())
}

/// Until the last write shows, or nothing has come for long.
fn collect(mut watch: Watch, last: &str, begun: &Begun, taken: &mpsc::Sender<Duration>) {
    while let Some(Ok(update)) = watch.next_within(Duration::from_secs(30)) {
        let now = Instant::now();
        let mut begun = begun.lock().expect("no panic under it");
        for row in update.rows.iter() {
            if let Some(began) = begun.remove(row.text("description").unwrap_or_default()) {
                // The other end waits for the end of this.
                let _ = taken.send(now - began);
            }
        }
        if update.rows.first().and_then(|r| r.text("description")) == Some(last) {
            return;
        }
    }
}
