//! What the tests of an app look like. Each prints how long it took; no time is ever asserted.

use landfall_device::{
    Client, ConnectionState, Coverage, Event, Fate, Outcome, Query, SqlValue, Terms, Value,
};
use landfall_testkit::{Device, Options, Reason, Refusal, Rights, Testkit, code};
use std::time::{Duration, Instant};

const SCHEMA: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "market/{market}")
  @audience(scope: "driver/{driver}", hide: [margin], write: [status]) {
  id: ID!  market: ID!  driver: ID  status: String @index  total: Int  margin: Int
  placedAt: Instant  tags: [String!] @set  note: Text }
type OrderLine @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  sku: String!  quantity: Int! }
type Stock @entity(strategy: CRDT, scope: "catalog") { id: ID!  sold: Counter }
"#;

/// Run a test in a fresh world, and say what both took.
#[expect(clippy::print_stdout, reason = "how long a test took is for people")]
fn check(name: &str, test: impl FnOnce(&Testkit)) {
    let began = Instant::now();
    let kit = Testkit::new(SCHEMA).unwrap();
    test(&kit);
    println!("{name}: {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
}

/// A phone that holds the French market.
fn phone(kit: &Testkit, account: &str) -> Device {
    let device = kit.device(account).unwrap();
    device.client().subscribe("market/fr").unwrap();
    device
}

fn place(client: &Client, id: &str, total: i64) -> landfall_device::Dot {
    let fields = [("market", "fr".into()), ("status", "PLACED".into()), ("total", total.into())];
    client.transaction().upsert("Order", id, fields).commit().unwrap().dots[0]
}

fn status(client: &Client, id: &str) -> Option<String> {
    client.get("Order", id).unwrap().and_then(|row| row.text("status").map(str::to_owned))
}

#[test]
fn an_order_placed_offline_is_refused_mended_and_seen_by_another_phone() {
    check("offline, reject, reconnect, other device", |kit| {
        let (ann, bob) = (phone(kit, "ann"), phone(kit, "bob"));
        kit.settle().unwrap();
        ann.offline();
        let app = ann.client();
        let mut orders = app.observe(Query::table("Order").descending("total").limit(50)).unwrap();
        let placed = place(&app, "o-1", 900);
        let settled = kit.settle().unwrap();
        assert_eq!(settled.waiting[0].device, "ann/phone");
        assert_eq!(settled.waiting[0].reason, Reason::Offline);
        assert_eq!(settled.waiting[0].unsent, 1);
        // It shows at once, and nowhere else.
        let shown = orders.next_within(Duration::ZERO).unwrap().unwrap();
        assert_eq!(shown.rows[0].text("status"), Some("PLACED"));
        assert_eq!(status(&bob.client(), "o-1"), None);

        let refusal = Refusal::new("over_limit").field("total").detail("at most 500");
        kit.region().reject_next("Order", refusal).unwrap();
        ann.online();
        assert!(kit.settle().unwrap().is_quiet());
        let Fate::Rejected { code, reason, field, detail } = app.fate(placed).unwrap() else {
            panic!("the write was not refused: {:?}", app.fate(placed));
        };
        assert_eq!(
            (code, reason.as_str(), detail.as_str()),
            ("LF4000", "over_limit", "at most 500")
        );
        let total = app.schema().entity_named("Order").unwrap().field_named("total").unwrap().id;
        assert_eq!(field, Some(total));
        assert_eq!(status(&app, "o-1"), None);
        let outcome = &app.outcomes().unwrap()[0];
        assert!(matches!(outcome.outcome, Outcome::Rejected { .. }));
        assert!(kit.region().rows("Order").unwrap().is_empty());
        let mut updates = std::iter::from_fn(|| orders.next_within(Duration::ZERO));
        assert_eq!(updates.next().unwrap().unwrap().rows.len(), 0);

        app.resubmit(placed).unwrap();
        app.transaction().update("Order", "o-1", [("total", 400.into())]).commit().unwrap();
        app.dismiss(placed).unwrap();
        assert!(kit.settle().unwrap().is_quiet());
        assert_eq!(bob.client().get("Order", "o-1").unwrap().unwrap().integer("total"), Some(400));
        assert_eq!(kit.region().get("Order", "o-1").unwrap().unwrap().integer("total"), Some(400));
        assert!(app.outcomes().unwrap().is_empty());
    });
}

#[test]
fn the_example_of_the_page() -> Result<(), Box<dyn std::error::Error>> {
    let kit = Testkit::new(SCHEMA)?;
    let (ann, bob) = (kit.device("ann")?, kit.device("bob")?);
    bob.client().subscribe("market/fr")?;

    ann.offline();
    let app = ann.client();
    let order = [("market", "fr".into()), ("total", 900.into())];
    let placed = app.transaction().upsert("Order", "o-1", order).commit()?;
    kit.settle()?;
    assert!(app.get("Order", "o-1")?.is_some());

    kit.region().reject_next("Order", Refusal::new("over_limit").field("total"))?;
    ann.online();
    kit.settle()?;
    assert!(app.get("Order", "o-1")?.is_none());
    assert_eq!(app.outcomes()?.len(), 1);
    app.resubmit(placed.dots[0])?;
    app.transaction().update("Order", "o-1", [("total", 400.into())]).commit()?;
    kit.settle()?;
    assert_eq!(bob.client().get("Order", "o-1")?.unwrap().integer("total"), Some(400));
    Ok(())
}

#[test]
fn a_refusal_meets_the_write_that_was_meant_and_its_whole_transaction() {
    check("refusals by id and by dot", |kit| {
        let app = phone(kit, "ann").client();
        kit.region().reject_next(("Order", "o-2"), Refusal::new("not_allowed")).unwrap();
        let first = place(&app, "o-1", 1);
        let second = app
            .transaction()
            .upsert("Order", "o-2", [("market", "fr")].map(|(n, v)| (n, v.into())))
            .upsert(
                "OrderLine",
                "l-1",
                [("order", Value::from("o-2")), ("sku", "tea".into()), ("quantity", 2.into())],
            )
            .commit()
            .unwrap();
        let third = place(&app, "o-3", 3);
        kit.region().reject_next(third, Refusal::new("too_late")).unwrap();
        kit.settle().unwrap();
        assert_eq!(app.fate(first).unwrap(), Fate::Accepted { durable: true });
        for dot in &second.dots {
            let fate = app.fate(*dot).unwrap();
            assert!(matches!(fate, Fate::Rejected { code: "LF4007", .. }), "{fate:?}");
        }
        let fate = app.fate(third).unwrap();
        assert!(matches!(&fate, Fate::Rejected { reason, .. } if reason == "too_late"), "{fate:?}");
        // Each was used up.
        assert_eq!(app.fate(place(&app, "o-2", 2)).unwrap(), Fate::Pending { sent: false });
        kit.settle().unwrap();
        let ids: Vec<String> =
            kit.region().rows("Order").unwrap().into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ["o-1", "o-2"]);
    });
}

