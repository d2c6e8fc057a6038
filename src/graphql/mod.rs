//! The API: translation only, one file a noun with its type, inputs and payloads. Resolvers decide nothing.
//!
//! To add a noun: a file here with its type over the domain's value, its inputs and payloads, and a mutation object
//! merged into [`Mutation`]; its fields in [`query`]; its row in `tests/it/matrix.rs`, which fails without one.
//!
//! Types are `serial`: their fields are resolved one after the other, as racing fields that are there at once costs more
//! than they do. What is asked of a list is loaded for the whole list before its entries are resolved
//! (`lead::leads_at_hand`); what is not comes by the loader, whose batches form across the entries. What stands in every
//! entry of a list is [`Direct`](direct::Direct).

#![allow(clippy::unused_async, reason = "the library takes resolvers that are async alone")]

use std::{sync::Arc, time::Duration};

use async_graphql::{
    Context, ID, MergedObject, Request, Result, Schema, SchemaBuilder, ValidationMode,
    dataloader::{DataLoader, Loader},
};
use uuid::Uuid;

use self::{error::written, loader::Loads};
use crate::{
    domain::{
        actor,
        global_id::{self, NodeType},
        viewer::Viewer,
    },
    error::{Error, ErrorCode, Fault},
    feed::Feed,
    operation::{Compiler, Cost, Limits, Traits},
    service::Service,
    store::tally,
};

pub mod action;
mod activity;
mod audit;
pub mod board;
pub mod comment;
pub mod company;
mod direct;
pub mod duplicate;
pub mod erasure;
mod error;
pub mod lead;
mod loader;
pub mod marketing_list;
pub mod node;
pub mod opportunity;
mod page;
mod qualification;
mod query;
pub mod scalars;
mod subscription;
pub mod task;
pub mod template;
pub mod workflow;

pub use self::{query::Query, subscription::Subscription};

/// Changes. Each takes one `input` and gives one payload, which is null where the call failed: an entry of `errors` says
/// why, nothing was changed, and the other mutations of the request stand. They run one after the other.
#[derive(MergedObject, Default, Debug)]
pub struct Mutation(
    company::CompanyMutation,
    lead::LeadMutation,
    action::ActionMutation,
    template::TemplateMutation,
    workflow::WorkflowMutation,
    opportunity::OpportunityMutation,
    comment::CommentMutation,
    task::TaskMutation,
    marketing_list::MarketingListMutation,
    erasure::ErasureMutation,
);

/// The schema of the API.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation::default(), Subscription)
        .register_output_type::<node::Node>()
        .register_output_type::<activity::Activity>()
        .register_output_type::<error_code::ErrorCodes>()
}

/// The schema over the use cases, for operations that [`compiler`] has made.
pub fn schema(service: Arc<Service>, feed: Arc<Feed>) -> ApiSchema {
    builder().data(service).data(feed).validation_mode(ValidationMode::Fast).finish()
}

/// Compiles operations against the schema. Where the schema is not public it can't be read, and errors suggest no names
/// of it.
///
/// # Errors
/// When the compiler can't read the schema.
pub fn compiler(limits: Limits, public: bool) -> Result<Compiler, String> {
    Compiler::new(&sdl(), Traits { costs: COSTS, scalar: scalars::check, personal: PERSONAL, public }, limits)
}

/// How the library defines a directive that it has used.
const SPECIFIED_BY: &str = "\"Provides a scalar specification URL for specifying the behavior of custom scalar types.\"\n\
                            directive @specifiedBy(url: String!) on SCALAR\n";

/// The schema in its own language, as `schema.graphql` has it.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new()
        .include_specified_by()
        .sorted_enum_items()
        .prefer_single_line_descriptions();
    let mut text = builder().finish().sdl_with_options(options);
    // Built-in directives need no definition, and the library's has no description of the argument.
    text = text.replace(SPECIFIED_BY, "");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Who asks, and the loader that batches for them. One of each request.
pub(crate) struct Session {
    viewer: Viewer,
    loads: Option<DataLoader<Loads>>,
}

/// Puts into a request what its resolvers need.
pub fn prepare(service: &Arc<Service>, viewer: &Viewer, request: Request) -> Request {
    let loads = viewer.member().map(|member| {
        let loads = Loads { service: service.clone(), member: member.clone() };
        DataLoader::new(loads, tally::spawn)
    });
    request.data(Session { viewer: viewer.clone(), loads })
}

fn session<'c>(ctx: &Context<'c>) -> Result<&'c Session> {
    ctx.data::<Session>()
}

/// The use cases.
fn service<'c>(ctx: &Context<'c>) -> &'c Arc<Service> {
    ctx.data_unchecked::<Arc<Service>>()
}

