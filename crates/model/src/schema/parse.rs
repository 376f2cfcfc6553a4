//! From text to declarations.
//!
//! The GraphQL grammar is apollo-parser's, which goes on after an error. Landfall adds one thing
//! to it: `hide` and `write` may name a child's field with a dot, `OrderLine.quantity`, which
//! GraphQL has no token for. The parser therefore reads a copy in which such a dot is a `_`;
//! offsets are the same in both, and every name is taken from the original. Strings that do not
//! end on their line are blanked in the copy: else all quotes after them would be turned round.

use super::ast::*;
use super::diagnostic::{Sink, Span, code};
use super::recover::{self, Extent};
use apollo_parser::cst::{self, CstNode};
use apollo_parser::{Parser, SyntaxKind, SyntaxNode};

/// Largest schema file, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;

/// Most tokens in a schema, white space and comments included.
pub const TOKENS_MAX: usize = 400_000;

/// Deepest nesting of lists and values.
pub const NESTING_MAX: usize = 16;

/// Reads a schema's text. What cannot be read is reported, the rest is returned.
pub(super) fn parse(source: &str, sink: &mut Sink) -> Option<Document> {
    if source.len() > SOURCE_BYTES_MAX {
        sink.report(
            code::FILE_TOO_LARGE,
            &(0..0),
            format!("the file has {} bytes", source.len()),
            format!("A schema has at most {SOURCE_BYTES_MAX} bytes. Is this the right file?"),
        );
        return None;
    }
    let (shadow, open_strings) = shadow_of(source);
    let tree = Parser::new(&shadow).recursion_limit(NESTING_MAX).token_limit(TOKENS_MAX).parse();
    if let Some(limit) = tree.errors().find(|e| e.is_limit()) {
        report_limit(source, limit, sink);
        return None;
    }
    let definitions: Vec<cst::Definition> = tree.document().definitions().collect();
    let extents: Vec<Extent> = definitions.iter().map(extent).collect();
    let mut errors: Vec<_> = tree.errors().cloned().collect();
    // An empty file is a schema without an entity; that says it better.
    errors.retain(|e| e.message() != "Unexpected <EOF>.");
    errors.extend(open_strings.into_iter().map(|span| {
        let text = source[span.clone()].to_owned();
        apollo_parser::Error::with_loc(recover::OPEN_STRING, text, span.start)
    }));
    let readable = recover::report(source, &errors, &extents, sink);

    let mut reader = Reader { source, sink, document: Document::default() };
    for (definition, _) in definitions.into_iter().zip(readable).filter(|(_, readable)| *readable) {
        reader.definition(definition);
        if reader.sink.is_full() {
            break;
        }
    }
    let mut document = reader.document;
    document.damaged = !errors.is_empty();
    if document.damaged {
        document.unreadable = recover::declared_names(source);
    }
    Some(document)
}

fn report_limit(source: &str, limit: &apollo_parser::Error, sink: &mut Sink) {
    let start = super::diagnostic::floor_char_boundary(source, limit.index());
    let at = start..start + source[start..].chars().next().map_or(0, char::len_utf8);
    if limit.message().contains("recursion") {
        sink.report(
            code::LIMIT,
            &at,
            format!("lists and values are nested more than {NESTING_MAX} deep"),
            "No field needs a list of lists: write `[Type!]`.",
        );
    } else {
        sink.report(
            code::LIMIT,
            &at,
            format!("the file has more than {TOKENS_MAX} words and signs"),
            "Is this the right file? A schema is written by hand and much smaller.",
        );
    }
}

fn extent(definition: &cst::Definition) -> Extent {
    let node = definition.syntax();
    let bare = matches!(definition, cst::Definition::OperationDefinition(_))
        && node.first_token().is_some_and(|t| t.text() == "{");
    Extent { start: node.text_range().start().into(), bare }
}

