//! Opportunities: a row per company and opportunity, as for leads.

use chrono::{DateTime, NaiveDate, Utc};
use cosell_entity::{opportunity, opportunity_view};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use super::{
    among,
    lead::{money_of, side_of, stage_kind_of},
    page::{Slice, Window},
    scope::Scope,
    unknown,
};
use crate::{
    domain::{
        actor::{Member, Side},
        id::{CompanyId, LeadId, MemberId, OpportunityId, PartnershipId, TemplateId},
        lead::WorkflowRef,
        money::Money,
        opportunity::Opportunity,
        patch::Patch,
        workflow::definition::StageKind,
    },
    error::Result,
};

fn opportunity_of(row: opportunity_view::Model) -> Result<Opportunity> {
    let date = |text: String| text.parse::<NaiveDate>().map_err(|_| unknown("date", &text));
    Ok(Opportunity {
        id: OpportunityId(row.opportunity_id),
        company: CompanyId(row.company_id),
        side: side_of(&row.side)?,
        template: TemplateId(row.template_id),
        workflow: WorkflowRef {
            owner: row.workflow_owner.map(CompanyId),
            key: row.workflow_key,
            version: row.workflow_version,
        },
        name: row.name,
        description: row.description,
        city: row.city,
        current_situation: row.current_situation,
        selling_direction: row.selling_direction,
        value: money_of(row.value_amount, row.value_currency.as_deref())?,
        close_date: row.close_date.map(date).transpose()?,
        stage_kind: stage_kind_of(&row.stage_kind)?,
        stage: row.stage_key,
        responsible: row.responsible_id.map(MemberId),
        reason: row.reason,
        closed_at: row.closed_at,
        version: row.version,
        ended_at: row.ended_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn row_of(opportunity: &Opportunity) -> opportunity_view::Model {
    let value = opportunity.value;
    opportunity_view::Model {
        opportunity_id: opportunity.id.0,
        company_id: opportunity.company.0,
        side: opportunity.side.as_str().to_owned(),
        template_id: opportunity.template.0,
        workflow_owner: opportunity.workflow.owner.map(|id| id.0),
        workflow_key: opportunity.workflow.key.clone(),
        workflow_version: opportunity.workflow.version,
        name: opportunity.name.clone(),
        description: opportunity.description.clone(),
        city: opportunity.city.clone(),
        current_situation: opportunity.current_situation.clone(),
        selling_direction: opportunity.selling_direction.clone(),
        value_amount: value.map(Money::to_scaled),
        value_currency: value.map(|value| value.currency().code().to_owned()),
        close_date: opportunity.close_date.map(|date| date.to_string()),
        stage_key: opportunity.stage.clone(),
        stage_kind: opportunity.stage_kind.as_str().to_owned(),
        responsible_id: opportunity.responsible.map(|id| id.0),
        reason: opportunity.reason.clone(),
        closed_at: opportunity.closed_at,
        version: opportunity.version,
        ended_at: opportunity.ended_at,
        created_at: opportunity.created_at,
        updated_at: opportunity.updated_at,
    }
}

/// Which opportunities are asked for. What is absent does not matter; what is null is to be none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpportunityFilter {
    /// In one of these stages, by key.
    pub stages: Option<Vec<String>>,
    /// In a stage of one of these kinds.
    pub kinds: Option<Vec<StageKind>>,
    /// With this responsible member.
    pub responsible: Patch<MemberId>,
    /// Linked to this lead of the company.
    pub lead: Patch<LeadId>,
}

/// A page of the opportunities that the company may read.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    filter: &OpportunityFilter,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Opportunity>> {
    use opportunity_view::Column as C;
    let mut select = opportunity_view::Entity::find().filter(scope.opportunities());
    if let Some(stages) = &filter.stages {
        select = select.filter(C::StageKey.is_in(super::possible(stages)));
    }
    if let Some(kinds) = &filter.kinds {
        select = select.filter(C::StageKind.is_in(kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(responsible) = super::is(C::ResponsibleId, filter.responsible.map(|id| id.0)) {
        select = select.filter(responsible);
    }
    if !filter.lead.is_absent() {
        use cosell_entity::lead_view::{Column as L, Entity};
        let of = filter.lead.value();
        let linked = |column: L| {
            // A null among them would leave open what is not.
            let of_lead = scope.leads().add(column.is_not_null()).add_option(of.map(|lead| L::LeadId.eq(lead.0)));
            Query::select().column(column).from(Entity).cond_where(of_lead).to_owned()
        };
        let linked = Condition::any()
            .add(C::OpportunityId.in_subquery(linked(L::OpportunityId)))
            .add(C::OpportunityId.in_subquery(linked(L::InternalOpportunityId)));
        select = select.filter(if of.is_none() { linked.not() } else { linked });
    }
    let rows = window.apply(select, C::CreatedAt, C::OpportunityId).all(db).await?;
    let rows = rows.into_iter().map(opportunity_of).collect::<Result<Vec<_>>>()?;
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// The company's views of these opportunities.
pub async fn by_ids(db: &impl ConnectionTrait, scope: Scope, ids: &[OpportunityId]) -> Result<Vec<Opportunity>> {
    opportunity_view::Entity::find()
        .filter(scope.opportunities())
        .filter(among(db, opportunity_view::Column::OpportunityId, ids.iter().map(|id| id.0)))
        .all(db)
        .await?
        .into_iter()
        .map(opportunity_of)
        .collect()
}

/// The live views of an opportunity, locked until the transaction ends; the company's own comes first. Empty where the
/// company has no live view of it.
pub async fn lock(db: &impl ConnectionTrait, scope: Scope, id: OpportunityId) -> Result<Vec<Opportunity>> {
    use opportunity_view::Column as C;
    let mine = Query::select()
        .column(C::OpportunityId)
        .from(opportunity_view::Entity)
        .cond_where(scope.opportunities().add(C::OpportunityId.eq(id.0)).add(C::EndedAt.is_null()))
        .to_owned();
    // The identity's row first: a lead that is being linked adds views under the same lock.
    opportunity::Entity::find_by_id(id.0)
        .filter(opportunity::Column::Id.in_subquery(mine))
        .lock_exclusive()
        .one(db)
        .await?;
    let mut views = opportunity_view::Entity::find()
        .filter(C::OpportunityId.eq(id.0))
        .filter(C::EndedAt.is_null())
        .order_by_asc(C::CompanyId)
        .all(db)
        .await?
        .into_iter()
        .map(opportunity_of)
        .collect::<Result<Vec<_>>>()?;
    views.sort_by_key(|view| view.company != scope.company());
    Ok(if views.first().is_some_and(|view| view.company == scope.company()) { views } else { Vec::new() })
}

/// Adds an opportunity's identity.
pub async fn insert(db: &impl ConnectionTrait, id: OpportunityId, creator: &Member, now: DateTime<Utc>) -> Result<()> {
    let row = opportunity::ActiveModel {
        id: Set(id.0),
        company_id: Set(creator.company.0),
        created_by: Set(creator.id.0),
        created_at: Set(now),
    };
    opportunity::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Adds a company's view of an opportunity, in place of an earlier one that has ended; nothing happens where it has one.
pub async fn insert_view(db: &impl ConnectionTrait, opportunity: &Opportunity) -> Result<()> {
    use opportunity_view::Column as C;
    opportunity_view::Entity::delete_many()
        .filter(C::OpportunityId.eq(opportunity.id.0))
        .filter(C::CompanyId.eq(opportunity.company.0))
        .filter(C::EndedAt.is_not_null())
        .exec(db)
        .await?;
    opportunity_view::Entity::insert(row_of(opportunity).into_active_model().reset_all())
        .on_conflict(OnConflict::columns([C::OpportunityId, C::CompanyId]).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// Writes what differs between two states of one view; `false` where the row is no longer as `old` has it.
pub async fn update_view(db: &impl ConnectionTrait, old: &Opportunity, new: &Opportunity) -> Result<bool> {
    use opportunity_view::Column as C;
    let (before, after) = (row_of(old), row_of(new));
    let mut update = opportunity_view::Entity::update_many()
        .filter(C::OpportunityId.eq(before.opportunity_id))
        .filter(C::CompanyId.eq(before.company_id))
        .filter(C::Version.eq(before.version))
        .filter(C::EndedAt.is_null());
    for column in C::iter() {
        let value = after.get(column);
        if value != before.get(column) {
            update = update.col_expr(column, Expr::value(value));
        }
    }
    Ok(update.exec(db).await?.rows_affected == 1)
}

/// Ends the views that the sources of a partnership's leads have of opportunities: they see nothing newer.
pub async fn end_views(db: &impl ConnectionTrait, partnership: PartnershipId, now: DateTime<Utc>) -> Result<()> {
    use cosell_entity::lead_view::{Column as L, Entity as LeadView};
    use opportunity_view::Column as C;
    let linked = Query::select()
        .columns([L::OpportunityId, L::CompanyId])
        .from(LeadView)
        .cond_where(L::PartnershipId.eq(partnership.0))
        .and_where(L::OpportunityId.is_not_null())
        .to_owned();
    opportunity_view::Entity::update_many()
        .col_expr(C::EndedAt, Expr::value(now))
        .filter(Expr::tuple([Expr::col(C::OpportunityId), Expr::col(C::CompanyId)]).in_subquery(linked))
        // Who works a deal goes on seeing it.
        .filter(C::Side.eq(Side::Source.as_str()))
        .filter(C::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(())
}

/// Ends the view that the source of a lead has of an opportunity that the lead no longer leads to, unless another lead
/// that is with its receiver does.
pub async fn end_view(
    db: &impl ConnectionTrait,
    id: OpportunityId,
    source: CompanyId,
    lead: LeadId,
    now: DateTime<Utc>,
) -> Result<()> {
    use cosell_entity::lead_view::{Column as L, Entity as LeadView};
    use opportunity_view::Column as C;
    let others = Query::select()
        .column(L::LeadId)
        .from(LeadView)
        .and_where(L::CompanyId.eq(source.0))
        .and_where(L::OpportunityId.eq(id.0))
        .and_where(L::AssignmentId.is_not_null())
        .and_where(L::LeadId.ne(lead.0))
        .to_owned();
    opportunity_view::Entity::update_many()
        .col_expr(C::EndedAt, Expr::value(now))
        .filter(C::OpportunityId.eq(id.0))
        .filter(C::CompanyId.eq(source.0))
        // Who works a deal goes on seeing it.
        .filter(C::Side.eq(Side::Source.as_str()))
        .filter(C::EndedAt.is_null())
        .filter(Expr::exists(others).not())
        .exec(db)
        .await?;
    Ok(())
}

/// The companies that follow an opportunity, or did, because a lead of theirs became it.
pub async fn followers(db: &impl ConnectionTrait, id: OpportunityId) -> Result<Vec<CompanyId>> {
    use opportunity_view::Column as C;
    let ids: Vec<uuid::Uuid> = opportunity_view::Entity::find()
        .filter(C::OpportunityId.eq(id.0))
        .filter(C::Side.eq(Side::Source.as_str()))
        .select_only()
        .column(C::CompanyId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(CompanyId).collect())
}

/// The leads linked to an opportunity with the companies that see them live: who hears of its changes.
pub async fn audience(db: &impl ConnectionTrait, id: OpportunityId) -> Result<Vec<(LeadId, CompanyId)>> {
    use cosell_entity::lead_view::{Column as L, Entity};
    let rows = Entity::find()
        .filter(Condition::any().add(L::OpportunityId.eq(id.0)).add(L::InternalOpportunityId.eq(id.0)))
        .filter(L::EndedAt.is_null())
        .select_only()
        .column(L::LeadId)
        .column(L::CompanyId)
        .into_tuple::<(uuid::Uuid, uuid::Uuid)>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(lead, company)| (LeadId(lead), CompanyId(company))).collect())
}
