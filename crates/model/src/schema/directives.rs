//! The directives: which exist, where they stand, what they take.
//!
//! Each use is checked against [`SPECS`] once, so that the later passes read arguments that have
//! the right kind. What they mean together is the business of those passes.

use super::ast::{Argument, Directive, Literal, LiteralKind};
use super::diagnostic::{Sink, Span, code, nearest, one_of};
use std::collections::BTreeMap;

/// Where a directive may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Type,
    Field,
    Enum,
    EnumValue,
}

impl Place {
    fn on(self) -> &'static str {
        match self {
            Self::Type => "a type",
            Self::Field => "a field",
            Self::Enum => "an enum",
            Self::EnumValue => "an enum value",
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    Choice(&'static [&'static str]),
    Text,
    Flag,
    /// A whole number.
    Whole,
    /// Whole numbers: one, or a list.
    Wholes,
    /// A list of field names.
    Fields,
    Anything,
}

struct ArgSpec {
    name: &'static str,
    takes: Takes,
    required: bool,
}

struct Spec {
    name: &'static str,
    places: &'static [Place],
    repeatable: bool,
    args: &'static [ArgSpec],
    /// A use to copy.
    example: &'static str,
}

const fn arg(name: &'static str, takes: Takes) -> ArgSpec {
    ArgSpec { name, takes, required: false }
}

const fn required(name: &'static str, takes: Takes) -> ArgSpec {
    ArgSpec { name, takes, required: true }
}

pub(super) const STRATEGIES: &[&str] = &["LAST_WRITE_WINS", "CRDT"];
pub(super) const TOKENIZERS: &[&str] = &["UNICODE61", "TRIGRAM"];
pub(super) const ON_DELETE: &[&str] = &["CASCADE", "SET_NULL", "KEEP"];

const SPECS: &[Spec] = &[
    Spec {
        name: "entity",
        places: &[Place::Type],
        repeatable: false,
        args: &[
            // Required too; `check` says so, with the choices.
            arg("strategy", Takes::Choice(STRATEGIES)),
            arg("scope", Takes::Text),
            arg("parent", Takes::Text),
        ],
        example: "@entity(strategy: LAST_WRITE_WINS, scope: \"team/{team}\")",
    },
    Spec {
        name: "audience",
        places: &[Place::Type],
        repeatable: true,
        args: &[
            required("scope", Takes::Text),
            arg("hide", Takes::Fields),
            arg("write", Takes::Fields),
            arg("create", Takes::Flag),
            arg("delete", Takes::Flag),
        ],
        example: "@audience(scope: \"driver/{driver}\", write: [status])",
    },
    Spec { name: "value", places: &[Place::Type], repeatable: false, args: &[], example: "@value" },
    Spec { name: "local", places: &[Place::Type], repeatable: false, args: &[], example: "@local" },
    Spec {
        name: "shared",
        places: &[Place::Type],
        repeatable: false,
        args: &[],
        example: "@shared",
    },
    Spec {
        name: "closed",
        places: &[Place::Enum],
        repeatable: false,
        args: &[],
        example: "@closed",
    },
    Spec {
        name: "was",
        places: &[Place::Type, Place::Field],
        repeatable: false,
        args: &[required("name", Takes::Text)],
        example: "@was(name: \"oldName\")",
    },
    Spec {
        name: "index",
        places: &[Place::Field],
        repeatable: false,
        args: &[],
        example: "@index",
    },
    Spec {
        name: "window",
        places: &[Place::Field],
        repeatable: false,
        args: &[],
        example: "@window",
    },
    Spec {
        name: "search",
        places: &[Place::Field],
        repeatable: false,
        args: &[arg("tokenizer", Takes::Choice(TOKENIZERS)), arg("prefix", Takes::Wholes)],
        example: "@search",
    },
    Spec {
        name: "ref",
        places: &[Place::Field],
        repeatable: false,
        args: &[required("onDelete", Takes::Choice(ON_DELETE))],
        example: "@ref(onDelete: KEEP)",
    },
    Spec {
        name: "decimal",
        places: &[Place::Field],
        repeatable: false,
        args: &[required("precision", Takes::Whole), required("scale", Takes::Whole)],
        example: "@decimal(precision: 12, scale: 2)",
    },
    Spec { name: "set", places: &[Place::Field], repeatable: false, args: &[], example: "@set" },
    Spec {
        name: "default",
        places: &[Place::Field],
        repeatable: false,
        args: &[required("value", Takes::Anything)],
        example: "@default(value: 0)",
    },
];

/// Directives of the design that are not built, with what to use meanwhile.
const NOT_YET: &[(&str, &str)] = &[
    (
        "ledger",
        "Meanwhile keep the money in a ledger behind your own service, and sync balances as an ordinary `@entity` that devices only read.",
    ),
    ("bound", BOUNDED_MEANWHILE),
];

pub(super) const BOUNDED_MEANWHILE: &str = "Meanwhile use `Counter`, which counts exactly but never refuses, and check the limit in your own service.";

const STRONG_MEANWHILE: &str = "Meanwhile use LAST_WRITE_WINS and let your own service decide what must be decided in one place.";

