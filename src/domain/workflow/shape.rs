//! What the JSON of a definition may look like: one table, which [`read`](super::read) walks to name every fault of
//! shape, and out of which [`schema`](super::schema) makes the JSON Schema.
//!
//! The types of [`definition`](super::definition) say the same to serde; a test asks serde for the names that it knows
//! and compares, so that the two can't come apart.

use super::check::{
    MAX_ACTIONS, MAX_EFFECTS, MAX_FIELD_RULES, MAX_FIELDS, MAX_GROUPS, MAX_GUARDS, MAX_OPTIONS, MAX_RULES, MAX_STAGES,
    Syntax,
};

/// What one value may be.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// A name in code.
    Key(Syntax),
    /// A name of a stage, or `*`.
    StageOrAny,
    /// The path of a field of a lead or an opportunity.
    Path,
    /// The path of a field of a lead's content, or of what it is part of, or `*`.
    Content,
    /// A name for people.
    Name,
    /// An explanation for people.
    Explanation,
    /// A title of one line.
    Title,
    /// An ISO 8601 duration.
    Duration,
    /// A whole number from 1.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static Words),
    /// An array: how few and how many there may be, and what stands in it.
    List(usize, usize, &'static Shape),
    /// An object.
    Object(&'static Object),
    /// An object of one of several kinds.
    Tagged(&'static Tagged),
}

/// The words that are known at a place.
pub(super) struct Words {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) all: &'static [(&'static str, &'static str)],
}

/// An object and its members.
pub(super) struct Object {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) members: &'static [Member],
}

/// An object whose member `tag` says of which kind it is.
pub(super) struct Tagged {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) tag: &'static str,
    pub(super) kinds: &'static [Object],
}

/// One member of an object.
pub(super) struct Member {
    pub(super) key: &'static str,
    pub(super) required: bool,
    pub(super) shape: Shape,
    pub(super) about: &'static str,
}

const fn must(key: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { key, required: true, shape, about }
}

const fn may(key: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { key, required: false, shape, about }
}

const fn kind(name: &'static str, about: &'static str, members: &'static [Member]) -> Object {
    Object { name, about, members }
}

const STAGE_KEY: Shape = Shape::Key(Syntax::Snake);
const FIELD_KEY: Shape = Shape::Key(Syntax::Camel);
const OPTION_KEY: Shape = Shape::Key(Syntax::Upper);

/// A whole definition.
pub(super) const DEFINITION: Object = Object {
    name: "definition",
    about: "A workflow: stages on one track or two, and the actions that lead from one to another.",
    members: &[
        must("key", Shape::Key(Syntax::Workflow), "Its name in code and in templates, such as partner-lead."),
        must("version", Shape::Count, "Counts from 1. What is on a version stays on it until it is moved on purpose."),
        must("name", Shape::Name, "Its name for people."),
        may("description", Shape::Explanation, "What it is for, in a sentence or two."),
        must("subject", Shape::Word(&SUBJECT), "What runs on it."),
        may("direction", Shape::Word(&DIRECTION), "Which way leads are shared on it; either way where absent."),
        must("tracks", Shape::List(1, 2, &Shape::Object(&TRACK)), "STAGE, and STATUS where a review runs beside it."),
        must("stages", Shape::List(1, MAX_STAGES, &Shape::Object(&STAGE)), "Where something can stand."),
        must("actions", Shape::List(0, MAX_ACTIONS, &Shape::Object(&ACTION)), "How it moves."),
        may(
            "fieldRules",
            Shape::List(0, MAX_FIELD_RULES, &Shape::Object(&FIELD_RULE)),
            "What the source may no longer change of a lead at a stage, and what a change brings about.",
        ),
    ],
};

const SUBJECT: Words = Words {
    name: "subject",
    about: "What runs on a workflow.",
    all: &[("LEAD", "A lead."), ("OPPORTUNITY", "An opportunity.")],
};

const DIRECTION: Words = Words {
    name: "direction",
    about: "Which way leads are shared across a partnership.",
    all: &[
        ("VENDOR_TO_PARTNER", "Passed by the vendor to the partner."),
        ("PARTNER_TO_VENDOR", "Submitted by the partner to the vendor."),
    ],
};

const TRACK: Object = Object {
    name: "track",
    about: "One of the two ways along which a lead moves at once.",
    members: &[
        must("key", Shape::Word(&TRACK_KEY), "Which one."),
        must("initial", STAGE_KEY, "The stage that everything starts in; no end."),
        may(
            "locked",
            Shape::Flag,
            "Whether nothing moves on it until an action with UNLOCK. Only STAGE can be locked.",
        ),
    ],
};

const TRACK_KEY: Words = Words {
    name: "trackKey",
    about: "The tracks.",
    all: &[("STAGE", "Progress: the lead's stage."), ("STATUS", "Review by the vendor: the lead's status.")],
};

