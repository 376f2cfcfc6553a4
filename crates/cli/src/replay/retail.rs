//! `landfall replay retail`: real order lines, through real devices.
//!
//! Every invoice is one transaction on one device: its order, its lines, the products and the
//! customer that it names, and what it takes from stock. Countries keep the file's order; each
//! has its region, and the largest has several devices. Devices have spells offline. Nothing is
//! bypassed: SDK, SQLite, HTTP/2, the regions' stores and their replication. At the end a device
//! that has seen nothing fetches everything, and the figures are read from its tables by SQL.

use super::csv::Line;
use crate::terminal::Progress;
use crate::world::{Faults, World, WorldOptions};
use anyhow::{Context, bail};
use landfall_device::{Client, SqlValue, Value};
use landfall_model::hex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What a replay prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub lines: i64,
    pub quantity: i64,
    /// Exact sum of quantity times unit price.
    pub revenue: String,
    pub stock_sha256: String,
    pub devices: usize,
    pub regions: usize,
    /// How often a region was killed, its disk kept or lost.
    pub region_kills: u64,
    /// Every region, and the fresh device, hold byte-equal state.
    pub converged: bool,
    pub state_sha256: String,
    pub seconds: f64,
    pub ops: u64,
    pub ops_per_second: f64,
    /// Seconds spent writing locally, draining outboxes, converging, and fetching everything anew.
    pub phases: Phases,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Phases {
    pub write: f64,
    pub drain: f64,
    pub converge: f64,
    pub bootstrap: f64,
}

/// How long any phase may take before the replay gives up.
const PHASE_MAX: Duration = Duration::from_secs(1_800);

/// Of each device's invoices, one in so many begins a spell offline, and how long it lasts.
const OFFLINE_EVERY: u64 = 40;
const OFFLINE_INVOICES: u64 = 12;

/// One invoice: consecutive lines of the file.
struct Invoice<'a> {
    lines: &'a [Line],
    /// Number of its first line in the file, which makes line ids unique.
    first: usize,
}

pub(crate) async fn run(
    lines: &[Line],
    options: WorldOptions,
    devices: usize,
    faults: Option<u64>,
    quiet: bool,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let mut world = World::start(options).await?;
    let mut faults = faults.map(Faults::new);
    let mut progress = Progress::new(quiet);
    let plan = Plan::new(lines, devices);
    let mut fleet = Vec::new();
    for (i, country) in plan.device_country.iter().enumerate() {
        let region = world.region_for(country);
        fleet.push(world.device(&format!("till-{i}"), region)?);
    }
    let mut phases = Phases::default();
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();

    let mut ops = 0;
    let mut writers = Writers::new(&fleet);
    for (n, (invoice, device)) in plan.invoices.iter().enumerate() {
        ops += writers.write(invoice, *device)?;
        if let Some(faults) = &mut faults {
            faults.step(&mut world, n, plan.invoices.len()).await?;
        } else if n % 16 == 0 {
            tokio::task::yield_now().await;
        }
        progress.show(|| format!("writing: {n} of {} invoices, {ops} ops", plan.invoices.len()));
    }
    if let Some(faults) = &mut faults {
        faults.heal(&mut world).await?;
    }
    phases.write = lap();

    fleet.iter().for_each(Client::go_online);
    for (i, client) in fleet.iter().enumerate() {
        progress.show(|| format!("draining outboxes: device {i} of {}", fleet.len()));
        let settled = tokio::task::block_in_place(|| client.settle(PHASE_MAX));
        settled.with_context(|| format!("till-{i} did not drain"))?;
    }
    phases.drain = lap();
    world
        .wait_until_equal(PHASE_MAX, |lag| {
            progress.show(|| format!("regions converge: {lag} log entries to go"));
        })
        .await?;
    phases.converge = lap();

    let fresh = world.device("fresh", 0)?;
    let scopes = plan.scopes();
    scopes.iter().try_for_each(|s| fresh.subscribe(s))?;
    progress.show(|| "a fresh device fetches everything".to_owned());
    let settled = tokio::task::block_in_place(|| fresh.settle(PHASE_MAX));
    settled.context("the fresh device did not finish its first sync")?;
    phases.bootstrap = lap();
    progress.clear();

    let mut report = read_figures(&fresh)?;
    report.devices = fleet.len() + 1;
    report.regions = world.len();
    report.region_kills = world.kills();
    report.ops = ops;
    report.faults = faults.map(|f| f.told()).unwrap_or_default();
    let device_digest = fresh.digest()?;
    fleet.iter().chain([&fresh]).try_for_each(Client::close)?;
    let digests = world.stop_and_digest().await?;
    report.converged = digests.iter().all(|d| *d == device_digest);
    report.state_sha256 = device_digest;
    report.phases = phases;
    report.seconds = started.elapsed().as_secs_f64();
    report.ops_per_second = ops as f64 / report.seconds;
    Ok(report)
}

