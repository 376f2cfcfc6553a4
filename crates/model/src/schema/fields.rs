//! From a field's type and directives to what it holds and how it merges.

use super::ast::{FieldDecl, TypeRef};
use super::defaults;
use super::diagnostic::{Sink, code};
use super::directives::{BOUNDED_MEANWHILE, Use, Uses};
use super::names::{BUILT_IN, Kind, Member, Named, Names, TypeInfo};
use super::{Field, FieldKind, Merge, OnDelete, Reference, search};
use std::fmt;

/// Most digits of a decimal: its digits are stored as one 64-bit integer.
pub const DECIMAL_PRECISION_MAX: u8 = 18;

/// Resolves every field; those with an error stay `None`.
pub(super) fn resolve(names: &mut Names, sink: &mut Sink) {
    let resolved: Vec<Vec<Option<Field>>> = names
        .types
        .iter()
        .map(|t| t.members.iter().map(|m| field(names, t, m, sink)).collect())
        .collect();
    for (t, fields) in names.types.iter_mut().zip(resolved) {
        for (member, field) in t.members.iter_mut().zip(fields) {
            member.field = field;
        }
    }
}

/// What a type name stands for, before `[…]` and directives.
enum Base {
    Plain(FieldKind),
    Decimal,
    Text,
    Counter,
    Entity(usize),
}

fn field(names: &Names, owner: &TypeInfo, member: &Member, sink: &mut Sink) -> Option<Field> {
    if sink.is_full() {
        return None;
    }
    let (decl, uses) = (member.decl, &member.uses);
    let base = base(names, decl, uses, sink)?;
    let faults = sink.len();
    if owner.kind == Kind::Value && refuse_in_value(owner, decl, uses, &base, sink) {
        return None;
    }
    let reference = reference(names, owner, decl, uses, &base, sink);
    let element = match base {
        Base::Plain(kind) => check_no_decimal(decl, uses, kind, sink),
        Base::Decimal => decimal(decl, uses, sink),
        Base::Text => check_no_decimal(decl, uses, FieldKind::Text, sink),
        Base::Counter => check_no_decimal(decl, uses, FieldKind::Counter, sink),
        Base::Entity(i) => check_no_decimal(decl, uses, FieldKind::Ref(names.types[i].id), sink),
    };
    let element = element?;
    let (kind, merge) = shape(decl, uses, element, sink)?;
    if decl.ty.required && merge != Merge::Register {
        let bare = decl.ty.to_string();
        let bare = bare.trim_end_matches('!');
        sink.report(
            code::ALWAYS_THERE,
            &decl.ty.span,
            format!("`{}` is never null, so `!` says nothing", decl.name.text),
            format!("Write `{}: {bare}`.", decl.name.text),
        );
    }
    check_index(decl, uses, &kind, merge, sink);
    check_window(decl, uses, &kind, merge, sink);
    let search = search::of_field(decl, uses, &kind, merge, sink);
    let default = default(names, decl, uses, &kind, merge, sink);
    (sink.len() == faults).then(|| Field {
        id: member.id,
        name: decl.name.text.clone(),
        doc: decl.doc.clone(),
        kind,
        merge,
        required: decl.ty.required,
        // Rows that grow out of a window are found by it.
        index: uses.has("index") || uses.has("window"),
        window: uses.has("window"),
        search,
        reference,
        default,
    })
}

