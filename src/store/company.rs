//! Companies, members, partnerships and templates.

use chrono::{DateTime, Utc};
use cosell_entity::{
    company, company_feed, company_received, company_sequence, installation, lead_view, member, partnership, template,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, Func, OnConflict},
};
use uuid::Uuid;

use super::{
    among,
    page::{Slice, Window},
    scope::Scope,
    unknown,
};
use crate::{
    domain::{
        actor::Role,
        company::{Company, Partnership, PartnershipState, Profile, StageMover},
        duration::TimeLimit,
        id::{CompanyId, MemberId, PartnershipId, TemplateId},
        lead::WorkflowRef,
        template::Template,
        workflow::definition::Subject,
    },
    error::{Error, Result},
};

/// The key that signs cursors, where an instance has written it.
pub async fn cursor_key(db: &impl ConnectionTrait) -> Result<Option<Vec<u8>>> {
    Ok(installation::Entity::find_by_id(1).one(db).await?.map(|row| row.cursor_key))
}

/// Writes the key that signs cursors, unless another instance was first; returns the one that counts.
pub async fn keep_cursor_key(db: &impl ConnectionTrait, fresh: Vec<u8>, now: DateTime<Utc>) -> Result<Vec<u8>> {
    let row = installation::ActiveModel { id: Set(1), cursor_key: Set(fresh), created_at: Set(now) };
    installation::Entity::insert(row)
        .on_conflict(OnConflict::column(installation::Column::Id).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    cursor_key(db).await?.ok_or_else(|| Error::internal("the installation's row is missing"))
}

fn company_of(row: company::Model) -> Company {
    Company { id: CompanyId(row.id), slug: row.slug, name: row.name }
}

/// Adds a company with its counters; `false` where the slug is taken.
pub async fn insert(db: &impl ConnectionTrait, company: &Company, now: DateTime<Utc>) -> Result<bool> {
    let row = company::ActiveModel {
        id: Set(company.id.0),
        slug: Set(company.slug.clone()),
        name: Set(company.name.clone()),
        created_at: Set(now),
    };
    let added = company::Entity::insert(row)
        .on_conflict(OnConflict::column(company::Column::Slug).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    if added == 0 {
        return Ok(false);
    }
    company_feed::Entity::insert(company_feed::ActiveModel {
        company_id: Set(company.id.0),
        position: Set(0),
        last_at: Set(None),
    })
    .exec_without_returning(db)
    .await?;
    company_sequence::Entity::insert(company_sequence::ActiveModel {
        company_id: Set(company.id.0),
        lead_number: Set(1000),
    })
    .exec_without_returning(db)
    .await?;
    company_received::Entity::insert(company_received::ActiveModel {
        company_id: Set(company.id.0),
        lead_number: Set(1000),
    })
    .exec_without_returning(db)
    .await?;
    Ok(true)
}

/// The company of that slug.
pub async fn by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<Option<Company>> {
    let row = company::Entity::find().filter(company::Column::Slug.eq(slug)).one(db).await?;
    Ok(row.map(company_of))
}

/// The companies of those ids. For what is already known to be in the caller's sight.
pub async fn by_ids(db: &impl ConnectionTrait, ids: &[CompanyId]) -> Result<Vec<Company>> {
    let ids = ids.iter().map(|id| id.0);
    Ok(company::Entity::find()
        .filter(among(db, company::Column::Id, ids))
        .all(db)
        .await?
        .into_iter()
        .map(company_of)
        .collect())
}

/// Every company, for the operator.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Company>> {
    let rows = company::Entity::find().order_by_asc(company::Column::Slug).all(db).await?;
    Ok(rows.into_iter().map(company_of).collect())
}

pub(super) fn profile(id: Uuid, company: Uuid, name: String, email: Option<String>, roles: &str) -> Profile {
    Profile {
        id: MemberId(id),
        company: CompanyId(company),
        name,
        email,
        roles: roles.split(',').filter_map(Role::parse).collect(),
    }
}

fn profile_of(row: member::Model) -> Profile {
    profile(row.id, row.company_id, row.name, row.email, &row.roles)
}

/// Records a member as its token describes it, and returns its id: `fresh` where it was not known before.
pub async fn record_member(
    db: &impl ConnectionTrait,
    fresh: MemberId,
    company: CompanyId,
    subject: &str,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<MemberId> {
    use member::Column as C;
    let roles: Vec<_> = profile.roles.iter().map(|role| role.as_str()).collect();
    let row = member::ActiveModel {
        id: Set(fresh.0),
        company_id: Set(company.0),
        subject: Set(subject.to_owned()),
        name: Set(profile.name.clone()),
        email: Set(profile.email.clone()),
        roles: Set(roles.join(",")),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let row = member::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([C::CompanyId, C::Subject])
                .update_columns([C::Name, C::Email, C::Roles, C::UpdatedAt])
                .to_owned(),
        )
        .exec_with_returning(db)
        .await?;
    Ok(MemberId(row.id))
}

/// The member of that subject, with what is recorded of it.
pub async fn member_by_subject(
    db: &impl ConnectionTrait,
    company: CompanyId,
    subject: &str,
) -> Result<Option<Profile>> {
    let row = member::Entity::find()
        .filter(member::Column::CompanyId.eq(company.0))
        .filter(member::Column::Subject.eq(subject))
        .one(db)
        .await?;
    Ok(row.map(profile_of))
}

/// The members of those ids. For what is already known to be in the caller's sight.
pub async fn members_by_ids(db: &impl ConnectionTrait, ids: &[MemberId]) -> Result<Vec<Profile>> {
    let ids = ids.iter().map(|id| id.0);
    Ok(member::Entity::find()
        .filter(among(db, member::Column::Id, ids))
        .all(db)
        .await?
        .into_iter()
        .map(profile_of)
        .collect())
}

/// Those of the caller's own company with that e-mail address, whatever the case of its ASCII letters; two at most.
pub async fn members_by_email(db: &impl ConnectionTrait, scope: Scope, email: &str) -> Result<Vec<MemberId>> {
    let rows = member::Entity::find()
        .filter(member::Column::CompanyId.eq(scope.company().0))
        .filter(Func::lower(Expr::col(member::Column::Email)).eq(Func::lower(Expr::val(email))))
        .order_by_asc(member::Column::Id)
        .limit(2)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| MemberId(row.id)).collect())
}

