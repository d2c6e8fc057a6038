//! The same way for whoever speaks to an [`Executor`] of the library.

use std::sync::Arc;

use async_graphql::{Data, Executor, Request, Response, ServerError};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;

use super::Compiler;
use super::plan::{Kind, Operation};
use super::refusal::{Refusal, Refused};

/// An executor whose operations are compiled first. What mounts the library's executors, such as async-graphql-axum,
/// can be mounted over it.
#[derive(Clone, Debug)]
pub struct Guarded<E> {
    executor: E,
    compiler: Arc<Compiler>,
}

impl<E: Executor> Guarded<E> {
    /// Guards an executor of the schema that the compiler knows.
    pub fn new(executor: E, compiler: Arc<Compiler>) -> Self {
        Self { executor, compiler }
    }

    fn compile(&self, request: &mut Request) -> Result<Operation, Refused> {
        let document = self.compiler.document(&request.query)?;
        let variables = std::mem::take(&mut request.variables);
        let Ok(Value::Object(variables)) = serde_json::to_value(variables) else {
            return Err(Refusal::invalid("The variables must be an object.").into());
        };
        let name = request.operation_name.take();
        Ok(self.compiler.operation(&document, name.as_deref(), &variables)?.0)
    }
}

fn refused(refused: Refused) -> Response {
    Response::from_errors(refused.refusals.into_iter().map(ServerError::from).collect())
}

impl<E: Executor> Executor for Guarded<E> {
    async fn execute(&self, mut request: Request) -> Response {
        match self.compile(&mut request) {
            Err(why) => refused(why),
            Ok(operation) if operation.kind() == Kind::Subscription => {
                refused(Refusal::invalid("Subscriptions are not served over this transport.").into())
            }
            Ok(operation) if !operation.executes() => operation.settle_nothing(),
            Ok(operation) => operation.settle(self.executor.execute(operation.fill(request)).await),
        }
    }

    fn execute_stream(&self, mut request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        match self.compile(&mut request) {
            Err(why) => stream::iter([refused(why)]).boxed(),
            Ok(operation) if !operation.executes() => stream::iter([operation.settle_nothing()]).boxed(),
            Ok(operation) => {
                let results = self.executor.execute_stream(operation.fill(request), session);
                results.map(move |response| operation.settle(response)).boxed()
            }
        }
    }
}
