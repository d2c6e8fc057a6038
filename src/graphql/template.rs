//! Templates: what new leads and opportunities start from.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::{
    company::{Stage, patch},
    error::Reply,
    load, member, parse_id,
    scalars::Duration,
    service,
    workflow::WorkflowSubject,
};
use crate::{
    domain::{global_id::NodeType, id::TemplateId, lead::WorkflowRef, template},
    error::Error,
    service::template::{NewTemplate, TemplateChange},
};

/// What a new lead or opportunity starts from.
#[derive(Clone, Debug)]
pub struct LeadTemplate(pub(super) template::Template);

/// What a new lead or opportunity starts from: its workflow and its time limits.
#[Object(serial)]
impl LeadTemplate {
    /// Its global id.
    pub async fn id(&self) -> ID {
        super::id(NodeType::LeadTemplate, self.0.id.0)
    }

    /// Its name in the API, unique within the company.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// Its name for people; for a template of the other side, that of its workflow.
    async fn name(&self, ctx: &Context<'_>) -> Result<String> {
        if self.is_own(ctx) {
            return Ok(self.0.name.clone());
        }
        Ok(service(ctx).definition(&self.0.workflow).await.reply(ctx)?.name.clone())
    }

    /// The key of its workflow.
    async fn workflow(&self) -> &str {
        &self.0.workflow.key
    }

    /// The version of its workflow.
    async fn workflow_version(&self) -> i32 {
        self.0.workflow.version
    }

    /// How long the receiver has to answer; null for no limit, and for a template of the other side.
    async fn answer_within(&self, ctx: &Context<'_>) -> Result<Option<Duration>> {
        let limit = self.0.answer_within.as_ref().filter(|_| self.is_own(ctx));
        Ok(limit.map(|limit| Duration(limit.to_string())))
    }

    /// How long the receiver has from the acceptance to the conversion; null for no limit, and for a template of the
    /// other side.
    async fn convert_within(&self, ctx: &Context<'_>) -> Result<Option<Duration>> {
        let limit = self.0.convert_within.as_ref().filter(|_| self.is_own(ctx));
        Ok(limit.map(|limit| Duration(limit.to_string())))
    }

    /// The time from one recurring check to the next; null for none, and for a template of the other side.
    async fn check_every(&self, ctx: &Context<'_>) -> Result<Option<Duration>> {
        let limit = self.0.check_every.as_ref().filter(|_| self.is_own(ctx));
        Ok(limit.map(|limit| Duration(limit.to_string())))
    }

    /// How long the first lead of a customer has priority over later ones, from when it came; null for ever, and for a
    /// template of the other side. Leads that come from partners follow the company's default template.
    async fn duplicate_protection(&self, ctx: &Context<'_>) -> Result<Option<Duration>> {
        let limit = self.0.duplicate_protection.as_ref().filter(|_| self.is_own(ctx));
        Ok(limit.map(|limit| Duration(limit.to_string())))
    }

    /// What starts from it.
    async fn subject(&self) -> WorkflowSubject {
        self.0.subject.into()
    }

    /// The paths of the fields that a new lead must have, such as `customer.contact.email`; empty for a template of the
    /// other side.
    async fn required_fields(&self, ctx: &Context<'_>) -> Vec<String> {
        if self.is_own(ctx) { self.0.required_fields.clone() } else { Vec::new() }
    }

    /// What a new lead has where nobody said; empty for a template of the other side.
    async fn defaults(&self, ctx: &Context<'_>) -> Vec<TemplateDefault> {
        if !self.is_own(ctx) {
            return Vec::new();
        }
        let shown = |(field, value): (&String, &String)| TemplateDefault { field: field.clone(), value: value.clone() };
        self.0.defaults.iter().map(shown).collect()
    }

    /// Whether it is taken where a new lead names none; false for a template of the other side.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// The stages of its workflow, in order.
    async fn stages(&self, ctx: &Context<'_>) -> Result<Vec<Stage>> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        Ok(definition.stages.iter().map(Stage::from).collect())
    }

    /// Counts its changes, from 1; null for a template of the other side.
    async fn version(&self, ctx: &Context<'_>) -> Option<i32> {
        self.is_own(ctx).then_some(self.0.version)
    }
}

impl LeadTemplate {
    /// The template of a record that is on this workflow. Of the other side's it shows what the record is on, and nothing
    /// of what it is bound to since.
    pub(super) async fn of(ctx: &Context<'_>, id: TemplateId, workflow: &WorkflowRef) -> Result<Self> {
        let found = load(ctx, id).await?;
        let mut found = Self(found.ok_or_else(|| Error::internal("a record without its template")).reply(ctx)?);
        if !found.is_own(ctx) {
            found.0.workflow = workflow.clone();
            found.0.is_default = false;
        }
        Ok(found)
    }

    /// Whether it is of the viewer's company. What the other side changes about its templates is its own affair.
    fn is_own(&self, ctx: &Context<'_>) -> bool {
        member(ctx).is_ok_and(|viewer| viewer.company == self.0.company)
    }
}

