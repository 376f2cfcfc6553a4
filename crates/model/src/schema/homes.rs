//! Where each entity lives: its own scope, or its parent's.

use super::diagnostic::{Sink, code, nearest};
use super::directives::Use;
use super::names::{Kind, Member, Named, Names, TypeInfo};
use super::scopes::{self, LOCAL_HOME, Role};
use super::{FieldKind, Home, OnDelete, ScopePart, ScopeTemplate};

/// A type's home, and its parent among [`Names::types`].
#[derive(Debug, Default)]
pub(super) struct Lives {
    pub home: Option<Home>,
    pub parent: Option<usize>,
    /// The topmost parent, or the type itself; any type of the circle where parents form one.
    pub root: usize,
}

/// Resolves the home of every entity type; `None` where it is not known.
pub(super) fn resolve(names: &Names, sink: &mut Sink) -> Vec<Lives> {
    let mut lives: Vec<Lives> = Vec::with_capacity(names.types.len());
    for t in &names.types {
        if matches!(t.kind, Kind::Entity | Kind::Local) {
            check_id(t, sink);
        }
        lives.push(match t.kind {
            Kind::Entity => entity_home(names, t, sink),
            Kind::Local => Lives { home: Some(Home::Scope(local_home())), ..Lives::default() },
            Kind::Value | Kind::Unknown => Lives::default(),
        });
    }
    check_cycles(names, &lives, sink);
    find_roots(&mut lives);
    lives
}

/// Sets every root. Each step to a parent is taken once, however long the chains are.
fn find_roots(lives: &mut [Lives]) {
    let mut walked = vec![false; lives.len()];
    for start in 0..lives.len() {
        let mut path = Vec::new();
        let mut at = start;
        while !walked[at] {
            // Marked before the walk goes on, so that a circle ends it.
            walked[at] = true;
            path.push(at);
            match lives[at].parent {
                Some(parent) => at = parent,
                None => lives[at].root = at,
            }
        }
        let root = lives[at].root;
        for i in path {
            lives[i].root = root;
        }
    }
}

fn local_home() -> ScopeTemplate {
    ScopeTemplate {
        source: LOCAL_HOME.to_owned(),
        parts: vec![ScopePart::Text(LOCAL_HOME.to_owned())],
    }
}

fn check_id(t: &TypeInfo, sink: &mut Sink) {
    let Some(id) = t.member("id") else {
        sink.report(
            code::NO_ID,
            &t.decl.name.span,
            format!("`{}` has no id", t.name()),
            format!("Write `type {} … {{ id: ID! … }}`.", t.name()),
        );
        return;
    };
    if id.decl.ty.to_string() != "ID!" {
        sink.report(
            code::NO_ID,
            &id.decl.ty.span,
            format!("the id of `{}` is `{}`", t.name(), id.decl.ty),
            "Write `id: ID!`. An ID is any text, so a number or a code of your own fits too.",
        );
    }
}

fn entity_home(names: &Names, t: &TypeInfo, sink: &mut Sink) -> Lives {
    let Some(entity) = t.uses.get("entity") else {
        return Lives::default();
    };
    if entity.arg("strategy").is_none() && !entity.flawed {
        sink.report(
            code::NO_STRATEGY,
            &entity.span,
            format!("`{}` does not say how its conflicts are settled", t.name()),
            "Write `strategy: LAST_WRITE_WINS`: the newest value of each field wins; or \
             `strategy: CRDT` for a type of text, sets and counters that merge.",
        );
    }
    match (entity.text("scope"), entity.text("parent")) {
        (Some(scope), None) => Lives {
            home: scopes::resolve(names, t, scope, Role::Home, sink).map(Home::Scope),
            ..Lives::default()
        },
        (None, Some(_)) => parent_home(names, t, entity, sink).unwrap_or_default(),
        (Some(_), Some((_, parent))) => {
            let scope = &entity.arg("scope").expect("matched above").span;
            sink.report(
                code::TWO_HOMES,
                &parent.span,
                format!("`{}` has both a scope and a parent", t.name()),
                "Remove `scope`: a child lives in its parent's scope. Or remove `parent`.",
            )
            .note(scope, "the scope is here");
            Lives::default()
        }
        (None, None) => {
            if !entity.flawed {
                sink.report(
                    code::NO_HOME,
                    &entity.span,
                    format!("`{}` does not say which scope it lives in", t.name()),
                    "Write `scope: \"team/{team}\"` with a field of the type, or a fixed name \
                     like `scope: \"catalog\"`, or `parent: \"order\"` to live with another entity.",
                );
            }
            Lives::default()
        }
    }
}