/// A checked use of a directive.
#[derive(Debug)]
pub(super) struct Use<'a> {
    pub name: &'static str,
    pub span: Span,
    args: BTreeMap<&'static str, &'a Literal>,
    /// An argument was refused; what it would have said is unknown.
    pub flawed: bool,
}

/// The directives of one declaration that exist and may stand there.
#[derive(Debug, Default)]
pub(super) struct Uses<'a> {
    list: Vec<Use<'a>>,
    /// The declaration uses something that is not there yet, or that may be a misspelt `@entity`:
    /// what it lacks is not worth a word.
    pub unclear: bool,
}

impl<'a> Uses<'a> {
    pub fn get(&self, name: &str) -> Option<&Use<'a>> {
        self.list.iter().find(|u| u.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Use<'a>> {
        self.list.iter().filter(move |u| u.name == name)
    }
}

impl<'a> Use<'a> {
    pub fn arg(&self, name: &str) -> Option<&'a Literal> {
        self.args.get(name).copied()
    }

    /// A text argument and its literal.
    pub fn text(&self, name: &str) -> Option<(&'a str, &'a Literal)> {
        let literal = self.arg(name)?;
        match &literal.kind {
            LiteralKind::String { value, .. } => Some((value, literal)),
            _ => None,
        }
    }

    /// A name argument: one of the choices.
    pub fn choice(&self, name: &str) -> Option<(&'a str, &'a Span)> {
        let literal = self.arg(name)?;
        match &literal.kind {
            LiteralKind::Name(n) => Some((n, &literal.span)),
            _ => None,
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.arg(name).map(|l| &l.kind), Some(LiteralKind::Boolean(true)))
    }

    pub fn whole(&self, name: &str) -> Option<(i64, &'a Span)> {
        let literal = self.arg(name)?;
        match &literal.kind {
            LiteralKind::Number(n) => Some((n.parse().ok()?, &literal.span)),
            _ => None,
        }
    }

    /// Whole numbers, each with its literal.
    pub fn wholes(&self, name: &str) -> Vec<(i64, &'a Literal)> {
        let Some(literal) = self.arg(name) else { return Vec::new() };
        items(literal).iter().filter_map(|l| whole_number(l).map(|n| (n, l))).collect()
    }

    /// The names of a list of fields, each with its literal.
    pub fn fields(&self, name: &str) -> Vec<(&'a str, &'a Literal)> {
        let Some(literal) = self.arg(name) else {
            return Vec::new();
        };
        items(literal).iter().filter_map(|l| field_name(l).map(|n| (n, l))).collect()
    }
}

/// A list's items, or the one that stands without brackets.
fn items(literal: &Literal) -> &[Literal] {
    match &literal.kind {
        LiteralKind::List(items) => items,
        _ => std::slice::from_ref(literal),
    }
}

fn whole_number(literal: &Literal) -> Option<i64> {
    match &literal.kind {
        LiteralKind::Number(n) => n.parse().ok(),
        _ => None,
    }
}

/// A field's name, plain or as a string.
fn field_name(literal: &Literal) -> Option<&str> {
    match &literal.kind {
        LiteralKind::Name(n) => Some(n),
        LiteralKind::String { value, .. } => Some(value),
        _ => None,
    }
}

/// Checks the directives of one declaration.
pub(super) fn check<'a>(directives: &'a [Directive], place: Place, sink: &mut Sink) -> Uses<'a> {
    let mut uses = Uses::default();
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    for directive in directives {
        if sink.is_full() {
            break;
        }
        let name = directive.name.text.as_str();
        if let Some((_, meanwhile)) = NOT_YET.iter().find(|(n, _)| *n == name) {
            uses.unclear = true;
            let message = format!("@{name} is not there yet");
            sink.report(code::NOT_YET, &directive.span, message, *meanwhile);
            continue;
        }
        let Some(spec) = SPECS.iter().find(|s| s.name == name) else {
            let names = SPECS.iter().map(|s| s.name);
            uses.unclear |= matches!(nearest(name, names), Some("entity" | "value" | "local"));
            unknown(directive, place, sink);
            continue;
        };
        if !spec.places.contains(&place) {
            wrong_place(directive, spec, place, sink);
            continue;
        }
        if let Some(first) = seen.insert(spec.name, &directive.span)
            && !spec.repeatable
        {
            sink.report(
                code::DUPLICATE_DIRECTIVE,
                &directive.span,
                format!("@{name} stands here twice"),
                "Keep one of them.",
            )
            .note(first, "first written here");
            continue;
        }
        uses.list.push(check_args(directive, spec, sink));
    }
    uses
}

fn unknown(directive: &Directive, place: Place, sink: &mut Sink) {
    let here: Vec<&str> =
        SPECS.iter().filter(|s| s.places.contains(&place)).map(|s| s.example).collect();
    let near = match nearest(&directive.name.text, SPECS.iter().map(|s| s.name)) {
        Some(near) => format!("Did you mean `@{near}`? "),
        None => String::new(),
    };
    let help = if here.is_empty() {
        format!("{near}No directive stands on {}.", place.on())
    } else {
        format!("{near}On {} you can write {}.", place.on(), one_of(&here))
    };
    let message = format!("there is no directive @{}", directive.name.text);
    sink.report(code::UNKNOWN_DIRECTIVE, &directive.name.span, message, help);
}

