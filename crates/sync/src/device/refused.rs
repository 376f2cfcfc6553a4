//! Why an edit was not taken: typed, with a stable code and a sentence.

/// A write that was not made. Nothing of its transaction was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The store failed; the driver rolls back and opens the file anew.
    #[error(transparent)]
    Store(#[from] E),
    /// An edit asks for something that cannot be. The store is untouched.
    #[error("{0}")]
    Refused(RefusedEdit),
}

/// The edit that was refused, and why. Holds names of the schema, and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: edit {edit}{}: {problem}", .problem.code(), field_suffix(.field))]
pub struct RefusedEdit {
    /// Index of the edit in the transaction.
    pub edit: usize,
    /// Name of the field, where one is to blame; of a member of a value object its way down, as
    /// `address.zip`. Where fields of the home scope are missing, the first of them.
    pub field: Option<String>,
    pub problem: Problem,
}

fn field_suffix(field: &Option<String>) -> String {
    field.as_ref().map(|f| format!(", field {f}")).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the schema has no such entity type")]
    UnknownType,
    #[error("the type has no such field")]
    UnknownField,
    #[error("the field does not merge this way: it takes another kind of edit")]
    WrongEdit,
    #[error("the value is not of the field's type")]
    WrongValue,
    #[error("the number is outside of the field's range")]
    OutOfRange,
    #[error("the enum is closed and has no such member")]
    UnknownMember,
    #[error("the field is required")]
    Required,
    #[error("the home scope is not known: the fields that name it are missing")]
    NoHome,
    #[error("the field names the home scope or the id and never changes")]
    FixedHome,
    #[error("a parent never changes")]
    FixedParent,
    #[error("the parent is not on this device")]
    UnknownParent,
    #[error("several entities of this type and id, in different home scopes, are meant")]
    Ambiguous,
    #[error("there is no such entity on this device")]
    NoEntity,
    #[error("an id or a scope is empty or too long")]
    BadName,
    #[error("the edit reaches beyond the end of the text")]
    BeyondText,
    #[error("the stored document cannot be read")]
    UnreadableText,
    #[error("the sum of the increments is too large")]
    Overflow,
    #[error("the op or its transaction is too large to be sent")]
    TooLarge,
    #[error("the op was not refused, or is dismissed")]
    NotRefused,
    #[error("the write, or one that stands on it, may have left this device")]
    AlreadySent,
    #[error("this device has no such write")]
    NoWrite,
    #[error("a later edit of the same text contains this one")]
    BuiltUpon,
    #[error("this device does not know the values of the deleted entity any more")]
    NoLastValues,
    #[error("the type is shared: devices read it, and only who publishes it writes it")]
    Shared,
}

impl Problem {
    /// Stable; each has a row in docs/errors/README.md.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownType => "LF2001",
            Self::UnknownField => "LF2003",
            Self::WrongEdit => "LF2004",
            Self::WrongValue => "LF2005",
            Self::OutOfRange => "LF2006",
            Self::UnknownMember => "LF2007",
            Self::Required => "LF2008",
            Self::NoHome => "LF2009",
            Self::FixedHome => "LF2010",
            Self::FixedParent => "LF2011",
            Self::UnknownParent => "LF2012",
            Self::Ambiguous => "LF2013",
            Self::NoEntity => "LF2014",
            Self::BadName => "LF2015",
            Self::BeyondText => "LF2016",
            Self::UnreadableText => "LF2017",
            Self::Overflow => "LF2018",
            Self::TooLarge => "LF2019",
            Self::NotRefused => "LF2020",
            Self::AlreadySent => "LF2021",
            Self::NoWrite => "LF2022",
            Self::BuiltUpon => "LF2023",
            Self::NoLastValues => "LF2024",
            Self::Shared => "LF2121",
        }
    }
}