fn base(names: &Names, decl: &FieldDecl, uses: &Uses, sink: &mut Sink) -> Option<Base> {
    let name = decl.ty.base.text.as_str();
    Some(match name {
        "Decimal" => Base::Decimal,
        "Text" => Base::Text,
        "Counter" => Base::Counter,
        "BoundedCounter" => {
            // With `@bound` beside it, that one says it.
            if !uses.unclear {
                let message = "BoundedCounter is not there yet";
                sink.report(code::NOT_YET, &decl.ty.span, message, BOUNDED_MEANWHILE);
            }
            return None;
        }
        _ => match (scalar(name), names.get(name)) {
            (Some(kind), _) => Base::Plain(kind),
            (None, Some(Named::Enum(_))) => Base::Plain(FieldKind::Enum(name.to_owned())),
            (None, Some(Named::Type(i))) => match names.types[i].kind {
                Kind::Entity | Kind::Local => Base::Entity(i),
                Kind::Value => Base::Plain(FieldKind::Object(name.to_owned())),
                Kind::Unknown => return None,
            },
            (None, Some(Named::Unreadable)) => return None,
            // A dotted name was reported as no name.
            (None, None) if name.contains('.') => return None,
            (None, None) => {
                unknown_type(names, decl, sink);
                return None;
            }
        },
    })
}

fn scalar(name: &str) -> Option<FieldKind> {
    Some(match name {
        "ID" => FieldKind::Id,
        "String" => FieldKind::String,
        "Int" => FieldKind::Int,
        "Int64" => FieldKind::Int64,
        "Float" => FieldKind::Float,
        "Boolean" => FieldKind::Boolean,
        "Instant" => FieldKind::Instant,
        "Date" => FieldKind::Date,
        "LocalTime" => FieldKind::LocalTime,
        "ZonedDateTime" => FieldKind::ZonedDateTime,
        "Bytes" => FieldKind::Bytes,
        "JSON" => FieldKind::Json,
        "Blob" | "Image" => FieldKind::Blob,
        _ => return None,
    })
}

/// What people write who come from another language.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("uuid", "ID"),
    ("guid", "ID"),
    ("varchar", "String"),
    ("char", "String"),
    ("integer", "Int"),
    ("int32", "Int"),
    ("short", "Int"),
    ("long", "Int64"),
    ("bigint", "Int64"),
    ("double", "Float"),
    ("float64", "Float"),
    ("real", "Float"),
    ("number", "Float"),
    ("bool", "Boolean"),
    ("money", "Decimal"),
    ("numeric", "Decimal"),
    ("datetime", "Instant"),
    ("timestamp", "Instant"),
    ("time", "LocalTime"),
    ("binary", "Bytes"),
    ("object", "JSON"),
    ("any", "JSON"),
    ("map", "JSON"),
    ("file", "Blob"),
];

fn unknown_type(names: &Names, decl: &FieldDecl, sink: &mut Sink) {
    let name = &decl.ty.base.text;
    let lower = name.to_ascii_lowercase();
    let known = BUILT_IN.iter().copied().filter(|n| *n != "BoundedCounter");
    let near = match OTHER_WORDS.iter().find(|(word, _)| *word == lower) {
        Some((_, ours)) => format!("Write `{ours}` for it. "),
        None => sink.did_you_mean(name, known.clone().chain(names.all())),
    };
    let declare = format!("declare `type {name} …` or `enum {name} {{ … }}`");
    let help = if near.is_empty() {
        let known = known.collect::<Vec<_>>().join(", ");
        format!("Write one of {known}, or {declare}.")
    } else {
        format!("{near}Or {declare}.")
    };
    let message = format!("there is no type `{name}`");
    sink.report(code::UNKNOWN_TYPE, &decl.ty.base.span, message, help);
}

/// A value object is written as a whole, so its members cannot merge or refer by themselves.
fn refuse_in_value(
    owner: &TypeInfo,
    decl: &FieldDecl,
    uses: &Uses,
    base: &Base,
    sink: &mut Sink,
) -> bool {
    let why = "a value is one register, written as a whole";
    let name = &decl.name.text;
    let by_type = match base {
        Base::Text => Some(("Text", format!("Write `{name}: String`."))),
        Base::Counter => Some(("Counter", format!("Write `{name}: Int`."))),
        Base::Entity(_) => {
            Some(("a reference", "Move the reference into the entity that has the value.".into()))
        }
        _ => None,
    };
    if let Some((what, help)) = by_type {
        let message = format!("{what} is not possible in the value `{}`: {why}", owner.name());
        sink.report(code::NOT_IN_VALUE, &decl.ty.span, message, help);
        return true;
    }
    let before = sink.len();
    for directive in ["set", "ref", "index", "window", "search", "default"] {
        if let Some(u) = uses.get(directive) {
            sink.report(
                code::NOT_IN_VALUE,
                &u.span,
                format!("@{directive} is not possible in the value `{}`: {why}", owner.name()),
                "Remove it, or move the field into the entity that has the value.",
            );
        }
    }
    sink.len() > before
}