/// Which device writes what, in which order.
struct Plan<'a> {
    /// Per device the country that it serves first.
    device_country: Vec<String>,
    invoices: Vec<(Invoice<'a>, usize)>,
    markets: BTreeSet<String>,
}

impl<'a> Plan<'a> {
    fn new(lines: &'a [Line], devices: usize) -> Self {
        let mut size: BTreeMap<&str, usize> = BTreeMap::new();
        lines.iter().for_each(|l| *size.entry(&l.country).or_default() += 1);
        let mut countries: Vec<&str> = size.keys().copied().collect();
        countries.sort_by_key(|c| (std::cmp::Reverse(size[c]), *c));
        // The largest country gets what the others leave, and at least one.
        let largest = devices.saturating_sub(countries.len().saturating_sub(1)).max(1);
        let mut device_country = vec![countries.first().copied().unwrap_or("").to_owned(); largest];
        let others = countries.iter().skip(1).take(devices.saturating_sub(largest));
        device_country.extend(others.map(|c| (*c).to_owned()));
        let mut of_country: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, country) in countries.iter().enumerate() {
            let served = match i {
                0 => (0..largest).collect(),
                _ if device_country.len() > largest => {
                    vec![largest + (i - 1) % (device_country.len() - largest)]
                }
                _ => vec![0],
            };
            of_country.insert(country, served);
        }
        let mut turn: HashMap<&str, usize> = HashMap::new();
        let invoices = invoices(lines)
            .map(|invoice| {
                let country = invoice.lines[0].country.as_str();
                let served = &of_country[country];
                let turn = turn.entry(country).or_default();
                *turn += 1;
                (invoice, served[*turn % served.len()])
            })
            .collect();
        let markets = countries.into_iter().map(market).collect();
        Self { device_country, invoices, markets }
    }

    /// Every scope that holds something.
    fn scopes(&self) -> Vec<String> {
        let fixed = ["catalog", "staff"].map(str::to_owned);
        fixed.into_iter().chain(self.markets.iter().map(|m| format!("region/{m}"))).collect()
    }
}

fn invoices(lines: &[Line]) -> impl Iterator<Item = Invoice<'_>> {
    let mut first = 0;
    lines.chunk_by(|a, b| a.invoice == b.invoice && a.country == b.country).map(move |chunk| {
        let invoice = Invoice { lines: chunk, first };
        first += chunk.len();
        invoice
    })
}

/// `United Kingdom` is the market `united-kingdom`.
fn market(country: &str) -> String {
    country.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// The devices at work, with what each has already written.
struct Writers<'a> {
    devices: Vec<Writer<'a>>,
}

struct Writer<'a> {
    client: &'a Client,
    /// Stock code -> description and price as last written here.
    products: HashMap<String, (String, i64)>,
    customers: BTreeSet<String>,
    invoices: u64,
}

impl<'a> Writers<'a> {
    fn new(fleet: &'a [Client]) -> Self {
        let writer = |client| Writer {
            client,
            products: HashMap::new(),
            customers: BTreeSet::new(),
            invoices: 0,
        };
        Self { devices: fleet.iter().map(writer).collect() }
    }

