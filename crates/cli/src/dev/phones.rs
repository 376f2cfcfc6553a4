//! Phones that work on the example shop: they sell, reassign drivers, change prices, and are
//! offline now and then, each on its own file.

use crate::world::World;
use landfall_chaos::Random;
use landfall_device::{Client, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The phones of a dev world.
#[derive(Debug)]
pub(crate) struct Fleet {
    clients: Arc<Vec<(String, Client)>>,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Products that the example shop sells: code, description, price in thousandths.
const PRODUCTS: [(&str, &str, i64); 8] = [
    ("MUG-01", "Enamel mug", 8_900),
    ("TEA-07", "Darjeeling, first flush, 100 g", 12_400),
    ("LMP-11", "Desk lamp", 59_000),
    ("NTB-03", "Notebook, dotted", 6_250),
    ("BAG-20", "Canvas bag", 24_500),
    ("CUP-02", "Espresso cup", 7_800),
    ("PEN-05", "Fountain pen", 34_900),
    ("BLK-09", "Wool blanket", 79_000),
];

const MARKETS: [&str; 3] = ["france", "germany", "japan"];

/// A phone does something about this often.
const PACE: Duration = Duration::from_millis(700);

impl Fleet {
    pub(crate) fn start(world: &World, phones: usize) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for i in 0..phones {
            let name = format!("phone-{}", i + 1);
            let client = world.device(&name, i % world.len())?;
            client.subscribe("catalog")?;
            client.subscribe(&format!("region/{}", MARKETS[i % MARKETS.len()]))?;
            clients.push((name, client));
        }
        let clients = Arc::new(clients);
        let (stop, stopped) = watch::channel(false);
        let tasks =
            (0..phones).map(|i| tokio::spawn(work(clients.clone(), i, stopped.clone()))).collect();
        Ok(Self { clients, stop, tasks })
    }

    pub(crate) fn clients(&self) -> &[(String, Client)] {
        &self.clients
    }

    /// False if a phone could not close its file in order.
    pub(crate) async fn stop(self) -> bool {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
        let mut clean = true;
        for (name, client) in self.clients.iter() {
            if let Err(error) = client.close() {
                tracing::warn!(phone = name, %error, "a phone did not close cleanly");
                clean = false;
            }
        }
        clean
    }
}

async fn work(clients: Arc<Vec<(String, Client)>>, me: usize, mut stop: watch::Receiver<bool>) {
    let (name, client) = &clients[me];
    let mut random = Random(landfall_model::hash::hash64(name.as_bytes()));
    for round in 0u64.. {
        let pace = PACE + Duration::from_millis(random.below(600));
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pace) => {}
        }
        // One phone after the other takes a walk where there is no network.
        match (round + 13 * me as u64) % 60 {
            20 => client.go_offline(),
            32 => client.go_online(),
            _ => {}
        }
        if let Err(error) = tokio::task::block_in_place(|| act(client, me, round, &mut random)) {
            tracing::warn!(phone = name, %error, "a phone's write was refused");
        }
    }
}

fn act(
    client: &Client,
    me: usize,
    round: u64,
    random: &mut Random,
) -> Result<(), landfall_device::Error> {
    let (code, description, price) = PRODUCTS[random.below(PRODUCTS.len() as u64) as usize];
    let tx = client.transaction();
    let tx = match random.below(10) {
        0 => {
            let price = price + 10 * random.below(200) as i64;
            let fields = [("description", Value::text(description)), ("price", Value::Int(price))];
            tx.upsert("Product", code, fields)
        }
        1 | 2 => match some_order(client) {
            Some(order) => {
                let driver = format!("driver-{}", 1 + random.below(3));
                let fields = [("driver", Value::text(driver)), ("status", Value::text("PACKED"))];
                tx.update("Order", &order, fields)
            }
            None => return Ok(()),
        },
        _ => {
            let order = format!("{}-{me}-{round}-{}", code, random.below(1 << 20));
            let quantity = 1 + random.below(4) as i64;
            let now_us = landfall_region::world::Clock::now_ms(&crate::world::WallClock) * 1_000;
            let fields = [
                ("market", Value::text(MARKETS[me % MARKETS.len()])),
                ("placedAt", Value::Int(now_us)),
                ("status", Value::text("PLACED")),
            ];
            let line = [
                ("order", Value::text(order.as_str())),
                ("sku", Value::text(code)),
                ("quantity", Value::Int(quantity)),
                ("unitPrice", Value::Int(price)),
            ];
            tx.upsert("Order", &order, fields)
                .upsert("OrderLine", &format!("{order}#1"), line)
                .upsert("Stock", code, [("product", Value::text(code))])
                .increment("Stock", code, "sold", quantity)
        }
    };
    tx.commit().map(|_| ())
}

fn some_order(client: &Client) -> Option<String> {
    let sql = "SELECT id FROM \"Order\" ORDER BY placedAt DESC LIMIT 1";
    let rows = client.query(sql, []).ok()?;
    Some(rows.scalar()?.as_str()?.to_owned())
}
