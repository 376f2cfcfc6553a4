//! An app on Landfall: one phone's database, a write, and what comes in.
//!
//! `cargo run -- anna` while `landfall dev` runs; README.md has the commands before it. The app
//! reads and writes its SQLite file only. It works without regions, too, and catches up with them
//! by itself later.

use landfall_device::{Account, Client, Fate, FixedToken, Options, Query, RegionUrl};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The same file that the regions run: types and fields are checked against it.
const SCHEMA: &str = include_str!("../schema.graphql");

/// Where `landfall dev` puts its regions. The first that answers is used; the others take over
/// when it fails.
const REGIONS: [(&str, &str); 3] = [
    ("eu-central", "http://127.0.0.1:7401"),
    ("us-east", "http://127.0.0.1:7402"),
    ("ap-south", "http://127.0.0.1:7403"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "anna".to_owned());
    // In a real app the token comes from your login, by a `TokenProvider`.
    let token = std::env::var("LANDFALL_TOKEN")
        .map_err(|_| "LANDFALL_TOKEN is not set; README.md says how to make a token")?;
    std::fs::create_dir_all(".landfall/app")?;
    let file = Path::new(".landfall/app").join(format!("{name}.db"));
    let client = open(&file, &name, &token, REGIONS)?;
    let seen = work(&client, &name)?;
    println!("{}", seen.join("\n"));
    client.close()?;
    Ok(())
}

/// Open the phone's file, and begin to sync it.
pub fn open<'a>(
    file: &Path,
    name: &str,
    token: &str,
    regions: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Client, Box<dyn Error>> {
    let account = Account { tenant: String::new(), subject: name.to_owned() };
    let mut options = Options::from_sdl(file, SCHEMA, account)?;
    options.tokens = Arc::new(FixedToken(token.to_owned()));
    options.regions = regions.into_iter().map(|(name, url)| RegionUrl::new(name, url)).collect();
    Ok(Client::open(options)?)
}

/// What this phone does: write a job with a step, vote for a note, and say what it sees.
pub fn work(client: &Client, name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    // Hold the team's rows on this phone from now on, across restarts.
    client.subscribe("team/blue")?;

    // One transaction: all of it or nothing. When `commit` returns, it is in the file and shows;
    // the network is not waited for.
    let job = format!("job-of-{name}");
    let receipt = client
        .transaction()
        .upsert(
            "Job",
            &job,
            [("team", "blue"), ("title", "Paint the door"), ("state", "OPEN")].map(text),
        )
        .upsert("Step", &format!("{job}/1"), [("job", job.as_str()), ("what", "Sand it")].map(text))
        .upsert("Note", "door", [("team", "blue"), ("title", "The door")].map(text))
        .increment("Note", "door", "votes", 1)
        .add_to_set("Note", "door", "labels", name.into())
        .commit()?;

    // A query that stays: rows now, and what changes in them from here on.
    let mut jobs = client.observe(Query::table("Job").ascending("id"))?;
    let shown = match jobs.next_within(Duration::from_secs(1)) {
        Some(update) => update?.rows.len(),
        None => 0,
    };

    // Only a program that is about to end waits for the regions; an app on a phone never does.
    let mut seen = vec![format!("{shown} jobs at once, without a network")];
    if client.settle(Duration::from_secs(10)).is_err() {
        seen.push("no region answers; the next run sends what was written".to_owned());
    }
    for dot in receipt.dots {
        seen.push(told(&client.fate(dot)?));
    }
    // The tables are plain SQLite.
    let votes = client.query("SELECT votes, labels FROM Note WHERE id = 'door'", [])?;
    if let Some(note) = votes.get(0) {
        let votes = note.integer("votes").unwrap_or_default();
        let labels = note.text("labels").unwrap_or_default();
        seen.push(format!("the door has {votes} votes, from {labels}"));
    }
    Ok(seen)
}

/// What became of a write, for people.
fn told(fate: &Fate) -> String {
    match fate {
        Fate::Pending { .. } => "it waits on this phone".to_owned(),
        Fate::Accepted { durable: false } => "a region has it".to_owned(),
        Fate::Accepted { durable: true } => "two regions have it".to_owned(),
        Fate::Rejected { detail, .. } => format!("no region takes it: {detail}"),
        Fate::Unknown => "it was never written here".to_owned(),
    }
}

/// A field and its value, as a transaction takes them.
fn text<'f>((field, value): (&'f str, &str)) -> (&'f str, landfall_device::Value) {
    (field, value.into())
}
