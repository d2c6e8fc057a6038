//! Leads.

use std::sync::{Arc, OnceLock};

use async_graphql::{Context, Enum, ID, InputObject, Lookahead, MaybeUndefined, Object, Result, SimpleObject};

use super::{
    action::{BlockedAction, DisqualificationCode, LeadAction, RejectionCode},
    activity::{ActivityConnection, ActivityFilter},
    comment::{Comment, CommentConnection, CommentEdge},
    company::{Company, Member, Partnership, Side, Stage, StageKind, patch, profile},
    direct::Direct,
    duplicate::{self, DuplicateCandidate},
    error::Reply,
    load,
    loader::{CommentsOf, DuplicatesOf, OpenTasksOf, ReferencesOf, TasksOf},
    marketing_list::{self, LeadMarketingListConnection},
    member,
    opportunity::{Opportunity, OpportunityInput},
    page::{connect, connection, request},
    parse_id,
    qualification::{Qualification, QualificationInput},
    scalars::{CountryCode, CurrencyCode, DateTime, Decimal, EmailAddress, Json, PhoneNumber, Url},
    service,
    task::{Task, TaskConnection},
    template::LeadTemplate,
};
use crate::{
    domain::{
        company, customer,
        global_id::NodeType,
        id::{LeadId, OpportunityId, PartnershipId},
        lead, money,
        page::{Page, PageRequest},
        reference,
        workflow::{
            definition::{self, DateKey, Definition},
            engine::Fields,
        },
    },
    error::Error,
    service::lead::{ActionCall, Asked, LeadChange, LeadKey, NewLead, Once, partnership_form},
    store::lead::LeadSort,
};

/// What was loaded for a whole page at once, so that the lead's own fields need not ask.
#[derive(Clone, Debug, Default)]
pub(super) struct AtHand {
    partnership: Loaded<company::Partnership>,
    comments: Option<(PageRequest, Arc<CommentConnection>)>,
    tasks: Option<(PageRequest, Arc<TaskConnection>)>,
    open_tasks: Option<i64>,
}

/// What was looked up for a page, found or not; or was not looked up.
type Loaded<T> = Option<std::result::Result<T, NotFound>>;

#[derive(Clone, Copy, Debug)]
struct NotFound;

/// A customer's need.
#[derive(Clone, Debug)]
pub struct Lead {
    view: Arc<lead::Lead>,
    at_hand: AtHand,
    definition: OnceLock<Arc<Definition>>,
}

impl Lead {
    pub(super) fn new(lead: lead::Lead) -> Self {
        Self { view: Arc::new(lead), at_hand: AtHand::default(), definition: OnceLock::new() }
    }

    /// What it became; for one that was shared since, inside its company.
    pub(super) fn opportunity_id(&self) -> Option<OpportunityId> {
        let inside = || self.view.details().internal.as_ref().and_then(|was| was.opportunity);
        self.view.opportunity.or_else(inside)
    }

    async fn definition(&self, ctx: &Context<'_>) -> Result<&Definition> {
        if let Some(definition) = self.definition.get() {
            return Ok(definition);
        }
        let definition = service(ctx).definition(&self.view.workflow).await.reply(ctx)?;
        Ok(self.definition.get_or_init(|| definition))
    }
}

/// A customer's need, as the viewer's company sees it. A receiver whose assignment has ended sees it as it was then.
#[Object(serial)]
impl Lead {
    /// Its global id, the same for both companies.
    pub async fn id(&self) -> ID {
        super::id(NodeType::Lead, self.view.id.0)
    }

    /// Short, for people, and unique among the leads that the viewer's company sees: `L-1042` for one of its own, `R-1007`
    /// for one that it received. Each company numbers by itself: the two sides of a lead see different numbers.
    async fn number(&self) -> &str {
        &self.view.number
    }

    /// What the customer needs, in a line.
    async fn title(&self) -> &str {
        &self.view.title
    }

    /// What the customer needs, at length.
    async fn description(&self) -> Option<&str> {
        self.view.description.as_deref()
    }

    /// Where the lead came from, such as `Web`; null where nobody said.
    async fn lead_source(&self) -> Option<&str> {
        self.view.lead_source.as_deref()
    }

    /// The side of the viewer's company.
    async fn side(&self) -> Side {
        self.view.side.into()
    }

    /// The company that created it.
    async fn source(&self) -> Company {
        Company(self.view.source)
    }

    /// The company that it was last passed to; null while internal.
    async fn receiver(&self) -> Option<Company> {
        self.view.receiver.map(Company)
    }

    /// The partnership that it was last shared across; null while internal.
    async fn partnership(&self, ctx: &Context<'_>) -> Result<Option<Direct<Partnership>>> {
        if let Some(partnership) = &self.at_hand.partnership {
            return Ok(partnership.clone().ok().map(Partnership).map(Direct));
        }
        let Some(id) = self.view.partnership else { return Ok(None) };
        Ok(load(ctx, id).await?.map(Partnership).map(Direct))
    }

    /// What it started from.
    async fn template(&self, ctx: &Context<'_>) -> Result<LeadTemplate> {
        LeadTemplate::of(ctx, self.view.template, &self.view.workflow).await
    }

    /// The key of the workflow that it is on.
    async fn workflow_key(&self) -> &str {
        &self.view.workflow.key
    }

    /// The version of the workflow that it is on; what starts from its template later may be on a newer one.
    async fn workflow_version(&self) -> i32 {
        self.view.workflow.version
    }

    /// The stages of the workflow that it is on, on all tracks, in order.
    async fn stages(&self, ctx: &Context<'_>) -> Result<Vec<Direct<Stage>>> {
        Ok(self.definition(ctx).await?.stages.iter().map(|stage| Direct(stage.into())).collect())
    }

    /// Where it stands now. A lead whose limit has passed is expired for everyone at once.
    async fn stage(&self, ctx: &Context<'_>) -> Result<Direct<Stage>> {
        let stage = self.definition(ctx).await?.stage(&self.view.stage);
        stage.map(|stage| Direct(stage.into())).ok_or_else(|| Error::internal("a lead in an unknown stage")).reply(ctx)
    }

    /// Where its review by the vendor stands; null where the template has no status track.
    async fn status(&self, ctx: &Context<'_>) -> Result<Option<Direct<Stage>>> {
        let Some((key, _)) = &self.view.status else { return Ok(None) };
        let status = self.definition(ctx).await?.stage(key);
        let status = status.ok_or_else(|| Error::internal("a lead in an unknown status")).reply(ctx)?;
        Ok(Some(Direct(status.into())))
    }

