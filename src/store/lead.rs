//! Leads: a row per company and lead.

use chrono::{DateTime, Utc};
use cosell_entity::{assignment, lead, lead_view};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, Value,
    sea_query::{Expr, ExprTrait, LikeExpr, Query},
};

use sqlx::types::Json;

use super::{
    among, company, duplicate,
    page::{Slice, Window},
    row::Columns,
    scope::Scope,
    unknown,
};
use crate::{
    domain::{
        actor::{Member, Side},
        company::StageMover,
        customer::{Address, Contact, Customer},
        id::{AssignmentId, CompanyId, LeadId, MemberId, OpportunityId, PartnershipId, TemplateId},
        lead::{Destination, Details, Lead, WorkflowRef, received_number},
        money::Money,
        patch::Patch,
        text::loose,
        workflow::definition::{StageKind, TrackKey},
    },
    error::{Error, Result},
};

pub(super) fn side_of(text: &str) -> Result<Side> {
    [Side::Source, Side::Receiver].into_iter().find(|side| side.as_str() == text).ok_or_else(|| unknown("side", text))
}

pub(super) fn stage_kind_of(text: &str) -> Result<StageKind> {
    StageKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| unknown("stage kind", text))
}

pub(super) fn money_of(amount: Option<i64>, currency: Option<&str>) -> Result<Option<Money>> {
    match (amount, currency) {
        (Some(amount), Some(currency)) => {
            Ok(Some(Money::from_scaled(amount, currency).map_err(|_| unknown("currency", currency))?))
        }
        _ => Ok(None),
    }
}

/// The end of time, for the list by expiry: leads without a counter come last.
const NEVER: DateTime<Utc> = DateTime::from_timestamp(253_402_214_400, 0).expect("a moment of the year 9999");

/// The company's views of leads, with the columns that [`lead_of`] reads.
pub(super) fn views(scope: Scope) -> Select<lead_view::Entity> {
    select_views().filter(scope.leads())
}

/// Without the last columns, which only serve to find and to order.
fn select_views() -> Select<lead_view::Entity> {
    use lead_view::Column as C;
    let found_by = |column: &C| matches!(column, C::SortExpires | C::SortValue | C::Search | C::InternalOpportunityId);
    let of_partnership = |column| {
        let statement = format!("(SELECT p.{column} FROM partnership p WHERE p.id = lead_view.partnership_id)");
        Expr::cust(statement)
    };
    lead_view::Entity::find()
        .select_only()
        .columns(C::iter().filter(|column| !found_by(column)))
        .expr(of_partnership("vendor_id"))
        .expr(of_partnership("stage_moved_by"))
}

async fn read(db: &impl ConnectionTrait, select: Select<lead_view::Entity>) -> Result<Vec<Lead>> {
    db.query_all(&select.into_query()).await?.iter().map(lead_of).collect()
}

