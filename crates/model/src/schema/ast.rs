//! The schema as written: names and spans, nothing resolved yet.

use super::diagnostic::Span;

#[derive(Debug, Default)]
pub(super) struct Document {
    pub types: Vec<TypeDecl>,
    pub enums: Vec<EnumDecl>,
    /// Names that a part with a syntax error may have declared. They count as known, so that one
    /// slip is not followed by an error at each use of the name.
    pub unreadable: Vec<String>,
    /// There was a syntax error, so definitions may be missing here.
    pub damaged: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Name {
    pub text: String,
    pub span: Span,
}

#[derive(Debug)]
pub(super) struct TypeDecl {
    pub name: Name,
    pub doc: Option<String>,
    pub directives: Vec<Directive>,
    pub fields: Vec<FieldDecl>,
}

#[derive(Debug)]
pub(super) struct FieldDecl {
    pub name: Name,
    pub doc: Option<String>,
    pub ty: TypeRef,
    pub directives: Vec<Directive>,
}

/// `T`, `T!`, `[T!]`…
#[derive(Debug)]
pub(super) struct TypeRef {
    pub base: Name,
    pub list: Option<List>,
    /// The outermost `!`.
    pub required: bool,
    pub span: Span,
}

#[derive(Debug)]
pub(super) struct List {
    pub element_required: bool,
    /// `[[T]]`, which no field may be.
    pub nested: bool,
}

#[derive(Debug)]
pub(super) struct EnumDecl {
    pub name: Name,
    pub doc: Option<String>,
    pub directives: Vec<Directive>,
    pub values: Vec<EnumValueDecl>,
}

#[derive(Debug)]
pub(super) struct EnumValueDecl {
    pub name: Name,
    pub directives: Vec<Directive>,
}

#[derive(Debug)]
pub(super) struct Directive {
    pub name: Name,
    pub args: Vec<Argument>,
    /// An argument was written without a value, and reported.
    pub incomplete: bool,
    pub span: Span,
}

#[derive(Debug)]
pub(super) struct Argument {
    pub name: Name,
    pub value: Literal,
}

#[derive(Debug)]
pub(super) struct Literal {
    pub kind: LiteralKind,
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum LiteralKind {
    /// As written: `-12`, `1.50`, `1e3`.
    Number(String),
    String {
        value: String,
        /// Written without escapes between two quotes, so that offsets in `value` are offsets
        /// in the source.
        plain: bool,
    },
    Boolean(bool),
    Null,
    /// `CRDT`, `status` or `OrderLine.quantity`.
    Name(String),
    List(Vec<Literal>),
    Object,
}

impl Literal {
    /// The span of a part of a string literal, or of the whole where escapes hide the part.
    pub fn inner(&self, part: Span) -> Span {
        match self.kind {
            LiteralKind::String { plain: true, .. } => {
                let start = self.span.start + 1;
                start + part.start..start + part.end
            }
            _ => self.span.clone(),
        }
    }
}
