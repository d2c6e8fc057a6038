//! One operation, the same over HTTP and over a websocket: its parameters, its checks before the library's, and its
//! execution under a time limit, with panics caught.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Executor, Request, Response, ServerError, Variables};
use futures_util::FutureExt;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};

use super::answer::{self, RequestId};
use super::guard::{self, Bounds, Shape};
use super::nulls::Plan;
use super::{App, Viewer, internal};
use crate::error::{ErrorCode, Fault};
use crate::feed::Course;

/// The parameters of an operation, by the GraphQL-over-HTTP specification; others are ignored.
#[derive(Clone, Debug)]
pub(super) struct Params {
    /// The document's text.
    pub(super) query: String,
    /// Whether the request names its document instead: then the text is there once `Documents::resolve` has found it.
    pub(super) named: bool,
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
        let named = query.is_none();
        Ok(Self { query: query.unwrap_or_default(), named, document_id, operation_name, variables, extensions })
    }
}

/// An operation that may be executed.
pub(super) struct Ready<E> {
    executor: E,
    request: Request,
    /// What is known of it; nothing when the document has no such operation, which the library explains.
    pub(super) shape: Option<Shape>,
    /// How its response is settled.
    pub(super) plan: Plan,
}

/// Finds and parses the document and checks its size. The error is a request error: nothing was executed.
pub(super) fn ready<E: Executor>(
    app: &App<E>,
    viewer: &Viewer,
    params: &mut Params,
    id: RequestId,
) -> Result<Ready<E>, Box<Response>> {
    let memo = app.documents.resolve(params).map_err(|fault| refused(&fault, id))?;
    let ready = ready_again(app, viewer, params, id)?;
    app.documents.remember(&memo, viewer.member().is_some(), &params.query);
    Ok(ready)
}

fn refused(fault: &Fault, id: RequestId) -> Box<Response> {
    Box::new(Response::from_errors(vec![answer::server_error(fault, id)]))
}

/// The same for parameters whose document was found before.
pub(super) fn ready_again<E: Executor>(
    app: &App<E>,
    viewer: &Viewer,
    params: &Params,
    id: RequestId,
) -> Result<Ready<E>, Box<Response>> {
    let refuse = |fault: &Fault| refused(fault, id);
    let limits = &app.config.limits;
    let bounds = Bounds::from(limits);
    let oversize = |oversize| refuse(&answer::oversize_fault(&oversize));
    guard::check_text(&params.query, bounds.tokens).map_err(oversize)?;
    check_variables(&params.variables, limits.max_variables_bytes).map_err(|fault| refuse(&fault))?;
    let mut request = Request::new(params.query.clone());
    let document = match request.parsed_query() {
        Ok(document) => document,
        Err(error) => return Err(Box::new(Response::from_errors(vec![error]))),
    };
    let shape = guard::check(document, params.operation_name.as_deref(), &bounds).map_err(oversize)?;
    let mut executor = &app.schema;
    if let Some(shape) = &shape {
        if shape.introspects && !app.config.http.introspection {
            return Err(refuse(&Fault::new(ErrorCode::InvalidInput, "Introspection is switched off on this server.")));
        }
        if shape.ty == OperationType::Subscription && shape.roots != 1 {
            return Err(refuse(&Fault::new(ErrorCode::InvalidInput, "A subscription must select one field.")));
        }
        if shape.ty == OperationType::Subscription && !shape.plain {
            // The library passes over fragments there, and the subscription would end at once.
            let message = "The field of a subscription must not stand in a fragment; those below it may.";
            return Err(refuse(&Fault::new(ErrorCode::InvalidInput, message)));
        }
        let missing = |name: &&async_graphql::Name| params.variables.get(name.as_str()).is_none_or(Value::is_null);
        if let Some(name) = shape.required.iter().find(missing) {
            let message = format!("The variable ${name} must be given, and not null.");
            return Err(refuse(&Fault::new(ErrorCode::InvalidInput, message)));
        }
        if shape.only_introspects && shape.ty == OperationType::Query {
            executor = app.introspection.as_ref().unwrap_or(executor);
            request = request.only_introspection();
        }
    }
    let plan = Plan {
        nulls: app.nulls.clone(),
        query: request.query.clone(),
        operation_name: params.operation_name.clone(),
        max_complexity: limits.max_complexity,
    };
    request.operation_name.clone_from(&params.operation_name);
    request.variables = Variables::from_json(Value::Object(params.variables.clone()));
    for (name, default) in shape.iter().flat_map(|shape| &shape.defaults) {
        request.variables.entry(name.clone()).or_insert_with(|| default.clone());
    }
    request.extensions = async_graphql::Extensions(
        params
            .extensions
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), async_graphql::Value::from_json(value.clone()).ok()?)))
            .collect(),
    );
    let request = (app.prepare)(viewer, request);
    Ok(Ready { executor: executor.clone(), request, shape, plan })
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
    pub(super) fn is(&self, ty: OperationType) -> bool {
        self.shape.as_ref().is_some_and(|shape| shape.ty == ty)
    }

    /// Executes a query or a mutation.
    pub(super) async fn execute(self, limit: Duration, id: RequestId) -> Result<Response, Broken> {
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
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// Executes a subscription; its resolver tells the course how it goes.
    pub(super) fn stream(self, course: Arc<Course>) -> BoxStream<'static, Response> {
        self.executor.execute_stream(self.request.data(course), None)
    }
}