/// The source with the dot of every `Name.name` outside strings and comments replaced by `_`,
/// and with blanks for strings that do not end; and where these are.
fn shadow_of(source: &str) -> (String, Vec<Span>) {
    let mut bytes = source.as_bytes().to_vec();
    let mut open_strings = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &source.as_bytes()[i..];
        i += match rest[0] {
            b'#' => line_length(rest),
            b'"' => string_length(rest).unwrap_or_else(|| {
                let length = line_length(rest);
                bytes[i..i + length].fill(b' ');
                open_strings.push(i..i + length);
                length
            }),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let word = word_length(rest);
                let dotted = rest.get(word) == Some(&b'.')
                    && rest.get(word + 1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
                if dotted {
                    bytes[i + word] = b'_';
                }
                word + usize::from(dotted)
            }
            // A number's letters and digits are no name: `1e3.x`.
            b'0'..=b'9' => word_length(rest),
            _ => 1,
        };
    }
    (String::from_utf8(bytes).expect("whole characters were replaced by ASCII"), open_strings)
}

fn word_length(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| !matches!(b, b'\n' | b'\r')).count()
}

/// The length of a string with its quotes; `None` if its line ends before it does. A block string
/// that does not end is left to the parser.
fn string_length(rest: &[u8]) -> Option<usize> {
    let block = rest.starts_with(b"\"\"\"");
    let mut i = if block { 3 } else { 1 };
    while i < rest.len() {
        let here = &rest[i..];
        if block && here.starts_with(b"\\\"\"\"") {
            i += 4;
        } else if block && here.starts_with(b"\"\"\"") {
            return Some(i + 3);
        } else if block {
            i += 1;
        } else {
            match here[0] {
                b'"' => return Some(i + 1),
                b'\n' | b'\r' => return None,
                // A line's end is never escaped.
                b'\\' if !matches!(here.get(1), Some(b'\n' | b'\r')) => i += 2,
                _ => i += 1,
            }
        }
    }
    block.then_some(rest.len())
}

/// Turns readable definitions into declarations.
struct Reader<'a> {
    source: &'a str,
    sink: &'a mut Sink,
    document: Document,
}