    /// Write one invoice; returns how many ops it made.
    fn write(&mut self, invoice: &Invoice<'_>, device: usize) -> anyhow::Result<u64> {
        let writer = &mut self.devices[device];
        writer.invoices += 1;
        // Devices are out of phase, so that some are always online.
        let spell = (writer.invoices + device as u64 * 7) % OFFLINE_EVERY;
        if spell == 0 {
            writer.client.go_offline();
        } else if spell == OFFLINE_INVOICES {
            writer.client.go_online();
        }
        writer.write(invoice)
    }
}

impl Writer<'_> {
    fn write(&mut self, invoice: &Invoice<'_>) -> anyhow::Result<u64> {
        let head = &invoice.lines[0];
        let mut tx = self.client.transaction();
        if !head.customer.is_empty() && self.customers.insert(head.customer.clone()) {
            let country = Value::text(head.country.as_str());
            tx = tx.upsert("Customer", &head.customer, [("country", country)]);
        }
        tx = tx.upsert("Order", &head.invoice, order_fields(head));
        let mut stock: BTreeMap<&str, i64> = BTreeMap::new();
        for (i, line) in invoice.lines.iter().enumerate() {
            let product = (line.description.clone(), line.price_milli);
            if self.products.get(&line.stock_code) != Some(&product) {
                let fields = [
                    ("description", Value::text(product.0.as_str())),
                    ("price", Value::Int(product.1)),
                ];
                tx = tx.upsert("Product", &line.stock_code, fields);
                self.products.insert(line.stock_code.clone(), product);
            }
            *stock.entry(&line.stock_code).or_default() += line.quantity;
            let fields = [
                ("order", Value::text(line.invoice.as_str())),
                ("sku", Value::text(line.stock_code.as_str())),
                ("quantity", Value::Int(line.quantity)),
                ("unitPrice", Value::Int(line.price_milli)),
            ];
            tx = tx.upsert("OrderLine", &format!("{}#{}", line.invoice, invoice.first + i), fields);
        }
        for (code, sold) in stock {
            tx = tx.upsert("Stock", code, [("product", Value::text(code))]);
            tx = tx.increment("Stock", code, "sold", sold);
        }
        let receipt = tx.commit().with_context(|| format!("invoice {}", head.invoice))?;
        Ok(receipt.dots.len() as u64)
    }
}

fn order_fields(head: &Line) -> Vec<(&'static str, Value)> {
    let mut fields = vec![
        ("market", Value::text(market(&head.country))),
        ("placedAt", Value::Int(head.placed_at_us)),
        ("status", Value::text("PLACED")),
        ("cancelled", Value::Bool(head.invoice.starts_with('C'))),
    ];
    if !head.customer.is_empty() {
        fields.push(("customer", Value::text(head.customer.as_str())));
    }
    fields
}

/// The figures, by plain SQL on the device's tables.
fn read_figures(device: &Client) -> anyhow::Result<Report> {
    let sums = device.query(
        "SELECT COUNT(*), COALESCE(SUM(quantity), 0), COALESCE(SUM(quantity * unitPrice), 0) \
         FROM OrderLine",
        [],
    )?;
    let sums: Vec<i64> =
        sums.iter().flat_map(|r| r.values()).filter_map(SqlValue::as_i64).collect();
    let [lines, quantity, revenue_milli] = sums[..] else { bail!("sums are not whole numbers") };
    let mut stock = String::new();
    for row in device.query("SELECT id, sold FROM Stock ORDER BY id", [])?.iter() {
        let code = row.text("id").context("a stock code is text")?;
        let sold = row.integer("sold").context("a counter is a whole number")?;
        writeln!(stock, "{code},{sold}")?;
    }
    let stock_sha256 = hex::encode(&Sha256::digest(&stock));
    Ok(Report {
        lines,
        quantity,
        revenue: decimal(revenue_milli),
        stock_sha256,
        devices: 0,
        regions: 0,
        region_kills: 0,
        converged: false,
        state_sha256: String::new(),
        seconds: 0.0,
        ops: 0,
        ops_per_second: 0.0,
        phases: Phases::default(),
        faults: Vec::new(),
    })
}

/// Thousandths as a decimal number with three places.
fn decimal(milli: i64) -> String {
    let sign = if milli < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", milli.unsigned_abs() / 1000, milli.unsigned_abs() % 1000)
}
