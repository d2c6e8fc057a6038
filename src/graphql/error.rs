//! Refusals as GraphQL errors.

use async_graphql::{Context, ServerError};

use crate::error::{Error, ErrorCode, Fault, Result};
use crate::operation::extensions;

/// Turns a use case's result into a resolver's.
pub(super) trait Reply<T> {
    /// The value; or one fault as the resolver's error and the others beside it, in their order.
    fn reply(self, ctx: &Context<'_>) -> async_graphql::Result<T>;
}

impl<T> Reply<T> for Result<T> {
    fn reply(self, ctx: &Context<'_>) -> async_graphql::Result<T> {
        self.map_err(|error| match error {
            Error::Faults(mut faults) => {
                // The library appends the resolver's own error to those beside it, so the last fault is that one.
                let last = faults.pop();
                for fault in faults {
                    let error = written(&fault);
                    let mut other = ServerError::new(error.message, Some(ctx.item.pos));
                    other.extensions = error.extensions;
                    ctx.add_error(ctx.set_error_path(other));
                }
                last.map_or_else(|| internal(&"a refusal without a fault"), |fault| written(&fault))
            }
            Error::Internal(cause) => internal(&cause),
        })
    }
}

/// The cause goes to the log alone; the request's id is added where the answer is written.
fn internal(cause: &dyn std::fmt::Display) -> async_graphql::Error {
    tracing::error!(%cause, "a use case failed");
    written(&Fault::new(ErrorCode::Internal, "Something went wrong on the server. Its log has the cause."))
}

/// A fault as the library's error.
pub(super) fn written(fault: &Fault) -> async_graphql::Error {
    async_graphql::Error { message: fault.message.clone(), source: None, extensions: Some(extensions(fault)) }
}

/// A failure away from a resolver's result: its first fault.
pub(super) fn refused(error: &Error) -> async_graphql::Error {
    match error {
        Error::Faults(faults) => faults.first().map_or_else(|| unexplained(error), written),
        Error::Internal(_) => unexplained(error),
    }
}

/// A failure whose cause is the server's alone.
pub(super) fn unexplained(error: &Error) -> async_graphql::Error {
    internal(error)
}