impl Reader<'_> {
    fn definition(&mut self, definition: cst::Definition) {
        match &definition {
            cst::Definition::ObjectTypeDefinition(d) => {
                if let Some(decl) = self.type_decl(d) {
                    self.document.types.push(decl);
                }
            }
            cst::Definition::EnumTypeDefinition(d) => {
                if let Some(decl) = self.enum_decl(d) {
                    self.document.enums.push(decl);
                }
            }
            other => self.refuse(other),
        }
    }

    /// Says what to write in place of a definition that only an API schema has.
    fn refuse(&mut self, definition: &cst::Definition) {
        use cst::Definition as D;
        let span = self.head(definition.syntax());
        if let Some(name) = definition.name() {
            let name = self.name(&name).text;
            self.document.unreadable.push(name);
        }
        if definition.is_extension_definition() {
            self.sink.report(
                code::EXTEND,
                &span,
                "a schema is one file, so nothing is extended",
                "Write the fields and directives into the definition itself.",
            );
            return;
        }
        let (what, help) = match definition {
            D::InterfaceTypeDefinition(_) => (
                "interfaces",
                "Write the shared fields into each type, or put them into a `@value` type that each type has a field of.",
            ),
            D::UnionTypeDefinition(_) => (
                "unions",
                "Use one type with an enum field that says which case it is, and optional fields for the cases.",
            ),
            D::InputObjectTypeDefinition(_) => (
                "inputs",
                "Inputs are generated from the types. For an object that is written as a whole use `type Name @value { … }`.",
            ),
            D::ScalarTypeDefinition(_) => {
                let help = "The scalars are built in; use the one that stores what you need, for example `String`.";
                ("scalars of your own", help)
            }
            D::DirectiveDefinition(_) => {
                ("directives of your own", "Landfall's directives are built in: remove this.")
            }
            D::SchemaDefinition(_) => {
                ("a `schema` block", "The API is generated from the types: remove this.")
            }
            _ => ("queries", "The file declares types only: remove this."),
        };
        self.sink.report(
            code::NOT_IN_LANGUAGE,
            &span,
            format!("a Landfall schema does not have {what}"),
            help,
        );
    }

    fn type_decl(&mut self, d: &cst::ObjectTypeDefinition) -> Option<TypeDecl> {
        let name = self.name(&d.name()?);
        if ["Query", "Mutation", "Subscription"].contains(&name.text.as_str()) {
            self.sink.report(
                code::NOT_IN_LANGUAGE,
                &name.span,
                format!("a Landfall schema does not have `type {}`", name.text),
                "The API is generated from the entity types: remove this type.",
            );
            self.document.unreadable.push(name.text);
            return None;
        }
        if let Some(implements) = d.implements_interfaces() {
            let span = self.span(implements.syntax());
            self.sink.report(
                code::IMPLEMENTS,
                &span,
                "a Landfall schema does not have interfaces",
                format!("Remove this: `type {} @entity(…) {{ … }}`.", name.text),
            );
        }
        let fields = d.fields_definition().map(|f| f.field_definitions().collect::<Vec<_>>());
        Some(TypeDecl {
            doc: self.doc(d.description()),
            directives: self.directives(d.directives()),
            fields: fields.iter().flatten().filter_map(|f| self.field(f)).collect(),
            name,
        })
    }

    fn field(&mut self, f: &cst::FieldDefinition) -> Option<FieldDecl> {
        let name = self.name(&f.name()?);
        if let Some(arguments) = f.arguments_definition() {
            let span = self.span(arguments.syntax());
            self.sink.report(
                code::FIELD_ARGUMENTS,
                &span,
                "a field of a Landfall schema stores a value and takes no arguments",
                format!("Remove them: `{}: Type`.", name.text),
            );
        }
        Some(FieldDecl {
            doc: self.doc(f.description()),
            ty: self.type_ref(&f.ty()?)?,
            directives: self.directives(f.directives()),
            name,
        })
    }

    fn type_ref(&mut self, ty: &cst::Type) -> Option<TypeRef> {
        let span = self.span(ty.syntax());
        let (named, list, required) = match ty {
            cst::Type::NamedType(n) => (n.clone(), None, false),
            cst::Type::ListType(l) => {
                let (n, list) = list_of(l)?;
                (n, Some(list), false)
            }
            cst::Type::NonNullType(t) => match (t.named_type(), t.list_type()) {
                (Some(n), _) => (n, None, true),
                (None, Some(l)) => {
                    let (n, list) = list_of(&l)?;
                    (n, Some(list), true)
                }
                (None, None) => return None,
            },
        };
        Some(TypeRef { base: self.name(&named.name()?), list, required, span })
    }

    fn enum_decl(&mut self, d: &cst::EnumTypeDefinition) -> Option<EnumDecl> {
        let name = self.name(&d.name()?);
        let values = d.enum_values_definition();
        let values = values.iter().flat_map(cst::EnumValuesDefinition::enum_value_definitions);
        Some(EnumDecl {
            doc: self.doc(d.description()),
            directives: self.directives(d.directives()),
            values: values
                .filter_map(|v| {
                    Some(EnumValueDecl {
                        name: self.name(&v.enum_value()?.name()?),
                        directives: self.directives(v.directives()),
                    })
                })
                .collect(),
            name,
        })
    }

    fn doc(&mut self, d: Option<cst::Description>) -> Option<String> {
        let text = String::from(d?.string_value()?);
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    fn directives(&mut self, d: Option<cst::Directives>) -> Vec<Directive> {
        let list = d.iter().flat_map(cst::Directives::directives);
        list.filter_map(|d| {
            let name = self.name(&d.name()?);
            let arguments = d.arguments();
            let arguments = arguments.iter().flat_map(cst::Arguments::arguments);
            let args: Vec<Option<Argument>> =
                arguments.map(|a| self.argument(&a, &name.text)).collect();
            Some(Directive {
                incomplete: args.iter().any(Option::is_none),
                args: args.into_iter().flatten().collect(),
                span: self.span(d.syntax()),
                name,
            })
        })
        .collect()
    }

    fn argument(&mut self, a: &cst::Argument, directive: &str) -> Option<Argument> {
        let name = self.name(&a.name()?);
        let Some(value) = a.value() else {
            self.sink.report(
                code::SYNTAX,
                &name.span,
                format!("`{}` has no value", name.text),
                format!("Write `@{directive}({}: …)`.", name.text),
            );
            return None;
        };
        Some(Argument { value: self.literal(&value), name })
    }

    fn literal(&mut self, value: &cst::Value) -> Literal {
        let span = self.span(value.syntax());
        let text = &self.source[span.clone()];
        let kind = match value {
            cst::Value::IntValue(_) | cst::Value::FloatValue(_) => {
                LiteralKind::Number(text.to_owned())
            }
            cst::Value::StringValue(s) => LiteralKind::String {
                plain: !text.starts_with("\"\"\"") && !text.contains('\\'),
                value: String::from(s),
            },
            cst::Value::BooleanValue(_) => LiteralKind::Boolean(text == "true"),
            cst::Value::NullValue(_) => LiteralKind::Null,
            cst::Value::EnumValue(_) | cst::Value::Variable(_) => {
                LiteralKind::Name(text.to_owned())
            }
            cst::Value::ListValue(l) => {
                LiteralKind::List(l.values().map(|v| self.literal(&v)).collect())
            }
            cst::Value::ObjectValue(_) => LiteralKind::Object,
        };
        Literal { kind, span }
    }

    /// A name where no dot may be.
    fn name(&mut self, name: &cst::Name) -> Name {
        let span = self.span(name.syntax());
        let text = self.source[span.clone()].to_owned();
        if text.contains('.') {
            self.sink.report(
                code::SYNTAX,
                &span,
                format!("`{text}` is not a name here"),
                "Only `hide` and `write` use a dot, between a child type and its field.",
            );
        }
        Name { text, span }
    }

    /// The keyword and name that begin a definition, without its description and body.
    fn head(&self, node: &SyntaxNode) -> Span {
        let whole = self.span(node);
        let keyword = node
            .children_with_tokens()
            .find(|c| c.kind() != SyntaxKind::DESCRIPTION && !is_trivia(c.kind()));
        let start = keyword.map_or(whole.start, |k| k.text_range().start().into());
        let name = node.children().find(|c| c.kind() == SyntaxKind::NAME);
        let end = match name {
            Some(name) => self.span(&name).end,
            None => start + word_length(&self.source.as_bytes()[start..]).max(1),
        };
        start..end.max(start)
    }

    /// A node's span without the white space, commas and comments around it.
    fn span(&self, node: &SyntaxNode) -> Span {
        let mut tokens = node
            .descendants_with_tokens()
            .filter(|t| t.as_token().is_some_and(|t| !is_trivia(t.kind())));
        let Some(first) = tokens.next() else {
            let at: usize = node.text_range().start().into();
            return at..at;
        };
        let last = tokens.last().unwrap_or_else(|| first.clone());
        first.text_range().start().into()..last.text_range().end().into()
    }
}

fn is_trivia(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT | SyntaxKind::COMMA)
}

/// The innermost type of a list.
fn list_of(list: &cst::ListType) -> Option<(cst::NamedType, List)> {
    let nested = |l: &cst::ListType| {
        let (named, _) = list_of(l)?;
        Some((named, List { element_required: true, nested: true }))
    };
    match list.ty()? {
        cst::Type::NamedType(n) => Some((n, List { element_required: false, nested: false })),
        cst::Type::ListType(l) => nested(&l),
        cst::Type::NonNullType(t) => match (t.named_type(), t.list_type()) {
            (Some(n), _) => Some((n, List { element_required: true, nested: false })),
            (None, Some(l)) => nested(&l),
            (None, None) => None,
        },
    }
}