#[test]
fn an_expired_token_pauses_and_loses_nothing() {
    check("token expiry", |kit| {
        let ann = phone(kit, "ann");
        let app = ann.client();
        kit.settle().unwrap();
        ann.expire_token();
        let placed = place(&app, "o-1", 1);
        let settled = kit.settle().unwrap();
        assert_eq!(settled.waiting[0].reason, Reason::TokenExpired);
        kit.advance(Duration::from_secs(1)).unwrap();
        let connection = app.connection();
        let waits = matches!(&connection, ConnectionState::Waiting { code: Some(c), .. } if c == "token_expired");
        assert!(waits, "{connection:?}");
        assert!(matches!(app.fate(placed).unwrap(), Fate::Pending { .. }));
        assert_eq!(status(&app, "o-1").as_deref(), Some("PLACED"));
        kit.advance(Duration::from_secs(3_600)).unwrap();
        assert!(app.outcomes().unwrap().is_empty());

        ann.renew_token();
        assert!(kit.settle().unwrap().is_quiet());
        assert_eq!(app.fate(placed).unwrap(), Fate::Accepted { durable: true });
    });
}

#[test]
fn a_token_that_runs_out_by_itself_is_renewed_without_the_app() {
    check("two hours", |kit| {
        let app = phone(kit, "ann").client();
        kit.settle().unwrap();
        let mut events = app.events();
        kit.advance(Duration::from_secs(2 * 3_600)).unwrap();
        place(&app, "o-1", 1);
        assert!(kit.settle().unwrap().is_quiet());
        let all: Vec<Event> = std::iter::from_fn(|| events.next_within(Duration::ZERO)).collect();
        let reconnects = all
            .iter()
            .filter(|e| matches!(e, Event::Connection(ConnectionState::Connecting { .. })));
        assert!(reconnects.count() >= 1, "{all:?}");
    });
}