/// Reads the columns in their order in the table.
pub(super) fn lead_of(row: &QueryResult) -> Result<Lead> {
    let mut row = Columns::of(row)?;
    let expires_to: Option<String>;
    let mut lead = Lead {
        id: LeadId(row.next()?),
        company: CompanyId(row.next()?),
        side: side_of(row.next()?)?,
        source: CompanyId(row.next()?),
        receiver: row.next::<Option<_>>()?.map(CompanyId),
        partnership: row.next::<Option<_>>()?.map(PartnershipId),
        assignment: row.next::<Option<_>>()?.map(AssignmentId),
        template: TemplateId(row.next()?),
        workflow: WorkflowRef { owner: None, key: row.next()?, version: row.next()? },
        number: row.next()?,
        title: row.next()?,
        description: row.next()?,
        lead_source: row.next()?,
        customer: Customer {
            company: row.next()?,
            website: row.next()?,
            industry: row.next()?,
            employees: row.next()?,
            address: Address {
                street: row.next()?,
                city: row.next()?,
                region: row.next()?,
                postal_code: row.next()?,
                country: row.next()?,
            },
            contact: Contact {
                first_name: row.next()?,
                last_name: row.next()?,
                job_title: row.next()?,
                email: row.next()?,
                ..Contact::default()
            }
            .reached_at(row.next()?, row.next()?),
        },
        value: money_of(row.next()?, row.next()?)?,
        stage: row.next()?,
        stage_kind: stage_kind_of(row.next()?)?,
        owner: row.next::<Option<_>>()?.map(MemberId),
        active: row.next()?,
        archived: row.next()?,
        reason: row.next()?,
        expires_at: row.next()?,
        on_expiry: row.next()?,
        expires_to: {
            expires_to = row.next()?;
            None
        },
        warn_at: None,
        accepted_at: row.next()?,
        declined_at: row.next()?,
        expired_at: row.next()?,
        converted_at: row.next()?,
        closed_at: row.next()?,
        opportunity: row.next::<Option<_>>()?.map(OpportunityId),
        version: row.next()?,
        ended_at: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        stage_locked: false,
        status: None,
        details: None,
        vendor: None,
        stage_moved_by: None,
    };
    lead.workflow.owner = row.next::<Option<_>>()?.map(CompanyId);
    lead.stage_locked = row.next()?;
    let (key, kind) = (row.next::<Option<String>>()?, row.next::<Option<&str>>()?);
    lead.status = key.zip(kind).map(|(key, kind)| Ok::<_, Error>((key, stage_kind_of(kind)?))).transpose()?;
    let (kind, track) = (row.next::<Option<&str>>()?, row.next::<Option<&str>>()?);
    if let (Some(stage), Some(kind), Some(track)) = (expires_to, kind, track) {
        lead.expires_to = Some(Destination { stage, kind: stage_kind_of(kind)?, track: track_of(track)? });
    }
    lead.details = row.next::<Option<Json<Box<Details>>>>()?.map(|Json(details)| details);
    lead.warn_at = row.next()?;
    lead.vendor = row.next::<Option<_>>()?.map(CompanyId);
    let mover = row.next::<Option<&str>>()?;
    lead.stage_moved_by =
        mover.map(|name| StageMover::parse(name).ok_or_else(|| unknown("stage mover", name))).transpose()?;
    Ok(lead)
}

fn track_of(text: &str) -> Result<TrackKey> {
    [TrackKey::Stage, TrackKey::Status]
        .into_iter()
        .find(|track| track.as_str() == text)
        .ok_or_else(|| unknown("track", text))
}

/// What search reads of a lead, a line each: title, number, and the customer's company, contact and e-mail address.
pub(super) fn search(title: &str, number: &str, customer: &Customer) -> String {
    let contact = &customer.contact;
    let contact_name = [contact.first_name.as_deref(), contact.last_name.as_deref()];
    let contact_name = contact_name.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let email = contact.email.as_deref().unwrap_or_default();
    [title, number, &customer.company, &contact_name, email].map(loose).join("\n")
}

fn row_of(lead: &Lead) -> lead_view::Model {
    let customer = &lead.customer;
    let search = search(&lead.title, &lead.number, customer);
    let value = lead.value;
    lead_view::Model {
        lead_id: lead.id.0,
        company_id: lead.company.0,
        side: lead.side.as_str().to_owned(),
        source_id: lead.source.0,
        receiver_id: lead.receiver.map(|id| id.0),
        partnership_id: lead.partnership.map(|id| id.0),
        assignment_id: lead.assignment.map(|id| id.0),
        template_id: lead.template.0,
        workflow_key: lead.workflow.key.clone(),
        workflow_version: lead.workflow.version,
        number: lead.number.clone(),
        title: lead.title.clone(),
        description: lead.description.clone(),
        lead_source: lead.lead_source.clone(),
        customer_company: customer.company.clone(),
        customer_website: customer.website.clone(),
        customer_industry: customer.industry.clone(),
        customer_employees: customer.employees,
        address_street: customer.address.street.clone(),
        address_city: customer.address.city.clone(),
        address_region: customer.address.region.clone(),
        address_postal_code: customer.address.postal_code.clone(),
        address_country: customer.address.country.clone(),
        contact_first_name: customer.contact.first_name.clone(),
        contact_last_name: customer.contact.last_name.clone(),
        contact_job_title: customer.contact.job_title.clone(),
        contact_email: customer.contact.email.clone(),
        contact_phone: customer.contact.phone.as_ref().map(|phone| phone.e164.clone()),
        contact_phone_typed: customer.contact.phone_as_typed().map(str::to_owned),
        value_amount: value.map(Money::to_scaled),
        value_currency: value.map(|value| value.currency().code().to_owned()),
        stage_key: lead.stage.clone(),
        stage_kind: lead.stage_kind.as_str().to_owned(),
        owner_id: lead.owner.map(|id| id.0),
        active: lead.active,
        archived: lead.archived,
        reason: lead.reason.clone(),
        expires_at: lead.expires_at,
        on_expiry: lead.on_expiry.clone(),
        expires_to: lead.expires_to.as_ref().map(|to| to.stage.clone()),
        expires_kind: lead.expires_to.as_ref().map(|to| to.kind.as_str().to_owned()),
        expires_track: lead.expires_to.as_ref().map(|to| to.track.as_str().to_owned()),
        warn_at: lead.warn_at,
        workflow_owner: lead.workflow.owner.map(|id| id.0),
        stage_locked: lead.stage_locked,
        status_key: lead.status.as_ref().map(|(key, _)| key.clone()),
        status_kind: lead.status.as_ref().map(|(_, kind)| kind.as_str().to_owned()),
        details: lead.details.as_ref().and_then(|details| serde_json::to_value(details).ok()),
        internal_opportunity_id: lead.details().internal.as_ref().and_then(|was| was.opportunity).map(|id| id.0),
        accepted_at: lead.accepted_at,
        declined_at: lead.declined_at,
        expired_at: lead.expired_at,
        converted_at: lead.converted_at,
        closed_at: lead.closed_at,
        opportunity_id: lead.opportunity.map(|id| id.0),
        version: lead.version,
        ended_at: lead.ended_at,
        created_at: lead.created_at,
        updated_at: lead.updated_at,
        sort_expires: lead.expires_at.unwrap_or(NEVER),
        sort_value: value.map_or(-1, Money::to_scaled),
        search,
    }
}