const STAGE: Object = Object {
    name: "stage",
    about: "Where something can stand. A key means one stage, whatever its track.",
    members: &[
        must("key", STAGE_KEY, "Its name in code."),
        must("name", Shape::Name, "Its name for people; with a letter or a digit at least."),
        must("kind", Shape::Word(&STAGE_KIND), "What a client can colour and count by, whatever the workflow."),
        may(
            "terminal",
            Shape::Flag,
            "Whether it is an end: only an action with NEW_ASSIGNMENT or REOPEN leads on from it.",
        ),
        may("track", Shape::Word(&TRACK_KEY), "On which track; STAGE where absent."),
        may("reserved", Shape::Flag, "Kept for a company's own actions: no way leads there yet, on purpose."),
    ],
};

const STAGE_KIND: Words = Words {
    name: "stageKind",
    about: "What a client can colour and count by, whatever the workflow.",
    all: &[
        ("OPEN", "Not yet with the other side."),
        ("AWAITING", "Waits for the other side's answer."),
        ("ACTIVE", "Being worked."),
        ("WON", "Ended well."),
        ("LOST", "Ended without success."),
        ("DECLINED", "Refused by the receiver."),
        ("EXPIRED", "Not answered or not worked in time."),
        ("CLOSED", "Ended without an outcome to count."),
    ],
};

const ACTION: Object = Object {
    name: "action",
    about: "What somebody can do: as a rule a move from one stage to another.",
    members: &[
        must("key", STAGE_KEY, "Its name in code, unique within the workflow."),
        must("name", Shape::Name, "Its name for people, as on a button."),
        may("help", Shape::Explanation, "What it does, for people, as beside the button."),
        must(
            "from",
            Shape::List(1, MAX_STAGES, &Shape::StageOrAny),
            "The stages that it is possible from, all on one track. [\"*\"] is any stage at all.",
        ),
        may("to", STAGE_KEY, "The stage that it leads to, on the same track; nowhere where absent."),
        may(
            "allow",
            Shape::List(0, MAX_RULES, &Shape::Object(&RULE)),
            "Who may use it: any one of these rules is enough. Absent for an action of the system alone.",
        ),
        may(
            "system",
            Shape::Flag,
            "Whether the system takes it by itself: when the running counter ends, or when a field is changed whose rule \
             names it.",
        ),
        may("fields", Shape::List(0, MAX_FIELDS, &Shape::Object(&FIELD)), "The form: what the caller fills in."),
        may(
            "exactlyOneOf",
            Shape::List(0, MAX_GROUPS, &Shape::List(2, MAX_FIELDS, &FIELD_KEY)),
            "Groups of fields of which exactly one has to be given.",
        ),
        may("guards", Shape::List(0, MAX_GUARDS, &Shape::Tagged(&GUARD)), "What has to hold of the record besides."),
        may(
            "effects",
            Shape::List(0, MAX_EFFECTS, &Shape::Tagged(&EFFECT)),
            "What it does besides changing the stage.",
        ),
    ],
};

const FIELD_RULE: Object = Object {
    name: "fieldRule",
    about: "What holds of fields of a lead while it stands at a stage: they are fixed, or a change triggers a review.",
    members: &[
        must("at", Shape::List(1, MAX_STAGES, &STAGE_KEY), "The stages at which it holds, on either track."),
        must(
            "fields",
            Shape::List(1, MAX_FIELDS, &Shape::Content),
            "The paths of the fields, or of what they are part of, such as customer. \"*\" is all of the lead's content.",
        ),
        may("except", Shape::List(0, 6, &Shape::Word(&ROLE)), "Who may change them nevertheless."),
        may(
            "review",
            STAGE_KEY,
            "The system action that a change triggers; where absent, the fields are fixed. It is possible from each \
             stage of \"at\".",
        ),
    ],
};

const RULE: Object = Object {
    name: "rule",
    about: "Who may use an action: all that is said here has to hold.",
    members: &[
        must("side", Shape::Word(&RULE_SIDE), "The side of the caller's company."),
        must("roles", Shape::List(1, 6, &Shape::Word(&ROLE)), "The caller has one of these roles."),
        may(
            "ownerOnly",
            Shape::Flag,
            "The caller is the lead's owner on its side; for an opportunity, the responsible member.",
        ),
    ],
};

const RULE_SIDE: Words = Words {
    name: "ruleSide",
    about: "How a rule names the side of a company.",
    all: &[
        ("SOURCE", "The company that created the lead; the only one while it is internal."),
        ("RECEIVER", "The company that answers it; of an opportunity the one that works it."),
        ("VENDOR", "The vendor of the partnership that the lead is shared across."),
        ("PARTNER", "The partner of that partnership."),
        ("STAGE_MOVER", "Whom that partnership's setting stageMovedBy names: the vendor, the partner or both."),
    ],
};