fn wrong_place(directive: &Directive, spec: &Spec, place: Place, sink: &mut Sink) {
    let right: Vec<&str> = spec.places.iter().map(|p| p.on()).collect();
    sink.report(
        code::DIRECTIVE_PLACE,
        &directive.span,
        format!("@{} does not stand on {}", spec.name, place.on()),
        format!("It stands on {}: `{}`. Remove it here.", right.join(" or on "), spec.example),
    );
}

fn check_args<'a>(directive: &'a Directive, spec: &Spec, sink: &mut Sink) -> Use<'a> {
    let mut checked = Use {
        name: spec.name,
        span: directive.span.clone(),
        args: BTreeMap::new(),
        flawed: directive.incomplete,
    };
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    for argument in &directive.args {
        let Some(arg) = spec.args.iter().find(|a| a.name == argument.name.text) else {
            unknown_argument(argument, spec, sink);
            checked.flawed = true;
            continue;
        };
        if let Some(first) = seen.insert(arg.name, &argument.name.span) {
            sink.report(
                code::DUPLICATE_ARGUMENT,
                &argument.name.span,
                format!("`{}` is given twice", arg.name),
                "Keep one of them.",
            )
            .note(first, "first given here");
            continue;
        }
        if fits(argument, arg.takes, sink) {
            checked.args.insert(arg.name, &argument.value);
        } else {
            checked.flawed = true;
        }
    }
    let missing = spec.args.iter().filter(|a| a.required && !seen.contains_key(a.name));
    for missing in missing.filter(|_| !directive.incomplete) {
        checked.flawed = true;
        let choices = match missing.takes {
            Takes::Choice(c) => format!(" The choices are {}.", one_of(c)),
            _ => String::new(),
        };
        sink.report(
            code::MISSING_ARGUMENT,
            &directive.span,
            format!("@{} needs `{}`", spec.name, missing.name),
            format!("Write for example `{}`.{choices}", spec.example),
        );
    }
    checked
}

fn unknown_argument(argument: &Argument, spec: &Spec, sink: &mut Sink) {
    let names: Vec<&str> = spec.args.iter().map(|a| a.name).collect();
    let near = sink.did_you_mean(&argument.name.text, names.iter().copied());
    let help = if names.is_empty() {
        format!("It takes none: write `{}`.", spec.example)
    } else {
        format!("{near}It takes {}: `{}`.", names.join(", "), spec.example)
    };
    let message = format!("@{} has no argument `{}`", spec.name, argument.name.text);
    sink.report(code::UNKNOWN_ARGUMENT, &argument.name.span, message, help);
}

/// Checks an argument's value; says what it takes.
fn fits(argument: &Argument, takes: Takes, sink: &mut Sink) -> bool {
    let name = &argument.name.text;
    let value = &argument.value;
    let help = match (takes, &value.kind) {
        (Takes::Choice(choices), LiteralKind::Name(n)) if choices.contains(&n.as_str()) => {
            return true;
        }
        (Takes::Choice(_), LiteralKind::Name(n)) if name == "strategy" && n == "STRONG" => {
            sink.report(
                code::NOT_YET,
                &value.span,
                "STRONG is not there yet: so far nothing is decided at one home store",
                STRONG_MEANWHILE,
            );
            return false;
        }
        (Takes::Choice(choices), kind) => {
            let near = match kind {
                LiteralKind::Name(n) | LiteralKind::String { value: n, .. } => {
                    sink.did_you_mean(n, choices.iter().copied())
                }
                _ => String::new(),
            };
            format!("{near}Write `{name}: {}`; the choices are {}.", choices[0], one_of(choices))
        }
        (Takes::Text, LiteralKind::String { .. })
        | (Takes::Flag, LiteralKind::Boolean(_))
        | (Takes::Anything, _) => return true,
        (Takes::Whole, LiteralKind::Number(n)) if n.parse::<i64>().is_ok() => return true,
        (Takes::Wholes, _) if items(&argument.value).iter().all(|l| whole_number(l).is_some()) => {
            return true;
        }
        (Takes::Fields, LiteralKind::List(l)) if l.iter().all(|l| field_name(l).is_some()) => {
            return true;
        }
        (Takes::Fields, LiteralKind::Name(_) | LiteralKind::String { .. }) => return true,
        (Takes::Text, _) => format!("Write a string: `{name}: \"…\"`."),
        (Takes::Flag, _) => format!("Write `{name}: true`, or leave it out."),
        (Takes::Whole, _) => format!("Write a whole number: `{name}: 2`."),
        (Takes::Wholes, _) => format!("Write whole numbers: `{name}: [2, 3]`."),
        (Takes::Fields, _) => {
            format!("Write a list of field names: `{name}: [status, OrderLine.quantity]`.")
        }
    };
    let message = format!("`{name}` does not take this value");
    sink.report(code::ARGUMENT_VALUE, &value.span, message, help);
    false
}
