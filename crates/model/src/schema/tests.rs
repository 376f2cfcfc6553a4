//! The compiler against files: each bad file with exactly what is said about it, each good file
//! with what it becomes, and everything against damage.
//!
//! `UPDATE_GOLDEN=1 cargo test -p landfall-model schema::` writes the expected texts anew.

use super::*;
use crate::hash::name_id;
use crate::id::{DeviceId, Dot};
use crate::op::{Action, Change, FieldChange, Op, Sealed};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schema")
}

/// The schemas of a folder by file name.
fn schemas(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(testdata().join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "graphql"))
        .collect();
    files.sort();
    let read = |p: PathBuf| {
        let text = fs::read_to_string(&p).expect("readable");
        (p, text)
    };
    files.into_iter().map(read).collect()
}

fn good(name: &str) -> Schema {
    let source = fs::read_to_string(testdata().join("good").join(name)).expect("readable");
    compile_clean(name, &source)
}

fn compile_clean(name: &str, source: &str) -> Schema {
    compile(source).unwrap_or_else(|faults| panic!("{name}:\n{}", told(source, &faults)))
}

/// Diagnostics as text: code, place, the words under the span, message, help, notes.
fn told(source: &str, faults: &[Diagnostic]) -> String {
    let place = |span: &std::ops::Range<usize>| {
        let (from, to) = (Position::of(source, span.start), Position::of(source, span.end));
        format!("{from}..{to} `{}`", source[span.clone()].replace('\n', "⏎"))
    };
    let mut out = String::new();
    for f in faults {
        writeln!(out, "{} at {}", f.code, place(&f.span)).unwrap();
        writeln!(out, "  {}", f.message).unwrap();
        writeln!(out, "  help: {}", f.help).unwrap();
        for n in &f.notes {
            writeln!(out, "  note at {}: {}", place(&n.span), n.label).unwrap();
        }
    }
    out
}

fn faults(source: &str) -> Vec<Diagnostic> {
    compile(source).err().unwrap_or_default()
}

#[test]
fn every_bad_schema_is_refused_with_exact_places_and_words() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (path, source) in schemas("bad") {
        let told = told(&source, &faults(&source));
        assert!(!told.is_empty(), "{} compiles", path.display());
        let golden = path.with_extension("expected");
        if update {
            fs::write(&golden, &told).expect("writable");
        } else if fs::read_to_string(&golden).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (UPDATE_GOLDEN=1 accepts):\n{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_bad_example_and_a_line_in_the_docs() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.md");
    let docs = fs::read_to_string(docs).expect("the page is there");
    let files = schemas("bad");
    for (code, title) in code::ALL {
        assert!(docs.contains(&format!("| {code} |")), "docs/schema.md lacks {code}: {title}");
        // A file of a megabyte is made, not kept.
        if *code == code::FILE_TOO_LARGE {
            continue;
        }
        let prefix = format!("{}_", code.to_lowercase());
        let mut examples = files.iter().filter(|(path, _)| {
            path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix))
        });
        let shown = examples.any(|(_, source)| faults(source).iter().any(|f| f.code == *code));
        assert!(shown, "testdata/schema/bad/{prefix}*.graphql does not show {code}: {title}");
    }
}

#[test]
fn every_diagnostic_says_what_to_write() {
    for (path, source) in schemas("bad") {
        for f in faults(&source) {
            let path = path.display();
            assert!(code::ALL.iter().any(|(c, _)| *c == f.code), "{path}: {f}");
            assert!(f.help.ends_with(['.', '?']), "{path}: help of {f}: {}", f.help);
            assert!(f.message.starts_with(|c: char| !c.is_whitespace()), "{path}: {f}");
            assert!(!f.message.ends_with('.'), "{path}: {f}");
            for text in [&f.message, &f.help] {
                assert!(!text.contains("  "), "{path}: two spaces: {text}");
            }
        }
    }
}

#[test]
fn every_good_schema_compiles() {
    for (path, source) in schemas("good") {
        compile_clean(&path.display().to_string(), &source);
    }
}