/// The key of a list's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadSort {
    /// When the lead came to the company.
    Created,
    /// When it last changed.
    Updated,
    /// When its counter ends; those without one last.
    Expires,
    /// Its estimated value as a number, whatever the currency; those without one lowest.
    Value,
}

/// A sort key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// A moment.
    Time(DateTime<Utc>),
    /// A number.
    Number(i64),
}

impl From<SortKey> for Value {
    fn from(key: SortKey) -> Self {
        match key {
            SortKey::Time(at) => at.into(),
            SortKey::Number(number) => number.into(),
        }
    }
}

impl LeadSort {
    /// The lead's key in a list of this order.
    pub fn key(self, lead: &Lead) -> SortKey {
        match self {
            Self::Created => SortKey::Time(lead.created_at),
            Self::Updated => SortKey::Time(lead.updated_at),
            Self::Expires => SortKey::Time(lead.expires_at.unwrap_or(NEVER)),
            Self::Value => SortKey::Number(lead.value.map_or(-1, Money::to_scaled)),
        }
    }

    pub(super) const fn column(self) -> lead_view::Column {
        match self {
            Self::Created => lead_view::Column::CreatedAt,
            Self::Updated => lead_view::Column::UpdatedAt,
            Self::Expires => lead_view::Column::SortExpires,
            Self::Value => lead_view::Column::SortValue,
        }
    }
}

/// Which leads are asked for. What is absent does not matter; what is null is to be none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeadFilter {
    /// In one of these stages, by key.
    pub stages: Option<Vec<String>>,
    /// In a stage of one of these kinds.
    pub kinds: Option<Vec<StageKind>>,
    /// In one of these statuses, by key.
    pub statuses: Patch<Vec<String>>,
    /// The company is on this side.
    pub side: Option<Side>,
    /// With this owner on the company's side.
    pub owner: Patch<MemberId>,
    /// From this template.
    pub template: Option<TemplateId>,
    /// On one of these workflows, whatever the version.
    pub workflows: Option<Vec<WorkflowKey>>,
    /// Across this partnership.
    pub partnership: Patch<PartnershipId>,
    /// In or out of the archive.
    pub archived: Option<bool>,
    /// Active or deactivated.
    pub active: Option<bool>,
    /// Whose running counter ends before this time.
    pub expiring_before: Option<DateTime<Utc>>,
    /// With each of these words, in their compared form, somewhere in what [`search`] has.
    pub words: Vec<String>,
}

/// A workflow in all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowKey {
    /// The company that defined it; none for one that is shipped.
    pub owner: Option<CompanyId>,
    /// Its key.
    pub key: String,
}

impl From<&WorkflowRef> for WorkflowKey {
    fn from(workflow: &WorkflowRef) -> Self {
        Self { owner: workflow.owner, key: workflow.key.clone() }
    }
}

