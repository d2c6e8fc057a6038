//! Workflows: those that are shipped, and companies' own.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};

use super::{
    company::Stage,
    error::{Reply, written},
    lead::Lead,
    load, member, parse_id,
    scalars::{DateTime, Json},
    service,
};
use crate::{
    domain::{
        global_id::{self, NodeType},
        id::{LeadId, WorkflowId},
        workflow::{check::DefinitionFault, definition, diagram, version},
    },
    error::{Error, Fault},
    service::workflow::WorkflowMove,
};

/// A version of a workflow.
#[derive(Clone, Debug)]
pub struct Workflow(pub(super) version::WorkflowVersion);

/// A version of a workflow: a shipped one, or one of the viewer's company's own.
#[Object]
impl Workflow {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Workflow, self.0.id.0)
    }

    /// Its name in code, the same for each version.
    async fn key(&self) -> &str {
        &self.0.definition.key
    }

    /// Counts the versions of the key, from 1.
    async fn workflow_version(&self) -> i32 {
        self.0.definition.version
    }

    /// Its name for people.
    async fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// What it is for; null where it doesn't say.
    async fn description(&self) -> Option<&str> {
        self.0.definition.description.as_deref()
    }

    /// What runs on it.
    async fn subject(&self) -> WorkflowSubject {
        self.0.definition.subject.into()
    }

    /// Where it stands.
    async fn state(&self) -> WorkflowState {
        self.0.state.into()
    }

    /// Whether it is shipped with the server, the same for every company.
    async fn shipped(&self) -> bool {
        self.0.owner.is_none()
    }

    /// Its definition, in the format of `docs/workflow.schema.json`.
    async fn definition(&self, ctx: &Context<'_>) -> Result<Json> {
        serde_json::to_value(&*self.0.definition).map(Json).map_err(Error::internal).reply(ctx)
    }

    /// Its stages on all tracks, in order.
    async fn stages(&self) -> Vec<Stage> {
        self.0.definition.stages.iter().map(Stage::from).collect()
    }

    /// It as a Mermaid diagram.
    async fn diagram(&self) -> String {
        diagram::mermaid(&self.0.definition)
    }

    /// How many leads, or opportunities, of the viewer's company are on it: those that it sourced, or works.
    async fn record_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = service(ctx).count_on_workflow(member(ctx)?, &self.0.reference()).await.reply(ctx)?;
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// When it was published; null for a draft and for a shipped one.
    async fn published_at(&self) -> Option<DateTime> {
        self.0.published_at.map(DateTime)
    }

    /// When it was retired; null unless it was.
    async fn retired_at(&self) -> Option<DateTime> {
        self.0.retired_at.map(DateTime)
    }

    /// Counts the changes of this record, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// What runs on a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "definition::Subject")]
pub enum WorkflowSubject {
    /// A lead.
    Lead,
    /// An opportunity.
    Opportunity,
}

/// Where a version of a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "version::WorkflowState")]
pub enum WorkflowState {
    /// It can be changed, and nothing runs on it.
    Draft,
    /// Templates can bind it; it doesn't change any more.
    Published,
    /// Templates can't bind it any more, and nothing is on it.
    Retired,
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, SimpleObject)]
pub struct WorkflowFault {
    /// Where it is: a JSON pointer (RFC 6901) into the definition, such as `/actions/2/to`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl From<DefinitionFault> for WorkflowFault {
    fn from(fault: DefinitionFault) -> Self {
        Self { pointer: fault.pointer, message: fault.message }
    }
}

/// A definition to keep as the draft of its key.
#[derive(Clone, Debug, InputObject)]
pub struct DraftWorkflowInput {
    /// The definition, in the format of `docs/workflow.schema.json`. Its version is given by the server.
    pub definition: Json,
    /// The version of the draft that it replaces, as the caller read it; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same draft.
    pub idempotency_key: Option<String>,
}