#[test]
fn the_shop_example_compiles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/schema.graphql");
    let shop = compile_clean("shop", &fs::read_to_string(path).expect("readable"));
    let order = shop.entity_named("Order").expect("declared");
    assert_eq!(order.audiences.len(), 2);
    let line = shop.entity_named("OrderLine").expect("declared");
    assert_eq!(shop.root(line.id).map(|t| &t.name), Some(&order.name));
    let customer = shop.entity_named("Customer").expect("declared");
    let id = Value::text("c-1");
    let key = shop.root_key(customer.id, "c-1", |_| Some(&id)).expect("the id is there");
    assert_eq!(&*key.home, "customer/c-1");
    let stock = shop.entity_named("Stock").expect("declared");
    let key = shop.root_key(stock.id, "s-1", |_| None).expect("a fixed scope needs no field");
    assert_eq!(&*key.home, "catalog");
}

#[test]
fn the_design_example_becomes_what_it_says() {
    let schema = good("design.graphql");
    let order = schema.entity_named("Order").expect("declared");
    assert_eq!(order.strategy, Strategy::LastWriteWins);
    assert_eq!(
        order.doc.as_deref(),
        Some("The example of the design, without the types that are not there yet.")
    );
    let field = |name: &str| order.field_named(name).expect("declared");
    assert_eq!(order.audiences[0].hide, [(order.id, field("marginCents").id)]);
    assert_eq!(
        order.audiences[1].write,
        [(order.id, field("status").id), (order.id, field("proof").id)]
    );
    assert!(!order.audiences[1].create && !order.audiences[1].delete);
    assert_eq!(field("total").kind, FieldKind::Decimal { precision: 12, scale: 2 });
    assert_eq!((field("note").merge, field("status").merge), (Merge::Text, Merge::Register));
    assert_eq!(field("shipTo").kind, FieldKind::Object("Address".into()));
    let line = schema.entity_named("OrderLine").expect("declared");
    let parent = line.field_named("order").expect("declared");
    assert_eq!(line.home, Home::Parent { field: parent.id, kind: order.id });
    let note = schema.entity_named("Note").expect("declared");
    assert_eq!(note.strategy, Strategy::Crdt);
    let labels = note.field_named("labels").expect("declared");
    assert_eq!((&labels.kind, labels.merge), (&FieldKind::String, Merge::Set));
    assert!(!schema.enums["OrderStatus"].closed);
}

#[test]
fn a_scope_belongs_to_a_template_only_if_values_could_make_it() {
    let part = |t: &str| ScopePart::Text(t.to_owned());
    let field = |n| ScopePart::Field(FieldId(n));
    let parts = vec![part("order/"), field(1), part("-x/"), field(2)];
    let template = ScopeTemplate { source: String::new(), parts };
    let check =
        |scope: &str, expected| assert_eq!(template.could_render(scope), expected, "{scope}");
    check("order/a-x/b", true);
    check("order/a-x-x/b%2Fc", true);
    check("order/é-x/1", true);
    for other in ["order/-x/b", "order/a-x/", "order/a/b-x/c", "order/a-x/b/c", "order/a-x/*", ""] {
        check(other, false);
    }
    let long = (0..40).flat_map(|n| [part("/"), field(n)]).collect();
    let long = ScopeTemplate { source: String::new(), parts: long };
    assert!(!long.could_render(&"/".repeat(512)), "and this does not take for ever");
}

#[test]
fn values_as_deep_as_a_schema_allows_can_be_sent() {
    let source = |boxes: u32, list: bool| {
        let (open, close) = if list { ("[", "!]") } else { ("", "") };
        let mut sdl = format!(
            "type Box @entity(strategy: LAST_WRITE_WINS, scope: \"boxes\") {{ id: ID! in: {open}V1{close} }}"
        );
        for n in 1..boxes {
            sdl += &format!("type V{n} @value {{ in: {open}V{}{close} }}", n + 1);
        }
        sdl + &format!("type V{boxes} @value {{ in: Int }}")
    };
    let sent = |boxes: u32, list: bool| {
        let inside = |value, _| {
            let object = Value::object([(FieldId(1), value)]);
            if list { Value::List(vec![object]) } else { object }
        };
        let value = (0..boxes).fold(Value::Int(1), inside);
        let change = Change::Register { value, replaced: None };
        let changes = vec![FieldChange { field: FieldId(1), change }];
        let dot = Dot::new(DeviceId::from_number(1), 1);
        let mut op = Op::void(dot, EntityKey::new("boxes", TypeId(1), "b"), "me".into());
        op.births = vec![dot];
        op.action = Action::Create { parent: None, changes };
        Sealed::decode(&op.seal().payload).is_ok()
    };
    for (most, list) in [(13, false), (7, true)] {
        assert_eq!(faults(&source(most, list)), []);
        assert!(sent(most, list), "{most}");
        assert_eq!(faults(&source(most + 1, list))[0].code, "LF1003");
        assert!(!sent(most + 1, list), "one more is not a limit for its own sake");
    }
}