impl WorkflowKey {
    fn condition(&self) -> Condition {
        use lead_view::Column as C;
        let owner = self.owner.map_or_else(|| C::WorkflowOwner.is_null(), |owner| C::WorkflowOwner.eq(owner.0));
        Condition::all().add(C::WorkflowKey.eq(self.key.as_str())).add(owner)
    }
}

/// What stands at the end of its counter on that track: past its limit, whether or not that has been recorded, for
/// every caller.
pub(super) fn overdue(track: TrackKey, now: DateTime<Utc>) -> Condition {
    use lead_view::Column as C;
    Condition::all().add(C::ExpiresAt.lte(now)).add(C::EndedAt.is_null()).add(C::ExpiresTrack.eq(track.as_str()))
}

/// What stands on that track where its row says.
pub(super) fn not_overdue(track: TrackKey, now: DateTime<Utc>) -> Condition {
    use lead_view::Column as C;
    Condition::any()
        .add(C::ExpiresAt.is_null())
        .add(C::ExpiresAt.gt(now))
        .add(C::EndedAt.is_not_null())
        .add(C::ExpiresTrack.is_null())
        .add(C::ExpiresTrack.ne(track.as_str()))
}

impl LeadFilter {
    pub(super) fn condition(&self, now: DateTime<Utc>) -> Condition {
        use lead_view::Column as C;
        let (due, not_due) = (|track| overdue(track, now), |track| not_overdue(track, now));
        let (stage, status) = (TrackKey::Stage, TrackKey::Status);
        let mut all = Condition::all();
        if let Some(stages) = self.stages.as_deref().map(super::possible) {
            all = all.add(
                Condition::any()
                    .add(Condition::all().add(C::StageKey.is_in(stages.clone())).add(not_due(stage)))
                    .add(due(stage).add(C::ExpiresTo.is_in(stages))),
            );
        }
        match &self.statuses {
            Patch::Absent => {}
            Patch::Null => all = all.add(C::StatusKey.is_null()),
            Patch::Value(statuses) => {
                let statuses = super::possible(statuses);
                all = all.add(
                    Condition::any()
                        .add(Condition::all().add(C::StatusKey.is_in(statuses.clone())).add(not_due(status)))
                        .add(due(status).add(C::ExpiresTo.is_in(statuses))),
                );
            }
        }
        if let Some(kinds) = &self.kinds {
            let names = || kinds.iter().map(|kind| kind.as_str());
            all = all.add(
                Condition::any()
                    .add(Condition::all().add(C::StageKind.is_in(names())).add(not_due(stage)))
                    .add(due(stage).add(C::ExpiresKind.is_in(names()))),
            );
        }
        if let Some(side) = self.side {
            all = all.add(C::Side.eq(side.as_str()));
        }
        all = all.add_option(super::is(C::OwnerId, self.owner.map(|id| id.0)));
        if let Some(template) = self.template {
            all = all.add(C::TemplateId.eq(template.0));
        }
        if let Some(workflows) = &self.workflows {
            let one_of = workflows.iter().fold(Condition::any(), |any, workflow| any.add(workflow.condition()));
            // A condition of no alternatives would hold always.
            all = all.add(if workflows.is_empty() { one_of.add(Expr::value(false)) } else { one_of });
        }
        all = all.add_option(super::is(C::PartnershipId, self.partnership.map(|id| id.0)));
        if let Some(archived) = self.archived {
            all = all.add(C::Archived.eq(archived));
        }
        if let Some(active) = self.active {
            all = all.add(C::Active.eq(active));
        }
        if let Some(before) = self.expiring_before {
            all = all
                .add(C::ExpiresAt.lt(before))
                .add(Condition::any().add(C::ExpiresAt.gt(now)).add(C::EndedAt.is_not_null()));
        }
        self.words.iter().fold(all, |all, word| all.add(Expr::col(C::Search).like(contains(word))))
    }
}

/// A pattern that finds the text anywhere, with LIKE's own signs taken as they are.
fn contains(text: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}

/// A page of the company's leads.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &LeadFilter,
    sort: LeadSort,
    window: &Window<SortKey>,
    now: DateTime<Utc>,
) -> Result<Slice<Lead>> {
    let select = views(scope).filter(filter.condition(now));
    let leads = read(db, window.apply(select, sort.column(), lead_view::Column::LeadId)).await?;
    Ok(Slice::cut(leads, window.limit, window.last))
}

