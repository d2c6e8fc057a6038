//! Where what we make of a document is meant to differ from what graphql-js makes of it.

use super::agree::{Answer, Case, Outcome};

/// A difference that is meant.
pub struct Exception {
    pub why: &'static str,
    /// Whether this one is such a difference.
    pub covers: fn(&Case, &Outcome) -> bool,
}

/// All of them.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        why: "null by a variable, for what may not be null and has a default: refused here before anything is executed; \
              in graphql-js a field fails, if it is reached",
        covers: |case, ours| {
            let why = refused_here_alone(case, ours);
            why.is_some_and(|why| {
                why.contains("must not be null")
                    && [&case.asked.variables, &case.asked.query].iter().any(|it| it.contains("null"))
            })
        },
    },
    Exception {
        why: "the default of an input object by introspection: as it is written in the schema, as graphql-js 17 does; \
              graphql-js 16 writes the defaults of its fields too",
        covers: |case, ours| match (&case.theirs, ours) {
            (Outcome::Accepted { answers: theirs, .. }, Outcome::Accepted { answers: ours, .. }) => {
                let written = |it: &Answer| it.data.replace("{x: 1, y: 7, label: null}", "{x: 1}");
                theirs.iter().map(written).eq(ours.iter().map(|it| it.data.clone()))
            }
            _ => false,
        },
    },
    Exception {
        why: "@skip or @include at the root of a subscription: refused since September 2025, which graphql-js 16 does \
              not know",
        covers: |case, ours| {
            let why = refused_here_alone(case, ours);
            why.is_some_and(|why| why.contains("can not specify @skip") || why.contains("can not specify @include"))
        },
    },
    Exception {
        why: "introspection of lists within lists: bounded here",
        covers: |case, ours| {
            let why = refused_here_alone(case, ours);
            why.is_some_and(|why| why.starts_with("Introspection nests its lists too deep"))
        },
    },
    Exception {
        why: "mutations after one that failed and may not be null: called here, given up in graphql-js; the \
              specification has both",
        covers: |case, ours| match (&case.theirs, ours) {
            (
                Outcome::Accepted { answers: theirs, calls: called },
                Outcome::Accepted { answers: ours, calls: called_here },
            ) => {
                let failed = |answers: &[Answer]| matches!(answers, [it] if it.data == "null" && !it.errors.is_empty());
                failed(theirs)
                    && failed(ours)
                    && called.last().is_some_and(|last| last == "failMust{}")
                    && called_here.starts_with(called)
            }
            _ => false,
        },
    },
    Exception {
        why: "a subscription that fails before its first event: its field is null here, as in an event; in graphql-js \
              there is no data",
        covers: |case, ours| match (&case.theirs, ours) {
            (Outcome::Accepted { answers: theirs, .. }, Outcome::Accepted { answers: ours, .. }) => {
                let ([theirs], [ours]) = (theirs.as_slice(), ours.as_slice()) else { return false };
                let Some([serde_json::Value::String(key)]) = ours.errors.first().and_then(|it| it.path.as_deref())
                else {
                    return false;
                };
                let same_error = theirs.errors.len() == 1
                    && ours.errors.len() == 1
                    && theirs.errors[0].path == ours.errors[0].path
                    && theirs.errors[0].message == "broken";
                case.kind.as_deref() == Some("subscription")
                    && same_error
                    && theirs.data == "null"
                    && ours.data == format!("{{\"{key}\":null}}")
            }
            _ => false,
        },
    },
];

/// All reasons for which we refuse what graphql-js takes.
fn refused_here_alone(case: &Case, ours: &Outcome) -> Option<String> {
    match (&case.theirs, ours) {
        (Outcome::Accepted { .. }, Outcome::Refused { errors }) => {
            Some(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}
