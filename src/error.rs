//! What a caller is told when something can't be done.
//!
//! [`Fault`] is one thing that is wrong, with its place and what would be right; [`Error`] is what every
//! fallible use case returns. This is the only home of `extensions.code`.

use std::fmt;

/// The value of `extensions.code` in an answer's `errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No bearer token, or one that does not hold.
    Unauthenticated,
    /// The caller may see it but not do this to it.
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// A field's value is not acceptable.
    InvalidInput,
    /// A field is missing or blank.
    Required,
    /// The action is not possible from the present stage.
    InvalidTransition,
    /// The lead's limit has passed.
    LeadExpired,
    /// The lead is deactivated or archived: it is read-only.
    LeadInactive,
    /// `expectedVersion` is not the current version, or another caller won.
    Conflict,
    /// The same external reference or key exists with other content, or the same name exists.
    Duplicate,
    /// A subscription can't begin so far back; `Fault::start_after` says where it can.
    CursorExpired,
    /// Too many requests; `Fault::retry_after` says when to come again.
    RateLimited,
    /// The server does not have the document of this hash: send it once with its text.
    PersistedQueryNotFound,
    /// The server does not remember documents by their hash.
    PersistedQueryNotSupported,
    /// The server runs trusted documents alone, and this is none of them.
    DocumentNotTrusted,
    /// The operation is deeper or costs more than the server allows.
    QueryTooComplex,
    /// The server can't answer now; the same call may work later.
    Unavailable,
    /// A fault of the server; its cause is in the log under the request id.
    Internal,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::InvalidInput,
        Self::Required,
        Self::InvalidTransition,
        Self::LeadExpired,
        Self::LeadInactive,
        Self::Conflict,
        Self::Duplicate,
        Self::CursorExpired,
        Self::RateLimited,
        Self::PersistedQueryNotFound,
        Self::PersistedQueryNotSupported,
        Self::DocumentNotTrusted,
        Self::QueryTooComplex,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidInput => "INVALID_INPUT",
            Self::Required => "REQUIRED",
            Self::InvalidTransition => "INVALID_TRANSITION",
            Self::LeadExpired => "LEAD_EXPIRED",
            Self::LeadInactive => "LEAD_INACTIVE",
            Self::Conflict => "CONFLICT",
            Self::Duplicate => "DUPLICATE",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::RateLimited => "RATE_LIMITED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::DocumentNotTrusted => "DOCUMENT_NOT_TRUSTED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// Why it is forbidden, not possible or in conflict: the value of `extensions.reason`, for a client that has words of its
