//! Shared types: rows that are the same for everybody.
//!
//! What `@shared` marks, and what hangs on it as children, is in one scope that no field names. A
//! device with several accounts keeps such a scope once, in a file of its own, and reads it beside
//! each account's file. The rules here make that possible: nothing in the scope is of one user, no
//! device writes it, and nothing that a row shows depends on what is in another file.

use super::diagnostic::{Sink, Span, code};
use super::homes::Lives;
use super::names::{Kind, Names, TypeInfo};
use super::{EntityType, Home, Schema, ScopeTemplate};
use crate::id::Scope;
use std::collections::BTreeMap;

/// Most shared scopes of a schema: a device opens a file and a session for each, and SQLite attaches
/// ten files to a connection at most.
pub const SHARED_SCOPES_MAX: usize = 4;

/// Which types are shared: entities that say so, and what has one of them as its topmost parent.
pub(super) fn marked(names: &Names, lives: &[Lives]) -> Vec<bool> {
    let is_marked = |t: &TypeInfo| t.kind == Kind::Entity && t.uses.has("shared");
    let of_root = |(t, live): (&TypeInfo, &Lives)| {
        t.kind == Kind::Entity && is_marked(&names.types[live.root])
    };
    names.types.iter().zip(lives).map(of_root).collect()
}

/// Check what is marked against the rest.
pub(super) fn check(
    names: &Names,
    lives: &[Lives],
    shared: &[bool],
    schema: &Schema,
    sink: &mut Sink,
) {
    let mut scopes: BTreeMap<Scope, &Span> = BTreeMap::new();
    for (t, live) in names.types.iter().zip(lives) {
        let Some(u) = t.uses.get("shared") else { continue };
        if let Some(scope) = check_type(t, live, &u.span, sink) {
            scopes.entry(scope).or_insert(&u.span);
        }
    }
    if let Some((_, beyond)) = scopes.iter().nth(SHARED_SCOPES_MAX) {
        let message = format!("a schema has at most {SHARED_SCOPES_MAX} shared scopes");
        let help = "Let some of the types share one scope: a device keeps a file for each.";
        sink.report(code::LIMIT, beyond, message, help);
    }
    for (index, t) in names.types.iter().enumerate() {
        check_references(names, lives, shared, index, sink);
        if t.kind == Kind::Entity && !shared[index] {
            check_apart(t, schema.entity(t.id).map(|kind| &**kind), &scopes, sink);
        }
    }
}

/// The scope of a type that is rightly marked.
fn check_type(t: &TypeInfo, live: &Lives, at: &Span, sink: &mut Sink) -> Option<Scope> {
    if t.kind != Kind::Entity || live.parent.is_some() {
        let (message, help) = match t.kind {
            Kind::Unknown => return None,
            Kind::Entity => (
                format!("`{}` is a child, which is where its parent is", t.name()),
                "Remove it here, and put @shared on the topmost parent.",
            ),
            _ => (
                format!("`{}` is in no scope that could be shared", t.name()),
                "Remove @shared, or make the type an `@entity` with a scope.",
            ),
        };
        sink.report(code::SHARED_PLACE, at, message, help);
        return None;
    }
    for audience in t.uses.all("audience") {
        let message =
            format!("every account reads all of `{}`, so nobody is its audience", t.name());
        let help = "Remove @audience. What only some may see belongs into a type of its own.";
        sink.report(code::SHARED_AUDIENCE, &audience.span, message, help)
            .note(at, "shared by this");
    }
    let Some(Home::Scope(template)) = &live.home else { return None };
    if template.fields().next().is_some() {
        let literal = t.uses.get("entity").and_then(|e| e.arg("scope"));
        let message =
            format!("the rows of `{}` are in many scopes, and only one is shared", t.name());
        let help = "Name one scope for all rows, without a field: `scope: \"catalog\"`.";
        sink.report(code::SHARED_FIELDS, literal.map_or(at, |l| &l.span), message, help)
            .note(at, "shared by this");
        return None;
    }
    template.render(|_| None)
}