/// Which draft to publish.
#[derive(Clone, Debug, InputObject)]
pub struct PublishWorkflowInput {
    /// The draft.
    pub workflow_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which version to retire.
#[derive(Clone, Debug, InputObject)]
pub struct RetireWorkflowInput {
    /// The version, PUBLISHED, with nothing on it and no template that binds it.
    pub workflow_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which draft to discard.
#[derive(Clone, Debug, InputObject)]
pub struct DiscardWorkflowDraftInput {
    /// The draft.
    pub workflow_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// Which leads to move to another version of their workflow, and how.
#[derive(Clone, Debug, InputObject)]
pub struct MoveLeadsToWorkflowInput {
    /// The version that they are on.
    pub from_workflow_id: ID,
    /// The version to move them to: PUBLISHED, of the same workflow.
    pub to_workflow_id: ID,
    /// Where those at a stage are to stand; a stage that is not listed keeps its key.
    #[graphql(default)]
    pub stages: Vec<StageMappingInput>,
    /// These leads alone, at most 100; all that are on the version where absent, 100 a call.
    pub lead_ids: Option<Vec<ID>>,
    /// With all leads: only those after this place, which `endCursor` of an earlier call names.
    pub after: Option<String>,
    /// Whether to say only what would happen.
    #[graphql(default)]
    pub dry_run: bool,
}

/// Where the leads at a stage are to stand.
#[derive(Clone, Debug, InputObject)]
pub struct StageMappingInput {
    /// The key of the stage that they are at.
    pub from: String,
    /// The key of the stage of the other version.
    pub to: String,
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The version of the workflow as it now is.
            pub workflow: Workflow,
        }
    )*};
}

payloads! {
    /// What `draftWorkflow` gives: the draft as it was saved.
    DraftWorkflowPayload,
    /// What `publishWorkflow` gives: the version, published: it never changes again, and templates can be bound to it.
    PublishWorkflowPayload,
    /// What `retireWorkflow` gives: the version, retired: no template can be bound to it.
    RetireWorkflowPayload,
}

/// What `discardWorkflowDraft` gives: the id of the draft that is no more.
#[derive(SimpleObject)]
pub struct DiscardWorkflowDraftPayload {
    /// The id of the draft that is no more.
    pub workflow_id: ID,
}

/// What `moveLeadsToWorkflow` gives: which leads were moved to the other version and which were not, or would be.
#[derive(SimpleObject)]
pub struct MoveLeadsToWorkflowPayload {
    /// How many leads were moved, or would be.
    pub moved_count: i32,
    /// The leads that don't fit, which stay where they are.
    pub misfits: Vec<WorkflowMisfit>,
    /// The place of the last lead that was looked at, for `after`; null where there are no more.
    pub end_cursor: Option<String>,
}

/// A lead that doesn't fit another version of its workflow.
#[derive(SimpleObject)]
pub struct WorkflowMisfit {
    /// The lead's id.
    pub lead_id: ID,
    /// The lead; null where there is none that the viewer may know of.
    pub lead: Option<Lead>,
    /// What doesn't fit.
    pub problem: String,
}

/// Workflows: queries.
pub(super) mod query {
    use super::{Context, Error, Fault, ID, Json, Reply, Result, Workflow, WorkflowFault};
    use crate::{
        domain::{global_id::NodeType, id::WorkflowId, workflow::diagram},
        error::ErrorCode,
        graphql::{error::written, member, parse_id, service},
        service::workflow::{check_definition, draw_definition},
    };

    /// The workflows that the viewer's company can use.
    pub async fn all(ctx: &Context<'_>) -> Result<Vec<Workflow>> {
        let found = service(ctx).workflows(member(ctx)?).await.reply(ctx)?;
        Ok(found.into_iter().map(Workflow).collect())
    }

    /// One of them.
    pub async fn one(ctx: &Context<'_>, id: &ID, field: &str) -> Result<Workflow> {
        let id = WorkflowId(parse_id(ctx, id, NodeType::Workflow, field)?);
        let found = service(ctx).workflow(member(ctx)?, id).await.reply(ctx)?;
        let missing = || Fault::new(ErrorCode::NotFound, "There is no such workflow.").at(field);
        found.map(Workflow).ok_or_else(|| written(&missing()))
    }

    /// What is wrong with a definition.
    pub fn check(ctx: &Context<'_>, definition: &Json) -> Result<Vec<WorkflowFault>> {
        member(ctx)?;
        Ok(check_definition(&definition.0).into_iter().map(WorkflowFault::from).collect())
    }

    /// One of them, or a definition, as a diagram.
    pub async fn draw(ctx: &Context<'_>, id: Option<ID>, definition: Option<Json>) -> Result<String> {
        member(ctx)?;
        match (id, definition) {
            (Some(id), None) => Ok(diagram::mermaid(&one(ctx, &id, "id").await?.0.definition)),
            (None, Some(definition)) => draw_definition(&definition.0).reply(ctx),
            (None, None) => Err::<_, Error>(Fault::required("id", "Give id or definition.").into()).reply(ctx),
            (Some(_), Some(_)) => {
                Err::<_, Error>(Fault::invalid("definition", "Give only one of id or definition.").into()).reply(ctx)
            }
        }
    }
}

