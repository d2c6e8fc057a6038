//! When two answers to one document are the same.

use async_graphql::ServerError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is sent.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    pub query: String,
    /// As JSON, for numbers in each of their spellings.
    pub variables: String,
    pub operation_name: Option<String>,
}

/// A document, and what graphql-js made of it.
#[derive(Debug, Deserialize)]
pub struct Case {
    #[serde(flatten)]
    pub asked: Asked,
    /// Query, mutation or subscription, where it is one.
    pub kind: Option<String>,
    #[serde(flatten)]
    pub theirs: Outcome,
}

/// What came of a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase")]
pub enum Outcome {
    /// Before anything was executed.
    Refused { errors: Vec<Told> },
    /// Executed, where the schema answers. A subscription has an answer an event.
    Accepted {
        #[serde(default)]
        answers: Vec<Answer>,
        /// The mutations that were called.
        #[serde(default)]
        calls: Vec<String>,
    },
}

/// One response.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// As JSON without blanks: the order of its fields counts.
    pub data: String,
    pub errors: Vec<Told>,
}

/// An error.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    pub message: String,
    /// Null for what was refused.
    pub path: Option<Vec<Value>>,
}

/// The first thing in which two outcomes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Verdict,
    Calls,
    /// How many answers there are.
    Answers,
    Data,
    Errors,
}

impl From<ServerError> for Told {
    fn from(error: ServerError) -> Self {
        let path = serde_json::to_value(error.path).expect("names and places");
        Self { message: error.message, path: path.as_array().cloned() }
    }
}

impl From<async_graphql::Response> for Answer {
    fn from(response: async_graphql::Response) -> Self {
        Self {
            data: serde_json::to_string(&response.data).expect("data is JSON"),
            errors: response.errors.into_iter().map(Told::from).collect(),
        }
    }
}

impl Outcome {
    /// In what they differ.
    ///
    /// An error is known by the place of the null that it made, which is its path unless a field that may not be null
    /// stands there. Which of several errors below one null is told the specification leaves open.
    pub fn differs(&self, other: &Self) -> Option<Difference> {
        let (Self::Accepted { answers, calls }, Self::Accepted { answers: others, calls: other_calls }) = (self, other)
        else {
            let both_refused = matches!((self, other), (Self::Refused { .. }, Self::Refused { .. }));
            return (!both_refused).then_some(Difference::Verdict);
        };
        if calls != other_calls {
            return Some(Difference::Calls);
        }
        if answers.len() != others.len() {
            return Some(Difference::Answers);
        }
        answers.iter().zip(others).find_map(|(answer, other)| {
            if answer.data != other.data {
                return Some(Difference::Data);
            }
            (answer.nulls() != other.nulls()).then_some(Difference::Errors)
        })
    }
}

impl Answer {
    /// The places of the nulls that its errors made, each once and in a fixed order.
    fn nulls(&self) -> Vec<Vec<Value>> {
        let data = serde_json::from_str(&self.data).expect("data is JSON");
        let mut places: Vec<_> =
            self.errors.iter().map(|error| null_on(error.path.as_deref().unwrap_or_default(), &data)).collect();
        places.sort_by_key(|place| format!("{place:?}"));
        places.dedup();
        places
    }
}

/// The beginning of a path up to the first null in the data; all of it where there is none.
fn null_on(path: &[Value], data: &Value) -> Vec<Value> {
    let mut at = data;
    let mut place = Vec::new();
    for step in path {
        if at.is_null() {
            break;
        }
        place.push(step.clone());
        let next = match step {
            Value::String(name) => at.get(name),
            index => index.as_u64().and_then(|index| at.get(usize::try_from(index).ok()?)),
        };
        let Some(next) = next else { return path.to_vec() };
        at = next;
    }
    place
}
