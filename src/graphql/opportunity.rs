//! Opportunities.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use serde_json::{Map, Value};

use super::{
    action::{BlockedAction, LeadAction, filled, money},
    company::{Member, Side, Stage, StageKind, patch, profile},
    error::Reply,
    lead::{Lead, Money, MoneyInput, at_move, object},
    load,
    loader::LeadOf,
    member,
    page::connection,
    parse_id,
    scalars::{Date, DateTime, Json},
    service,
    template::LeadTemplate,
};
use crate::{
    domain::{global_id::NodeType, id::OpportunityId, opportunity, workflow::engine::Fields},
    error::Error,
    service::opportunity::{OpportunityChange, OpportunityMove},
};

/// The deal that a lead became.
#[derive(Clone, Debug)]
pub struct Opportunity(opportunity::Opportunity);

impl Opportunity {
    pub(super) fn new(opportunity: opportunity::Opportunity) -> Self {
        Self(opportunity)
    }
}

/// The deal that a lead became, worked by the receiving company and followed by the source.
#[Object]
impl Opportunity {
    /// Its global id, the same for both companies.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Opportunity, self.0.id.0)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is about.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The lead that became it, as the viewer sees it; the oldest of several, null for none.
    async fn lead(&self, ctx: &Context<'_>) -> Result<Option<Lead>> {
        Ok(load(ctx, LeadOf(self.0.id)).await?.map(Lead::new))
    }

    /// RECEIVER for the company that works it, SOURCE for the one whose lead it was.
    async fn side(&self) -> Side {
        self.0.side.into()
    }

    /// Where it stands.
    async fn stage(&self, ctx: &Context<'_>) -> Result<Stage> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        let stage = definition.stage(&self.0.stage).map(Stage::from);
        stage.ok_or_else(|| Error::internal("an opportunity in an unknown stage")).reply(ctx)
    }

    /// The city that the customer is in; null where nobody said.
    async fn city(&self) -> Option<&str> {
        self.0.city.as_deref()
    }

    /// How the matter stands at the customer's; null where nobody said.
    async fn current_situation(&self) -> Option<&str> {
        self.0.current_situation.as_deref()
    }

    /// The line of products or services that is sold; null where nobody said.
    async fn selling_direction(&self) -> Option<&str> {
        self.0.selling_direction.as_deref()
    }

    /// What it is worth; null where nobody said.
    async fn value(&self) -> Option<Money> {
        self.0.value.map(Money::from)
    }

    /// When it is expected to close, or closed; null where nobody said.
    async fn close_date(&self) -> Option<Date> {
        self.0.close_date.map(|date| Date(date.to_string()))
    }

    /// Who works it.
    async fn responsible(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        let Some(id) = self.0.responsible else { return Ok(None) };
        profile(ctx, id).await.map(Some)
    }

    /// Why it was lost or discontinued; null unless it was.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// When it was won, lost or discontinued; null before.
    async fn closed_at(&self) -> Option<DateTime> {
        self.0.closed_at.map(DateTime)
    }

    /// What the viewer may do with it now, each with the form that it needs.
    async fn available_actions(&self, ctx: &Context<'_>) -> Result<Vec<LeadAction>> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        let actions = service(ctx).available_opportunity_actions(member(ctx)?, &self.0, &definition);
        let fields = Fields::Opportunity(&self.0);
        let at = |_| Some(self.0.stage.as_str());
        Ok(actions.into_iter().filter_map(|action| LeadAction::of(&definition, action, fields, at)).collect())
    }

    /// What the viewer could do with it now, were it not for fields of it that are still empty.
    async fn blocked_actions(&self, ctx: &Context<'_>) -> Result<Vec<BlockedAction>> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        let blocked = service(ctx).blocked_opportunity_actions(member(ctx)?, &self.0, &definition);
        Ok(blocked.into_iter().map(BlockedAction::of).collect())
    }

    /// What it started from.
    async fn template(&self, ctx: &Context<'_>) -> Result<LeadTemplate> {
        LeadTemplate::of(ctx, self.0.template, &self.0.workflow).await
    }

    /// The key of the workflow that it is on.
    async fn workflow_key(&self) -> &str {
        &self.0.workflow.key
    }

    /// The version of the workflow that it is on.
    async fn workflow_version(&self) -> i32 {
        self.0.workflow.version
    }

    /// The stages of the workflow that it is on, in order.
    async fn stages(&self, ctx: &Context<'_>) -> Result<Vec<Stage>> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        Ok(definition.stages.iter().map(Stage::from).collect())
    }