#[test]
fn a_killed_process_leaves_its_outbox() {
    check("restart", |kit| {
        let ann = phone(kit, "ann");
        let before = ann.client();
        kit.settle().unwrap();
        ann.offline();
        let placed = place(&before, "o-1", 1);
        let app = ann.restart().unwrap();
        assert_eq!(before.get("Order", "o-1").unwrap_err().code(), "LF2104");
        assert_eq!(status(&app, "o-1").as_deref(), Some("PLACED"));
        assert_eq!(app.outbox_status().unwrap().pending, 1);
        ann.online();
        // The dead process has the lease for five seconds more.
        let began_ms = kit.now_ms();
        assert!(kit.settle().unwrap().is_quiet());
        assert!(kit.now_ms() - began_ms >= 3_000, "{} ms", kit.now_ms() - began_ms);
        assert_eq!(app.fate(placed).unwrap(), Fate::Accepted { durable: true });
        assert_eq!(kit.region().rows("Order").unwrap().len(), 1);
    });
}

#[test]
fn a_process_killed_between_push_and_answer_writes_once() {
    check("killed in flight", |kit| {
        let ann = phone(kit, "ann");
        kit.settle().unwrap();
        kit.region().delay(Duration::from_millis(300));
        let app = ann.client();
        app.transaction().upsert("Stock", "tea", [("id", "tea".into())]).commit().unwrap();
        app.transaction().increment("Stock", "tea", "sold", 1).commit().unwrap();
        // The push has arrived, its answer has not.
        kit.advance(Duration::from_millis(400)).unwrap();
        assert_eq!(app.outbox_status().unwrap().pending, 2);
        let sold = |kit: &Testkit| {
            let row = kit.region().get("Stock", "tea").unwrap();
            row.and_then(|row| row.integer("sold"))
        };
        assert_eq!(sold(kit), Some(1));
        ann.offline();
        let app = ann.restart().unwrap();
        ann.online();
        assert!(kit.settle().unwrap().is_quiet());
        assert_eq!(sold(kit), Some(1));
        assert!(app.outbox_status().unwrap().is_empty());
        assert!(app.outcomes().unwrap().is_empty());
    });
}

#[test]
fn what_is_revoked_leaves_the_phone() {
    check("revoke", |kit| {
        kit.allow("ann", Rights::scopes(["market/fr", "market/de"]));
        let app = phone(kit, "ann").client();
        app.subscribe("market/de").unwrap();
        kit.put("Order", "o-fr", [("market", "fr".into()), ("total", 1.into())]).unwrap();
        kit.put("Order", "o-de", [("market", "de".into()), ("total", 2.into())]).unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-fr").unwrap().is_some());

        kit.revoke("ann", "market/fr").unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-fr").unwrap().is_none());
        assert!(app.get("Order", "o-de").unwrap().is_some());
        let progress = app.progress("market/fr").unwrap().unwrap();
        assert_eq!(progress.missing.denied.as_deref(), Some("not_allowed"));
        let refused = place(&app, "o-2", 1);
        kit.settle().unwrap();
        assert!(matches!(app.fate(refused).unwrap(), Fate::Rejected { code: "LF4007", .. }));

        kit.grant("ann", "market/fr");
        app.subscribe("market/fr").unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-fr").unwrap().is_some());
        assert_eq!(kit.revoke("bob", "market/fr").unwrap_err().code(), code::WIDER_RIGHT);
    });
}

#[test]
fn a_driver_sees_what_the_audience_shows_and_writes_what_it_may() {
    check("audience", |kit| {
        kit.allow("dan", Rights::scopes([""; 0]).audiences(["driver/dan"]));
        let order = [("market", "fr".into()), ("driver", "dan".into()), ("margin", 7.into())];
        kit.put("Order", "o-1", order).unwrap();
        let app = kit.device("dan").unwrap().client();
        app.subscribe("driver/dan").unwrap();
        kit.settle().unwrap();
        let row = app.get("Order", "o-1").unwrap().unwrap();
        assert!(row.get("margin").unwrap().is_null());
        app.transaction().update("Order", "o-1", [("status", "SENT".into())]).commit().unwrap();
        let forbidden = app.transaction().update("Order", "o-1", [("total", 1.into())]);
        let forbidden = forbidden.commit().unwrap().dots[0];
        kit.settle().unwrap();
        let row = kit.region().get("Order", "o-1").unwrap().unwrap();
        assert_eq!((row.text("status"), row.integer("total")), (Some("SENT"), None));
        assert!(matches!(app.fate(forbidden).unwrap(), Fate::Rejected { code: "LF4007", .. }));
    });
}

