//! What the people with the devices do: random edits on few names, so that they collide.

use crate::app::{App, CUSTOMERS, DRIVERS, TEAMS, WAREHOUSES};
use crate::world::{Event, World};
use landfall_model::id::{EntityKey, FieldId, TypeId};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::value::Value;
use landfall_sync::device::node::{Edit, FieldEdit};

/// Acts of all devices while an order is handed about.
const HANDOVERS_PER_ORDER: usize = 12;

impl World {
    /// One local transaction on some device, and the next one after a pause.
    pub fn act(&mut self) {
        if self.acts_left == 0 || self.healing {
            return;
        }
        let device = self.rng.below(self.devices.len());
        self.act_on(device);
        let most = self.plan.pause_ms * 2;
        let wait = self.rng.between(0, most);
        self.after(wait, Event::Act);
    }

    /// One local transaction on this device.
    pub fn act_on(&mut self, device: usize) {
        self.acts_left = self.acts_left.saturating_sub(1);
        if self.plan.cancel > 0 && self.rng.chance(self.plan.cancel) {
            self.cancel(device);
        }
        if self.plan.undelete > 0 && self.rng.chance(self.plan.undelete) {
            self.undelete(device);
        }
        let mut edits = self.edits(device);
        self.beside(device, &mut edits);
        self.write(device, &edits);
    }

    /// Write one transaction on a device.
    pub fn write(&mut self, device: usize, edits: &[Edit]) {
        self.open_device(device);
        let now = self.device_now(device);
        let sim = &mut self.devices[device];
        let mut node = sim.node.take().expect("just opened");
        sim.store.begin();
        let result = node.write(&mut sim.store, now, edits);
        sim.node = Some(node);
        match result {
            Ok((receipt, out)) => {
                self.expect_local(device, edits);
                let name = &self.devices[device].name;
                self.trace.say(self.now, {
                    format!("{name} writes {:?}: {}", receipt.dots, told(edits))
                });
                self.oracle.pending = receipt.dots.iter().map(|d| (device, *d)).collect();
                self.mark("written");
                if self.devices[device].conn.is_none() {
                    self.mark("written offline");
                }
                if receipt.extends {
                    self.mark("typing gathered in one op");
                }
                let conn = self.devices[device].conn;
                self.device_commit(device, conn, out);
            }
            Err(_) => {
                self.devices[device].store.rollback();
                self.mark("write not possible");
            }
        }
    }

    fn edits(&mut self, device: usize) -> Vec<Edit> {
        let count = if self.rng.chance(250) { 2 + self.rng.below(3) } else { 1 };
        let office = self.devices[device].subject.starts_with("office");
        if office && self.plan.handovers > 0 && self.rng.chance(self.plan.handovers) {
            return vec![self.handover(device)];
        }
        let mut edits = Vec::new();
        while edits.len() < count {
            let subject = self.devices[device].subject.clone();
            let edit = match self.rng.below(10) {
                0..=3 if office => self.order_edit(),
                4 if office => self.line_edit(device),
                5 if office => self.product_edit(),
                // Somebody without the right tries all the same.
                0 if self.rng.chance(60) => self.order_edit(),
                0..=4 => self.audience_edit(device),
                _ if subject.starts_with("customer-x") => self.audience_edit(device),
                _ => self.memo_edit(device),
            };
            edits.extend(edit);
            if self.rng.chance(100) {
                break;
            }
        }
        if edits.is_empty() {
            edits.extend(self.memo_edit(device));
        }
        edits
    }

    fn one_of(&mut self, names: &[&str]) -> Value {
        Value::text(*self.rng.pick(names).expect("never empty"))
    }

    fn fresh(&mut self) -> Value {
        Value::Int((self.rng.draw() % 1_000_000) as i64)
    }

    fn fresh_text(&mut self) -> Value {
        Value::text(format!("v{}", self.rng.draw() % 1_000_000))
    }

    fn order_key(&mut self) -> EntityKey {
        let w = *self.rng.pick(&WAREHOUSES).expect("never empty");
        let n = self.rng.below(3);
        App::key(&format!("w/{w}"), self.app.ids.order, &format!("o{w}{n}"))
    }