    /// Whether the stage can't be moved yet: it is unlocked when the vendor accepts the lead.
    async fn stage_locked(&self) -> bool {
        self.view.stage_locked
    }

    /// Who works it on the viewer's side.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        let Some(id) = self.view.owner else { return Ok(None) };
        profile(ctx, id).await.map(Some)
    }

    /// Not deactivated.
    async fn active(&self) -> bool {
        self.view.active
    }

    /// Whether it is in the archive: read-only, and left out of lists that don't ask for it.
    async fn archived(&self) -> bool {
        self.view.archived
    }

    /// Whose need it is.
    async fn customer(&self) -> Direct<Customer> {
        Direct(Customer::from(&self.view.customer))
    }

    /// What it may be worth; null where nobody said.
    async fn estimated_value(&self) -> Option<Direct<Money>> {
        self.view.value.map(|value| Direct(value.into()))
    }

    /// When the running counter ends; null when none runs.
    async fn expires_at(&self) -> Option<DateTime> {
        self.view.expires_at.map(DateTime)
    }

    /// When it was accepted; null before.
    async fn accepted_at(&self) -> Option<DateTime> {
        self.view.accepted_at.map(DateTime)
    }

    /// When it was declined; null unless it was.
    async fn declined_at(&self) -> Option<DateTime> {
        self.view.declined_at.map(DateTime)
    }

    /// When its limit passed; null unless it did.
    async fn expired_at(&self) -> Option<DateTime> {
        self.view.expired_at.map(DateTime)
    }

    /// When it became an opportunity; null before.
    async fn converted_at(&self) -> Option<DateTime> {
        self.view.converted_at.map(DateTime)
    }

    /// When it was closed, converted or not; null before.
    async fn closed_at(&self) -> Option<DateTime> {
        self.view.closed_at.map(DateTime)
    }

    /// The reason of the last decline, rejection, close, withdrawal or disqualification; null where none was given.
    async fn reason(&self) -> Option<&str> {
        self.view.reason.as_deref()
    }

    /// The code of the last rejection or disqualification, as the workflow's form has it; null where there was none.
    async fn reason_code(&self) -> Option<&str> {
        self.view.details().code.as_deref()
    }

    /// The code of its disqualification; null unless it was disqualified with one of these.
    async fn disqualification_code(&self) -> Option<DisqualificationCode> {
        self.view.details().code.as_deref().and_then(DisqualificationCode::parse)
    }

    /// The code of its rejection; null unless it was rejected with one of these.
    async fn rejection_code(&self) -> Option<RejectionCode> {
        self.view.details().code.as_deref().and_then(RejectionCode::parse)
    }

    /// The lead that has priority over it, after a rejection as a duplicate; null for a viewer who may not see that one.
    async fn duplicate_of(&self, ctx: &Context<'_>) -> Result<Option<Lead>> {
        let Some(id) = self.view.details().duplicate_of else { return Ok(None) };
        Ok(load(ctx, id).await?.map(Lead::new))
    }

    /// What one side last told the other with a change of status, such as what is missing; null where it said nothing.
    async fn note(&self) -> Option<&str> {
        self.view.details().note.as_deref()
    }

    /// When it was last assigned to an owner; null before.
    async fn assigned_at(&self) -> Option<DateTime> {
        self.date(DateKey::Assigned)
    }

    /// When it was qualified; null unless it was.
    async fn qualified_at(&self) -> Option<DateTime> {
        self.date(DateKey::Qualified)
    }

    /// When it was disqualified; null unless it was.
    async fn disqualified_at(&self) -> Option<DateTime> {
        self.date(DateKey::Disqualified)
    }

    /// When it was rejected; null unless it was.
    async fn rejected_at(&self) -> Option<DateTime> {
        self.date(DateKey::Rejected)
    }

    /// When the partner was first to be paid for it; null before.
    async fn ready_for_payout_at(&self) -> Option<DateTime> {
        self.date(DateKey::ReadyForPayout)
    }

    /// When the partner was first paid for it; null before.
    async fn paid_out_at(&self) -> Option<DateTime> {
        self.date(DateKey::PaidOut)
    }

    /// When its invoices were last checked; null before the first check.
    async fn checked_at(&self) -> Option<DateTime> {
        self.date(DateKey::Checked)
    }

    /// When its invoices are to be checked next; null where no check is set.
    async fn next_check_at(&self) -> Option<DateTime> {
        let counts = self.view.expires_to.as_ref().is_some_and(|to| to.kind != definition::StageKind::Expired);
        self.view.expires_at.filter(|_| counts).map(DateTime)
    }

    /// What the viewer's company knows of the customer's decision; null where it knows nothing. Never the other side's.
    async fn qualification(&self) -> Option<Qualification> {
        let known = &self.view.details().qualification;
        (!known.is_empty()).then(|| known.into())
    }

    /// What the lead was inside its company before it was shared; null for one that was never internal on a workflow of
    /// its own, and for the other side.
    async fn internal_record(&self) -> Option<InternalRecord> {
        self.view.details().internal.clone().map(InternalRecord)
    }

    /// How its opportunity ended; null while it is open, and without one.
    async fn outcome(&self, ctx: &Context<'_>) -> Result<Option<StageKind>> {
        let Some(id) = self.view.opportunity else { return Ok(None) };
        let found = load(ctx, id).await?.filter(|found| found.closed_at.is_some());
        Ok(found.map(|found| found.stage_kind.into()))
    }

    /// What its opportunity was won for; null unless it was won.
    async fn revenue(&self, ctx: &Context<'_>) -> Result<Option<Money>> {
        let Some(id) = self.view.opportunity else { return Ok(None) };
        let found = load(ctx, id).await?.filter(|found| found.stage_kind == definition::StageKind::Won);
        Ok(found.and_then(|found| found.value).map(Money::from))
    }

    /// What it became; null before its conversion.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
        let Some(id) = self.view.opportunity else { return Ok(None) };
        Ok(load(ctx, id).await?.map(Opportunity::new))
    }

    /// What the viewer may do with it now, each with the form that it needs. What is not here would be refused.
    async fn available_actions(&self, ctx: &Context<'_>) -> Result<Vec<Direct<LeadAction>>> {
        let definition = self.definition(ctx).await?;
        let actions = service(ctx).available_actions(member(ctx)?, &self.view, definition);
        let fields = Fields::Lead(&self.view);
        let shown = |action| LeadAction::of(definition, action, fields, |track| self.view.at(track));
        Ok(actions.into_iter().filter_map(shown).map(Direct).collect())
    }

    /// What the viewer could do with it now, were it not for fields of the lead that are still empty.
    async fn blocked_actions(&self, ctx: &Context<'_>) -> Result<Vec<BlockedAction>> {
        let definition = self.definition(ctx).await?;
        let blocked = service(ctx).blocked_actions(member(ctx)?, &self.view, definition);
        Ok(blocked.into_iter().map(BlockedAction::of).collect())
    }

    /// The paths of the fields of its content, such as `customer.company`, that the viewer can't change where it stands
    /// now: `updateLead` refuses them with FORBIDDEN. To the side that did not source it, all of them.
    async fn fixed_fields(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let definition = self.definition(ctx).await?;
        let (fixed, _) = service(ctx).ruled_fields(member(ctx)?, &self.view, definition);
        Ok(fixed.into_iter().map(str::to_owned).collect())
    }

    /// The paths of the fields of its content that the viewer may change, but whose change puts it back to a review by the
    /// other side.
    async fn reviewed_fields(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let definition = self.definition(ctx).await?;
        let (_, reviewed) = service(ctx).ruled_fields(member(ctx)?, &self.view, definition);
        Ok(reviewed.into_iter().map(str::to_owned).collect())
    }

    /// The conversation on it, the oldest first.
    async fn comments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<Direct<Arc<CommentConnection>>> {
        let request = request(first, after, last, before);
        let lead = self.view.id;
        if let Some((asked, page)) = &self.at_hand.comments
            && *asked == request
        {
            return Ok(Direct(page.clone()));
        }
        if request.after.is_some() || request.before.is_some() {
            let page = service(ctx).comments(member(ctx)?, lead, request).await.reply(ctx)?;
            return Ok(Direct(Arc::new(connect!(page, CommentConnection, CommentEdge, Comment::new, lead: lead))));
        }
        let page = load(ctx, CommentsOf(lead, request)).await?;
        Ok(Direct(Arc::new(Comment::connection(page.unwrap_or_else(empty), lead))))
    }

    /// What is to be done on it, the oldest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<Direct<Arc<TaskConnection>>> {
        let request = request(first, after, last, before);
        let lead = self.view.id;
        if let Some((asked, page)) = &self.at_hand.tasks
            && *asked == request
        {
            return Ok(Direct(page.clone()));
        }
        let page = if request.after.is_some() || request.before.is_some() {
            service(ctx).tasks_of_lead(member(ctx)?, lead, request).await.reply(ctx)?
        } else {
            load(ctx, TasksOf(lead, request)).await?.unwrap_or_else(empty)
        };
        Ok(Direct(Arc::new(Task::connection(page, Some(lead)))))
    }

    /// How many of its tasks are open.
    async fn open_task_count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = match self.at_hand.open_tasks {
            Some(count) => count,
            None => load(ctx, OpenTasksOf(self.view.id)).await?.unwrap_or_default(),
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// What happened to it, the newest first.
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<ActivityConnection> {
        let filter = ActivityFilter::of_lead(self.view.id);
        super::activity::page(ctx, filter, request(first, after, last, before)).await
    }

    /// Its records in the viewer's company's other systems. The other side's are never here.
    async fn external_references(&self, ctx: &Context<'_>) -> Result<Vec<ExternalReference>> {
        let found = load(ctx, ReferencesOf(self.view.id)).await?.unwrap_or_default();
        Ok(found.into_iter().map(ExternalReference::from).collect())
    }

    /// The marketing lists of the viewer's company that it is on, in the order in which it was added. Those in the
    /// archive are left out. The other side's are never here.
    async fn marketing_lists(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, 0 to 100; 20 where neither first nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
    ) -> Result<LeadMarketingListConnection> {
        marketing_list::of_lead(ctx, self.view.id, request(first, after, last, before)).await
    }

    /// The other leads of the viewer's company that look like the same customer now, the most alike first, at most 20:
    /// also those that are archived, deactivated or ended. Each company sees its own alone.
    async fn possible_duplicates(&self, ctx: &Context<'_>) -> Result<Vec<DuplicateCandidate>> {
        let found = load(ctx, DuplicatesOf(self.view.id)).await?.unwrap_or_default();
        duplicate::candidates(ctx, &found).await
    }

    /// When the viewer's company's part in it ended; null while it goes on. Nothing newer is in this view.
    async fn ended_at(&self) -> Option<DateTime> {
        self.view.ended_at.map(DateTime)
    }

    /// Counts the changes of this view, from 1: what `expectedVersion` is compared with.
    async fn version(&self) -> i32 {
        self.view.version
    }

    /// When it came to the viewer's company: created by it, or shared with it.
    async fn created_at(&self) -> DateTime {
        DateTime(self.view.created_at)
    }

    /// When this view last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.view.updated_at)
    }
}