fn reference(
    names: &Names,
    owner: &TypeInfo,
    decl: &FieldDecl,
    uses: &Uses,
    base: &Base,
    sink: &mut Sink,
) -> Option<Reference> {
    let name = &decl.name.text;
    let target = match (base, uses.get("ref")) {
        // A list of entities is reported as such.
        (Base::Entity(_), _) if decl.ty.list.is_some() => return None,
        (Base::Entity(target), Some(_)) => &names.types[*target],
        (Base::Entity(_), None) => {
            sink.report(
                code::REF_MISSING,
                &decl.ty.span,
                format!("`{name}` refers to an entity but does not say what its deletion does"),
                format!(
                    "Write `{name}: {} @ref(onDelete: KEEP)`; the choices are CASCADE (for a \
                     parent), SET_NULL and KEEP.",
                    decl.ty
                ),
            );
            return None;
        }
        (_, Some(u)) => {
            sink.report(
                code::REF_PLACE,
                &u.span,
                format!("`{name}` holds `{}`, which is no entity type", decl.ty.base.text),
                "Remove @ref, or give the field an entity type.",
            )
            .note(&decl.ty.span, "this is not an entity");
            return None;
        }
        _ => return None,
    };
    let is_parent = may_be_parent(owner, name);
    if target.kind == Kind::Local && owner.kind == Kind::Entity && !is_parent {
        sink.report(
            code::REF_LOCAL,
            &decl.ty.span,
            format!(
                "`{}` is @local: other devices would never find what `{name}` names",
                target.name()
            ),
            format!("Make `{}` an @entity, or make `{}` @local too.", target.name(), owner.name()),
        )
        .note(&target.decl.name.span, "declared here");
    }
    let on_delete = on_delete(owner, decl, uses, is_parent, sink)?;
    Some(Reference { target: target.id, on_delete })
}

fn on_delete(
    owner: &TypeInfo,
    decl: &FieldDecl,
    uses: &Uses,
    is_parent: bool,
    sink: &mut Sink,
) -> Option<OnDelete> {
    let name = &decl.name.text;
    let (choice, span) = uses.get("ref")?.choice("onDelete")?;
    let on_delete = match choice {
        "CASCADE" => OnDelete::Cascade,
        "SET_NULL" => OnDelete::SetNull,
        _ => OnDelete::Keep,
    };
    if on_delete == OnDelete::SetNull && decl.ty.required {
        sink.report(
            code::REF_SET_NULL,
            span,
            format!("`{name}` is required, so it cannot become null"),
            format!("Write `{name}: {}` without `!`, or `onDelete: KEEP`.", decl.ty.base.text),
        )
        .note(&decl.ty.span, "required here");
    }
    if on_delete == OnDelete::Cascade && !is_parent {
        let help = match owner.kind {
            Kind::Local => "Write `onDelete: KEEP`: a @local type has no parent.".into(),
            _ => format!(
                "Write `@entity(strategy: …, parent: \"{name}\")` on `{}`, or `onDelete: KEEP`.",
                owner.name()
            ),
        };
        let message =
            format!("only a child is deleted with what it refers to, and `{name}` is no parent");
        sink.report(code::REF_CASCADE, span, message, help);
    }
    Some(on_delete)
}