#[test]
fn others_write_and_delete_and_the_phone_hears_of_it() {
    check("put and delete by others", |kit| {
        let app = phone(kit, "ann").client();
        place(&app, "o-1", 1);
        kit.put("Order", "o-1", [("market", "fr".into()), ("status", "PAID".into())]).unwrap();
        kit.settle().unwrap();
        let row = app.get("Order", "o-1").unwrap().unwrap();
        assert_eq!((row.text("status"), row.integer("total")), (Some("PAID"), Some(1)));
        kit.delete("Order", "o-1").unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-1").unwrap().is_none());
        assert!(kit.region().rows("Order").unwrap().is_empty());
        assert!(app.outcomes().unwrap().is_empty());
    });
}

#[test]
fn two_phones_of_one_account_share_what_they_write() {
    check("two devices of an account", |kit| {
        let (one, two) = (phone(kit, "ann"), kit.device_of("ann", "tablet").unwrap());
        two.client().subscribe("market/fr").unwrap();
        for client in [one.client(), two.client()] {
            client.transaction().upsert("Stock", "tea", [("id", "tea".into())]).commit().unwrap();
            client.transaction().increment("Stock", "tea", "sold", 1).commit().unwrap();
            client.subscribe("catalog").unwrap();
        }
        place(&one.client(), "o-1", 1);
        let text = one.client().transaction().splice("Order", "o-1", "note", 0, 0, "ring twice");
        text.commit().unwrap();
        kit.settle().unwrap();
        assert_eq!(two.client().get("Stock", "tea").unwrap().unwrap().integer("sold"), Some(2));
        let note = two.client().get("Order", "o-1").unwrap().unwrap();
        assert_eq!(note.text("note"), Some("ring twice"));
        let row = kit.region().get("Order", "o-1").unwrap().unwrap();
        assert_eq!(row.text("note"), Some("ring twice"));
        assert_eq!(one.client().digest().unwrap(), two.client().digest().unwrap());
    });
}

#[test]
fn a_region_that_is_down_holds_up_nothing_but_the_outbox() {
    check("region down", |kit| {
        let (ann, bob) = (phone(kit, "ann"), phone(kit, "bob"));
        kit.settle().unwrap();
        kit.region().stop();
        place(&ann.client(), "o-1", 1);
        let settled = kit.settle().unwrap();
        assert!(settled.waiting.iter().all(|w| w.reason == Reason::RegionStopped), "{settled:?}");
        kit.advance(Duration::from_secs(30)).unwrap();
        kit.region().start();
        assert!(kit.settle().unwrap().is_quiet());
        assert_eq!(status(&bob.client(), "o-1").as_deref(), Some("PLACED"));
    });
}

#[test]
fn a_slow_network_takes_its_time_and_no_more() {
    check("delay", |kit| {
        let (ann, bob) = (phone(kit, "ann"), phone(kit, "bob"));
        kit.settle().unwrap();
        kit.region().delay(Duration::from_millis(200));
        place(&ann.client(), "o-1", 1);
        kit.advance(Duration::from_millis(399)).unwrap();
        assert_eq!(status(&bob.client(), "o-1"), None);
        kit.advance(Duration::from_millis(1)).unwrap();
        assert_eq!(status(&bob.client(), "o-1").as_deref(), Some("PLACED"));
        assert!(kit.settle().unwrap().is_quiet());
    });
}

#[test]
fn a_world_that_does_not_settle_says_who_waits() {
    check("unsettled", |kit| {
        let ann = phone(kit, "ann");
        // Slower than a device waits for a greeting.
        kit.region().delay(Duration::from_secs(3));
        place(&ann.client(), "o-1", 1);
        let error = kit.settle().unwrap_err();
        assert_eq!(error.code(), code::UNSETTLED);
        let waiting = &error.waiting()[0];
        assert_eq!((waiting.device.as_str(), waiting.unsent), ("ann/phone", 1));
        assert_eq!(waiting.reason, Reason::Unfinished);
        assert_eq!(waiting.scopes, ["market/fr"]);
        assert!(error.message().contains("ann/phone is not done, 1 writes unsent"), "{error}");
        ann.client().go_offline();
        assert_eq!(kit.settle().unwrap().waiting[0].reason, Reason::SwitchedOff);
    });
}

