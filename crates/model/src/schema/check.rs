//! From declarations to the compiled schema.
//!
//! Each pass reports all that it finds and leaves out what it could not resolve; the passes after
//! it say nothing about what is left out, so that one fault is one diagnostic.

use super::ast::Document;
use super::diagnostic::{Sink, code};
use super::homes::{self, Lives};
use super::names::{self, Kind, Named, Names, TypeInfo};
use super::{
    EntityType, EnumType, Field, FieldKind, Schema, Strategy, ValueType, audiences, fields, search,
    shared,
};
use crate::codec::VALUE_NESTING_MAX;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Checks a document. What is returned is whole only if nothing was reported.
pub(super) fn check(document: &Document, sink: &mut Sink) -> Option<Schema> {
    let mut names = names::collect(document, sink)?;
    check_not_empty(document, &names, sink);
    fields::resolve(&mut names, sink);
    check_values(&names, sink);
    let lives = homes::resolve(&names, sink);
    let mut schema =
        Schema { types: BTreeMap::new(), values: values(&names), enums: enums(&names) };
    let shared = shared::marked(&names, &lives);
    for (i, live) in lives.iter().enumerate() {
        check_window(&names.types[i], live, sink);
        search::check_agrees(&names.types[i], sink);
        let audiences = audiences::resolve(&names, &lives, i, sink);
        if let Some(entity) = entity(&names.types[i], live, audiences, shared[i]) {
            schema.types.insert(entity.id, Arc::new(entity));
        }
    }
    shared::check(&names, &lives, &shared, &schema, sink);
    Some(schema)
}

fn check_not_empty(document: &Document, names: &Names, sink: &mut Sink) {
    // A type of unknown kind may have been meant as an entity.
    let any = names.types.iter().any(|t| matches!(t.kind, Kind::Entity | Kind::Unknown));
    if any || document.damaged || !document.unreadable.is_empty() {
        return;
    }
    let first = names.types.iter().map(|t| &t.decl.name.span);
    let first = first.chain(names.enums.iter().map(|e| &e.decl.name.span)).min_by_key(|s| s.start);
    sink.report(
        code::NO_ENTITY,
        first.unwrap_or(&(0..0)),
        "the file declares no entity type, so there is nothing to sync",
        "Write for example `type Note @entity(strategy: CRDT, scope: \"team/{team}\") { id: ID! team: ID! body: Text }`.",
    );
}

/// One field tells the age of a type; children are as old as their parent, and what is never synced
/// is in no subscription.
fn check_window(t: &TypeInfo, lives: &Lives, sink: &mut Sink) {
    let sound = t.members.iter().filter(|m| m.field.is_some());
    let mut uses = sound.filter_map(|m| m.uses.get("window"));
    let Some(first) = uses.next() else { return };
    if t.kind == Kind::Local || lives.parent.is_some() {
        let message = format!("no subscription asks how old a `{}` is", t.name());
        let help = match t.kind {
            Kind::Local => "It is never synced. Remove @window.",
            _ => "A child is kept as long as its parent. Put @window on the parent's field.",
        };
        sink.report(code::WINDOW_PLACE, &first.span, message, help);
    }
    for second in uses {
        let message = format!("`{}` has two fields with @window", t.name());
        let help = "Keep the one by which a device decides what is young enough to keep.";
        sink.report(code::WINDOW_PLACE, &second.span, message, help)
            .note(&first.span, "the other one");
    }
}

fn resolved_fields(t: &TypeInfo) -> Vec<Field> {
    t.members.iter().filter_map(|m| m.field.clone()).collect()
}

fn entity(
    t: &TypeInfo,
    lives: &Lives,
    audiences: Vec<super::Audience>,
    shared: bool,
) -> Option<EntityType> {
    let strategy = t.uses.get("entity").and_then(|e| e.choice("strategy"));
    Some(EntityType {
        id: t.id,
        name: t.name().to_owned(),
        doc: t.decl.doc.clone(),
        strategy: match strategy {
            Some(("CRDT", _)) => Strategy::Crdt,
            _ => Strategy::LastWriteWins,
        },
        local: t.kind == Kind::Local,
        shared,
        home: lives.home.clone()?,
        audiences,
        fields: resolved_fields(t),
    })
}