/// True if the field is the parent, or if what the type says about its parent was refused.
fn may_be_parent(owner: &TypeInfo, field: &str) -> bool {
    match owner.uses.get("entity") {
        Some(entity) => match entity.text("parent") {
            Some((parent, _)) => parent == field || owner.member(parent).is_none(),
            None => entity.flawed && entity.text("scope").is_none(),
        },
        None => owner.kind == Kind::Unknown,
    }
}

fn check_no_decimal(
    decl: &FieldDecl,
    uses: &Uses,
    kind: FieldKind,
    sink: &mut Sink,
) -> Option<FieldKind> {
    if let Some(u) = uses.get("decimal") {
        sink.report(
            code::DECIMAL_PLACE,
            &u.span,
            format!("`{}` is no Decimal, so it has no precision and scale", decl.name.text),
            format!("Remove @decimal, or write `{}: Decimal`.", decl.name.text),
        );
    }
    Some(kind)
}

fn decimal(decl: &FieldDecl, uses: &Uses, sink: &mut Sink) -> Option<FieldKind> {
    let name = &decl.name.text;
    let Some(size) = uses.get("decimal") else {
        sink.report(
            code::DECIMAL_WITHOUT_SIZE,
            &decl.ty.span,
            format!("`{name}` does not say how many digits it has"),
            format!("Write `{name}: {} @decimal(precision: 12, scale: 2)`: 12 digits, 2 of them after the point.", decl.ty),
        );
        return None;
    };
    let ((precision, precision_span), (scale, scale_span)) =
        (size.whole("precision")?, size.whole("scale")?);
    if !(1..=i64::from(DECIMAL_PRECISION_MAX)).contains(&precision) {
        sink.report(
            code::DECIMAL_SIZE,
            precision_span,
            format!("a decimal has 1 to {DECIMAL_PRECISION_MAX} digits"),
            format!("Write `precision: {}`.", precision.clamp(1, i64::from(DECIMAL_PRECISION_MAX))),
        );
        return None;
    }
    if !(0..=precision).contains(&scale) {
        sink.report(
            code::DECIMAL_SIZE,
            scale_span,
            format!("of {precision} digits, 0 to {precision} can stand after the point"),
            format!("Write `scale: {}`.", scale.clamp(0, precision)),
        );
        return None;
    }
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    Some(FieldKind::Decimal { precision, scale })
}

/// Applies `[…]` and `@set`.
fn shape(
    decl: &FieldDecl,
    uses: &Uses,
    element: FieldKind,
    sink: &mut Sink,
) -> Option<(FieldKind, Merge)> {
    let name = &decl.name.text;
    let base = &decl.ty.base.text;
    let set = uses.get("set");
    let Some(list) = &decl.ty.list else {
        if let Some(u) = set {
            sink.report(
                code::SET_PLACE,
                &u.span,
                format!("`{name}` is no list, so it cannot be a set"),
                format!("Write `{name}: [{base}!] @set`."),
            );
            return None;
        }
        return Some(match element {
            FieldKind::Text => (element, Merge::Text),
            FieldKind::Counter => (element, Merge::Counter),
            _ => (element, Merge::Register),
        });
    };
    let own_merge = matches!(element, FieldKind::Text | FieldKind::Counter);
    let is_reference = matches!(element, FieldKind::Ref(_));
    if list.nested || own_merge || is_reference {
        let help = match (list.nested, is_reference) {
            (true, _) => format!("Write `{name}: [{base}!]`, or use JSON."),
            (_, true) => format!(
                "Put the reference on the other side: a field of `{base}` that refers to this type."
            ),
            _ => format!(
                "Write `{name}: [String!]`, or make a type whose parent is this one, with the {base} in it."
            ),
        };
        let what = if list.nested { "lists" } else { base };
        sink.report(code::LIST_ELEMENT, &decl.ty.span, format!("a list cannot hold {what}"), help);
        return None;
    }
    if let Some(u) = set
        && matches!(element, FieldKind::Object(_))
    {
        sink.report(
            code::SET_ELEMENT,
            &decl.ty.span,
            format!("a set holds scalars and enums, and `{base}` is a value type"),
            format!("Write `{name}: [{base}!]` without @set: one register, replaced as a whole."),
        )
        .note(&u.span, "made a set here");
        return None;
    }
    if !list.element_required {
        let (what, rest) = match (set, decl.ty.required) {
            (Some(_), _) => ("a set", " @set"),
            (None, true) => ("a list", "!"),
            (None, false) => ("a list", ""),
        };
        sink.report(
            code::LIST_ELEMENT_NULLABLE,
            &decl.ty.span,
            format!("{what} does not hold null"),
            format!("Write `{name}: [{base}!]{rest}`."),
        );
        return None;
    }
    match set {
        Some(_) => Some((element, Merge::Set)),
        None => Some((FieldKind::List(Box::new(element)), Merge::Register)),
    }
}