    fn order_edit(&mut self) -> Option<Edit> {
        let ids = self.app.ids;
        let key = self.order_key();
        let put = |f: FieldId, v: Value| (f, FieldEdit::Put(v));
        Some(match self.rng.below(12) {
            0..=3 => {
                let w = key.home.strip_prefix("w/").expect("an order's home").to_owned();
                let mut fields = vec![put(ids.w, Value::text(w))];
                fields.push(put(ids.customer, self.one_of(&CUSTOMERS)));
                if self.rng.chance(700) {
                    fields.push(put(ids.driver, self.one_of(&DRIVERS)));
                }
                fields.push(put(ids.margin, self.fresh()));
                Edit::Upsert { kind: ids.order, id: key.id.to_string(), fields }
            }
            4..=6 => {
                let fields = vec![put(ids.driver, self.one_of(&DRIVERS))];
                Edit::Update { key, fields }
            }
            7 => Edit::Update { key, fields: vec![put(ids.driver, Value::Null)] },
            8 => Edit::Update { key, fields: vec![put(ids.customer, self.one_of(&CUSTOMERS))] },
            9 => Edit::Update { key, fields: vec![(ids.attempts, FieldEdit::Increment(1))] },
            10 => {
                let fields = vec![put(ids.note, self.fresh_text()), put(ids.margin, self.fresh())];
                Edit::Update { key, fields }
            }
            _ if self.rng.chance(500) => Edit::Delete { key },
            _ => Edit::Update { key, fields: vec![put(ids.status, self.fresh_text())] },
        })
    }

    /// An order goes to another driver: those of several offices collide. A later move tells all
    /// readers again, so each order has its time, and is left alone after it.
    fn handover(&mut self, device: usize) -> Edit {
        let ids = self.app.ids;
        let w = WAREHOUSES[0];
        let id = format!("h{}", self.acts_left / HANDOVERS_PER_ORDER);
        let driver = (ids.driver, FieldEdit::Put(self.one_of(&DRIVERS)));
        let key = App::key(&format!("w/{w}"), ids.order, &id);
        if self.devices[device].store.visible().contains_key(&key) {
            return Edit::Update { key, fields: vec![driver] };
        }
        let fields = vec![(ids.w, FieldEdit::Put(Value::text(w))), driver];
        Edit::Upsert { kind: ids.order, id, fields }
    }

    /// A line under an order that the device sees, or a change of one.
    fn line_edit(&mut self, device: usize) -> Option<Edit> {
        let ids = self.app.ids;
        let order = self.order_key();
        if !self.devices[device].store.visible().contains_key(&order) {
            return None;
        }
        let id = format!("{}-l{}", order.id, self.rng.below(2));
        let key = App::key(&order.home, ids.line, &id);
        Some(match self.rng.below(6) {
            0..=2 => {
                let fields = vec![
                    (ids.line_order, FieldEdit::Put(Value::text(&*order.id))),
                    (ids.sku, FieldEdit::Put(self.fresh_text())),
                ];
                Edit::Upsert { kind: ids.line, id, fields }
            }
            3 => Edit::Delete { key },
            _ => Edit::Update { key, fields: vec![(ids.quantity, FieldEdit::Put(self.fresh()))] },
        })
    }

    fn product_edit(&mut self) -> Option<Edit> {
        let ids = self.app.ids;
        let id = format!("p{}", self.rng.below(3));
        let key = App::key("catalog", ids.product, &id);
        let fields = vec![
            (ids.name, FieldEdit::Put(self.fresh_text())),
            (ids.price, FieldEdit::Put(self.fresh())),
        ];
        Some(match self.rng.below(5) {
            0 => Edit::Delete { key },
            _ => Edit::Upsert { kind: ids.product, id, fields },
        })
    }

    /// A driver or a customer changes an order that it sees; not always as it may.
    fn audience_edit(&mut self, device: usize) -> Option<Edit> {
        let ids = self.app.ids;
        let seen: Vec<EntityKey> = self.devices[device]
            .store
            .visible()
            .keys()
            .filter(|k| k.kind == ids.order)
            .cloned()
            .collect();
        let key = self.rng.pick(&seen)?.clone();
        let field = match self.rng.below(12) {
            0..=5 => (ids.status, FieldEdit::Put(self.fresh_text())),
            6..=10 => (ids.attempts, FieldEdit::Increment(1)),
            _ => (ids.note, FieldEdit::Put(self.fresh_text())),
        };
        Some(Edit::Update { key, fields: vec![field] })
    }

    fn memo_edit(&mut self, device: usize) -> Option<Edit> {
        let ids = self.app.ids;
        let account = &self.app.accounts[&self.devices[device].subject];
        let teams: Vec<&str> = TEAMS
            .into_iter()
            .filter(|t| account.author.may_write_home(&format!("team/{t}")))
            .collect();
        let team = *self.rng.pick(&teams)?;
        let id = format!("n{}", self.rng.below(2));
        let key = App::key(&format!("team/{team}"), ids.memo, &id);
        if !self.devices[device].store.visible().contains_key(&key) || self.rng.chance(80) {
            return Some(self.new_memo(team, id));
        }
        if self.plan.terms > 0 && self.rng.chance(350) {
            return Some(Edit::Update { key, fields: vec![(ids.due, self.due())] });
        }
        let field = match self.rng.below(10) {
            0..=3 => (ids.votes, FieldEdit::Increment(1)),
            4 => (ids.title, FieldEdit::Put(self.fresh_text())),
            5 | 6 => (ids.labels, FieldEdit::Add(self.label())),
            7 => (ids.labels, FieldEdit::Remove(self.label())),
            8 => (ids.body, self.splice(device, &key)),
            _ if self.rng.chance(250) => return Some(Edit::Delete { key }),
            _ => (ids.votes, FieldEdit::Increment(1)),
        };
        Some(Edit::Update { key, fields: vec![field] })
    }