#[test]
fn an_audience_names_fields_of_its_type_and_of_all_descendants() {
    let schema = good("everything.graphql");
    let column = |t: &str, f: &str| {
        let t = schema.entity_named(t).expect("declared");
        (t.id, t.field_named(f).expect("declared").id)
    };
    let everything = schema.entity_named("Everything").expect("declared");
    let keeper = &everything.audiences[0];
    let hidden = [column("Everything", "secret"), column("Part", "cost"), column("Screw", "size")];
    assert_eq!(keeper.hide, hidden);
    assert_eq!(keeper.write[2], column("Part", "count"));
    assert!(keeper.create && keeper.delete);
    assert_eq!(everything.audiences[1].hide, [column("Everything", "colours")]);
}

#[test]
fn a_default_is_the_value_that_a_write_would_have_stored() {
    let schema = good("everything.graphql");
    let everything = schema.entity_named("Everything").expect("declared");
    let check = |field: &str, value: Value| {
        let field = everything.field_named(field).expect("declared");
        assert_eq!(field.default, Some(value), "{}", field.name);
    };
    check("string", Value::text("a \"quoted\" one"));
    check("int", Value::Int(-3));
    check("int64", Value::Int(9_007_199_254_740_993));
    check("float", Value::from(1500.0));
    check("boolean", Value::Bool(true));
    check("decimal", Value::Int(12_500));
    check("instant", Value::Int(1_769_851_800_000_000));
    check("date", Value::text("2026-01-31"));
    check("localTime", Value::text("10:30:00"));
    check("names", Value::List(vec![Value::text("a"), Value::text("b")]));
}

#[test]
fn a_local_type_needs_no_strategy_and_lives_in_no_scope_of_the_app() {
    let schema = good("everything.graphql");
    let draft = schema.entity_named("Draft").expect("declared");
    assert!(draft.local);
    let key = schema.root_key(draft.id, "d", |_| None).expect("a fixed home");
    assert_eq!(&*key.home, LOCAL_HOME);
}

#[test]
fn a_rename_keeps_every_number() {
    let (before, after) = (good("before_rename.graphql"), good("after_rename.graphql"));
    let (cart, basket) = (
        before.entity_named("Cart").expect("declared"),
        after.entity_named("Basket").expect("declared"),
    );
    let ids = |fields: &[Field]| fields.iter().map(|f| f.id).collect::<Vec<_>>();
    assert_eq!(cart.id, basket.id);
    assert_eq!(ids(&cart.fields), ids(&basket.fields));
    assert_eq!(ids(&before.values["Place"].fields), ids(&after.values["Address"].fields));
    assert_eq!(basket.id.0, name_id("Cart"));
    assert_eq!(basket.field_named("label").expect("declared").id.0, name_id("Cart.title"));
    assert_ne!(before.fingerprint(), after.fingerprint());
}

#[test]
fn a_fingerprint_is_of_the_meaning_and_not_of_the_text() {
    let source = fs::read_to_string(testdata().join("good/design.graphql")).expect("readable");
    let schema = compile_clean("design", &source);
    let same = source.replace("note: Text", "\"Words.\" note: Text # more\n");
    assert_eq!(schema.fingerprint(), compile_clean("commented", &same).fingerprint());
    let swapped = source.replace("id: ID!  warehouse: ID!", "warehouse: ID!  id: ID!");
    assert_eq!(schema.fingerprint(), compile_clean("reordered", &swapped).fingerprint());
    for (from, to) in [
        ("driver: ID ", "driver: ID!"),
        ("hide: [marginCents]", "hide: []"),
        ("PACKED", "PAKED"),
        ("zip: String!", "zip: String"),
        ("LAST_WRITE_WINS, parent", "CRDT, parent"),
    ] {
        assert!(source.contains(from), "{from}");
        let other = compile_clean(to, &source.replace(from, to));
        assert_ne!(schema.fingerprint(), other.fingerprint(), "{to}");
    }
    // Devices and regions compare it across versions of this program.
    assert_eq!(crate::hex::encode(&schema.fingerprint()), "9b147df0484bbf04e0c348533444e8df");
}