const ROLE: Words = Words {
    name: "role",
    about: "A role that a token gives its member.",
    all: &[
        ("ADMIN", "Manages partnerships and templates, and does all that SALES does."),
        ("SALES", "Works leads and opportunities."),
        ("MARKETEER", "Creates leads and follows those it owns."),
        ("MANAGER", "Oversees leads and follows those it owns."),
        ("INTEGRATION", "A machine: only in a rule for the SOURCE of an action with NEW_ASSIGNMENT."),
        ("VIEWER", "Reads only: in no rule."),
    ],
};

const FIELD: Object = Object {
    name: "field",
    about: "One field of an action's form.",
    members: &[
        must("key", FIELD_KEY, "Its name in the form."),
        must("label", Shape::Name, "Its name for people."),
        may("help", Shape::Explanation, "What to fill in, for people."),
        must("type", Shape::Word(&FIELD_TYPE), "What its value is."),
        may("required", Shape::Flag, "Whether it must be given. A default counts: what is absent takes it."),
        may("requiredWhen", Shape::Object(&WHEN), "Whether it must be given with some values of another field."),
        may("options", Shape::List(1, MAX_OPTIONS, &Shape::Object(&OPTION)), "The values of a CHOICE."),
        may("default", Shape::Text, "What it is where the caller leaves it out, as text."),
        may(
            "defaultFrom",
            Shape::Path,
            "The path of the record's field that it is filled in from where the caller leaves it out.",
        ),
        may("readOnly", Shape::Flag, "Whether it is what it is filled in with, and nothing else."),
    ],
};

const FIELD_TYPE: Words = Words {
    name: "fieldType",
    about: "What a form field's value is. All are JSON strings except where said.",
    all: &[
        ("TEXT", "One line of text."),
        ("LONG_TEXT", "Text of several lines."),
        ("INTEGER", "A whole number (a JSON number)."),
        ("DECIMAL", "A decimal number as a string."),
        ("MONEY", "An object with amount and currency as strings."),
        ("DATE", "A day, 2026-11-21."),
        ("DATE_TIME", "A moment, RFC 3339."),
        ("BOOLEAN", "true or false (a JSON boolean)."),
        ("CHOICE", "One of the field's options."),
        ("MEMBER", "A member of the caller's company, by id."),
        ("OPPORTUNITY", "An opportunity that the caller may see, by id."),
        ("OPPORTUNITY_FORM", "The form of a new opportunity: an object as OpportunityInput."),
        ("PARTNERSHIP", "A partnership of the caller's company, by id."),
        ("LEAD", "A lead that the caller may see, by id."),
    ],
};

const OPTION: Object = Object {
    name: "option",
    about: "One value of a CHOICE.",
    members: &[must("value", OPTION_KEY, "In code."), must("label", Shape::Name, "For people.")],
};

const WHEN: Object = Object {
    name: "when",
    about: "A condition on the form: the field's value is one of these.",
    members: &[
        must("field", FIELD_KEY, "The key of a CHOICE of the same form."),
        must("oneOf", Shape::List(1, MAX_OPTIONS, &OPTION_KEY), "Some of its options."),
    ],
};

const GUARD: Tagged = Tagged {
    name: "guard",
    about: "What has to hold of a record before an action.",
    tag: "need",
    kinds: &[
        kind(
            "FIELDS",
            "These fields of the record are filled in.",
            &[
                must("fields", Shape::List(1, MAX_FIELDS, &Shape::Path), "Their paths, such as qualification.goal."),
                may("when", Shape::Object(&WHEN), "Only with this form; always where absent."),
            ],
        ),
        kind(
            "AT",
            "The other track stands at one of these stages.",
            &[
                must("stages", Shape::List(1, MAX_STAGES, &STAGE_KEY), "Their keys."),
                must("message", Shape::Explanation, "What a caller is told where it doesn't."),
            ],
        ),
        kind(
            "WITHIN",
            "One of the record's dates is no longer ago than this.",
            &[
                must("date", Shape::Word(&DATE_KEY), "Which date; of an opportunity, CLOSED."),
                must("limit", Shape::Duration, "How long at most, an ISO 8601 duration."),
            ],
        ),
    ],
};