impl Lead {
    fn date(&self, key: DateKey) -> Option<DateTime> {
        self.view.details().dates.get(&key).copied().map(DateTime)
    }
}

/// What a lead was inside its company before it was shared.
#[derive(Clone, Debug)]
pub struct InternalRecord(lead::Internal);

/// What a lead was inside its company before it was shared. Only that company sees it.
#[Object]
impl InternalRecord {
    /// What it started from.
    async fn template(&self, ctx: &Context<'_>) -> Result<Option<LeadTemplate>> {
        Ok(load(ctx, self.0.template).await?.map(LeadTemplate))
    }

    /// The stage that it was shared at.
    async fn stage(&self, ctx: &Context<'_>) -> Result<Option<Stage>> {
        let definition = service(ctx).definition(&self.0.workflow).await.reply(ctx)?;
        Ok(definition.stage(&self.0.stage).map(Stage::from))
    }

    /// What it had become by then; null where it had become nothing.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<Opportunity>> {
        let Some(id) = self.0.opportunity else { return Ok(None) };
        Ok(load(ctx, id).await?.map(Opportunity::new))
    }
}

fn empty<T>() -> Page<T> {
    Page { edges: Vec::new(), has_next: false, has_previous: false }
}

connection!(LeadConnection, LeadEdge, Lead, "leads");