fn values(names: &Names) -> BTreeMap<String, Arc<ValueType>> {
    let values = names.types.iter().filter(|t| t.kind == Kind::Value);
    values
        .map(|t| {
            let name = t.name().to_owned();
            let value = ValueType {
                name: name.clone(),
                doc: t.decl.doc.clone(),
                fields: resolved_fields(t),
            };
            (name, Arc::new(value))
        })
        .collect()
}

fn enums(names: &Names) -> BTreeMap<String, Arc<EnumType>> {
    names
        .enums
        .iter()
        .map(|e| {
            let name = e.decl.name.text.clone();
            let values = e.decl.values.iter().map(|v| v.name.text.clone()).collect();
            let doc = e.decl.doc.clone();
            (name.clone(), Arc::new(EnumType { name, doc, values, closed: e.closed }))
        })
        .collect()
}

/// A value that contained itself would have no end; one that is nested too deep cannot be sent.
fn check_values(names: &Names, sink: &mut Sink) {
    let mut state = vec![Visit::New; names.types.len()];
    for start in 0..names.types.len() {
        if names.types[start].kind == Kind::Value && state[start] == Visit::New {
            walk_value(names, start, &mut state, sink);
        }
    }
    let entities = names.types.iter().filter(|t| t.kind == Kind::Entity);
    for member in entities.flat_map(|t| &t.members) {
        let kind = member.field.as_ref().map(|f| &f.kind);
        if kind.is_some_and(|k| nesting(names, &state, k) > VALUE_NESTING_MAX) {
            sink.report(
                code::LIMIT,
                &member.decl.ty.span,
                format!("the values in `{}` are nested too deep", member.decl.name.text),
                "Make one of the inner values an @entity with a `@ref`, or use JSON.",
            );
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    /// On the path from the walk's start to here.
    Open,
    /// What a value of this type has inside is nested so deep, in arrays.
    Done(usize),
}

/// How deep a value of this kind is nested, in arrays of its encoding.
fn nesting(names: &Names, state: &[Visit], kind: &FieldKind) -> usize {
    match kind {
        FieldKind::List(element) => 3 + nesting(names, state, element),
        FieldKind::Object(_) => match value_in(names, kind).map(|i| state[i]) {
            Some(Visit::Done(inside)) => 4 + inside,
            // In a cycle, which is told by itself.
            _ => 4,
        },
        _ => 2,
    }
}

/// Walks the values inside a value depth first, with its own stack: a chain may be long.
fn walk_value(names: &Names, start: usize, state: &mut [Visit], sink: &mut Sink) {
    let mut path: Vec<(usize, usize)> = vec![(start, 0)];
    state[start] = Visit::Open;
    while let Some((at, next)) = path.pop() {
        let t = &names.types[at];
        let Some(member) = t.members.get(next) else {
            let fields = t.members.iter().filter_map(|m| m.field.as_ref());
            let inside = fields.map(|f| nesting(names, state, &f.kind)).max();
            state[at] = Visit::Done(inside.unwrap_or(0));
            continue;
        };
        path.push((at, next + 1));
        let Some(inner) = member.field.as_ref().and_then(|f| value_in(names, &f.kind)) else {
            continue;
        };
        match state[inner] {
            Visit::Done(_) => {}
            Visit::New => {
                state[inner] = Visit::Open;
                path.push((inner, 0));
            }
            Visit::Open => {
                let from = path.iter().position(|(i, _)| *i == inner).unwrap_or(0);
                let mut chain: Vec<&str> =
                    path[from..].iter().take(8).map(|(i, _)| names.types[*i].name()).collect();
                chain.push(names.types[inner].name());
                sink.report(
                    code::VALUE_CYCLE,
                    &member.decl.ty.span,
                    format!("a value cannot contain itself: {}", chain.join(" → ")),
                    "Make it an @entity with a `@ref` to itself, or use JSON.",
                );
            }
        }
    }
}

fn value_in(names: &Names, kind: &FieldKind) -> Option<usize> {
    match kind {
        FieldKind::Object(name) => match names.get(name) {
            Some(Named::Type(i)) => Some(i),
            _ => None,
        },
        FieldKind::List(element) => value_in(names, element),
        _ => None,
    }
}