/// What a shared row shows is in the shared file; and nobody else knows what was deleted there.
fn check_references(
    names: &Names,
    lives: &[Lives],
    shared: &[bool],
    index: usize,
    sink: &mut Sink,
) {
    for member in &names.types[index].members {
        let Some(field) = &member.field else { continue };
        let Some(reference) = &field.reference else { continue };
        let Some(to) = names.types.iter().position(|t| t.id == reference.target) else { continue };
        let (at, name) = (&member.decl.ty.span, names.types[to].name());
        if shared[index] && !shared[to] && names.types[to].kind == Kind::Entity {
            let message = format!("`{name}` is not shared, so not every account has its rows");
            let help =
                format!("Turn the reference round: a field of `{name}` that refers to this.");
            sink.report(code::SHARED_REF, at, message, help)
                .note(&names.types[to].decl.name.span, "declared here");
        }
        let nulled = field.nulled_with().is_some() && shared[to];
        if nulled && !(shared[index] && home_of(lives, index) == home_of(lives, to)) {
            let message = format!("nobody outside of its scope knows which `{name}` was deleted");
            let help = "Write `@ref(onDelete: KEEP)`, and find what is gone by LEFT JOIN.";
            sink.report(code::SHARED_SET_NULL, at, message, help)
                .note(&names.types[to].decl.name.span, "shared");
        }
    }
}

/// The scope in which the type's topmost parent is, as it is written.
fn home_of(lives: &[Lives], index: usize) -> Option<&str> {
    match &lives[lives[index].root].home {
        Some(Home::Scope(template)) => Some(&template.source),
        _ => None,
    }
}

/// A type that is not shared is in no scope that is: neither at home nor as an audience.
fn check_apart(
    t: &TypeInfo,
    kind: Option<&EntityType>,
    scopes: &BTreeMap<Scope, &Span>,
    sink: &mut Sink,
) {
    let Some(kind) = kind else { return };
    let home = match &kind.home {
        Home::Scope(template) => t.uses.get("entity").map(|u| (template, &u.span)),
        Home::Parent { .. } => None,
    };
    let of = |template: &ScopeTemplate| {
        t.uses.all("audience").find(|u| u.text("scope").is_some_and(|(s, _)| s == template.source))
    };
    let audiences = kind.audiences.iter().filter_map(|a| Some((&a.scope, &of(&a.scope)?.span)));
    for (template, at) in home.into_iter().chain(audiences) {
        let Some((scope, by)) = scopes.iter().find(|(s, _)| template.could_render(s)) else {
            continue;
        };
        let message = format!("`{scope}` is a shared scope, and `{}` is not shared", t.name());
        let help = "Name another scope, or write @shared if every account may read the rows and \
                    no device writes them.";
        sink.report(code::SHARED_MIXED, at, message, help).note(by, "shared by this");
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::compile;

    #[test]
    fn a_shared_scope_is_its_types_and_all_below_them() {
        let source = include_str!("../../testdata/schema/good/shared.graphql");
        let schema = compile(source).unwrap_or_else(|faults| panic!("{faults:?}"));
        let named = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).into()).collect() };
        let scopes = schema.shared_scopes();
        let of = |scope: &str| {
            let part = schema.part(|kind| scopes[scope].contains(&kind.id));
            let mut names: Vec<String> = part.types.values().map(|t| t.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(scopes.keys().map(|s| &**s).collect::<Vec<_>>(), ["brands", "catalog"]);
        assert_eq!(of("catalog"), named(&["Product", "Variant"]));
        assert_eq!(of("brands"), named(&["Brand"]));
        let others = schema.part(|kind| !kind.shared);
        assert_eq!(others.types.len(), 2);
        let plain = compile(&source.replace("@shared", "")).map(|plain| plain.fingerprint());
        assert!(plain.is_err() || plain != Ok(schema.fingerprint()));
    }
}