    fn new_memo(&mut self, team: &str, id: String) -> Edit {
        let ids = self.app.ids;
        let mut fields = vec![(ids.team, FieldEdit::Put(Value::text(team)))];
        if self.rng.chance(500) {
            fields.push((ids.title, FieldEdit::Put(self.fresh_text())));
        }
        if self.rng.chance(300) {
            fields.push((ids.votes, FieldEdit::Increment(1)));
        }
        if self.plan.terms > 0 && self.rng.chance(600) {
            fields.push((ids.due, self.due()));
        }
        Edit::Upsert { kind: ids.memo, id, fields }
    }

    fn label(&mut self) -> Value {
        self.one_of(&["hot", "cold", "new"])
    }

    fn splice(&mut self, device: usize, key: &EntityKey) -> FieldEdit {
        let view = &self.devices[device].store.visible()[key];
        let text = view.texts.get(&self.app.ids.body);
        let length = text.map_or(0, |t| t.chars().count());
        let at = self.rng.below(length + 1);
        let delete = self.rng.below((length - at).min(3) + 1);
        FieldEdit::Splice { at, delete, insert: format!("{}", self.rng.draw() % 100) }
    }
}

impl World {
    /// References and local rows: in the transaction of other edits, or instead of them.
    fn beside(&mut self, device: usize, edits: &mut Vec<Edit>) {
        if self.plan.refer > 0 && self.rng.chance(self.plan.refer) {
            if self.rng.chance(600) {
                edits.clear();
            }
            if self.devices[device].subject.starts_with("office") {
                edits.push(self.reference_edit());
            }
        }
        if self.plan.local > 0 && self.rng.chance(self.plan.local) {
            if self.rng.chance(500) {
                edits.clear();
            }
            edits.push(self.sketch_edit());
        }
    }

    fn product_id(&mut self) -> String {
        format!("p{}", self.rng.below(3))
    }

    fn reference_edit(&mut self) -> Edit {
        let ids = self.app.ids;
        let (key, product) = (self.order_key(), self.product_id());
        let refer = |value| vec![(ids.order_product, FieldEdit::Put(value))];
        match self.rng.below(8) {
            0..=3 => Edit::Update { key, fields: refer(Value::text(product)) },
            4 => Edit::Update { key, fields: refer(Value::Null) },
            5 | 6 => Edit::Delete { key: App::key("catalog", ids.product, &product) },
            _ => {
                let fields = vec![(ids.name, FieldEdit::Put(self.fresh_text()))];
                Edit::Upsert { kind: ids.product, id: product, fields }
            }
        }
    }

    fn sketch_edit(&mut self) -> Edit {
        let ids = self.app.ids;
        let id = format!("s{}", self.rng.below(3));
        if self.rng.chance(150) {
            return Edit::Delete { key: App::key(LOCAL_HOME, ids.sketch, &id) };
        }
        let mut fields = vec![(ids.sketch_memo, FieldEdit::Put(self.fresh_text()))];
        if self.rng.chance(500) {
            fields.push((ids.seen, FieldEdit::Increment(1)));
        }
        if self.rng.chance(400) {
            let product = self.product_id();
            fields.push((ids.sketch_product, FieldEdit::Put(Value::text(product))));
        }
        Edit::Upsert { kind: ids.sketch, id, fields }
    }
}

/// Edits in words.
fn told(edits: &[Edit]) -> String {
    let fields = |fields: &[(FieldId, FieldEdit)]| {
        fields
            .iter()
            .map(|(f, e)| format!("{:x} {e:?}", f.0 & 0xfff))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let one = |e: &Edit| match e {
        Edit::Upsert { kind: TypeId(_), id, fields: f } => format!("upsert {id} [{}]", fields(f)),
        Edit::Update { key, fields: f } => format!("update {} [{}]", key.id, fields(f)),
        Edit::Delete { key } => format!("delete {}", key.id),
        Edit::UpdateNamed { name, fields: f } => format!("update {} [{}]", name.id, fields(f)),
        Edit::DeleteNamed { name } => format!("delete {}", name.id),
    };
    edits.iter().map(one).collect::<Vec<_>>().join("; ")
}