#[test]
fn a_file_too_large_is_refused_unread() {
    let source = "#".repeat(SOURCE_BYTES_MAX + 1);
    let codes: Vec<_> = faults(&source).iter().map(|f| f.code).collect();
    assert_eq!(codes, [code::FILE_TOO_LARGE]);
}

#[test]
fn too_many_tokens_types_or_fields_are_refused() {
    let check = |source: String| {
        let codes: Vec<_> = faults(&source).iter().map(|f| f.code).collect();
        assert_eq!(codes, [code::LIMIT], "{}…", &source[..40]);
    };
    check("{".repeat(TOKENS_MAX + 1));
    check((0..=TYPES_MAX).map(|i| format!("enum E{i} {{ A }}\n")).collect());
    let fields: String = (0..=FIELDS_MAX).map(|i| format!("f{i}: Int\n")).collect();
    check(format!("type Wide @entity(strategy: CRDT, scope: \"wide\") {{ id: ID! {fields} }}"));
}

/// Without a root per type, each entry would walk each chain: minutes in place of a moment.
#[test]
fn a_long_chain_of_children_and_a_long_list_cost_little_together() {
    let children: String = (1..TYPES_MAX)
        .map(|i| {
            let parent = i - 1;
            format!(
                "type T{i} @entity(strategy: CRDT, parent: \"p\") \
                 {{ id: ID! p: T{parent}! @ref(onDelete: CASCADE) }}\n"
            )
        })
        .collect();
    let hide = format!("T{}.nothing ", TYPES_MAX - 1).repeat(20_000);
    let source = format!(
        "type T0 @entity(strategy: CRDT, scope: \"t\") @audience(scope: \"x\", hide: [{hide}]) \
         {{ id: ID! }}\n{children}"
    );
    let faults = faults(&source);
    assert_eq!(faults.len(), DIAGNOSTICS_MAX);
    assert!(faults.iter().all(|f| f.code == code::AUDIENCE_FIELD_UNKNOWN));
}

#[test]
fn a_file_full_of_faults_tells_the_first_of_them_in_order() {
    let fields: String = (0..400).map(|i| format!("f{i}: Nothing{i}\n")).collect();
    let types: String = (0..20)
        .map(|i| {
            format!("type T{i} @entity(strategy: CRDT, scope: \"t\") {{ id: ID! {fields} }}\n")
        })
        .collect();
    let faults = faults(&types);
    assert_eq!(faults.len(), DIAGNOSTICS_MAX);
    assert!(faults.is_sorted_by_key(|f| f.span.start));
    assert!(faults[0].message.contains("Nothing0"));
}

#[test]
fn a_syntax_error_in_one_type_does_not_hide_faults_of_another() {
    let source = "type A @entity(strategy: CRDT, scope: \"a\") { id ID! }\n\
                  type B @entity(strategy: CRDT, scope: \"b\") { id: ID! a: A @ref(onDelete: KEEP) x: Strin }\n";
    let told: Vec<_> = faults(source).iter().map(|f| (f.code, f.span.start)).collect();
    let unknown = source.find("Strin").expect("there");
    assert_eq!(
        told,
        [(code::SYNTAX, source.find("ID!").expect("there")), (code::UNKNOWN_TYPE, unknown)]
    );
}

#[test]
fn positions_count_lines_and_code_points_from_one() {
    let source = "é日\r\n🙂x";
    let check = |offset, line, column| {
        assert_eq!(Position::of(source, offset), Position { line, column }, "{offset}");
    };
    check(0, 1, 1);
    check(2, 1, 2);
    check(source.find('🙂').unwrap(), 2, 1);
    check(source.find('x').unwrap(), 2, 2);
    check(usize::MAX, 2, 3);
    // Inside a character: the character.
    check(1, 1, 1);
}

/// A small repeatable generator: damage must be the same in every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Compiles and looks at everything that a caller would look at.
fn survive(source: &str) {
    for f in faults(source) {
        assert!(source.get(f.span.clone()).is_some(), "{f} at {:?} in {source:?}", f.span);
        for n in &f.notes {
            assert!(source.get(n.span.clone()).is_some(), "{f}: {:?} in {source:?}", n.span);
        }
    }
}

