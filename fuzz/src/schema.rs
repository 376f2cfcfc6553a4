//! The schema compiler: any text is a schema or a list of faults, each in a place of the text.

use crate::world;
use landfall_model::schema::{self, DIAGNOSTICS_MAX, Position};

pub fn run(input: &[u8]) {
    let Ok(source) = std::str::from_utf8(input) else { return };
    let compiled = schema::compile(source);
    assert_eq!(compiled, schema::compile(source), "the same text means the same");
    match compiled {
        Ok(schema) => {
            let again = schema::compile(source).expect("it was compiled just now");
            assert_eq!(again.fingerprint(), schema.fingerprint());
            for kind in schema.types.values() {
                schema.root(kind.id);
                schema.text_fields(kind.id);
                kind.window_floor(i64::MIN);
                kind.window_floor(i64::MAX);
            }
            schema.shared_scopes();
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= DIAGNOSTICS_MAX);
            for fault in &faults {
                let known = |(code, _): &(&str, &str)| *code == fault.code;
                assert!(schema::code::ALL.iter().any(known), "{}", fault.code);
                let notes = fault.notes.iter().map(|note| &note.span);
                for span in notes.chain([&fault.span]) {
                    assert!(source.get(span.clone()).is_some(), "{span:?} of {}", source.len());
                    assert!(Position::of(source, span.start) <= Position::of(source, span.end));
                }
            }
        }
    }
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let sources = [
        ("world", world::SDL),
        (
            "values",
            r#"
"A place." type Address @value { street: String! zip: [Int!] }
enum State @closed { OPEN DONE }
type Order @entity(strategy: LAST_WRITE_WINS, scope: "w/{w}") {
  id: ID! w: Int! state: State @default(value: OPEN) to: Address price: Decimal @decimal(precision: 9, scale: 2)
  at: Instant @index on: Date tags: [String!] json: JSON bytes: Bytes
}"#,
        ),
        (
            "shared",
            r#"type Product @entity(strategy: LAST_WRITE_WINS, scope: "catalog") @shared {
  id: ID! name: String @renamed(from: "title") @search(prefix: [2, 3])
}"#,
        ),
        ("faulty", "type A @entity(scope: \"{x\") { id: ID, b: [B @ref } type A {}"),
    ];
    sources.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec()
}