    /// Counts the changes of this view, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it came to the viewer's company.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When this view last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}

connection!(OpportunityConnection, OpportunityEdge, Opportunity, "opportunities");

/// Which opportunities to list. What is absent does not matter, and so what is null, unless it says
/// otherwise; all that is given has to hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct OpportunityFilter {
    /// In one of these stages, by key, such as `proposal`.
    pub stage: Option<Vec<String>>,
    /// In a stage of one of these kinds.
    pub stage_kind: Option<Vec<StageKind>>,
    /// Worked by this member; null: by nobody.
    pub responsible_id: MaybeUndefined<ID>,
    /// What this lead became; null: what no lead became.
    pub lead_id: MaybeUndefined<ID>,
}

/// A new opportunity. What a conversion leaves out is taken from the lead where it can be; what is null is empty.
#[derive(Clone, Debug, Default, InputObject)]
pub struct OpportunityInput {
    /// Its name; the lead's title where absent. Null is refused.
    pub name: MaybeUndefined<String>,
    /// What it is worth; the lead's estimated value where absent.
    pub value: MaybeUndefined<MoneyInput>,
    /// When it is expected to close.
    pub close_date: Option<Date>,
    /// What it is about; the lead's description where absent.
    pub description: MaybeUndefined<String>,
    /// The city that the customer is in, at most 200 characters; that of the lead's customer where absent.
    pub city: MaybeUndefined<String>,
    /// How the matter stands at the customer's; at most 2,000 characters.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold; at most 200 characters.
    pub selling_direction: Option<String>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
}

impl OpportunityInput {
    /// As the form field of a conversion.
    pub(super) fn into_form(self) -> Value {
        let mut form = Map::new();
        let mut put = |key: &str, value: Option<Value>| value.map(|value| form.insert(key.to_owned(), value));
        put("name", filled(self.name));
        put("value", money(self.value));
        put("closeDate", self.close_date.map(|date| Value::String(date.0)));
        put("description", filled(self.description));
        put("city", filled(self.city));
        put("currentSituation", self.current_situation.map(Value::String));
        put("sellingDirection", self.selling_direction.map(Value::String));
        put("templateKey", self.template_key.map(Value::String));
        Value::Object(form)
    }
}

/// An opportunity to create without a lead.
#[derive(Clone, Debug, InputObject)]
pub struct CreateOpportunityInput {
    /// Its name; at most 200 characters.
    pub name: String,
    /// What it is worth.
    pub value: Option<MoneyInput>,
    /// When it is expected to close.
    pub close_date: Option<Date>,
    /// What it is about; at most 32,000 characters.
    pub description: Option<String>,
    /// The city that the customer is in; at most 200 characters.
    pub city: Option<String>,
    /// How the matter stands at the customer's; at most 2,000 characters.
    pub current_situation: Option<String>,
    /// The line of products or services that is sold; at most 200 characters.
    pub selling_direction: Option<String>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same opportunity.
    pub idempotency_key: Option<String>,
}

/// What `createOpportunity` gives: the new opportunity.
#[derive(SimpleObject)]
pub struct CreateOpportunityPayload {
    /// The opportunity.
    pub opportunity: Opportunity,
}

/// How to change an opportunity. What is absent stays; what is null is cleared.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateOpportunityInput {
    /// The opportunity.
    pub opportunity_id: ID,
    /// Its name; can't be cleared.
    pub name: MaybeUndefined<String>,
    /// What it is about.
    pub description: MaybeUndefined<String>,
    /// What it is worth.
    pub value: MaybeUndefined<MoneyInput>,
    /// When it is expected to close.
    pub close_date: MaybeUndefined<Date>,
    /// The city that the customer is in.
    pub city: MaybeUndefined<String>,
    /// How the matter stands at the customer's.
    pub current_situation: MaybeUndefined<String>,
    /// The line of products or services that is sold.
    pub selling_direction: MaybeUndefined<String>,
    /// Who works it, of the viewer's company.
    pub responsible_id: MaybeUndefined<ID>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `updateOpportunity` gives: the opportunity with its new values.
#[derive(SimpleObject)]
pub struct UpdateOpportunityPayload {
    /// The opportunity as it now is.
    pub opportunity: Opportunity,
}

