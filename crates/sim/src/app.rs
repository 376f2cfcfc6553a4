//! The app that the simulated devices run: its schema, its accounts, and who may do what.

use landfall_model::id::{EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::{self, Schema};
use landfall_sync::region::access::{Authenticator, Author, Denial};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The schema, as text.
pub const SOURCE: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "w/{w}")
  @audience(scope: "customer/{customer}", hide: [margin])
  @audience(scope: "driver/{driver}/{w}", hide: [margin], write: [status, attempts]) {
  id: ID!
  w: ID!
  customer: ID
  driver: ID
  status: String
  note: String
  margin: Int64
  attempts: Counter
  product: Product @ref(onDelete: SET_NULL)
}
type OrderLine @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!
  order: Order! @ref(onDelete: CASCADE)
  sku: String
  quantity: Int
}
type Note @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!
  team: ID!
  title: String
  body: Text
  labels: [String!] @set
  votes: Counter
  due: Instant @window
}
type Product @entity(strategy: LAST_WRITE_WINS, scope: "catalog") {
  id: ID!
  name: String
  price: Int64
}
type Sketch @local {
  id: ID!
  memo: String
  seen: Counter
  product: Product @ref(onDelete: SET_NULL)
}
"#;

/// Numbers of the types and fields that the workload writes.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub order: TypeId,
    pub w: FieldId,
    pub customer: FieldId,
    pub driver: FieldId,
    pub status: FieldId,
    pub note: FieldId,
    pub margin: FieldId,
    pub attempts: FieldId,
    pub order_product: FieldId,
    pub line: TypeId,
    pub line_order: FieldId,
    pub sku: FieldId,
    pub quantity: FieldId,
    pub memo: TypeId,
    pub team: FieldId,
    pub title: FieldId,
    pub body: FieldId,
    pub labels: FieldId,
    pub votes: FieldId,
    pub due: FieldId,
    pub product: TypeId,
    pub name: FieldId,
    pub price: FieldId,
    pub sketch: TypeId,
    pub sketch_memo: FieldId,
    pub seen: FieldId,
    pub sketch_product: FieldId,
}

/// An account: what its token says, and which scopes its devices ask for.
#[derive(Debug, Clone)]
pub struct Account {
    pub author: Author,
    pub wants: Vec<Scope>,
}

#[derive(Debug, Clone)]
pub struct App {
    pub schema: Arc<Schema>,
    pub ids: Ids,
    pub accounts: Arc<BTreeMap<Arc<str>, Account>>,
}

/// Names that the workload draws from. Few, so that devices meet on them.
pub const WAREHOUSES: [&str; 2] = ["1", "2"];
pub const CUSTOMERS: [&str; 2] = ["x", "y"];
pub const DRIVERS: [&str; 3] = ["a", "b", "c"];
pub const TEAMS: [&str; 2] = ["red", "blue"];

impl App {
    pub fn new() -> Self {
        let schema = Arc::new(schema::compile(SOURCE).unwrap_or_else(|f| panic!("{f:#?}")));
        let ids = Ids::of(&schema);
        Self { schema, ids, accounts: Arc::new(accounts()) }
    }

    pub fn authenticator(&self) -> Box<dyn Authenticator> {
        Box::new(Tokens(self.accounts.clone()))
    }

    /// A token that says the account's name and when it expires.
    pub fn token(subject: &str, expires_ms: i64) -> String {
        format!("{subject}|{expires_ms}")
    }

    pub fn key(home: &str, kind: TypeId, id: &str) -> EntityKey {
        EntityKey::new(home, kind, id)
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl Ids {
    fn of(schema: &Schema) -> Self {
        let kind = |name: &str| schema.entity_named(name).expect("declared above").id;
        let field = |of: &str, name: &str| {
            let entity = schema.entity_named(of).expect("declared above");
            entity.field_named(name).expect("declared above").id
        };
        Self {
            order: kind("Order"),
            w: field("Order", "w"),
            customer: field("Order", "customer"),
            driver: field("Order", "driver"),
            status: field("Order", "status"),
            note: field("Order", "note"),
            margin: field("Order", "margin"),
            attempts: field("Order", "attempts"),
            order_product: field("Order", "product"),
            line: kind("OrderLine"),
            line_order: field("OrderLine", "order"),
            sku: field("OrderLine", "sku"),
            quantity: field("OrderLine", "quantity"),
            memo: kind("Note"),
            team: field("Note", "team"),
            title: field("Note", "title"),
            body: field("Note", "body"),
            labels: field("Note", "labels"),
            votes: field("Note", "votes"),
            due: field("Note", "due"),
            product: kind("Product"),
            name: field("Product", "name"),
            price: field("Product", "price"),
            sketch: kind("Sketch"),
            sketch_memo: field("Sketch", "memo"),
            seen: field("Sketch", "seen"),
            sketch_product: field("Sketch", "product"),
        }
    }
}

fn accounts() -> BTreeMap<Arc<str>, Account> {
    let account = |subject: &str, scopes: &[&str], audiences: &[&str], wants: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|s| Scope::from(*s)).collect::<Vec<_>>();
        let subject: Arc<str> = subject.into();
        let author = Author {
            subject: subject.clone(),
            scopes: list(scopes),
            audiences: list(audiences),
            publishes: Vec::new(),
            expires_ms: 0,
        };
        (subject, Account { author, wants: list(wants) })
    };
    let office = ["w/*", "team/*", "catalog"];
    [
        account("office-1", &office, &[], &["w/1", "w/2", "team/red", "catalog"]),
        account("office-2", &office, &[], &["w/1", "team/red", "team/blue"]),
        account(
            "driver-a",
            &["team/red"],
            &["driver/a/*"],
            &["driver/a/1", "driver/a/2", "team/red"],
        ),
        account(
            "driver-b",
            &["team/red"],
            &["driver/b/*"],
            &["driver/b/1", "driver/b/2", "team/red"],
        ),
        account(
            "driver-c",
            &["team/blue"],
            &["driver/c/*"],
            &["driver/c/1", "driver/c/2", "team/blue"],
        ),
        account("customer-x", &[], &["customer/x"], &["customer/x"]),
        account(
            "customer-y",
            &["team/blue"],
            &["customer/y", "driver/a"],
            &["customer/y", "driver/a", "team/blue"],
        ),
    ]
    .into()
}

struct Tokens(Arc<BTreeMap<Arc<str>, Account>>);

impl Authenticator for Tokens {
    fn device(&self, token: &str, now_ms: i64) -> Result<Author, Denial> {
        let denial = |code| Denial { code, message: "see the token".to_owned() };
        let (subject, expires) = token.split_once('|').ok_or_else(|| denial("bad_token"))?;
        let account = self.0.get(subject).ok_or_else(|| denial("bad_token"))?;
        let expires_ms: i64 = expires.parse().map_err(|_| denial("bad_token"))?;
        if expires_ms <= now_ms {
            return Err(denial("token_expired"));
        }
        Ok(Author { expires_ms, ..account.author.clone() })
    }

    fn peer(&self, token: &str, _: i64) -> Result<(), Denial> {
        let message = "not a peer".to_owned();
        if token == "peer" { Ok(()) } else { Err(Denial { code: "bad_token", message }) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_compiles() {
        super::App::new();
    }
}