/// A page of leads, with what the query asks of each loaded for all of them at once.
pub(super) async fn leads_at_hand(
    ctx: &Context<'_>,
    page: Page<lead::Lead>,
    node: &Lookahead<'_>,
) -> Result<LeadConnection> {
    let mut page = page.map(Lead::new);
    let mut leads: Vec<_> = page.edges.iter_mut().map(|(_, lead)| lead).collect();
    put_at_hand(ctx, &mut leads, node).await?;
    Ok(connect!(page, LeadConnection, LeadEdge, std::convert::identity))
}

/// A lead, with what the query asks of it at hand.
pub(super) async fn lead_at_hand(ctx: &Context<'_>, lead: lead::Lead, node: &Lookahead<'_>) -> Result<Lead> {
    let mut lead = Lead::new(lead);
    put_at_hand(ctx, &mut [&mut lead], node).await?;
    Ok(lead)
}

/// Loads what the query asks of some leads: one statement a field, however many leads there are.
pub(super) async fn put_at_hand(ctx: &Context<'_>, leads: &mut [&mut Lead], node: &Lookahead<'_>) -> Result<()> {
    let (service, member) = (service(ctx), member(ctx)?);
    if leads.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = leads.iter().map(|lead| lead.view.id).collect();
    if node.field("partnership").exists() {
        let mut wanted: Vec<_> = leads.iter().filter_map(|lead| lead.view.partnership).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = service.partnerships_by_ids(member, &wanted).await.reply(ctx)?;
        for lead in leads.iter_mut() {
            let id = lead.view.partnership;
            lead.at_hand.partnership = Some(found.iter().find(|item| Some(item.id) == id).cloned().ok_or(NotFound));
        }
    }
    if let Some(request) = only_request(node, "comments") {
        let mut found = service.comments_of_leads(member, &ids, &request).await.reply(ctx)?;
        for lead in leads.iter_mut() {
            let id = lead.view.id;
            let page = Comment::connection(found.remove(&id).unwrap_or_else(empty), id);
            lead.at_hand.comments = Some((request.clone(), Arc::new(page)));
        }
    }
    if let Some(request) = only_request(node, "tasks") {
        let mut found = service.tasks_of_leads(member, &ids, &request).await.reply(ctx)?;
        for lead in leads.iter_mut() {
            let id = lead.view.id;
            let page = Task::connection(found.remove(&id).unwrap_or_else(empty), Some(id));
            lead.at_hand.tasks = Some((request.clone(), Arc::new(page)));
        }
    }
    if node.field("openTaskCount").exists() {
        let found = service.open_tasks(member, &ids).await.reply(ctx)?;
        for lead in leads.iter_mut() {
            lead.at_hand.open_tasks = Some(found.get(&lead.view.id).copied().unwrap_or_default());
        }
    }
    Ok(())
}

/// What is asked of a connection of a lead. With two selections of it the loader tells them apart.
fn only_request(node: &Lookahead<'_>, name: &str) -> Option<PageRequest> {
    match node.field(name).selection_fields().as_slice() {
        [field] => arguments(field),
        _ => None,
    }
}

/// The arguments of a connection of a lead, where they are sound and have no cursor.
fn arguments(field: &async_graphql::SelectionField<'_>) -> Option<PageRequest> {
    let mut request = PageRequest::default();
    for (name, value) in field.arguments().ok()? {
        let number = match &value {
            async_graphql::Value::Number(number) => number.as_i64(),
            async_graphql::Value::Null => None,
            async_graphql::Value::String(text) if text.is_empty() => None,
            _ => return None,
        };
        match name.as_str() {
            "first" => request.first = number,
            "last" => request.last = number,
            _ if number.is_none() => {}
            _ => return None,
        }
    }
    request.bounds().is_ok().then_some(request)
}

/// Whose need a lead is.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct Customer {
    /// The customer's company.
    pub company: String,
    /// Its website; null where nobody said.
    pub website: Option<Url>,
    /// Its industry; null where nobody said.
    pub industry: Option<String>,
    /// How many people it employs; null where nobody said.
    pub employees: Option<i32>,
    /// Its address; null where nothing of it is known.
    pub address: Option<Address>,
    /// The person to speak to; null where nothing is known.
    pub contact: Option<Contact>,
}

/// A customer's address.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct Address {
    /// Street and number; may have several lines.
    pub street: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The state or province.
    pub region: Option<String>,
    /// The postal code.
    pub postal_code: Option<String>,
    /// The country.
    pub country: Option<CountryCode>,
}

/// The person to speak to.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct Contact {
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The title or position.
    pub job_title: Option<String>,
    /// The e-mail address.
    pub email: Option<EmailAddress>,
    /// The phone number as E.164.
    pub phone: Option<PhoneNumber>,
    /// The phone number as it was typed; there may be one without `phone`, where an import could not read it.
    pub phone_as_typed: Option<String>,
}

impl From<&customer::Customer> for Customer {
    fn from(customer: &customer::Customer) -> Self {
        let (address, contact) = (&customer.address, &customer.contact);
        Self {
            company: customer.company.clone(),
            website: customer.website.clone().map(Url),
            industry: customer.industry.clone(),
            employees: customer.employees,
            address: (!address.is_empty()).then(|| Address {
                street: address.street.clone(),
                city: address.city.clone(),
                region: address.region.clone(),
                postal_code: address.postal_code.clone(),
                country: address.country.clone().map(CountryCode),
            }),
            contact: (!contact.is_empty()).then(|| Contact {
                first_name: contact.first_name.clone(),
                last_name: contact.last_name.clone(),
                job_title: contact.job_title.clone(),
                email: contact.email.clone().map(EmailAddress),
                phone: contact.phone.as_ref().map(|phone| PhoneNumber(phone.e164.clone())),
                phone_as_typed: contact.phone_as_typed().map(str::to_owned),
            }),
        }
    }
}

/// An amount in a currency.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct Money {
    /// The amount, with the currency's decimals.
    pub amount: Decimal,
    /// The currency.
    pub currency: CurrencyCode,
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self { amount: Decimal(money.to_string()), currency: CurrencyCode(money.currency().code().to_owned()) }
    }
}

/// A lead's record in another system.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(serial)]
pub struct ExternalReference {
    /// The system, such as `salesforce`.
    pub system: String,
    /// The record's id in that system.
    pub id: String,
    /// Where a person finds the record.
    pub url: Option<Url>,
}