fn workflow_id(ctx: &Context<'_>, id: &ID, field: &str) -> Result<WorkflowId> {
    parse_id(ctx, id, NodeType::Workflow, field).map(WorkflowId)
}

/// Workflows: mutations.
#[derive(Default, Debug)]
pub struct WorkflowMutation;

/// Workflows: mutations.
#[Object]
impl WorkflowMutation {
    /// Keeps a definition as the draft of its key, in place of an earlier draft. One with faults is refused whole, each
    /// fault with `extensions.pointer`. Role: ADMIN.
    async fn draft_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The definition.")] input: DraftWorkflowInput,
    ) -> Result<Option<DraftWorkflowPayload>> {
        let done = service(ctx)
            .draft_workflow(member(ctx)?, &input.definition.0, input.expected_version, input.idempotency_key.as_deref())
            .await;
        Ok(Some(DraftWorkflowPayload { workflow: Workflow(done.reply(ctx)?) }))
    }

    /// Publishes a draft: templates can bind it from then on, and it doesn't change any more. Role: ADMIN.
    async fn publish_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which draft.")] input: PublishWorkflowInput,
    ) -> Result<Option<PublishWorkflowPayload>> {
        let id = workflow_id(ctx, &input.workflow_id, "input.workflowId")?;
        let done = service(ctx).publish_workflow(member(ctx)?, id, input.expected_version).await;
        Ok(Some(PublishWorkflowPayload { workflow: Workflow(done.reply(ctx)?) }))
    }

    /// Retires a version that nothing is on. Role: ADMIN.
    async fn retire_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which version.")] input: RetireWorkflowInput,
    ) -> Result<Option<RetireWorkflowPayload>> {
        let id = workflow_id(ctx, &input.workflow_id, "input.workflowId")?;
        let done = service(ctx).retire_workflow(member(ctx)?, id, input.expected_version).await;
        Ok(Some(RetireWorkflowPayload { workflow: Workflow(done.reply(ctx)?) }))
    }

    /// Discards a draft. Role: ADMIN.
    async fn discard_workflow_draft(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which draft.")] input: DiscardWorkflowDraftInput,
    ) -> Result<Option<DiscardWorkflowDraftPayload>> {
        let id = workflow_id(ctx, &input.workflow_id, "input.workflowId")?;
        let done = service(ctx).discard_workflow_draft(member(ctx)?, id, input.expected_version).await.reply(ctx)?;
        Ok(Some(DiscardWorkflowDraftPayload { workflow_id: super::id(NodeType::Workflow, done.id.0) }))
    }

    /// Moves leads of the viewer's company to another version of their workflow; one that doesn't fit stays where it is.
    /// Role: ADMIN.
    async fn move_leads_to_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which leads, and how.")] input: MoveLeadsToWorkflowInput,
    ) -> Result<Option<MoveLeadsToWorkflowPayload>> {
        let lead = |id: &ID, field: &str| parse_id(ctx, id, NodeType::Lead, field).map(LeadId);
        let leads = input.lead_ids.map(|ids| {
            let read = |(place, id): (usize, &ID)| lead(id, &format!("input.leadIds.{place}"));
            ids.iter().enumerate().map(read).collect::<Result<Vec<_>>>()
        });
        let mut stages = std::collections::HashMap::new();
        for (place, StageMappingInput { from, to }) in input.stages.into_iter().enumerate() {
            if let Some(other) = stages.insert(from, to) {
                let message = format!("This stage is mapped to \"{other}\" already.");
                return Err(written(&Fault::invalid(format!("input.stages.{place}.from"), message)));
            }
        }
        let call = WorkflowMove {
            from: workflow_id(ctx, &input.from_workflow_id, "input.fromWorkflowId")?,
            to: workflow_id(ctx, &input.to_workflow_id, "input.toWorkflowId")?,
            stages,
            leads: leads.transpose()?,
            after: input.after.map(|after| lead(&ID(after), "input.after")).transpose()?,
            dry_run: input.dry_run,
        };
        let done = service(ctx).move_leads_to_workflow(member(ctx)?, &call).await.reply(ctx)?;
        let mut misfits = Vec::with_capacity(done.misfits.len());
        for (id, problem) in done.misfits {
            let lead = load(ctx, id).await?.map(Lead::new);
            misfits.push(WorkflowMisfit { lead_id: super::id(NodeType::Lead, id.0), lead, problem });
        }
        Ok(Some(MoveLeadsToWorkflowPayload {
            moved_count: i32::try_from(done.moved.len()).unwrap_or(i32::MAX),
            misfits,
            end_cursor: done.last.map(|id| global_id::encode(NodeType::Lead, id.0)),
        }))
    }
}