/// The company's views of these leads.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[LeadId]) -> Result<Vec<Lead>> {
    read(db, views(scope).filter(among(db, lead_view::Column::LeadId, ids.iter().map(|id| id.0)))).await
}

/// The company's view of a lead.
pub async fn find(db: &impl ConnectionTrait, scope: Scope, id: LeadId) -> Result<Option<Lead>> {
    Ok(read(db, views(scope).filter(lead_view::Column::LeadId.eq(id.0))).await?.pop())
}

/// The lead that the company sees as linked to each of these opportunities: the oldest.
pub async fn by_opportunities(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[OpportunityId],
) -> Result<Vec<(OpportunityId, Lead)>> {
    let select =
        views(scope)
            .filter(
                Condition::any()
                    .add(among(db, lead_view::Column::OpportunityId, ids.iter().map(|id| id.0)))
                    .add(among(db, lead_view::Column::InternalOpportunityId, ids.iter().map(|id| id.0))),
            )
            .order_by_desc(lead_view::Column::CreatedAt)
            .order_by_desc(lead_view::Column::LeadId);
    let mut found = Vec::new();
    for lead in read(db, select).await? {
        let internal = lead.details().internal.as_ref().and_then(|was| was.opportunity);
        let linked = [lead.opportunity, internal].into_iter().flatten();
        found.extend(linked.filter(|id| ids.contains(id)).map(|id| (id, lead.clone())));
    }
    Ok(found)
}

/// The live views of one lead, locked until the transaction ends: the caller's, and the other side's.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The caller's company's view.
    pub mine: Lead,
    /// The other side's, while the lead is with it.
    pub other: Option<Lead>,
}

/// Locks the live views of a lead; `None` where the company has no live view of it.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: LeadId) -> Result<Option<Parties>> {
    use lead_view::Column as C;
    // Twice at most: while this call waits for the lock, the lead may be passed on, and the new receiver's row is
    // then not among those that the first statement saw.
    for _ in 0..2 {
        let mine = Query::select()
            .column(C::LeadId)
            .from(lead_view::Entity)
            .cond_where(scope.leads().add(C::LeadId.eq(id.0)).add(C::EndedAt.is_null()))
            .to_owned();
        let select = select_views()
            .filter(C::LeadId.eq(id.0))
            .filter(C::EndedAt.is_null())
            .filter(C::LeadId.in_subquery(mine))
            .order_by_asc(C::CompanyId)
            .lock_exclusive();
        let leads = read(db, select).await?;
        let complete = leads
            .iter()
            .find(|lead| lead.side == Side::Source)
            .is_some_and(|source| source.assignment.is_some() == leads.iter().any(|lead| lead.side == Side::Receiver));
        let (mine, others): (Vec<_>, Vec<_>) = leads.into_iter().partition(|lead| lead.company == scope.company());
        let Some(mine) = mine.into_iter().next() else { return Ok(None) };
        if complete {
            return Ok(Some(Parties { mine, other: others.into_iter().next() }));
        }
    }
    Err(Error::internal(format!("the views of lead {id} do not fit each other")))
}