impl From<reference::ExternalReference> for ExternalReference {
    fn from(reference: reference::ExternalReference) -> Self {
        Self { system: reference.system, id: reference.id, url: reference.url.map(Url) }
    }
}

/// Which leads to list. What is absent does not matter, and so what is null, unless it says
/// otherwise; all that is given has to hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct LeadFilter {
    /// In one of these stages, by key, such as `pending`.
    pub stage: Option<Vec<String>>,
    /// In a stage of one of these kinds.
    pub stage_kind: Option<Vec<StageKind>>,
    /// In one of these statuses, by key, such as `requires_more_info`; null: on a workflow without statuses.
    pub status: MaybeUndefined<Vec<String>>,
    /// The viewer's company is on this side.
    pub side: Option<Side>,
    /// With this owner on the viewer's side; null: without one.
    pub owner_id: MaybeUndefined<ID>,
    /// From this template.
    pub template_id: Option<ID>,
    /// On the workflow of this template, whatever the version and whichever template of which company they started
    /// from: what stands on the template's board.
    pub workflow_of_template_id: Option<ID>,
    /// Last shared across this partnership; null: never shared.
    pub partnership_id: MaybeUndefined<ID>,
    /// In the archive or out of it. Where absent, archived leads are left out unless `stage`, `stageKind` or `status` is
    /// given.
    pub archived: Option<bool>,
    /// Active or deactivated; active ones where absent.
    pub active: Option<bool>,
    /// Whose running counter ends before this time.
    pub expiring_before: Option<DateTime>,
    /// With each of these words somewhere in title, number, or the customer's company, contact and e-mail address, in any
    /// order, whatever the case, the accents and the form of the letters. At most 100 characters and 10 words; blank is as
    /// good as absent.
    pub text: Option<String>,
}

/// The order of a list of leads.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct LeadOrder {
    /// By what.
    pub field: LeadOrderField,
    /// Which way; DESC where absent.
    #[graphql(default_with = "OrderDirection::Desc")]
    pub direction: OrderDirection,
}

/// What leads can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "LeadSort")]
pub enum LeadOrderField {
    /// When the lead came to the viewer's company.
    Created,
    /// When it last changed.
    Updated,
    /// When its counter ends; those without one count as the latest.
    Expires,
    /// Its estimated value as a number, whatever the currency; those without one count as the lowest.
    Value,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// From the earliest or lowest.
    Asc,
    /// From the latest or highest.
    Desc,
}

/// A customer, as a new lead has it.
#[derive(Clone, Debug, InputObject)]
pub struct CustomerInput {
    /// The customer's company; at most 255 characters.
    pub company: String,
    /// Its website.
    pub website: Option<Url>,
    /// Its industry; at most 255 characters.
    pub industry: Option<String>,
    /// How many people it employs.
    pub employees: Option<i32>,
    /// Its address.
    pub address: Option<AddressInput>,
    /// The person to speak to.
    pub contact: Option<ContactInput>,
}

/// A customer's address.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AddressInput {
    /// Street and number; may have several lines, at most 255 characters.
    pub street: Option<String>,
    /// The city; at most 100 characters.
    pub city: Option<String>,
    /// The state or province; at most 100 characters.
    pub region: Option<String>,
    /// The postal code; at most 20 characters.
    pub postal_code: Option<String>,
    /// The country.
    pub country: Option<CountryCode>,
}

/// The person to speak to.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ContactInput {
    /// The first name; at most 100 characters.
    pub first_name: Option<String>,
    /// The last name; at most 100 characters.
    pub last_name: Option<String>,
    /// The title or position; at most 128 characters.
    pub job_title: Option<String>,
    /// The e-mail address.
    pub email: Option<EmailAddress>,
    /// The phone number as typed; without `+` or `00` it is read as one of the address's country, and of no other's.
    pub phone: Option<PhoneNumber>,
}

impl From<CustomerInput> for customer::CustomerInput {
    fn from(input: CustomerInput) -> Self {
        Self {
            company: Some(input.company),
            website: input.website.map(String::from),
            industry: input.industry,
            employees: input.employees.map(i64::from),
            address: input.address.map(|address| customer::AddressInput {
                street: address.street,
                city: address.city,
                region: address.region,
                postal_code: address.postal_code,
                country: address.country.map(String::from),
            }),
            contact: input.contact.map(|contact| customer::ContactInput {
                first_name: contact.first_name,
                last_name: contact.last_name,
                job_title: contact.job_title,
                email: contact.email.map(String::from),
                phone: contact.phone.map(String::from),
                ..customer::ContactInput::default()
            }),
        }
    }
}

/// A change of a customer. What is absent stays; what is null is cleared.
#[derive(Clone, Debug, Default, InputObject)]
pub struct UpdateCustomerInput {
    /// The customer's company; can't be cleared.
    pub company: MaybeUndefined<String>,
    /// Its website.
    pub website: MaybeUndefined<Url>,
    /// Its industry.
    pub industry: MaybeUndefined<String>,
    /// How many people it employs.
    pub employees: MaybeUndefined<i32>,
    /// Its address.
    pub address: MaybeUndefined<UpdateAddressInput>,
    /// The person to speak to.
    pub contact: MaybeUndefined<UpdateContactInput>,
}

/// A change of a customer's address. What is absent stays; what is null is cleared.
#[derive(Clone, Debug, Default, InputObject)]
pub struct UpdateAddressInput {
    /// Street and number; may have several lines.
    pub street: MaybeUndefined<String>,
    /// The city.
    pub city: MaybeUndefined<String>,
    /// The state or province.
    pub region: MaybeUndefined<String>,
    /// The postal code.
    pub postal_code: MaybeUndefined<String>,
    /// The country.
    pub country: MaybeUndefined<CountryCode>,
}

/// A change of the person to speak to. What is absent stays; what is null is cleared.
#[derive(Clone, Debug, Default, InputObject)]
pub struct UpdateContactInput {
    /// The first name.
    pub first_name: MaybeUndefined<String>,
    /// The last name.
    pub last_name: MaybeUndefined<String>,
    /// The title or position.
    pub job_title: MaybeUndefined<String>,
    /// The e-mail address.
    pub email: MaybeUndefined<EmailAddress>,
    /// The phone number as typed.
    pub phone: MaybeUndefined<PhoneNumber>,
}