/// Which opportunity to move, and where to: same rules as the action that leads there.
#[derive(Clone, Debug, InputObject)]
pub struct MoveOpportunityInput {
    /// The opportunity.
    pub opportunity_id: ID,
    /// The stage's key or name; case and punctuation don't matter.
    pub stage: String,
    /// Why; required for a lost or discontinued one.
    pub reason: Option<String>,
    /// What it is worth from now on; required for a won one.
    pub value: Option<MoneyInput>,
    /// The day it closes, or closed; required for a won one.
    pub close_date: Option<Date>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `moveOpportunity` gives: the opportunity at its new stage.
#[derive(SimpleObject)]
pub struct MoveOpportunityPayload {
    /// The opportunity as it now is.
    pub opportunity: Opportunity,
}

/// Which action to take on an opportunity, with its form.
#[derive(Clone, Debug, InputObject)]
pub struct PerformOpportunityActionInput {
    /// The opportunity.
    pub opportunity_id: ID,
    /// The action's key, as `availableActions` has it.
    pub action: String,
    /// The form: an object with the action's fields by key.
    pub fields: Option<Json>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `performOpportunityAction` gives: the opportunity after the action.
#[derive(SimpleObject)]
pub struct PerformOpportunityActionPayload {
    /// The opportunity as it now is.
    pub opportunity: Opportunity,
}

/// Opportunities: mutations.
#[derive(Default, Debug)]
pub struct OpportunityMutation;

/// Opportunities: mutations.
#[Object]
impl OpportunityMutation {
    /// Creates an opportunity without a lead, to which leads can be converted. Roles: ADMIN, SALES, MARKETEER, MANAGER.
    async fn create_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The opportunity.")] input: CreateOpportunityInput,
    ) -> Result<Option<CreateOpportunityPayload>> {
        let new = crate::service::opportunity::OpportunityInput {
            name: Some(input.name),
            value: input.value.map(Into::into),
            close_date: input.close_date.map(String::from),
            description: input.description,
            city: input.city,
            current_situation: input.current_situation,
            selling_direction: input.selling_direction,
            template_key: input.template_key,
            idempotency_key: input.idempotency_key,
        };
        let found = service(ctx).create_opportunity(member(ctx)?, &new).await.reply(ctx)?;
        Ok(Some(CreateOpportunityPayload { opportunity: Opportunity(found) }))
    }

    /// Changes an opportunity's fields. Roles: ADMIN, SALES, MARKETEER, MANAGER of the company that works it.
    async fn update_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which opportunity, and how.")] input: UpdateOpportunityInput,
    ) -> Result<Option<UpdateOpportunityPayload>> {
        let id = opportunity_id(ctx, &input.opportunity_id)?;
        let change = OpportunityChange {
            name: patch(input.name),
            description: patch(input.description),
            value: patch(input.value).map(Into::into),
            close_date: patch(input.close_date).map(String::from),
            city: patch(input.city),
            current_situation: patch(input.current_situation),
            selling_direction: patch(input.selling_direction),
            responsible_id: patch(input.responsible_id).map(|id| id.0),
            expected_version: input.expected_version,
        };
        let found = service(ctx).update_opportunity(member(ctx)?, id, &change).await.reply(ctx)?;
        Ok(Some(UpdateOpportunityPayload { opportunity: Opportunity(found) }))
    }

    /// Moves an opportunity to a stage. Side: RECEIVER, the company that works it.
    async fn move_opportunity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which opportunity, and where to.")] input: MoveOpportunityInput,
    ) -> Result<Option<MoveOpportunityPayload>> {
        let id = opportunity_id(ctx, &input.opportunity_id)?;
        let wish = OpportunityMove {
            stage: input.stage,
            reason: input.reason,
            value: input.value.map(Into::into),
            close_date: input.close_date.map(String::from),
            expected_version: input.expected_version,
        };
        let takes = ["opportunityId", "stage", "reason", "value", "closeDate", "expectedVersion"];
        let moved = service(ctx).move_opportunity(member(ctx)?, id, &wish).await;
        let found = moved.map_err(|error| at_move(error, &takes, "performOpportunityAction")).reply(ctx)?;
        Ok(Some(MoveOpportunityPayload { opportunity: Opportunity(found) }))
    }

    /// Takes any action of the opportunity's workflow, with its form. Side: RECEIVER, the company that works it.
    async fn perform_opportunity_action(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which opportunity, which action, and its form.")] input: PerformOpportunityActionInput,
    ) -> Result<Option<PerformOpportunityActionPayload>> {
        let id = opportunity_id(ctx, &input.opportunity_id)?;
        let form = object(input.fields)?;
        let done = service(ctx).perform_opportunity(member(ctx)?, id, &input.action, &form, input.expected_version);
        Ok(Some(PerformOpportunityActionPayload { opportunity: Opportunity(done.await.reply(ctx)?) }))
    }
}

fn opportunity_id(ctx: &Context<'_>, id: &ID) -> Result<OpportunityId> {
    parse_id(ctx, id, NodeType::Opportunity, "input.opportunityId").map(OpportunityId)
}
