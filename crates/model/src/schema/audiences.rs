//! Audiences: who else sees an entity, and which columns.

use super::ast::Literal;
use super::diagnostic::{Sink, Span, code};
use super::directives::Use;
use super::homes::Lives;
use super::names::{Kind, Named, Names, TypeInfo};
use super::scopes::{self, Role};
use super::{Audience, Home, ScopeTemplate};
use crate::id::{FieldId, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// Children that a help text lists.
const CHILDREN_SHOWN_MAX: usize = 12;

/// A column of the entity or of a child.
type Column = (TypeId, FieldId);

/// Resolves the audiences of the type at `index`.
pub(super) fn resolve(
    names: &Names,
    lives: &[Lives],
    index: usize,
    sink: &mut Sink,
) -> Vec<Audience> {
    let t = &names.types[index];
    let mut audiences = Vec::new();
    let mut scopes_seen: BTreeMap<String, Span> = BTreeMap::new();
    if let Some(home) = home_scope(&lives[index])
        && let Some((_, literal)) = t.uses.get("entity").and_then(|e| e.text("scope"))
    {
        scopes_seen.insert(home.source.clone(), literal.span.clone());
    }
    for u in t.uses.all("audience") {
        if sink.is_full() || !may_have_audience(names, lives, index, u, sink) {
            break;
        }
        let scope = u.text("scope").and_then(|scope| {
            let template = scopes::resolve(names, t, scope, Role::Audience, sink)?;
            report_two_that_change(t, home_scope(&lives[index]), &template, &scope.1.span, sink);
            if let Some(first) = scopes_seen.get(&template.source) {
                report_twice(&template, &scope.1.span, first, sink);
            } else {
                scopes_seen.insert(template.source.clone(), scope.1.span.clone());
            }
            Some(template)
        });
        let list = Lists { names, lives, index, scope: scope.as_ref() };
        let hide = list.columns(u, "hide", sink);
        let write = list.columns(u, "write", sink);
        report_hidden_and_written(&hide, &write, sink);
        audiences.extend(scope.map(|scope| Audience {
            scope,
            hide: hide.into_iter().map(|c| c.0).collect(),
            write: write.into_iter().map(|c| c.0).collect(),
            create: u.flag("create"),
            delete: u.flag("delete"),
        }));
    }
    audiences
}

fn home_scope(lives: &Lives) -> Option<&ScopeTemplate> {
    match &lives.home {
        Some(Home::Scope(template)) => Some(template),
        _ => None,
    }
}

/// Two devices may each change one of two fields: the merged entity is then in a scope that no
/// write named, and has passed by others that no region can list.
fn report_two_that_change(
    t: &TypeInfo,
    home: Option<&ScopeTemplate>,
    template: &ScopeTemplate,
    span: &Span,
    sink: &mut Sink,
) {
    let id = t.member("id").map(|m| m.id);
    let fixed = |f: &FieldId| Some(*f) == id || home.is_some_and(|h| h.fields().any(|h| h == *f));
    let changing: BTreeSet<FieldId> = template.fields().filter(|f| !fixed(f)).collect();
    if changing.len() < 2 {
        return;
    }
    let changing = t.members.iter().filter(|m| changing.contains(&m.id));
    let names: Vec<_> = changing.map(|m| format!("`{}`", m.decl.name.text)).collect();
    sink.report(
        code::AUDIENCE_FIELDS_CHANGE,
        span,
        format!("{} can each change by itself, and an audience follows one field", names.join(" and ")),
        "Read one of them here, beside `id` and the fields of the home scope. Or keep them in one field that is written as one, like `driverDay: ID`.",
    );
}

fn report_twice(template: &ScopeTemplate, span: &Span, first: &Span, sink: &mut Sink) {
    sink.report(
        code::AUDIENCE_TWICE,
        span,
        format!("the scope \"{}\" already sees this type", template.source),
        "Remove this audience, or put its lists into the first. The home scope sees and writes everything.",
    )
    .note(first, "first named here");
}

fn may_have_audience(
    names: &Names,
    lives: &[Lives],
    index: usize,
    u: &Use,
    sink: &mut Sink,
) -> bool {
    let t = &names.types[index];
    match t.kind {
        Kind::Local | Kind::Value => {
            let kind = if t.kind == Kind::Local { "@local" } else { "@value" };
            sink.report(
                code::AUDIENCE_NOT_SYNCED,
                &u.span,
                format!("`{}` is {kind}, so it has no audience", t.name()),
                format!("Remove @audience, or write `@entity(strategy: LAST_WRITE_WINS, scope: \"…\")` in place of {kind}."),
            );
            return false;
        }
        Kind::Entity | Kind::Unknown => {}
    }
    let parent = t.uses.get("entity").and_then(|e| e.text("parent"));
    if let Some((_, parent)) = parent {
        let owner = lives[index].parent.map_or("its parent", |p| names.types[p].name());
        sink.report(
            code::CHILD_AUDIENCE,
            &u.span,
            format!("`{}` is a child, and children share their parent's audiences", t.name()),
            format!("Move this to {owner}, and name fields there as `{}.field`.", t.name()),
        )
        .note(&parent.span, "a child by this");
        return false;
    }
    t.kind == Kind::Entity
}

/// One audience's lists of fields, and what they are checked against.
struct Lists<'a> {
    names: &'a Names<'a>,
    lives: &'a [Lives],
    index: usize,
    scope: Option<&'a ScopeTemplate>,
}