impl From<UpdateCustomerInput> for customer::CustomerPatch {
    fn from(input: UpdateCustomerInput) -> Self {
        Self {
            company: patch(input.company),
            website: patch(input.website).map(String::from),
            industry: patch(input.industry),
            employees: patch(input.employees).map(i64::from),
            address: patch(input.address).map(|address| customer::AddressPatch {
                street: patch(address.street),
                city: patch(address.city),
                region: patch(address.region),
                postal_code: patch(address.postal_code),
                country: patch(address.country).map(String::from),
            }),
            contact: patch(input.contact).map(|contact| customer::ContactPatch {
                first_name: patch(contact.first_name),
                last_name: patch(contact.last_name),
                job_title: patch(contact.job_title),
                email: patch(contact.email).map(String::from),
                phone: patch(contact.phone).map(String::from),
                ..customer::ContactPatch::default()
            }),
        }
    }
}

/// An amount in a currency.
#[derive(Clone, Debug, InputObject)]
pub struct MoneyInput {
    /// The amount: not negative, with at most the currency's decimals.
    pub amount: Decimal,
    /// The currency.
    pub currency: CurrencyCode,
}

impl From<MoneyInput> for crate::service::lead::MoneyInput {
    fn from(input: MoneyInput) -> Self {
        Self { amount: input.amount.0, currency: input.currency.0 }
    }
}

/// A lead's record in another system.
#[derive(Clone, Debug, InputObject)]
pub struct ExternalReferenceInput {
    /// The system, such as `salesforce`: letters, digits, dot, hyphen and underscore.
    pub system: String,
    /// The record's id in that system, unique within it.
    pub id: String,
    /// Where a person finds the record.
    pub url: Option<Url>,
}

impl From<ExternalReferenceInput> for reference::ExternalReferenceInput {
    fn from(input: ExternalReferenceInput) -> Self {
        Self { system: Some(input.system), id: Some(input.id), url: input.url.map(String::from) }
    }
}

/// A lead to create.
#[derive(Clone, Debug, InputObject)]
pub struct CreateLeadInput {
    /// What the customer needs, in a line; at most 200 characters.
    pub title: String,
    /// What the customer needs, at length; at most 32,000 characters.
    pub description: Option<String>,
    /// Where the lead came from, such as `Web`; at most 255 characters.
    pub lead_source: Option<String>,
    /// Whose need it is.
    pub customer: CustomerInput,
    /// What it may be worth.
    pub estimated_value: Option<MoneyInput>,
    /// What the viewer's company knows of the customer's decision. Never the other side's to see.
    pub qualification: Option<QualificationInput>,
    /// The template's key; the company's default where absent.
    pub template_key: Option<String>,
    /// Shared at once across this partnership where given.
    pub partnership_id: Option<ID>,
    /// The limit for the answer; the template's where absent.
    pub expires_at: Option<DateTime>,
    /// Its record in another system; DUPLICATE where another lead has it.
    pub external_reference: Option<ExternalReferenceInput>,
    /// Makes a repetition of this call safe: the same key with the same content gives the same lead.
    pub idempotency_key: Option<String>,
}

/// What `createLead` gives: the new lead, or with an `idempotencyKey` that was used before the one of then.
#[derive(SimpleObject)]
pub struct CreateLeadPayload {
    /// The lead.
    pub lead: Lead,
}

/// How to change a lead. What is absent stays; what is null is cleared. Exactly one of leadId and externalReference
/// names the lead; with leadId, externalReference is added to the lead's references.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateLeadInput {
    /// The lead.
    pub lead_id: Option<ID>,
    /// The lead's record in another system: names the lead where leadId is absent, else is added to it.
    pub external_reference: Option<ExternalReferenceInput>,
    /// What the customer needs, in a line.
    pub title: MaybeUndefined<String>,
    /// What the customer needs, at length.
    pub description: MaybeUndefined<String>,
    /// Where the lead came from.
    pub lead_source: MaybeUndefined<String>,
    /// Whose need it is.
    pub customer: MaybeUndefined<UpdateCustomerInput>,
    /// What it may be worth.
    pub estimated_value: MaybeUndefined<MoneyInput>,
    /// What the viewer's company knows of the customer's decision.
    pub qualification: MaybeUndefined<QualificationInput>,
    /// When the running counter ends; null stops it.
    pub expires_at: MaybeUndefined<DateTime>,
    /// Who works it on the viewer's side. Where the workflow has actions that name the owner: FORBIDDEN for who may take
    /// none of them, at whatever stage.
    pub owner_id: MaybeUndefined<ID>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `updateLead` gives: the lead with its new values.
#[derive(SimpleObject)]
pub struct UpdateLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Whom to share a lead with: an internal one, or one to pass on.
#[derive(Clone, Debug, InputObject)]
pub struct ShareLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// The partnership, ACTIVE.
    pub partnership_id: ID,
    /// The limit for the answer; the template's where absent.
    pub expires_at: Option<DateTime>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// What `shareLead` gives: the lead, which waits for the partner's answer.
#[derive(SimpleObject)]
pub struct ShareLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to take back.
#[derive(Clone, Debug, InputObject)]
pub struct WithdrawLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// Why.
    pub reason: Option<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `withdrawLead` gives: the lead, taken back from the partner.
#[derive(SimpleObject)]
pub struct WithdrawLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to accept.
#[derive(Clone, Debug, InputObject)]
pub struct AcceptLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `acceptLead` gives: the lead, accepted, with the time limit for its conversion.
#[derive(SimpleObject)]
pub struct AcceptLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to decline.
#[derive(Clone, Debug, InputObject)]
pub struct DeclineLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// Why; must not be blank.
    pub reason: String,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `declineLead` gives: the lead, declined, with the reason.
#[derive(SimpleObject)]
pub struct DeclineLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to convert, and to which opportunity: exactly one of opportunityId and opportunity.
#[derive(Clone, Debug, InputObject)]
pub struct ConvertLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// An opportunity of the viewer's company.
    pub opportunity_id: Option<ID>,
    /// A new opportunity; what it leaves out is taken from the lead.
    pub opportunity: Option<OpportunityInput>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// What `convertLead` gives: the lead, converted, and the opportunity that it became.
#[derive(SimpleObject)]
pub struct ConvertLeadPayload {
    /// The opportunity that the lead became.
    pub opportunity: Opportunity,
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to close without an opportunity.
#[derive(Clone, Debug, InputObject)]
pub struct CloseLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// Why.
    pub reason: Option<String>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
}