/// The members of the caller's own company.
pub async fn members(
    db: &impl ConnectionTrait,
    scope: Scope,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<(DateTime<Utc>, Profile)>> {
    let select = member::Entity::find().filter(member::Column::CompanyId.eq(scope.company().0));
    let rows = window.apply(select, member::Column::CreatedAt, member::Column::Id).all(db).await?;
    let rows = rows.into_iter().map(|row| (row.created_at, profile_of(row))).collect();
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// The member, where it is of the caller's company or of one that the caller's shares or shared leads with. One statement,
/// so that a member that may not be seen takes as long as none.
pub async fn visible_member(db: &impl ConnectionTrait, scope: Scope, id: MemberId) -> Result<Option<Profile>> {
    use partnership::Column as P;
    let own = scope.company().0;
    let others =
        |mine: P, theirs: P| partnership::Entity::find().filter(mine.eq(own)).select_only().column(theirs).into_query();
    let seen = Condition::any()
        .add(member::Column::CompanyId.eq(own))
        .add(member::Column::CompanyId.in_subquery(others(P::VendorId, P::PartnerId)))
        .add(member::Column::CompanyId.in_subquery(others(P::PartnerId, P::VendorId)));
    Ok(member::Entity::find_by_id(id.0).filter(seen).one(db).await?.map(profile_of))
}

/// Whether the company is the caller's own or one of its partnerships, past ones too.
pub async fn is_counterpart(db: &impl ConnectionTrait, scope: Scope, other: CompanyId) -> Result<bool> {
    if other == scope.company() {
        return Ok(true);
    }
    let pair = |a: CompanyId, b: CompanyId| {
        Condition::all().add(partnership::Column::VendorId.eq(a.0)).add(partnership::Column::PartnerId.eq(b.0))
    };
    let found = partnership::Entity::find()
        .filter(Condition::any().add(pair(scope.company(), other)).add(pair(other, scope.company())))
        .select_only()
        .column(partnership::Column::Id)
        .into_tuple::<Uuid>()
        .one(db)
        .await?;
    Ok(found.is_some())
}

fn partnership_of(row: &partnership::Model) -> Result<Partnership> {
    Ok(Partnership {
        id: PartnershipId(row.id),
        vendor: CompanyId(row.vendor_id),
        partner: CompanyId(row.partner_id),
        invited_by: CompanyId(row.invited_by),
        state: PartnershipState::parse(&row.state).ok_or_else(|| unknown("partnership state", &row.state))?,
        version: row.version,
        created_at: row.created_at,
        stage_moved_by: StageMover::parse(&row.stage_moved_by)
            .ok_or_else(|| unknown("stage mover", &row.stage_moved_by))?,
    })
}

fn in_partnership(scope: Scope) -> Condition {
    let id = scope.company().0;
    Condition::any().add(partnership::Column::VendorId.eq(id)).add(partnership::Column::PartnerId.eq(id))
}

/// The partnerships of those ids that the caller's company is in.
pub async fn partnerships_by_ids(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: &[PartnershipId],
) -> Result<Vec<Partnership>> {
    partnership::Entity::find()
        .filter(among(db, partnership::Column::Id, ids.iter().map(|id| id.0)))
        .filter(in_partnership(scope))
        .all(db)
        .await?
        .iter()
        .map(partnership_of)
        .collect()
}

/// The partnership, locked until the transaction ends.
pub async fn lock_partnership(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: PartnershipId,
) -> Result<Option<Partnership>> {
    let row = partnership::Entity::find_by_id(id.0).filter(in_partnership(scope)).lock_exclusive().one(db).await?;
    row.as_ref().map(partnership_of).transpose()
}

/// The partnership, kept from changing until the transaction ends, by any number of transactions at once.
pub async fn hold_partnership(
    db: &impl ConnectionTrait,
    scope: Scope,
    id: PartnershipId,
) -> Result<Option<Partnership>> {
    let row = partnership::Entity::find_by_id(id.0).filter(in_partnership(scope)).lock_shared().one(db).await?;
    row.as_ref().map(partnership_of).transpose()
}

/// The caller's partnerships, in the order of their invitation. One scan an index and role, merged.
pub async fn partnerships(
    db: &impl ConnectionTrait,
    scope: Scope,
    window: &Window<DateTime<Utc>>,
) -> Result<Slice<Partnership>> {
    let mut rows = Vec::new();
    for role in [partnership::Column::VendorId, partnership::Column::PartnerId] {
        let select = partnership::Entity::find().filter(role.eq(scope.company().0));
        rows.extend(window.apply(select, partnership::Column::CreatedAt, partnership::Column::Id).all(db).await?);
    }
    rows.sort_by_key(|row| (row.created_at, row.id));
    if window.descending != window.last {
        rows.reverse();
    }
    let rows = rows.iter().map(partnership_of).collect::<Result<Vec<_>>>()?;
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// Adds a partnership; `false` where one between the two, in the same roles, is alive.
pub async fn insert_partnership(db: &impl ConnectionTrait, new: &Partnership) -> Result<bool> {
    let row = partnership::ActiveModel {
        id: Set(new.id.0),
        vendor_id: Set(new.vendor.0),
        partner_id: Set(new.partner.0),
        invited_by: Set(new.invited_by.0),
        state: Set(new.state.as_str().to_owned()),
        version: Set(new.version),
        created_at: Set(new.created_at),
        updated_at: Set(new.created_at),
        stage_moved_by: Set(new.stage_moved_by.as_str().to_owned()),
    };
    let added = partnership::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(added > 0)
}

/// Moves a partnership to another state; `false` where its version is no longer the given one.
pub async fn set_partnership_state(
    db: &impl ConnectionTrait,
    old: &Partnership,
    state: PartnershipState,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = partnership::Entity::update_many()
        .col_expr(partnership::Column::State, Expr::value(state.as_str()))
        .col_expr(partnership::Column::Version, Expr::value(old.version + 1))
        .col_expr(partnership::Column::UpdatedAt, Expr::value(now))
        .filter(partnership::Column::Id.eq(old.id.0))
        .filter(partnership::Column::Version.eq(old.version))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Writes a partnership's settings; `false` where its version is no longer the one before `new`'s.
pub async fn set_partnership_settings(
    db: &impl ConnectionTrait,
    new: &Partnership,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = partnership::Entity::update_many()
        .col_expr(partnership::Column::StageMovedBy, Expr::value(new.stage_moved_by.as_str()))
        .col_expr(partnership::Column::Version, Expr::value(new.version))
        .col_expr(partnership::Column::UpdatedAt, Expr::value(now))
        .filter(partnership::Column::Id.eq(new.id.0))
        .filter(partnership::Column::Version.eq(new.version - 1))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// A document that is kept only where there is something in it.
fn document<T: serde::de::DeserializeOwned + Default>(json: Option<serde_json::Value>) -> Result<T> {
    json.map_or_else(|| Ok(T::default()), |json| serde_json::from_value(json).map_err(Error::internal))
}

fn fields_of(template: &Template) -> Option<serde_json::Value> {
    (!template.required_fields.is_empty()).then(|| template.required_fields.clone().into())
}

fn defaults_of(template: &Template) -> Option<serde_json::Value> {
    (!template.defaults.is_empty())
        .then(|| template.defaults.iter().map(|(path, value)| (path.clone(), value.clone())).collect())
}

fn template_of(row: template::Model) -> Result<Template> {
    let limit = |text: Option<String>| {
        text.map(|text| TimeLimit::parse(&text).map_err(|_| unknown("time limit", &text))).transpose()
    };
    Ok(Template {
        id: TemplateId(row.id),
        company: CompanyId(row.company_id),
        key: row.key,
        name: row.name,
        subject: match row.subject.as_str() {
            "LEAD" => Subject::Lead,
            "OPPORTUNITY" => Subject::Opportunity,
            other => return Err(unknown("template subject", other)),
        },
        workflow: WorkflowRef {
            owner: row.workflow_owner.map(CompanyId),
            key: row.workflow_key,
            version: row.workflow_version,
        },
        answer_within: limit(row.answer_within)?,
        convert_within: limit(row.convert_within)?,
        check_every: limit(row.check_every)?,
        duplicate_protection: limit(row.duplicate_protection)?,
        required_fields: document(row.required_fields)?,
        defaults: document(row.defaults)?,
        is_default: row.is_default,
        version: row.version,
    })
}

/// Lets no template of the company be the one that is taken where none is named.
pub async fn unset_default_template(
    db: &impl ConnectionTrait,
    scope: Scope,
    subject: Subject,
    now: DateTime<Utc>,
) -> Result<Vec<TemplateId>> {
    use template::Column as C;
    // Of two that are made the default at once, the second waits here and sees the first.
    let of_subject = Condition::all().add(C::CompanyId.eq(scope.company().0)).add(C::Subject.eq(subject_name(subject)));
    let all = template::Entity::find().filter(of_subject).order_by_asc(C::Id).lock_exclusive().all(db).await?;
    template::Entity::update_many()
        .col_expr(C::IsDefault, Expr::value(false))
        .col_expr(C::Version, Expr::col(C::Version).add(1))
        .col_expr(C::UpdatedAt, Expr::value(now))
        .filter(C::CompanyId.eq(scope.company().0))
        .filter(C::Subject.eq(subject_name(subject)))
        .filter(C::IsDefault.eq(true))
        .exec(db)
        .await?;
    Ok(all.into_iter().filter(|row| row.is_default).map(|row| TemplateId(row.id)).collect())
}

const fn subject_name(subject: Subject) -> &'static str {
    match subject {
        Subject::Lead => "LEAD",
        Subject::Opportunity => "OPPORTUNITY",
    }
}

/// Adds a template; `false` where the company has one with that key.
pub async fn insert_template(db: &impl ConnectionTrait, new: &Template, now: DateTime<Utc>) -> Result<bool> {
    let row = template::ActiveModel {
        id: Set(new.id.0),
        company_id: Set(new.company.0),
        key: Set(new.key.clone()),
        name: Set(new.name.clone()),
        subject: Set(subject_name(new.subject).to_owned()),
        workflow_owner: Set(new.workflow.owner.map(|id| id.0)),
        workflow_key: Set(new.workflow.key.clone()),
        workflow_version: Set(new.workflow.version),
        answer_within: Set(new.answer_within.as_ref().map(ToString::to_string)),
        convert_within: Set(new.convert_within.as_ref().map(ToString::to_string)),
        check_every: Set(new.check_every.as_ref().map(ToString::to_string)),
        duplicate_protection: Set(new.duplicate_protection.as_ref().map(ToString::to_string)),
        required_fields: Set(fields_of(new)),
        defaults: Set(defaults_of(new)),
        is_default: Set(new.is_default),
        version: Set(new.version),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let added = template::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(added > 0)
}

/// The company's templates: those that are taken where none is named, then the others by key.
pub async fn templates(db: &impl ConnectionTrait, scope: Scope) -> Result<Vec<Template>> {
    template::Entity::find()
        .filter(template::Column::CompanyId.eq(scope.company().0))
        .order_by_desc(template::Column::IsDefault)
        .order_by_asc(template::Column::Key)
        .all(db)
        .await?
        .into_iter()
        .map(template_of)
        .collect()
}

/// The templates of those ids. For what is already known to be in the caller's sight: a receiver sees the template of
/// a lead that was shared with it.
pub async fn templates_by_ids(db: &impl ConnectionTrait, ids: &[TemplateId]) -> Result<Vec<Template>> {
    template::Entity::find()
        .filter(among(db, template::Column::Id, ids.iter().map(|id| id.0)))
        .all(db)
        .await?
        .into_iter()
        .map(template_of)
        .collect()
}

/// The template, where it is the caller's company's, or where a lead that the company sees started from it. What may not be
/// seen takes one statement, as what does not exist.
pub async fn visible_template(db: &impl ConnectionTrait, scope: Scope, id: TemplateId) -> Result<Option<Template>> {
    use lead_view::Column as C;
    let of_leads = lead_view::Entity::find()
        .filter(scope.leads().add(C::TemplateId.eq(id.0)))
        .select_only()
        .column(C::TemplateId)
        .into_query();
    let seen = Condition::any()
        .add(template::Column::CompanyId.eq(scope.company().0))
        .add(template::Column::Id.in_subquery(of_leads));
    let Some(row) = template::Entity::find_by_id(id.0).filter(seen).one(db).await? else { return Ok(None) };
    let mut found = template_of(row)?;
    if found.company == scope.company() {
        return Ok(Some(found));
    }
    // Of the other side's, what the newest lead from it is on, whatever it is bound to since.
    let newest = lead_view::Entity::find()
        .filter(scope.leads().add(C::TemplateId.eq(id.0)))
        .order_by_desc(C::CreatedAt)
        .select_only()
        .columns([C::WorkflowOwner, C::WorkflowKey, C::WorkflowVersion])
        .into_tuple::<(Option<Uuid>, String, i32)>()
        .one(db)
        .await?;
    Ok(newest.map(|(owner, key, version)| {
        found.workflow = WorkflowRef { owner: owner.map(CompanyId), key, version };
        found.is_default = false;
        found
    }))
}

/// Writes a template's name and limits; `false` where its version is no longer the one before `new`'s.
pub async fn update_template(
    db: &impl ConnectionTrait,
    scope: Scope,
    new: &Template,
    now: DateTime<Utc>,
) -> Result<bool> {
    use template::Column as C;
    let done = template::Entity::update_many()
        .col_expr(C::Name, Expr::value(new.name.clone()))
        .col_expr(C::AnswerWithin, Expr::value(new.answer_within.as_ref().map(ToString::to_string)))
        .col_expr(C::ConvertWithin, Expr::value(new.convert_within.as_ref().map(ToString::to_string)))
        .col_expr(C::CheckEvery, Expr::value(new.check_every.as_ref().map(ToString::to_string)))
        .col_expr(C::DuplicateProtection, Expr::value(new.duplicate_protection.as_ref().map(ToString::to_string)))
        .col_expr(C::RequiredFields, Expr::value(fields_of(new)))
        .col_expr(C::Defaults, Expr::value(defaults_of(new)))
        .col_expr(C::WorkflowOwner, Expr::value(new.workflow.owner.map(|id| id.0)))
        .col_expr(C::WorkflowKey, Expr::value(new.workflow.key.clone()))
        .col_expr(C::WorkflowVersion, Expr::value(new.workflow.version))
        .col_expr(C::IsDefault, Expr::value(new.is_default))
        .col_expr(C::Version, Expr::value(new.version))
        .col_expr(C::UpdatedAt, Expr::value(now))
        .filter(C::Id.eq(new.id.0))
        .filter(C::CompanyId.eq(scope.company().0))
        .filter(C::Version.eq(new.version - 1))
        .exec(db)
        .await?;
    Ok(done.rows_affected == 1)
}

/// The number of a company's next lead.
pub async fn next_lead_number(db: &impl ConnectionTrait, company: CompanyId) -> Result<i64> {
    use company_sequence::Column as C;
    let rows = company_sequence::Entity::update_many()
        .col_expr(C::LeadNumber, Expr::col(C::LeadNumber).add(1))
        .filter(C::CompanyId.eq(company.0))
        .exec_with_returning(db)
        .await?;
    Ok(rows.first().ok_or_else(|| Error::internal("the company has no counter"))?.lead_number)
}

/// The number of the next lead that a company receives. It has a row of its own: who passes a lead on holds its company's
/// own numbers already, and two that pass leads to each other would wait for each other.
pub async fn next_received_number(db: &impl ConnectionTrait, company: CompanyId) -> Result<i64> {
    use company_received::Column as C;
    let rows = company_received::Entity::update_many()
        .col_expr(C::LeadNumber, Expr::col(C::LeadNumber).add(1))
        .filter(C::CompanyId.eq(company.0))
        .exec_with_returning(db)
        .await?;
    Ok(rows.first().ok_or_else(|| Error::internal("the company has no counter"))?.lead_number)
}