const EFFECT: Tagged = Tagged {
    name: "effect",
    about: "What an action does besides changing the stage.",
    tag: "do",
    kinds: &[
        kind(
            "RECORD_DATE",
            "Records the time of the action in one of the dates of the lead.",
            &[must("date", Shape::Word(&DATE_KEY), "Which one.")],
        ),
        kind(
            "START_COUNTER",
            "Starts a counter, in place of any that runs: when it ends the system takes \"then\".",
            &[
                must("limit", Shape::Word(&LIMIT), "Which of the template's limits it runs for."),
                must("then", STAGE_KEY, "The system action that its end triggers."),
                may(
                    "field",
                    FIELD_KEY,
                    "The key of a DATE_TIME field of the form that sets its end instead, where filled in.",
                ),
            ],
        ),
        kind("STOP_COUNTER", "Stops the running counter.", &[]),
        kind("ARCHIVE", "Archives the lead: it is read-only from then on.", &[]),
        kind("UNARCHIVE", "Takes the lead out of the archive.", &[]),
        kind("KEEP_REASON", "Keeps the form field \"reason\" as the reason shown on the lead or opportunity.", &[]),
        kind("KEEP_NOTE", "Keeps the form field \"note\" as the note shown on the lead; an empty one clears it.", &[]),
        kind("KEEP_CODE", "Keeps the form field \"code\" as the code of the last rejection or disqualification.", &[]),
        kind("KEEP_DUPLICATE", "Keeps the form field \"duplicateOf\" as the lead that has priority.", &[]),
        kind("SET_OWNER", "Makes the member of the form field \"owner\" the lead's owner on the caller's side.", &[]),
        kind("UNLOCK", "Unlocks the track STAGE.", &[]),
        kind("LOCK", "Locks the track STAGE again, where it stands.", &[]),
        kind(
            "REOPEN",
            "Takes back a decision: the record leaves the archive, these dates and the reason, code and duplicate that were \
             kept are cleared, and a counter that the decision stopped goes on with the time that was left.",
            &[must("dates", Shape::List(0, 12, &Shape::Word(&DATE_KEY)), "The dates that the decision recorded.")],
        ),
        kind(
            "ACTIVATE",
            "Activates the lead again. The action is offered on deactivated leads, and on no others.",
            &[],
        ),
        kind("DEACTIVATE", "Deactivates the lead: it is read-only, and left out of lists that don't ask for it.", &[]),
        kind(
            "CREATE_OPPORTUNITY",
            "Creates an opportunity out of the form, and links it.",
            &[may("when", Shape::Object(&WHEN), "Only with this form; always where absent.")],
        ),
        kind(
            "CREATE_TASK",
            "Sets a task that only its own side sees.",
            &[
                must("side", Shape::Word(&SIDE), "Whose."),
                must("title", Shape::Title, "What is to be done, in a line."),
                may("dueIn", Shape::Duration, "How long from then it is due, an ISO 8601 duration."),
            ],
        ),
        kind(
            "NOTIFY",
            "Tells one side in its activity.",
            &[must("side", Shape::Word(&SIDE), "Which one."), must("message", Shape::Explanation, "What it is told.")],
        ),
        kind(
            "LINK_OPPORTUNITY",
            "Links the opportunity of the form field \"opportunityId\", or creates the one of \"opportunity\".",
            &[],
        ),
        kind("KEEP_DEAL", "Writes the form fields \"value\" and \"closeDate\", where given, to the opportunity.", &[]),
        kind("END_ASSIGNMENT", "Ends the assignment: the receiver sees nothing newer.", &[]),
        kind(
            "NEW_ASSIGNMENT",
            "Passes the lead to the receiver of the form field \"partnershipId\": a new assignment. All tracks start anew.",
            &[may(
                "template",
                Shape::Key(Syntax::Workflow),
                "The key of the company's template that it goes on with, in place of this workflow.",
            )],
        ),
    ],
};

const SIDE: Words = Words {
    name: "side",
    about: "A side of a shared lead.",
    all: &[("SOURCE", "The company that created the lead."), ("RECEIVER", "The company that answers it.")],
};

const DATE_KEY: Words = Words {
    name: "dateKey",
    about: "The dates that a workflow can record.",
    all: &[
        ("ACCEPTED", "acceptedAt"),
        ("DECLINED", "declinedAt"),
        ("EXPIRED", "expiredAt"),
        ("CONVERTED", "convertedAt"),
        ("CLOSED", "closedAt"),
        ("ASSIGNED", "assignedAt"),
        ("QUALIFIED", "qualifiedAt"),
        ("DISQUALIFIED", "disqualifiedAt"),
        ("REJECTED", "rejectedAt"),
        ("READY_FOR_PAYOUT", "readyForPayoutAt"),
        ("PAID_OUT", "paidOutAt"),
        ("CHECKED", "checkedAt: of the last recurring check"),
    ],
};

const LIMIT: Words = Words {
    name: "limit",
    about: "The limits of a template.",
    all: &[
        ("ANSWER", "From being offered to the answer."),
        ("CONVERT", "From the acceptance to the conversion."),
        ("CHECK", "From one recurring check to the next."),
    ],
};