#[test]
fn futures_of_the_client_end_in_virtual_time() {
    check("futures", |kit| {
        let (ann, bob) = (phone(kit, "ann"), phone(kit, "bob"));
        let app = bob.client();
        let filter = [SqlValue::from("o-1")];
        let mut orders = app.observe(Query::table("Order").filter("id = ?", filter)).unwrap();
        let first = kit.run(orders.next()).unwrap().unwrap().unwrap();
        assert_eq!(first.coverage, Coverage::Loading);
        place(&ann.client(), "o-1", 1);
        let seen = kit.run(async {
            loop {
                let update = orders.next().await.unwrap().unwrap();
                if !update.rows.is_empty() {
                    return update;
                }
            }
        });
        assert_eq!(seen.unwrap().rows[0].integer("total"), Some(1));
        kit.run(app.settle_async(Duration::from_secs(60))).unwrap().unwrap();
        ann.offline();
        let unsettled = kit.run(ann.client().settle_async(Duration::from_secs(60))).unwrap();
        assert_eq!(unsettled.unwrap_err().code(), "LF2106");
        let never = kit.run(std::future::pending::<()>());
        assert_eq!(never.unwrap_err().code(), code::UNSETTLED);
    });
}

#[test]
fn a_month_passes_in_a_moment_and_windows_with_it() {
    check("a month", |kit| {
        let sdl = SCHEMA.replace("placedAt: Instant", "placedAt: Instant @window");
        let kit = &Testkit::new(&sdl).unwrap_or_else(|_| kit.clone());
        let app = kit.device("ann").unwrap().client();
        let day_ms = 24 * 3_600 * 1_000;
        let terms = Terms { keep_ms: Some(7 * day_ms), ..Terms::default() };
        app.subscribe_with("market/fr", terms).unwrap();
        let now_us = kit.now_ms() * 1_000;
        let order = [("market", "fr".into()), ("placedAt", Value::Int(now_us))];
        kit.put("Order", "o-1", order).unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-1").unwrap().is_some());
        kit.advance(Duration::from_millis(30 * day_ms)).unwrap();
        kit.settle().unwrap();
        assert!(app.get("Order", "o-1").unwrap().is_none());
        assert!(kit.region().get("Order", "o-1").unwrap().is_some());
    });
}

#[test]
fn the_same_test_takes_the_same_course() {
    let story = |seed: u64| {
        let mut options = Options::new(Testkit::new(SCHEMA).unwrap().schema());
        options.seed = seed;
        let kit = Testkit::with(options);
        let ann = phone(&kit, "ann");
        let mut events = ann.client().events();
        ann.offline();
        let placed = place(&ann.client(), "o-1", 1);
        kit.advance(Duration::from_secs(20)).unwrap();
        ann.online();
        kit.settle().unwrap();
        let told: Vec<Event> = std::iter::from_fn(|| events.next_within(Duration::ZERO)).collect();
        (placed, kit.now_ms(), told)
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7).0, story(8).0);
}

#[test]
fn files_in_a_folder_are_real_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(Testkit::new(SCHEMA).unwrap().schema());
    options.directory = Some(folder.path().to_owned());
    let kit = Testkit::with(options.clone());
    let ann = phone(&kit, "ann");
    ann.offline();
    place(&ann.client(), "o-1", 1);
    ann.restart().unwrap();
    assert_eq!(status(&ann.client(), "o-1").as_deref(), Some("PLACED"));
    drop((ann, kit));
    assert!(folder.path().join("ann-phone.landfall").exists());
    let kit = Testkit::with(options);
    assert_eq!(status(&kit.device("ann").unwrap().client(), "o-1").as_deref(), Some("PLACED"));
}

#[test]
fn controls_say_what_they_do_not_know() {
    let kit = Testkit::new(SCHEMA).unwrap();
    let region = kit.region();
    let refused = |which: &str, refusal| region.reject_next(which, refusal).unwrap_err().code();
    assert_eq!(refused("Ordre", Refusal::new("x")), code::UNKNOWN_NAME);
    assert_eq!(refused("Order", Refusal::new("x").field("totl")), code::UNKNOWN_NAME);
    assert_eq!(refused("Order", Refusal::new("clock_ahead")), code::NO_REFUSAL);
    assert_eq!(region.rows("Ordre").unwrap_err().code(), code::UNKNOWN_NAME);
    assert_eq!(Testkit::new("type A { id: ID! }").unwrap_err().code(), "LF2101");
}

#[test]
fn opening_is_quick() {
    // Once to have everything in memory, then what each test pays.
    for round in 0..4 {
        let began = Instant::now();
        let kit = Testkit::new(SCHEMA).unwrap();
        let world = began.elapsed();
        let device = kit.device("ann").unwrap();
        let first = began.elapsed() - world;
        kit.device("bob").unwrap();
        let second = began.elapsed() - world - first;
        assert_eq!(device.name(), "ann/phone");
        println!(
            "round {round}: schema and world {world:?}, first device {first:?}, second {second:?}"
        );
    }
}