/// own for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The caller has none of the roles that it takes.
    RoleRequired,
    /// It is for members of the other company, or of a company in another part: the source, the receiver, the vendor.
    OtherSide,
    /// It is for the owner alone.
    OwnerOnly,
    /// It is for the author of the comment alone.
    AuthorOnly,
    /// Nobody can: the system does it when the limit passes.
    SystemOnly,
    /// It is a person's decision, not the system's.
    PersonOnly,
    /// The record is no longer with the caller's company, which sees it as it was then.
    NoLongerShared,
    /// The partnership has ended.
    PartnershipEnded,
    /// The workflow came with the server, and is the same for all.
    ShippedWorkflow,
    /// The workflow fixes the field at the present stage or status: it was agreed with the other side.
    FieldFixed,
    /// The action does not begin at the present stage or status, or none leads from there to the one that was asked for.
    WrongStage,
    /// The state of the partnership, task, workflow or marketing list does not allow it.
    WrongState,
    /// The workflow has no such action.
    UnknownAction,
    /// The stage is locked until the vendor has accepted the lead.
    StageLocked,
    /// A condition of the workflow on the other track does not hold.
    GuardFailed,
    /// The time in which a decision can be taken back has passed.
    TooLate,
    /// The lead is active already.
    AlreadyActive,
    /// The limit has not passed yet.
    NotDue,
    /// Leads, opportunities or templates are bound to it.
    InUse,
    /// The template that the workflow shares leads with is missing, or passes them on itself.
    UnfitTemplate,
    /// `expectedVersion` is not the current version.
    VersionOutdated,
    /// Another caller changed the record while this call ran.
    ChangedMeanwhile,
    /// `expectedVersion` was given, and the workflow has no draft that could have it.
    NoDraft,
    /// The event stream is open already, or has an operation of that id.
    StreamTaken,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::RoleRequired,
        Self::OtherSide,
        Self::OwnerOnly,
        Self::AuthorOnly,
        Self::SystemOnly,
        Self::PersonOnly,
        Self::NoLongerShared,
        Self::PartnershipEnded,
        Self::ShippedWorkflow,
        Self::FieldFixed,
        Self::WrongStage,
        Self::WrongState,
        Self::UnknownAction,
        Self::StageLocked,
        Self::GuardFailed,
        Self::TooLate,
        Self::AlreadyActive,
        Self::NotDue,
        Self::InUse,
        Self::UnfitTemplate,
        Self::VersionOutdated,
        Self::ChangedMeanwhile,
        Self::NoDraft,
        Self::StreamTaken,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoleRequired => "ROLE_REQUIRED",
            Self::OtherSide => "OTHER_SIDE",
            Self::OwnerOnly => "OWNER_ONLY",
            Self::AuthorOnly => "AUTHOR_ONLY",
            Self::SystemOnly => "SYSTEM_ONLY",
            Self::PersonOnly => "PERSON_ONLY",
            Self::NoLongerShared => "NO_LONGER_SHARED",
            Self::PartnershipEnded => "PARTNERSHIP_ENDED",
            Self::ShippedWorkflow => "SHIPPED_WORKFLOW",
            Self::FieldFixed => "FIELD_FIXED",
            Self::WrongStage => "WRONG_STAGE",
            Self::WrongState => "WRONG_STATE",
            Self::UnknownAction => "UNKNOWN_ACTION",
            Self::StageLocked => "STAGE_LOCKED",
            Self::GuardFailed => "GUARD_FAILED",
            Self::TooLate => "TOO_LATE",
            Self::AlreadyActive => "ALREADY_ACTIVE",
            Self::NotDue => "NOT_DUE",
            Self::InUse => "IN_USE",
            Self::UnfitTemplate => "UNFIT_TEMPLATE",
            Self::VersionOutdated => "VERSION_OUTDATED",
            Self::ChangedMeanwhile => "CHANGED_MEANWHILE",
            Self::NoDraft => "NO_DRAFT",
            Self::StreamTaken => "STREAM_TAKEN",
        }
    }

    /// The code that it comes with.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::RoleRequired
            | Self::OtherSide
            | Self::OwnerOnly
            | Self::AuthorOnly
            | Self::SystemOnly
            | Self::PersonOnly
            | Self::NoLongerShared
            | Self::PartnershipEnded
            | Self::ShippedWorkflow
            | Self::FieldFixed => ErrorCode::Forbidden,
            Self::WrongStage
            | Self::WrongState
            | Self::UnknownAction
            | Self::StageLocked
            | Self::GuardFailed
            | Self::TooLate
            | Self::AlreadyActive
            | Self::NotDue
            | Self::InUse
            | Self::UnfitTemplate => ErrorCode::InvalidTransition,
            Self::VersionOutdated | Self::ChangedMeanwhile | Self::NoDraft | Self::StreamTaken => ErrorCode::Conflict,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub code: ErrorCode,
    /// Why, where the code alone leaves it open.
    pub reason: Option<Reason>,
    /// What is wrong and what would be right, in a sentence for the caller.
    pub message: String,
    /// The input's path, such as `input.customer.contact.email`.
    pub field: Option<String>,
    /// The workflow action that was asked for.
    pub action: Option<Box<str>>,
    /// The key of the stage as it now is.
    pub stage: Option<Box<str>>,
    /// The version as it now is.
    pub version: Option<i32>,
    /// What else helps the caller.
    pub hint: Option<Hint>,
}