fn check_index(decl: &FieldDecl, uses: &Uses, kind: &FieldKind, merge: Merge, sink: &mut Sink) {
    let Some(u) = uses.get("index") else { return };
    let without_order = matches!(merge, Merge::Set | Merge::Text)
        || matches!(
            kind,
            FieldKind::List(_)
                | FieldKind::Object(_)
                | FieldKind::Json
                | FieldKind::Bytes
                | FieldKind::Blob
        );
    if without_order {
        sink.report(
            code::INDEX_PLACE,
            &u.span,
            format!("`{}` holds `{}`, which has no order to search by", decl.name.text, decl.ty),
            "Remove @index, or give what you search by a field of its own.",
        );
    }
}

fn check_window(decl: &FieldDecl, uses: &Uses, kind: &FieldKind, merge: Merge, sink: &mut Sink) {
    let Some(u) = uses.get("window") else { return };
    if merge != Merge::Register || !matches!(kind, FieldKind::Instant | FieldKind::Date) {
        sink.report(
            code::WINDOW_PLACE,
            &u.span,
            format!("`{}` holds `{}`, which does not tell how old it is", decl.name.text, decl.ty),
            "Put @window on an `Instant` or a `Date`.",
        );
    } else if let Some(default) = uses.get("default") {
        sink.report(
            code::DEFAULT_PLACE,
            &default.span,
            format!("`{}` cannot have a default: it tells an age", decl.name.text),
            "Remove @default: regions go by what is stored, and a default never is.",
        );
    }
}

fn default(
    names: &Names,
    decl: &FieldDecl,
    uses: &Uses,
    kind: &FieldKind,
    merge: Merge,
    sink: &mut Sink,
) -> Option<crate::value::Value> {
    let u: &Use = uses.get("default")?;
    let literal = u.arg("value")?;
    let why = match (merge, kind) {
        (Merge::Set, _) => Some("a set begins empty"),
        (Merge::Counter, _) => Some("a counter begins at 0"),
        (Merge::Text, _) => Some("a text begins empty"),
        _ if decl.name.text == "id" => Some("every entity has its own id"),
        (_, FieldKind::Ref(_)) => Some("a default cannot name an entity"),
        _ if !defaults::possible(kind) => Some("no default can be written for this type"),
        _ => None,
    };
    if let Some(why) = why {
        sink.report(
            code::DEFAULT_PLACE,
            &u.span,
            format!("`{}` cannot have a default: {why}", decl.name.text),
            "Remove @default.",
        );
        return None;
    }
    match defaults::value(names, kind, literal) {
        Ok(value) => Some(value),
        Err(wanted) => {
            sink.report(
                code::DEFAULT_VALUE,
                &literal.span,
                format!("this is no value of `{}`", decl.ty),
                format!("Write {wanted}."),
            );
            None
        }
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bang = |b: bool| if b { "!" } else { "" };
        match &self.list {
            None => write!(f, "{}", self.base.text)?,
            Some(l) if l.nested => write!(f, "[[{}]]", self.base.text)?,
            Some(l) => write!(f, "[{}{}]", self.base.text, bang(l.element_required))?,
        }
        f.write_str(bang(self.required))
    }
}