/// What a new lead has in a field where nobody said.
#[derive(Clone, Debug, SimpleObject)]
pub struct TemplateDefault {
    /// The field's path, such as `leadSource`.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// What a new lead has in a field where nobody said.
#[derive(Clone, Debug, InputObject)]
pub struct TemplateDefaultInput {
    /// The field's path: `description`, `leadSource`, `customer.industry`, `customer.address.country`, or one of
    /// `qualification`.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// A template to create.
#[derive(Clone, Debug, InputObject)]
pub struct CreateLeadTemplateInput {
    /// Its name in the API: lower-case letters, digits and hyphens; unique within the company.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The version of a workflow that it binds: a shipped one, or a PUBLISHED one of the company's own.
    pub workflow_id: ID,
    /// How long the receiver has to answer, where the workflow counts that; none where absent.
    pub answer_within: Option<Duration>,
    /// How long the receiver has from the acceptance to the conversion, where the workflow counts that; none where
    /// absent.
    pub convert_within: Option<Duration>,
    /// The time from one recurring check to the next, where the workflow counts that; none where absent.
    pub check_every: Option<Duration>,
    /// How long the first lead of a customer has priority over later ones, from when it came; for ever where absent. Of
    /// leads that come from partners the company's default template says it.
    pub duplicate_protection: Option<Duration>,
    /// The paths of the fields that a new lead must have, such as `customer.contact.email`.
    pub required_fields: Option<Vec<String>>,
    /// What a new lead has where nobody said.
    pub defaults: Option<Vec<TemplateDefaultInput>>,
    /// Whether it is taken where none is named, in place of the present default; false where absent.
    pub is_default: Option<bool>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same template.
    pub idempotency_key: Option<String>,
}

/// What `createLeadTemplate` gives: the new template.
#[derive(SimpleObject)]
pub struct CreateLeadTemplatePayload {
    /// The template.
    pub template: LeadTemplate,
}

/// How to change a template, for the leads that start from it later. What is absent stays; a limit that is null is none.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateLeadTemplateInput {
    /// The template.
    pub template_id: ID,
    /// Its name for people.
    pub name: MaybeUndefined<String>,
    /// The version of a workflow that it binds, for the leads that start from it later.
    pub workflow_id: MaybeUndefined<ID>,
    /// How long the receiver has to answer.
    pub answer_within: MaybeUndefined<Duration>,
    /// How long the receiver has from the acceptance to the conversion.
    pub convert_within: MaybeUndefined<Duration>,
    /// The time from one recurring check to the next.
    pub check_every: MaybeUndefined<Duration>,
    /// How long the first lead of a customer has priority over later ones, from when it came; null for ever. What came
    /// before the change keeps what it was promised.
    pub duplicate_protection: MaybeUndefined<Duration>,
    /// The paths of the fields that a new lead must have; null for none.
    pub required_fields: MaybeUndefined<Vec<String>>,
    /// What a new lead has where nobody said; null for nothing.
    pub defaults: MaybeUndefined<Vec<TemplateDefaultInput>>,
    /// Whether it is taken where none is named, in place of the present default. The default one stays so until another
    /// one is.
    pub is_default: Option<bool>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `updateLeadTemplate` gives: the template with its new values.
#[derive(SimpleObject)]
pub struct UpdateLeadTemplatePayload {
    /// The template as it now is.
    pub template: LeadTemplate,
}

fn pairs(defaults: Vec<TemplateDefaultInput>) -> Vec<(String, String)> {
    defaults.into_iter().map(|default| (default.field, default.value)).collect()
}

/// Templates: mutations.
#[derive(Default, Debug)]
pub struct TemplateMutation;

/// Templates: mutations.
#[Object]
impl TemplateMutation {
    /// Adds a template for leads or opportunities. Role: ADMIN.
    async fn create_lead_template(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The template.")] input: CreateLeadTemplateInput,
    ) -> Result<Option<CreateLeadTemplatePayload>> {
        let new = NewTemplate {
            key: input.key,
            content: TemplateChange {
                name: Some(Some(input.name)).into(),
                workflow_id: Some(Some(input.workflow_id.0)).into(),
                answer_within: input.answer_within.map(|limit| Some(limit.into())).into(),
                convert_within: input.convert_within.map(|limit| Some(limit.into())).into(),
                check_every: input.check_every.map(|limit| Some(limit.into())).into(),
                duplicate_protection: input.duplicate_protection.map(|limit| Some(limit.into())).into(),
                required_fields: input.required_fields.map(Some).into(),
                defaults: input.defaults.map(|defaults| Some(pairs(defaults))).into(),
                is_default: input.is_default,
                expected_version: None,
            },
            idempotency_key: input.idempotency_key,
        };
        let found = service(ctx).create_template(member(ctx)?, &new).await;
        Ok(Some(CreateLeadTemplatePayload { template: LeadTemplate(found.reply(ctx)?) }))
    }

    /// Changes a template. Role: ADMIN.
    async fn update_lead_template(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which template, and how.")] input: UpdateLeadTemplateInput,
    ) -> Result<Option<UpdateLeadTemplatePayload>> {
        let id = parse_id(ctx, &input.template_id, NodeType::LeadTemplate, "input.templateId")?;
        let change = TemplateChange {
            name: patch(input.name),
            workflow_id: patch(input.workflow_id).map(|id| id.0),
            answer_within: patch(input.answer_within).map(String::from),
            convert_within: patch(input.convert_within).map(String::from),
            check_every: patch(input.check_every).map(String::from),
            duplicate_protection: patch(input.duplicate_protection).map(String::from),
            required_fields: patch(input.required_fields),
            defaults: patch(input.defaults).map(pairs),
            is_default: input.is_default,
            expected_version: input.expected_version,
        };
        let found = service(ctx).update_template(member(ctx)?, id.into(), &change).await;
        Ok(Some(UpdateLeadTemplatePayload { template: LeadTemplate(found.reply(ctx)?) }))
    }
}