#[test]
fn no_truncation_of_any_example_panics() {
    for (_, source) in schemas("bad").into_iter().chain(schemas("good")) {
        // Every prefix of what is short, some of what is long.
        let step = (source.len() / 150).max(1);
        for end in (0..source.len()).step_by(step).filter(|i| source.is_char_boundary(*i)) {
            survive(&source[..end]);
            survive(&source[end..]);
        }
    }
}

#[test]
fn no_mutation_of_any_example_panics() {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\"\"\"",
        "!",
        "@",
        ":",
        ".",
        "a.b",
        "…",
        "\\u{",
        "\\",
        "#",
        "\n",
        "type ",
        "enum ",
        "extend ",
        "@ref",
        "null",
        "-",
        "1.",
        "$x",
        "&",
        "=",
        "|",
        ",",
        "\u{feff}",
        "\0",
        "query ",
        "{x}",
        "_",
        "fragment ",
        "on ",
        "implements ",
        "@entity(",
    ];
    let mut random = Lcg(7);
    for (_, source) in schemas("bad").into_iter().chain(schemas("good")) {
        let chars: Vec<char> = source.chars().collect();
        for _ in 0..120 {
            let mut text = chars.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(text.len());
                let upto = (at + random.below(12)).min(text.len());
                let piece = PIECES[random.below(PIECES.len())];
                match random.below(3) {
                    0 => drop(text.drain(at..upto)),
                    1 => drop(text.splice(at..at, piece.chars())),
                    _ => drop(text.splice(at..upto, piece.chars())),
                }
            }
            survive(&text.into_iter().collect::<String>());
        }
    }
}

#[test]
fn no_soup_of_tokens_panics() {
    const TOKENS: &[&str] = &[
        "type",
        "X",
        "@entity",
        "(",
        ")",
        "strategy",
        ":",
        "CRDT",
        "{",
        "}",
        "[",
        "]",
        "!",
        "\"s\"",
        "\"\"\"d\"\"\"",
        "enum",
        "extend",
        "interface",
        "union",
        "=",
        "|",
        "&",
        "input",
        "scalar",
        "directive",
        "on",
        "query",
        "$",
        "a.b",
        "...",
        "1",
        "-",
        "1.5",
        "# c\n",
        "implements",
        "schema",
        ",",
        "é",
        "\"",
        "@",
        "true",
        "null",
        "parent",
        "scope",
        "@ref",
        "id",
        "ID",
    ];
    let mut random = Lcg(11);
    for _ in 0..6000 {
        let length = random.below(14) + 1;
        let soup: Vec<&str> = (0..length).map(|_| TOKENS[random.below(TOKENS.len())]).collect();
        survive(&soup.join(" "));
    }
}

/// The way there and back, with everything that a value may be made of.
#[test]
fn a_scope_tells_the_values_that_named_it() {
    let source = r#"
        type Visit @entity(strategy: LAST_WRITE_WINS, scope: "t-{team}.x/{day}/in")
          @audience(scope: "driver/{driver}/{day}/{team}/{id}") {
          id: ID!  team: String!  day: Int!  driver: ID
        }"#;
    let schema = compile_clean("visit", source);
    let visit = schema.entity_named("Visit").unwrap();
    let field = |name: &str| visit.field_named(name).unwrap().id;
    let Home::Scope(home) = &visit.home else { panic!("a home scope") };
    for team in ["a", "a/b", "%2F", "*.x", ".x", "a.x/7", "ü%", "t-"] {
        let (text, day) = (Value::text(team), Value::Int(-7));
        let scope = home.render(|f| Some(if f == field("team") { &text } else { &day })).unwrap();
        let read = home.read(&scope).unwrap();
        assert_eq!(read, [(field("team"), team.to_owned()), (field("day"), "-7".to_owned())]);
        let key = EntityKey::new(scope, visit.id, "v/1");
        let driver = Value::text("d");
        let shown = visit.audience_scopes(&key, |f| (f == field("driver")).then_some(&driver));
        let escaped = team.replace('%', "%25").replace('/', "%2F").replace('*', "%2A");
        let expected = format!("driver/d/-7/{escaped}/v%2F1");
        assert_eq!(shown.iter().map(|(s, _)| &**s).collect::<Vec<_>>(), [expected]);
    }
    for other in ["", "t-.x/7/in", "t-a/7/in", "t-a.x/7", "t-a.x/7/in/", "t-a.x/7/8/in"] {
        assert_eq!(home.read(other), None, "{other}");
    }
}