impl Lists<'_> {
    fn columns(&self, u: &Use, list: &str, sink: &mut Sink) -> Vec<(Column, Span)> {
        let mut columns: Vec<(Column, Span)> = Vec::new();
        let mut seen: BTreeMap<Column, Span> = BTreeMap::new();
        for (name, literal) in u.fields(list) {
            if sink.is_full() {
                break;
            }
            let Some((t, column)) = self.column(name, literal, sink) else {
                continue;
            };
            if let Some(first) = seen.insert(column, literal.span.clone()) {
                let message = format!("`{name}` stands in `{list}` twice");
                sink.report(code::AUDIENCE_FIELD_TWICE, &literal.span, message, "Remove one.")
                    .note(&first, "first listed here");
                continue;
            }
            let allowed = match list {
                "hide" => self.check_hide(t, name, column, literal, sink),
                _ => self.check_write(t, name, column, literal, sink),
            };
            if allowed {
                columns.push((column, literal.span.clone()));
            }
        }
        columns
    }

    /// The column that `field` or `Child.field` names, and its type.
    fn column(&self, name: &str, literal: &Literal, sink: &mut Sink) -> Option<(usize, Column)> {
        let own = &self.names.types[self.index];
        let (index, field) = match name.split_once('.') {
            None => (self.index, name),
            Some((child, field)) => (self.child(child, literal, sink)?, field),
        };
        let t = &self.names.types[index];
        if let Some(member) = t.member(field) {
            return Some((index, (t.id, member.id)));
        }
        let near = sink.did_you_mean(field, t.member_names());
        let help = match self.child_with(field) {
            Some(child) if index == self.index && near.is_empty() => {
                format!("For the child's field write `{child}.{field}`.")
            }
            _ if index != self.index => format!("{near}Write a field of `{}`.", t.name()),
            _ => {
                format!("{near}Write a field of `{}`, or of a child as `Child.field`.", own.name())
            }
        };
        sink.report(
            code::AUDIENCE_FIELD_UNKNOWN,
            &literal.span,
            format!("`{}` has no field `{field}`", t.name()),
            help,
        );
        None
    }

    /// A type that is this one or descends from it.
    fn child(&self, name: &str, literal: &Literal, sink: &mut Sink) -> Option<usize> {
        let own = self.names.types[self.index].name();
        match self.names.get(name) {
            Some(Named::Unreadable) => return None,
            Some(Named::Type(i)) if self.descends(i) => return Some(i),
            // Its home has an error of its own.
            Some(Named::Type(i)) if self.lives[i].home.is_none() => return None,
            _ => {}
        }
        let children: Vec<&str> =
            self.descendants().map(TypeInfo::name).take(CHILDREN_SHOWN_MAX).collect();
        let near = sink.did_you_mean(name, children.iter().copied());
        let help = if children.is_empty() {
            format!("`{own}` has no children. A child says `@entity(strategy: …, parent: \"…\")`.")
        } else {
            format!("{near}Its children are {}.", children.join(", "))
        };
        let message = format!("`{name}` is no child of `{own}`");
        sink.report(code::AUDIENCE_FIELD_UNKNOWN, &literal.span, message, help);
        None
    }

    /// Only a topmost type has audiences, so its descendants are those that have it as root.
    fn descends(&self, index: usize) -> bool {
        self.lives[index].root == self.index
    }

    fn descendants(&self) -> impl Iterator<Item = &TypeInfo<'_>> {
        let others = (0..self.lives.len()).filter(|i| *i != self.index && self.descends(*i));
        others.map(|i| &self.names.types[i])
    }

    fn child_with(&self, field: &str) -> Option<&str> {
        self.descendants().find(|t| t.member(field).is_some()).map(TypeInfo::name)
    }

    /// What decides delivery must reach everyone that it is delivered to.
    fn check_hide(
        &self,
        t: usize,
        name: &str,
        (_, field): Column,
        literal: &Literal,
        sink: &mut Sink,
    ) -> bool {
        let own = t == self.index;
        let reads =
            |s: Option<&ScopeTemplate>| own && s.is_some_and(|s| s.fields().any(|f| f == field));
        let why = if self.is_id(t, field) {
            "an entity has no name without it"
        } else if self.is_parent(t, field) {
            "a child cannot be found without its parent"
        } else if reads(home_scope(&self.lives[self.index])) {
            "the home scope reads it, and an entity's name holds its home scope"
        } else if reads(self.scope) {
            "this audience's own scope reads it"
        } else if self.names.types[t].members.iter().any(|m| m.id == field && m.uses.has("window"))
        {
            "a device could not tell which rows are young enough to keep"
        } else {
            return true;
        };
        let message = format!("`{name}` cannot be hidden: {why}");
        sink.report(code::CANNOT_HIDE, &literal.span, message, "Remove it from `hide`.");
        false
    }

    /// An audience's own scope fields may be written: that is how its members hand an entity on.
    fn check_write(
        &self,
        t: usize,
        name: &str,
        (_, field): Column,
        literal: &Literal,
        sink: &mut Sink,
    ) -> bool {
        let home = home_scope(&self.lives[self.index]);
        if self.is_id(t, field) || self.is_parent(t, field) {
            let message = format!("`{name}` is fixed when the entity is created");
            sink.report(code::CANNOT_WRITE, &literal.span, message, "Remove it from `write`.");
            return false;
        }
        if t == self.index && home.is_some_and(|h| h.fields().any(|f| f == field)) {
            let own = &self.names.types[self.index];
            let scope = own.uses.get("entity").and_then(|e| e.arg("scope"));
            let span = scope.map_or(&own.decl.name.span, |s| &s.span);
            sink.report(
                code::SCOPE_FIELD_CHANGES,
                &literal.span,
                format!("a home scope never changes, so `{name}` cannot be written"),
                "Remove it from `write`. To move an entity, delete it here and create it there.",
            )
            .note(span, "the home scope reads it here");
            return false;
        }
        true
    }

    fn is_id(&self, t: usize, field: FieldId) -> bool {
        self.names.types[t].member("id").is_some_and(|m| m.id == field)
    }

    fn is_parent(&self, t: usize, field: FieldId) -> bool {
        matches!(self.lives[t].home, Some(Home::Parent { field: parent, .. }) if parent == field)
    }
}

fn report_hidden_and_written(hide: &[(Column, Span)], write: &[(Column, Span)], sink: &mut Sink) {
    let hidden: BTreeMap<Column, &Span> = hide.iter().map(|(c, s)| (*c, s)).collect();
    for (column, span) in write {
        if let Some(first) = hidden.get(column) {
            sink.report(
                code::AUDIENCE_FIELD_TWICE,
                span,
                "who cannot see a field cannot write it",
                "Remove it from `hide` or from `write`.",
            )
            .note(first, "hidden here");
        }
    }
}