/// What `closeLead` gives: the lead, closed without an opportunity, with the reason.
#[derive(SimpleObject)]
pub struct CloseLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which lead to move, and where to: same rules as the action that leads there.
#[derive(Clone, Debug, InputObject)]
pub struct MoveLeadInput {
    /// The lead.
    pub lead_id: ID,
    /// The stage's key or name; case and punctuation don't matter.
    pub stage: String,
    /// Why, where the action asks for it.
    pub reason: Option<String>,
    /// An opportunity of the viewer's company, where the move converts the lead.
    pub opportunity_id: Option<ID>,
    /// A new opportunity, where the move converts the lead.
    pub opportunity: Option<OpportunityInput>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// What `moveLead` gives: the lead at its new stage.
#[derive(SimpleObject)]
pub struct MoveLeadPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Which action to take on a lead, with its form.
#[derive(Clone, Debug, InputObject)]
pub struct PerformLeadActionInput {
    /// The lead.
    pub lead_id: ID,
    /// The action's key, as `availableActions` has it.
    pub action: String,
    /// The form: an object with the action's fields by key.
    pub fields: Option<Json>,
    /// The version that the caller read; CONFLICT where it is no longer the current one.
    pub expected_version: Option<i32>,
    /// Makes a repetition of this call safe: the same key with the same content gives the lead, and is not carried out again.
    pub idempotency_key: Option<String>,
}

/// What `performLeadAction` gives: the lead after the action.
#[derive(SimpleObject)]
pub struct PerformLeadActionPayload {
    /// The lead as it now is.
    pub lead: Lead,
}

/// Leads: mutations.
#[derive(Default, Debug)]
pub struct LeadMutation;

/// The form of a typed mutation: what is absent is not in it.
pub(super) fn form<const N: usize>(
    fields: [(&str, Option<serde_json::Value>); N],
) -> serde_json::Map<String, serde_json::Value> {
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

pub(super) fn text(value: Option<String>) -> Option<serde_json::Value> {
    value.map(serde_json::Value::String)
}

/// The form of any action, as the caller gives it.
pub(super) fn object(fields: Option<Json>) -> Result<serde_json::Map<String, serde_json::Value>> {
    match fields.map(|fields| fields.0) {
        None | Some(serde_json::Value::Null) => Ok(serde_json::Map::new()),
        Some(serde_json::Value::Object(form)) => Ok(form),
        Some(_) => {
            let message = "fields must be an object with the action's fields by key.";
            Err(super::error::written(&crate::error::Fault::invalid("input.fields", message)))
        }
    }
}

pub(super) async fn act(
    ctx: &Context<'_>,
    lead_id: &ID,
    asked: Asked<'_>,
    form: serde_json::Map<String, serde_json::Value>,
    expected_version: Option<i32>,
) -> Result<Lead> {
    act_once(ctx, lead_id, asked, form, expected_version, None).await
}

/// The same for a mutation that takes an idempotency key.
pub(super) async fn act_once(
    ctx: &Context<'_>,
    lead_id: &ID,
    asked: Asked<'_>,
    form: serde_json::Map<String, serde_json::Value>,
    expected_version: Option<i32>,
    once: Option<Once>,
) -> Result<Lead> {
    let id = lead_id_of(ctx, lead_id)?;
    let call = ActionCall { asked, form, prefix: "input", expires_at: None, expected_version, once };
    let performed = Box::pin(service(ctx).perform(member(ctx)?, id, &call)).await;
    Ok(Lead::new(performed.map_err(at_inputs).reply(ctx)?))
}

/// Tells the faults of a form's ids where the mutation's input has them.
fn at_inputs(error: Error) -> Error {
    let Error::Faults(mut faults) = error else { return error };
    for field in faults.iter_mut().filter_map(|fault| fault.field.as_mut()) {
        if matches!(field.as_str(), "input.owner" | "input.responsible" | "input.duplicateOf") {
            field.push_str("Id");
        }
    }
    Error::Faults(faults)
}

/// Tells what a move lacks where its caller can mend it: the form of the action that leads there may have fields for which
/// the mutation's input has no place, and `whole` takes.
pub(super) fn at_move(error: Error, takes: &[&str], whole: &str) -> Error {
    let Error::Faults(mut faults) = error else { return error };
    for fault in &mut faults {
        let Some(path) = fault.field.as_deref().and_then(|field| field.strip_prefix("input.")) else { continue };
        let name = path.split('.').next().unwrap_or(path);
        if !takes.contains(&name) {
            let action = fault.action.as_deref().map(|action| format!(" with the action {action}")).unwrap_or_default();
            let more = format!(" A move has no place for it: use {whole}{action}, and give it at input.fields.{path}.");
            fault.message.push_str(&more);
            fault.field = Some("input.stage".to_owned());
        }
    }
    Error::Faults(faults)
}

/// What makes a repetition of this mutation safe.
pub(super) fn once(operation: &'static str, key: Option<String>) -> Option<Once> {
    key.map(|key| Once { operation, key })
}

fn lead_id_of(ctx: &Context<'_>, id: &ID) -> Result<LeadId> {
    parse_id(ctx, id, NodeType::Lead, "input.leadId").map(LeadId)
}

/// Leads: mutations.
#[Object]
impl LeadMutation {
    /// Creates a lead, internal or shared at once. Roles: all but VIEWER.
    async fn create_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lead.")] input: CreateLeadInput,
    ) -> Result<Option<CreateLeadPayload>> {
        let new = NewLead {
            title: input.title,
            description: input.description,
            lead_source: input.lead_source,
            customer: input.customer.into(),
            estimated_value: input.estimated_value.map(Into::into),
            qualification: input.qualification.map(Into::into).unwrap_or_default(),
            template_key: input.template_key,
            partnership_id: input.partnership_id.map(|id| id.0),
            expires_at: input.expires_at.map(|at| at.0),
            external_reference: input.external_reference.map(Into::into),
            owner: None,
            idempotency_key: input.idempotency_key,
        };
        let created = Box::pin(service(ctx).create_lead(member(ctx)?, new)).await.reply(ctx)?;
        Ok(Some(CreateLeadPayload { lead: Lead::new(created.lead) }))
    }

    /// Changes a lead's fields. The content is the source's to change; each side sets its own owner and references.
    /// Roles: all but VIEWER.
    async fn update_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and how.")] input: UpdateLeadInput,
    ) -> Result<Option<UpdateLeadPayload>> {
        let member = member(ctx)?;
        let (key, added) = match (&input.lead_id, input.external_reference) {
            (Some(id), added) => (LeadKey::Id(lead_id_of(ctx, id)?), added),
            (None, Some(reference)) => (LeadKey::Reference(reference.into()), None),
            (None, None) => {
                let fault = crate::error::Fault::required("input.leadId", "Give leadId or externalReference.");
                return Err(super::error::written(&fault));
            }
        };
        let change = LeadChange {
            title: patch(input.title),
            description: patch(input.description),
            lead_source: patch(input.lead_source),
            customer: patch(input.customer).map(Into::into),
            estimated_value: patch(input.estimated_value).map(Into::into),
            qualification: patch(input.qualification).map(Into::into),
            expires_at: patch(input.expires_at).map(|at| at.0),
            owner_id: patch(input.owner_id).map(|id| id.0),
            external_reference: added.map(Into::into),
            expected_version: input.expected_version,
        };
        let lead = Box::pin(service(ctx).update_lead(member, &key, &change)).await.reply(ctx)?;
        Ok(Some(UpdateLeadPayload { lead: Lead::new(lead) }))
    }