fn parent_home(names: &Names, t: &TypeInfo, entity: &Use, sink: &mut Sink) -> Option<Lives> {
    let (name, literal) = entity.text("parent")?;
    let span = literal.inner(0..name.len());
    let Some(member) = t.member(name) else {
        let help = match nearest(name, t.member_names()) {
            Some(near) => format!("Did you mean `{near}`? Write `parent: \"{near}\"`."),
            None => {
                format!("Add the field: `{name}: {} @ref(onDelete: CASCADE)`.", guess(name))
            }
        };
        let message = format!("`{}` has no field `{name}`", t.name());
        sink.report(code::BAD_PARENT, &span, message, help);
        return None;
    };
    if let Some(Named::Type(i)) = names.get(&member.decl.ty.base.text)
        && matches!(names.types[i].kind, Kind::Local | Kind::Value)
    {
        let parent = &names.types[i];
        let kind = if parent.kind == Kind::Local { "@local" } else { "@value" };
        sink.report(
            code::PARENT_NOT_SYNCED,
            &span,
            format!("the parent is `{}`, a {kind} type, which has no scope", parent.name()),
            format!(
                "Make `{}` an @entity, or give `{}` a scope of its own.",
                parent.name(),
                t.name()
            ),
        )
        .note(&parent.decl.name.span, "declared here");
        return None;
    }
    let field = member.field.as_ref()?;
    let wanted = match (&field.kind, &field.reference) {
        (FieldKind::Ref(_), Some(r)) if field.required && r.on_delete == OnDelete::Cascade => {
            let parent = names.types.iter().position(|p| p.id == r.target)?;
            return Some(Lives {
                home: Some(Home::Parent { field: field.id, kind: r.target }),
                parent: Some(parent),
                ..Lives::default()
            });
        }
        (FieldKind::Ref(_), Some(_)) => member.decl.ty.base.text.clone() + "!",
        _ => guess(name),
    };
    sink.report(
        code::BAD_PARENT,
        &span,
        format!("{} `{name}`", why_not(member)),
        format!("Write `{name}: {wanted} @ref(onDelete: CASCADE)`."),
    )
    .note(&member.decl.name.span, "declared here");
    None
}

fn why_not(member: &Member) -> &'static str {
    match &member.field {
        Some(f) if f.reference.is_none() => "a parent is an entity, which is not what is in",
        Some(f) if !f.required => "a child always has its parent, but null is possible in",
        _ => "a child is deleted with its parent, which is not what stands at",
    }
}

/// A type name for help texts: `order` is probably an `Order!`.
fn guess(field: &str) -> String {
    let mut chars = field.chars();
    match chars.next() {
        Some(first) => format!("{}{}!", first.to_ascii_uppercase(), chars.as_str()),
        None => "Order!".into(),
    }
}

/// Reports each cycle of parents once, at its first type.
fn check_cycles(names: &Names, lives: &[Lives], sink: &mut Sink) {
    const NEW: usize = usize::MAX;
    // The walk that first came to a type; a walk that meets itself has found a cycle.
    let mut walk_of = vec![NEW; lives.len()];
    for start in 0..lives.len() {
        let mut at = Some(start);
        while let Some(i) = at
            && walk_of[i] == NEW
        {
            walk_of[i] = start;
            at = lives[i].parent;
        }
        let Some(i) = at.filter(|i| walk_of[*i] == start && lives[*i].parent.is_some()) else {
            continue;
        };
        report_cycle(names, lives, i, sink);
    }
}

/// Types of a cycle that a message names.
const CYCLE_SHOWN_MAX: usize = 8;

fn report_cycle(names: &Names, lives: &[Lives], in_cycle: usize, sink: &mut Sink) {
    let around: Vec<usize> = std::iter::successors(lives[in_cycle].parent, |i| {
        lives[*i].parent.filter(|_| *i != in_cycle)
    })
    .collect();
    let first = *around.iter().min().unwrap_or(&in_cycle);
    let mut chain: Vec<&str> = std::iter::successors(Some(first), |i| lives[*i].parent)
        .take(around.len().min(CYCLE_SHOWN_MAX))
        .map(|i| names.types[i].name())
        .collect();
    chain.push(if around.len() > CYCLE_SHOWN_MAX { "…" } else { names.types[first].name() });
    let t = &names.types[first];
    let span = match t.uses.get("entity").and_then(|e| e.text("parent")) {
        Some((_, literal)) => &literal.span,
        None => &t.decl.name.span,
    };
    sink.report(
        code::PARENT_CYCLE,
        span,
        format!("`{}` is its own ancestor: {}", t.name(), chain.join(" → ")),
        "Give one of them a `scope` in place of its `parent`.",
    );
}