/// What helps a caller besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The place within a document at `field`: a JSON pointer (RFC 6901).
    Pointer(Box<str>),
    /// The cursor to begin after instead.
    StartAfter(Box<str>),
    /// The limit that is exceeded, by its setting's key, and how much it allows.
    Limit(&'static str, u32),
    /// In how many seconds to come again.
    RetryAfter(u32),
}

impl Fault {
    /// A fault without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
            field: None,
            action: None,
            stage: None,
            version: None,
            hint: None,
        }
    }

    /// What is forbidden, not possible or in conflict for that reason, which says which of the three it is.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(reason.code(), message) }
    }

    /// A value that is not acceptable, at the input path `field`.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorCode::InvalidInput, message) }
    }

    /// A value that is missing or blank, at the input path `field`.
    pub fn required(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorCode::Required, message) }
    }

    /// Names the input path.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the action that was asked for.
    pub fn action(mut self, action: impl Into<Box<str>>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Names the stage as it now is.
    pub fn stage(mut self, stage: impl Into<Box<str>>) -> Self {
        self.stage = Some(stage.into());
        self
    }

    /// Names the place within a document.
    pub fn pointer(mut self, pointer: impl Into<Box<str>>) -> Self {
        self.hint = Some(Hint::Pointer(pointer.into()));
        self
    }

    /// The texts of `extensions`, besides the code.
    pub fn extensions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let hint = self.hint.as_ref().and_then(|hint| match hint {
            Hint::Pointer(pointer) => Some(("pointer", &**pointer)),
            Hint::StartAfter(cursor) => Some(("startAfter", &**cursor)),
            Hint::Limit(key, _) => Some(("limit", *key)),
            Hint::RetryAfter(_) => None,
        });
        [
            self.reason.map(|reason| ("reason", reason.as_str())),
            self.field.as_deref().map(|text| ("field", text)),
            self.action.as_deref().map(|text| ("action", text)),
            self.stage.as_deref().map(|text| ("stage", text)),
            hint,
        ]
        .into_iter()
        .flatten()
    }

    /// The numbers of `extensions`.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let hint = match self.hint {
            Some(Hint::Limit(_, maximum)) => Some(("maximum", maximum.into())),
            Some(Hint::RetryAfter(seconds)) => Some(("retryAfter", seconds.into())),
            _ => None,
        };
        [self.version.map(|version| ("version", version.into())), hint].into_iter().flatten()
    }

    /// Names the limit that is exceeded, by its setting's key, and how much it allows.
    pub fn limit(mut self, key: &'static str, maximum: usize) -> Self {
        self.hint = Some(Hint::Limit(key, u32::try_from(maximum).unwrap_or(u32::MAX)));
        self
    }

    /// Names the seconds after which to come again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.hint = Some(Hint::RetryAfter(seconds));
        self
    }

    /// Names the cursor to begin after instead.
    pub fn start_after(mut self, cursor: impl Into<Box<str>>) -> Self {
        self.hint = Some(Hint::StartAfter(cursor.into()));
        self
    }

    /// Names the version as it now is.
    pub fn version(mut self, version: i32) -> Self {
        self.version = Some(version);
        self
    }
}

/// Why a use case did not happen. Nothing has been written when it is returned.
#[derive(Debug)]
pub enum Error {
    /// The caller's doing: one entry in `errors` for each.
    Faults(Vec<Fault>),
    /// The server's doing. The caller sees `INTERNAL` and a request id, never the cause.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One fault without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Fault::new(code, message).into()
    }

    /// There is no such thing, as far as this caller may know. `what` is a noun such as "lead".
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("There is no such {what}."))
    }

    /// What is forbidden, not possible or in conflict for that reason.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        Fault::because(reason, message).into()
    }

    /// A cause that the caller has no part in.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Faults(vec![fault])
    }
}

impl From<Vec<Fault>> for Error {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faults(faults)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => {
                for (i, fault) in faults.iter().enumerate() {
                    if i > 0 {
                        f.write_str("; ")?;
                    }
                    if let Some(field) = &fault.field {
                        write!(f, "{field}: ")?;
                    }
                    f.write_str(&fault.message)?;
                }
                Ok(())
            }
            Self::Internal(cause) => write!(f, "internal fault: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