    /// Shares an internal lead, or passes one on to another partner. Side: SOURCE.
    async fn share_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and with whom.")] input: ShareLeadInput,
    ) -> Result<Option<ShareLeadPayload>> {
        let id = lead_id_of(ctx, &input.lead_id)?;
        let partnership = parse_id(ctx, &input.partnership_id, NodeType::Partnership, "input.partnershipId")?;
        let call = ActionCall {
            asked: Asked::Share,
            form: partnership_form(PartnershipId(partnership)),
            prefix: "input",
            expires_at: input.expires_at.map(|at| at.0),
            expected_version: input.expected_version,
            once: once("shareLead", input.idempotency_key),
        };
        let lead = Box::pin(service(ctx).perform(member(ctx)?, id, &call)).await.reply(ctx)?;
        Ok(Some(ShareLeadPayload { lead: Lead::new(lead) }))
    }

    /// Takes a lead back that is still unanswered. Side: SOURCE.
    async fn withdraw_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: WithdrawLeadInput,
    ) -> Result<Option<WithdrawLeadPayload>> {
        let form = form([("reason", text(input.reason))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("withdraw"), form, input.expected_version).await?;
        Ok(Some(WithdrawLeadPayload { lead }))
    }

    /// Accepts a lead: the acceptance date is recorded and the second counter starts. Side: RECEIVER.
    async fn accept_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead.")] input: AcceptLeadInput,
    ) -> Result<Option<AcceptLeadPayload>> {
        let lead = act(ctx, &input.lead_id, Asked::Action("accept"), form([]), input.expected_version).await?;
        Ok(Some(AcceptLeadPayload { lead }))
    }

    /// Declines a lead, with a reason: it is archived. Side: RECEIVER.
    async fn decline_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and why.")] input: DeclineLeadInput,
    ) -> Result<Option<DeclineLeadPayload>> {
        let form = form([("reason", text(Some(input.reason)))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("decline"), form, input.expected_version).await?;
        Ok(Some(DeclineLeadPayload { lead }))
    }

    /// Converts an accepted lead to an opportunity, new or existing. Side: RECEIVER.
    async fn convert_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and to what.")] input: ConvertLeadInput,
    ) -> Result<Option<ConvertLeadPayload>> {
        let form = form([
            ("opportunityId", text(input.opportunity_id.map(|id| id.0))),
            ("opportunity", input.opportunity.map(OpportunityInput::into_form)),
        ]);
        let once = once("convertLead", input.idempotency_key);
        let asked = Asked::Action("convert");
        let lead = act_once(ctx, &input.lead_id, asked, form, input.expected_version, once).await?;
        let opportunity = match lead.opportunity_id() {
            Some(id) => load(ctx, id).await?,
            None => None,
        };
        let opportunity =
            opportunity.ok_or_else(|| Error::internal("a conversion without an opportunity")).reply(ctx)?;
        Ok(Some(ConvertLeadPayload { opportunity: Opportunity::new(opportunity), lead }))
    }

    /// Closes an accepted lead that becomes no opportunity. Side: RECEIVER.
    async fn close_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and why.")] input: CloseLeadInput,
    ) -> Result<Option<CloseLeadPayload>> {
        let form = form([("reason", text(input.reason))]);
        let lead = act(ctx, &input.lead_id, Asked::Action("close"), form, input.expected_version).await?;
        Ok(Some(CloseLeadPayload { lead }))
    }

    /// Moves a lead to a stage, as on a board: same rules as the action that leads there.
    async fn move_lead(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, and where to.")] input: MoveLeadInput,
    ) -> Result<Option<MoveLeadPayload>> {
        let form = form([
            ("reason", text(input.reason)),
            ("opportunityId", text(input.opportunity_id.map(|id| id.0))),
            ("opportunity", input.opportunity.map(OpportunityInput::into_form)),
        ]);
        let once = once("moveLead", input.idempotency_key);
        let asked = Asked::Stage(&input.stage);
        let id = lead_id_of(ctx, &input.lead_id)?;
        let expected_version = input.expected_version;
        let call = ActionCall { asked, form, prefix: "input", expires_at: None, expected_version, once };
        let performed = Box::pin(service(ctx).perform(member(ctx)?, id, &call)).await;
        let takes = ["leadId", "stage", "reason", "opportunityId", "opportunity", "expectedVersion", "idempotencyKey"];
        let lead = performed.map_err(|error| at_move(error, &takes, "performLeadAction")).reply(ctx)?;
        Ok(Some(MoveLeadPayload { lead: Lead::new(lead) }))
    }

    /// Takes any action of the lead's workflow, with its form.
    async fn perform_lead_action(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lead, which action, and its form.")] input: PerformLeadActionInput,
    ) -> Result<Option<PerformLeadActionPayload>> {
        let form = object(input.fields)?;
        let id = lead_id_of(ctx, &input.lead_id)?;
        let call = ActionCall {
            asked: Asked::Action(&input.action),
            form,
            prefix: "input.fields",
            expires_at: None,
            expected_version: input.expected_version,
            once: once("performLeadAction", input.idempotency_key),
        };
        let lead = Box::pin(service(ctx).perform(member(ctx)?, id, &call)).await.reply(ctx)?;
        Ok(Some(PerformLeadActionPayload { lead: Lead::new(lead) }))
    }
}
