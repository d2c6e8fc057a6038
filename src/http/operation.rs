//! One operation, the same over HTTP and over a websocket: its parameters, and its execution under a time limit, with
//! panics caught. What it means is compiled by [`crate::operation`].

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Executor, Request, Response, ServerError};
use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use serde_json::{Map, Value};

use super::answer::{self, RequestId};
use super::{App, Viewer, internal, observe};
use crate::error::{ErrorCode, Fault};
use crate::feed::Course;
use crate::operation::{Kind, Operation, Refused};

/// The parameters of an operation, by the GraphQL-over-HTTP specification; others are ignored.
#[derive(Clone, Debug)]
pub(super) struct Params {
    /// The document's text, where the request does not name it instead.
    pub(super) query: Option<String>,
    /// The id of a trusted document.
    pub(super) document_id: Option<String>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Map<String, Value>,
    pub(super) extensions: Map<String, Value>,
}

impl Params {
    /// Reads them from a JSON object; the error says what is wrong with it.
    pub(super) fn from_json(value: Value) -> Result<Self, String> {
        let mut object = match value {
            Value::Object(object) => object,
            Value::Array(_) => return Err("Several operations in one request are not accepted.".to_owned()),
            _ => return Err("The request must be a JSON object.".to_owned()),
        };
        let mut text = |name: &str| match object.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(format!("The parameter `{name}` must be a string.")),
        };
        let query = text("query")?;
        let operation_name = text("operationName")?.filter(|name| !name.is_empty());
        let document_id = text("documentId")?;
        let mut map = |name: &str| match object.remove(name) {
            Some(Value::Object(map)) => Ok(map),
            None | Some(Value::Null) => Ok(Map::new()),
            Some(_) => Err(format!("The parameter `{name}` must be an object.")),
        };
        let variables = map("variables")?;
        let extensions = map("extensions")?;
        if query.is_none() && document_id.is_none() && extensions.get("persistedQuery").is_none_or(Value::is_null) {
            return Err("The parameter `query` is missing.".to_owned());
        }
        Ok(Self { query, document_id, operation_name, variables, extensions })
    }
}

/// An operation that may be executed, with what its resolvers need.
pub(super) struct Ready<E> {
    executor: E,
    pub(super) operation: Operation,
    request: Request,
}

/// Finds the document, or compiles it, and fills in the variables.
///
/// # Errors
/// Nothing was executed.
pub(super) fn ready<E: Executor>(app: &App<E>, viewer: &Viewer, params: &Params) -> Result<Ready<E>, Refused> {
    check_variables(&params.variables, app.config.limits.max_variables_bytes)?;
    let operation = app.documents.operation(params, viewer.member().is_some()).inspect_err(|refused| {
        if let Some((kind, name)) = refused.meant(params.operation_name.as_deref()) {
            observe::operation(kind, name);
        }
    })?;
    observe::operation(operation.kind(), operation.name());
    Ok(Ready::new(app, viewer, operation))
}

/// Refuses variables that are too large.
fn check_variables(variables: &Map<String, Value>, max: usize) -> Result<(), Fault> {
    /// Counts what is written to it, up to a limit.
    struct Room(usize);

    impl io::Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    if variables.is_empty() || serde_json::to_writer(Room(max), variables).is_ok() {
        return Ok(());
    }
    let message = format!("The variables are larger than {max} bytes of JSON.");
    Err(Fault::new(ErrorCode::QueryTooComplex, message).limit("limits.max_variables_bytes", max))
}

/// Why an execution came to nothing.
pub(super) enum Broken {
    /// It took too long.
    Late(Duration),
    /// A resolver panicked.
    Panicked,
}

impl Broken {
    pub(super) fn fault(&self, id: RequestId) -> Fault {
        match self {
            Self::Late(limit) => Fault::new(
                ErrorCode::Unavailable,
                format!("The operation took longer than {} seconds and was stopped.", limit.as_secs_f32()),
            ),
            Self::Panicked => internal(id),
        }
    }

    pub(super) fn error(&self, id: RequestId) -> ServerError {
        answer::server_error(&self.fault(id), id)
    }
}

impl<E: Executor> Ready<E> {
    /// An operation, for that viewer.
    pub(super) fn new(app: &App<E>, viewer: &Viewer, operation: Operation) -> Self {
        let request = (app.prepare)(viewer, operation.request());
        Self { executor: app.schema.clone(), operation, request }
    }

    pub(super) fn kind(&self) -> Kind {
        self.operation.kind()
    }

    /// Executes a query or a mutation.
    pub(super) async fn execute(self, limit: Duration, id: RequestId) -> Result<Response, Broken> {
        if !self.operation.executes() {
            return Ok(self.operation.settle_nothing());
        }
        let execution = AssertUnwindSafe(self.executor.execute(self.request)).catch_unwind();
        match tokio::time::timeout(limit, execution).await {
            Err(_) => {
                tracing::warn!(request_id = %id, ?limit, "an operation took too long");
                Err(Broken::Late(limit))
            }
            Ok(Err(cause)) => {
                tracing::error!(request_id = %id, cause = answer::panic_text(cause.as_ref()), "a resolver panicked");
                Err(Broken::Panicked)
            }
            Ok(Ok(response)) => Ok(self.operation.settle(response)),
        }
    }

    /// Executes a subscription; its resolver tells the course how it goes.
    pub(super) fn stream(self, course: Arc<Course>) -> BoxStream<'static, Response> {
        let operation = self.operation;
        let results = self.executor.execute_stream(self.request.data(course), None);
        results.map(move |response| operation.settle(response)).boxed()
    }
}