/// Adds a lead's identity.
pub async fn insert(
    db: &impl ConnectionTrait,
    id: LeadId,
    number: i64,
    creator: &Member,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = lead::ActiveModel {
        id: Set(id.0),
        source_id: Set(creator.company.0),
        number: Set(number),
        created_by: Set(creator.id.0),
        created_at: Set(now),
    };
    lead::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Adds the receiver's view of a lead, with a number of the receiver's own, in place of an earlier one that has ended.
pub async fn insert_view(db: &impl ConnectionTrait, lead: &Lead) -> Result<()> {
    use lead_view::Column as C;
    let ended = Condition::all()
        .add(C::LeadId.eq(lead.id.0))
        .add(C::CompanyId.eq(lead.company.0))
        .add(C::EndedAt.is_not_null());
    let earlier = lead_view::Entity::find()
        .filter(ended.clone())
        .select_only()
        .columns([C::Version, C::Number])
        .into_tuple::<(i32, String)>()
        .one(db)
        .await?;
    let Some((earlier, number)) = earlier else {
        let number = received_number(company::next_received_number(db, lead.company).await?);
        return add_view(db, &Lead { number, ..lead.clone() }).await;
    };
    duplicate::remove(db, lead.company, lead.id).await?;
    lead_view::Entity::delete_many().filter(ended).exec(db).await?;
    // Versions go on counting: one that was read before the lead was taken back is not the current one again.
    add_view(db, &Lead { version: earlier + 1, number, ..lead.clone() }).await
}

/// Adds the source's view of a lead that is new.
pub async fn add_view(db: &impl ConnectionTrait, lead: &Lead) -> Result<()> {
    let row = row_of(lead).into_active_model().reset_all();
    lead_view::Entity::insert(row).exec_without_returning(db).await?;
    duplicate::insert(db, lead).await
}

/// Writes what differs between two states of one view; `false` where the row is no longer as `old` has it.
pub async fn update_view(db: &impl ConnectionTrait, old: &Lead, new: &Lead) -> Result<bool> {
    use lead_view::Column as C;
    let (before, after) = (row_of(old), row_of(new));
    let mut update = lead_view::Entity::update_many()
        .filter(C::LeadId.eq(before.lead_id))
        .filter(C::CompanyId.eq(before.company_id))
        .filter(C::Version.eq(before.version))
        .filter(C::EndedAt.is_null());
    for column in C::iter() {
        let value = after.get(column);
        if value != before.get(column) {
            update = update.col_expr(column, Expr::value(value));
        }
    }
    if update.exec(db).await?.rows_affected != 1 {
        return Ok(false);
    }
    duplicate::update(db, old, new).await?;
    Ok(true)
}

/// The companies that have a view of a lead, also those whose part in it has ended.
pub async fn companies_of(db: &impl ConnectionTrait, id: LeadId) -> Result<Vec<CompanyId>> {
    use lead_view::Column as C;
    let rows: Vec<uuid::Uuid> = lead_view::Entity::find()
        .select_only()
        .column(C::CompanyId)
        .filter(C::LeadId.eq(id.0))
        .order_by_asc(C::CompanyId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(CompanyId).collect())
}

/// Takes the customer's contact out of the views of those whose part in the lead has ended. Else they stay as they
/// were; whoever changes one of them holds the lead.
pub async fn erase_ended(db: &impl ConnectionTrait, id: LeadId, now: DateTime<Utc>) -> Result<()> {
    use lead_view::Column as C;
    let ended = select_views().filter(C::LeadId.eq(id.0)).filter(C::EndedAt.is_not_null());
    for old in read(db, ended.order_by_asc(C::CompanyId).lock_exclusive()).await? {
        if old.customer.contact == Contact::default() {
            continue;
        }
        let mut new = Lead { version: old.version + 1, updated_at: now, ..old.clone() };
        new.customer.contact = Contact::default();
        lead_view::Entity::update(row_of(&new).into_active_model().reset_all()).exec_without_returning(db).await?;
        duplicate::update(db, &old, &new).await?;
    }
    Ok(())
}

/// Adds an assignment.
pub async fn insert_assignment(
    db: &impl ConnectionTrait,
    id: AssignmentId,
    receiver: &Lead,
    partnership: PartnershipId,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = assignment::ActiveModel {
        id: Set(id.0),
        lead_id: Set(receiver.id.0),
        partnership_id: Set(partnership.0),
        receiver_id: Set(receiver.company.0),
        offered_at: Set(now),
        answered_at: Set(None),
        ended_at: Set(None),
        outcome: Set(None),
    };
    assignment::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Records where an assignment stands: its outcome is the key of the stage that the lead is in.
pub async fn update_assignment(
    db: &impl ConnectionTrait,
    id: AssignmentId,
    receiver: &Lead,
    now: DateTime<Utc>,
) -> Result<()> {
    use assignment::Column as C;
    assignment::Entity::update_many()
        .col_expr(C::Outcome, Expr::value(receiver.stage.clone()))
        .col_expr(C::AnsweredAt, Expr::col(C::AnsweredAt).if_null(Expr::value(now)))
        .col_expr(C::EndedAt, Expr::value(receiver.ended_at))
        .filter(C::Id.eq(id.0))
        .exec(db)
        .await?;
    Ok(())
}

/// Ends every live assignment of a partnership: the receiver's views are frozen, the source's are on their own.
pub async fn end_assignments(db: &impl ConnectionTrait, partnership: PartnershipId, now: DateTime<Utc>) -> Result<u64> {
    let ended = lead_view::Entity::update_many()
        .col_expr(lead_view::Column::EndedAt, Expr::value(now))
        .col_expr(lead_view::Column::UpdatedAt, Expr::value(now))
        .col_expr(lead_view::Column::Version, Expr::col(lead_view::Column::Version).add(1))
        .col_expr(lead_view::Column::ExpiresAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(lead_view::Column::SortExpires, Expr::value(NEVER))
        .col_expr(lead_view::Column::WarnAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(lead_view::Column::OnExpiry, Expr::value(None::<String>))
        .col_expr(lead_view::Column::ExpiresTo, Expr::value(None::<String>))
        .col_expr(lead_view::Column::ExpiresKind, Expr::value(None::<String>))
        .col_expr(lead_view::Column::ExpiresTrack, Expr::value(None::<String>))
        .filter(lead_view::Column::PartnershipId.eq(partnership.0))
        .filter(lead_view::Column::Side.eq(Side::Receiver.as_str()))
        .filter(lead_view::Column::EndedAt.is_null())
        .exec(db)
        .await?;
    lead_view::Entity::update_many()
        .col_expr(lead_view::Column::AssignmentId, Expr::value(None::<uuid::Uuid>))
        .filter(lead_view::Column::PartnershipId.eq(partnership.0))
        .filter(lead_view::Column::Side.eq(Side::Source.as_str()))
        .exec(db)
        .await?;
    assignment::Entity::update_many()
        .col_expr(assignment::Column::EndedAt, Expr::value(now))
        .filter(assignment::Column::PartnershipId.eq(partnership.0))
        .filter(assignment::Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(ended.rows_affected)
}

/// The leads whose counter has ended without that being recorded, with their source, the longest overdue first.
pub async fn due(db: &impl ConnectionTrait, now: DateTime<Utc>, limit: u64) -> Result<Vec<(LeadId, CompanyId)>> {
    ids_of_due(db, select_due(now).limit(limit)).await
}

/// The limit of the first of them.
pub async fn first_due(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let select = select_due(now).select_only().column(lead_view::Column::ExpiresAt).limit(1);
    let limit: Option<Option<DateTime<Utc>>> = select.into_tuple().one(db).await?;
    Ok(limit.flatten())
}

/// Those of them that were last shared across this partnership.
pub async fn due_across(
    db: &impl ConnectionTrait,
    partnership: PartnershipId,
    now: DateTime<Utc>,
) -> Result<Vec<(LeadId, CompanyId)>> {
    ids_of_due(db, select_due(now).filter(lead_view::Column::PartnershipId.eq(partnership.0))).await
}

/// The leads whose limit comes near without their sides having been told, with their source, the longest waiting first.
pub async fn expiring(db: &impl ConnectionTrait, now: DateTime<Utc>, limit: u64) -> Result<Vec<(LeadId, CompanyId)>> {
    use lead_view::Column as C;
    let select = lead_view::Entity::find()
        .filter(C::Side.eq(Side::Source.as_str()))
        .filter(C::WarnAt.is_not_null())
        .filter(C::WarnAt.lte(now))
        .filter(C::ExpiresAt.gt(now))
        .order_by_asc(C::WarnAt)
        .limit(limit);
    ids_of_due(db, select).await
}

/// Notes that a lead's sides have been told; `false` where that was done before. It is no change of the lead.
pub async fn told_of_limit(db: &impl ConnectionTrait, source: &Lead) -> Result<bool> {
    use lead_view::Column as C;
    let done = lead_view::Entity::update_many()
        .col_expr(C::WarnAt, Expr::value(None::<DateTime<Utc>>))
        .filter(C::LeadId.eq(source.id.0))
        .filter(C::WarnAt.is_not_null())
        .filter(C::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(done.rows_affected > 0)
}

fn select_due(now: DateTime<Utc>) -> Select<lead_view::Entity> {
    use lead_view::Column as C;
    lead_view::Entity::find()
        .filter(C::Side.eq(Side::Source.as_str()))
        .filter(C::ExpiresAt.is_not_null())
        .filter(C::ExpiresAt.lte(now))
        .filter(C::OnExpiry.is_not_null())
        .order_by_asc(C::ExpiresAt)
}

async fn ids_of_due(db: &impl ConnectionTrait, due: Select<lead_view::Entity>) -> Result<Vec<(LeadId, CompanyId)>> {
    use lead_view::Column as C;
    let rows = due
        .select_only()
        .column(C::LeadId)
        .column(C::CompanyId)
        .into_tuple::<(uuid::Uuid, uuid::Uuid)>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(lead, company)| (LeadId(lead), CompanyId(company))).collect())
}