/// The member that asks.
fn member<'c>(ctx: &Context<'c>) -> Result<&'c actor::Member> {
    session(ctx)?.viewer.member().ok_or_else(|| {
        written(&Fault::new(
            ErrorCode::Unauthenticated,
            "A bearer token is needed: send the header `Authorization: Bearer <token>`, or on a websocket \
             `Authorization` in the payload of connection_init.",
        ))
    })
}

/// How long a load may take.
const LOAD: Duration = Duration::from_secs(30);

/// What the loader finds for a key.
async fn load<K>(ctx: &Context<'_>, key: K) -> Result<Option<<Loads as Loader<K>>::Value>>
where
    K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
    Loads: Loader<K, Error = Arc<Error>>,
{
    member(ctx)?;
    let Some(loads) = &session(ctx)?.loads else { return Ok(None) };
    // A subscription has no limit as a whole; a connection that is dead must not stop it for ever.
    let late = || written(&Fault::new(ErrorCode::Unavailable, "The database does not answer. Try again."));
    let loaded = tokio::time::timeout(LOAD, loads.load_one(key)).await.map_err(|_| late())?;
    loaded.map_err(|error| error::refused(&error))
}

fn id(kind: NodeType, id: Uuid) -> ID {
    ID(global_id::encode(kind, id))
}

/// The id of a thing of that kind, from an argument or input field. A caller that is nobody learns nothing about it.
fn parse_id(ctx: &Context<'_>, id: &ID, kind: NodeType, field: &str) -> Result<Uuid> {
    member(ctx)?;
    global_id::expect(id, kind).map_err(|message| written(&Fault::invalid(field, message)))
}

/// The fields that cost more than themselves: they read more than one thing.
const COSTS: &[(&str, &str, Cost)] = &[
    // The cost of the whole list: up to so many candidates may come.
    ("DuplicateCandidate", "lead", Cost::Of(1, 20)),
    ("Query", "checkWorkflow", Cost::Of(10, 1)),
    ("Query", "leadBoard", Cost::Pages { pages: board::COLUMNS, size: "first", default: 20 }),
    ("Query", "nodes", Cost::Each("ids", 100)),
    ("Query", "workflowDiagram", Cost::Of(10, 0)),
    ("Query", "workflows", Cost::Of(5, 10)),
    ("Workflow", "recordCount", Cost::Of(5, 0)),
];

/// The fields whose value depends on which member asks, beyond its company and roles. Subscriptions that select one of
/// them are executed for each member apart; all others once for all who may see the same and ask the same.
const PERSONAL: &[&str] = &["availableActions", "blockedActions", "viewer"];

mod error_code {
    //! The codes of errors stand in the schema although no field has their type.

    use async_graphql::{Enum, SimpleObject};

    /// The value of `extensions.code` of an entry in `errors`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
    #[graphql(remote = "crate::error::ErrorCode", name = "ErrorCode")]
    pub enum Code {
        /// No bearer token, or one that does not hold.
        Unauthenticated,
        /// The caller may see it but not do this to it.
        Forbidden,
        /// There is no such thing, or the caller may not know of it.
        NotFound,
        /// A field's value is not acceptable; `extensions.field` says which.
        InvalidInput,
        /// A field is missing or blank; `extensions.field` says which.
        Required,
        /// The action is not possible from the present stage, which `extensions.stage` names.
        InvalidTransition,
        /// The lead's limit has passed.
        LeadExpired,
        /// The lead is deactivated or archived: it is read-only.
        LeadInactive,
        /// `expectedVersion` is not the current version, which `extensions.version` names, or another caller won.
        Conflict,
        /// The same external reference or key exists with other content, or the same name exists.
        Duplicate,
        /// A subscription can't begin so far back; `extensions.startAfter` is the cursor to begin after.
        CursorExpired,
        /// Too many requests; `extensions.retryAfter` says in how many seconds to come again.
        RateLimited,
        /// The server does not have the document of this hash: send it once with its text.
        PersistedQueryNotFound,
        /// The server does not remember documents by their hash.
        PersistedQueryNotSupported,
        /// The server runs trusted documents alone, and this is none of them.
        DocumentNotTrusted,
        /// The operation is larger, deeper or costs more than the server allows; `extensions.limit` names the limit and
        /// `extensions.maximum` what it allows.
        QueryTooComplex,
        /// The server can't answer now; the same call may work later.
        Unavailable,
        /// A fault of the server; `extensions.requestId` finds its cause in the log.
        Internal,
    }

    /// What this server can answer with instead of data.
    #[derive(SimpleObject)]
    pub struct ErrorCodes {
        /// Every code.
        pub codes: Vec<Code>,
    }
}
