//! One operation, the same over HTTP and over a websocket: its parameters, its checks before the library's, and its
//! execution under a time limit, with panics caught.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Executor, Request, Response, ServerError, Variables};
use futures_util::FutureExt;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};

use super::answer::{self, RequestId};
use super::guard::{self, Shape};
use super::nulls::Plan;
use super::{App, Viewer, internal};
use crate::error::{ErrorCode, Fault};
use crate::feed::Course;

/// The parameters of an operation, by the GraphQL-over-HTTP specification; others are ignored.
#[derive(Clone, Debug)]
pub(super) struct Params {
    pub(super) query: String,
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
        let query = match object.remove("query") {
            Some(Value::String(query)) => query,
            None | Some(Value::Null) => return Err("The parameter `query` is missing.".to_owned()),
            Some(_) => return Err("The parameter `query` must be a string.".to_owned()),
        };
        let operation_name = match object.remove("operationName") {
            Some(Value::String(name)) if !name.is_empty() => Some(name),
            None | Some(Value::Null | Value::String(_)) => None,
            Some(_) => return Err("The parameter `operationName` must be a string.".to_owned()),
        };
        let mut map = |name: &str| match object.remove(name) {
            Some(Value::Object(map)) => Ok(map),
            None | Some(Value::Null) => Ok(Map::new()),
            Some(_) => Err(format!("The parameter `{name}` must be an object.")),
        };
        let variables = map("variables")?;
        let extensions = map("extensions")?;
        Ok(Self { query, operation_name, variables, extensions })
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

/// Parses the document and checks its size. The error is a request error: nothing was executed.
pub(super) fn ready<E: Executor>(
    app: &App<E>,
    viewer: &Viewer,
    params: &Params,
    id: RequestId,
) -> Result<Ready<E>, Box<Response>> {
    let refuse = |fault: &Fault| Box::new(Response::from_errors(vec![answer::server_error(fault, id)]));
    let max_fields = app.config.limits.max_fields;
    guard::check_text(&params.query).map_err(|oversize| refuse(&answer::oversize_fault(&oversize, max_fields)))?;
    let mut request = Request::new(params.query.clone());
    let document = match request.parsed_query() {
        Ok(document) => document,
        Err(error) => return Err(Box::new(Response::from_errors(vec![error]))),
    };
    let shape = guard::check(document, params.operation_name.as_deref(), max_fields)
        .map_err(|oversize| refuse(&answer::oversize_fault(&oversize, max_fields)))?;
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
    let plan =
        Plan { nulls: app.nulls.clone(), query: request.query.clone(), operation_name: params.operation_name.clone() };
    request.operation_name.clone_from(&params.operation_name);
    request.variables = Variables::from_json(Value::Object(params.variables.clone()));
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
