//! What the app on a device does: random transactions on few names, so that devices meet on them.
//!
//! The app is the simulator's: its schema, its accounts, its names. The seed draws every edit; what
//! it makes of a device depends on what the device shows, so it is not the same every time.

use super::store;
use landfall_chaos::Random;
use landfall_device::{Client, Edit, FieldEdit, Value};
use landfall_model::id::EntityKey;
use landfall_model::schema::LOCAL_HOME;
use landfall_sim::app::{App, CUSTOMERS, DRIVERS, TEAMS, WAREHOUSES};

/// Notes whose id begins so are never deleted, and votes on them are in transactions of their own, so
/// nothing takes a vote back.
const TALLY: &str = "t";

pub(crate) struct Workload {
    pub app: App,
    pub random: Random,
    subject: String,
}

impl Workload {
    pub(crate) fn new(subject: &str, seed: u64) -> Self {
        Self { app: App::new(), random: Random(seed), subject: subject.to_owned() }
    }

    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.random.below(1_000) < permille
    }

    fn pick<'n>(&mut self, names: &[&'n str]) -> &'n str {
        names[self.random.below(names.len() as u64) as usize]
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.random.below(all.len() as u64) as usize).cloned()
    }

    fn fresh(&mut self) -> Value {
        Value::Int(self.random.below(1_000_000) as i64)
    }

    fn fresh_text(&mut self) -> Value {
        Value::text(format!("v{}", self.random.below(1_000_000)))
    }

    /// The next transaction; empty if this device has nothing to do at the moment.
    pub(crate) fn next(&mut self, client: &Client) -> anyhow::Result<Vec<Edit>> {
        if self.chance(180) {
            return Ok(self.vote().into_iter().collect());
        }
        let count = if self.chance(300) { 2 + self.random.below(4) } else { 1 };
        let office = self.subject.starts_with("office");
        let mut edits = Vec::new();
        for _ in 0..count {
            let edit = match self.random.below(12) {
                0..=3 if office => Some(self.order()),
                4 if office => self.line(client)?,
                5 if office => Some(self.product()),
                6 if office => Some(self.reference()),
                // Somebody without the right tries all the same.
                0 if self.chance(60) => Some(self.order()),
                0..=4 => self.as_audience(client)?,
                7 => Some(self.sketch()),
                _ => self.note(client)?,
            };
            edits.extend(edit);
        }
        Ok(edits)
    }

    fn order_key(&mut self) -> EntityKey {
        let w = self.pick(&WAREHOUSES);
        let n = self.random.below(5);
        App::key(&format!("w/{w}"), self.app.ids.order, &format!("o{w}{n}"))
    }

    fn order(&mut self) -> Edit {
        let ids = self.app.ids;
        let key = self.order_key();
        let put = |field, value| vec![(field, FieldEdit::Put(value))];
        let fields = match self.random.below(14) {
            0..=4 => {
                let w = key.home.strip_prefix("w/").unwrap_or_default();
                let fields = vec![
                    (ids.w, FieldEdit::Put(Value::text(w))),
                    (ids.customer, FieldEdit::Put(Value::text(self.pick(&CUSTOMERS)))),
                    (ids.driver, FieldEdit::Put(Value::text(self.pick(&DRIVERS)))),
                    (ids.margin, FieldEdit::Put(self.fresh())),
                ];
                return Edit::Upsert { kind: ids.order, id: key.id.to_string(), fields };
            }
            5..=7 => put(ids.driver, Value::text(self.pick(&DRIVERS))),
            8 => put(ids.driver, Value::Null),
            9 => put(ids.customer, Value::text(self.pick(&CUSTOMERS))),
            10 => vec![(ids.attempts, FieldEdit::Increment(1))],
            11 => vec![
                (ids.note, FieldEdit::Put(self.fresh_text())),
                (ids.margin, FieldEdit::Put(self.fresh())),
            ],
            12 if self.chance(600) => return Edit::Delete { key },
            _ => put(ids.status, self.fresh_text()),
        };
        Edit::Update { key, fields }
    }

    /// A line under an order that shows, or a change of one.
    fn line(&mut self, client: &Client) -> anyhow::Result<Option<Edit>> {
        let ids = self.app.ids;
        let lines = store::lines(client)?;
        if self.chance(400)
            && let Some((id, home)) = self.one_of(&lines)
        {
            let key = App::key(&home, ids.line, &id);
            return Ok(Some(match self.random.below(3) {
                0 => Edit::Delete { key },
                _ => {
                    Edit::Update { key, fields: vec![(ids.quantity, FieldEdit::Put(self.fresh()))] }
                }
            }));
        }
        let orders = store::orders(client)?;
        let Some((order, _)) = self.one_of(&orders) else { return Ok(None) };
        let id = format!("{order}-l{}", self.random.below(3));
        let fields = vec![
            (ids.line_order, FieldEdit::Put(Value::text(order))),
            (ids.sku, FieldEdit::Put(self.fresh_text())),
        ];
        Ok(Some(Edit::Upsert { kind: ids.line, id, fields }))
    }

    fn product_id(&mut self) -> String {
        format!("p{}", self.random.below(4))
    }

    fn product(&mut self) -> Edit {
        let ids = self.app.ids;
        let id = self.product_id();
        if self.chance(200) {
            return Edit::Delete { key: App::key("catalog", ids.product, &id) };
        }
        let fields = vec![
            (ids.name, FieldEdit::Put(self.fresh_text())),
            (ids.price, FieldEdit::Put(self.fresh())),
        ];
        Edit::Upsert { kind: ids.product, id, fields }
    }

    fn reference(&mut self) -> Edit {
        let key = self.order_key();
        let product = match self.chance(150) {
            true => Value::Null,
            false => Value::text(self.product_id()),
        };
        let fields = vec![(self.app.ids.order_product, FieldEdit::Put(product))];
        Edit::Update { key, fields }
    }

    /// A driver or a customer changes an order that shows; not always as it may.
    fn as_audience(&mut self, client: &Client) -> anyhow::Result<Option<Edit>> {
        let ids = self.app.ids;
        let orders = store::orders(client)?;
        let Some((id, home)) = self.one_of(&orders) else { return Ok(None) };
        let field = match self.random.below(14) {
            0..=6 => (ids.status, FieldEdit::Put(self.fresh_text())),
            7..=12 => (ids.attempts, FieldEdit::Increment(1)),
            _ => (ids.note, FieldEdit::Put(self.fresh_text())),
        };
        let key = App::key(&home, ids.order, &id);
        Ok(Some(Edit::Update { key, fields: vec![field] }))
    }

    /// A team whose notes this account may write.
    fn team(&mut self) -> Option<&'static str> {
        let author = &self.app.accounts.get(self.subject.as_str())?.author;
        let may = |team: &&str| author.may_write_home(&format!("team/{team}"));
        let teams: Vec<&str> = TEAMS.into_iter().filter(may).collect();
        self.one_of(&teams)
    }

    /// A vote on a note that is never deleted, and nothing else.
    fn vote(&mut self) -> Option<Edit> {
        let ids = self.app.ids;
        let team = self.team()?;
        let id = format!("{TALLY}{}", self.random.below(2));
        let fields = vec![
            (ids.team, FieldEdit::Put(Value::text(team))),
            (ids.votes, FieldEdit::Increment(1)),
        ];
        Some(Edit::Upsert { kind: ids.memo, id, fields })
    }

    fn note(&mut self, client: &Client) -> anyhow::Result<Option<Edit>> {
        let ids = self.app.ids;
        let Some(team) = self.team() else { return Ok(None) };
        let (home, id) = (format!("team/{team}"), format!("n{}", self.random.below(3)));
        let key = App::key(&home, ids.memo, &id);
        let Some(length) = store::note_length(client, &home, &id)?.filter(|_| !self.chance(60))
        else {
            let fields = vec![
                (ids.team, FieldEdit::Put(Value::text(team))),
                (ids.title, FieldEdit::Put(self.fresh_text())),
            ];
            return Ok(Some(Edit::Upsert { kind: ids.memo, id, fields }));
        };
        let label = |w: &mut Self| Value::text(w.pick(&["hot", "cold", "new"]));
        let field = match self.random.below(12) {
            0 | 1 => (ids.votes, FieldEdit::Increment(1)),
            2 | 3 => (ids.title, FieldEdit::Put(self.fresh_text())),
            4 | 5 => (ids.labels, FieldEdit::Add(label(self))),
            6 => (ids.labels, FieldEdit::Remove(label(self))),
            7 if self.chance(350) => return Ok(Some(Edit::Delete { key })),
            _ => (ids.body, self.splice(length)),
        };
        Ok(Some(Edit::Update { key, fields: vec![field] }))
    }

    fn splice(&mut self, length: usize) -> FieldEdit {
        let at = self.random.below(length as u64 + 1) as usize;
        let delete = self.random.below((length - at).min(3) as u64 + 1) as usize;
        FieldEdit::Splice { at, delete, insert: format!("{} ", self.random.below(100)) }
    }

    fn sketch(&mut self) -> Edit {
        let ids = self.app.ids;
        let id = format!("s{}", self.random.below(3));
        if self.chance(150) {
            return Edit::Delete { key: App::key(LOCAL_HOME, ids.sketch, &id) };
        }
        let mut fields = vec![(ids.sketch_memo, FieldEdit::Put(self.fresh_text()))];
        if self.chance(500) {
            fields.push((ids.seen, FieldEdit::Increment(1)));
        }
        if self.chance(400) {
            fields.push((ids.sketch_product, FieldEdit::Put(Value::text(self.product_id()))));
        }
        Edit::Upsert { kind: ids.sketch, id, fields }
    }
}
