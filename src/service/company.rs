//! Companies, partnerships and templates.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    Service, authorize,
    cursor::{self, List},
    lead::{claim, fingerprint, idempotency, tell_of_cancelled},
    transaction,
};
use crate::{
    domain::{
        actor::{Member, Role},
        company::{Company, Partnership, PartnershipState, Profile, StageMover, is_slug},
        duration::TimeLimit,
        event::{FieldChange, Happening},
        id::{CompanyId, PartnershipId},
        lead::WorkflowRef,
        page::{Page, PageRequest},
        template::Template,
        text,
        workflow::{builtin, definition::Limit},
    },
    error::{Error, ErrorCode, Fault, Reason, Result},
    store::{self, scope::Scope, thread::Over},
};

impl Service {
    /// Registers a company with its default templates. For the operator.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a slug that can't be one; `DUPLICATE` where it is taken.
    pub async fn add_company(&self, slug: &str, name: Option<&str>) -> Result<Company> {
        let mut faults = Vec::new();
        if !is_slug(slug) {
            faults.push(Fault::invalid(
                "slug",
                "A slug has 2 to 50 lower-case letters, digits and hyphens, with no hyphen at either end.",
            ));
        }
        let name = text::LINE.optional(name, "name", &mut faults).unwrap_or_else(|| slug.to_owned());
        if !faults.is_empty() {
            return Err(faults.into());
        }
        transaction!(self, tx, {
            let company = Company { id: tx.fresh(), slug: slug.to_owned(), name: name.clone() };
            if !store::company::insert(tx.db(), &company, tx.now).await? {
                return Err(Error::new(ErrorCode::Duplicate, format!("There is a company {slug} already.")));
            }
            for definition in builtin::current() {
                let limit = |limit, text| -> Result<_> {
                    let counts = definition.counts(limit);
                    counts.then(|| TimeLimit::parse(text)).transpose().map_err(Error::internal)
                };
                let template = Template {
                    id: tx.fresh(),
                    company: company.id,
                    key: definition.key.clone(),
                    name: definition.name.clone(),
                    subject: definition.subject,
                    workflow: WorkflowRef { owner: None, key: definition.key.clone(), version: definition.version },
                    answer_within: limit(Limit::Answer, "P7D")?,
                    convert_within: limit(Limit::Convert, "P30D")?,
                    check_every: limit(Limit::Check, "P1M")?,
                    duplicate_protection: None,
                    required_fields: Vec::new(),
                    defaults: BTreeMap::new(),
                    is_default: matches!(definition.key.as_str(), builtin::SHARED_LEAD | builtin::OPPORTUNITY),
                    version: 1,
                };
                store::company::insert_template(tx.db(), &template, tx.now).await?;
            }
            Ok(company)
        })
    }

    /// Every company. For the operator.
    pub async fn companies(&self) -> Result<Vec<Company>> {
        store::company::all(self.db.read()).await
    }

    /// The company of that slug. For the operator.
    pub async fn company_by_slug(&self, slug: &str) -> Result<Option<Company>> {
        store::company::by_slug(self.db.read(), slug).await
    }

    /// Companies that are already known to be in the caller's sight. They don't change, so they are kept in memory.
    pub async fn companies_by_ids(&self, ids: &[CompanyId]) -> Result<Vec<Arc<Company>>> {
        let found = store::company::by_ids(self.db.read(), ids).await?;
        let found: Vec<_> = found.into_iter().map(Arc::new).collect();
        for company in &found {
            self.companies.insert(company.id, company.clone());
        }
        Ok(found)
    }

    /// A company that this process has seen before.
    pub fn company_at_hand(&self, id: CompanyId) -> Option<Arc<Company>> {
        self.companies.get(&id)
    }

    /// Whether the caller may know of a company: its own, or the other one of a partnership.
    pub async fn is_visible_company(&self, member: &Member, id: CompanyId) -> Result<bool> {
        store::company::is_counterpart(self.db.read(), Scope::of(member), id).await
    }

    /// The members of the caller's company.
    pub async fn members(&self, member: &Member, page: PageRequest) -> Result<Page<Profile>> {
        let window = self.window(member, List::Members, page, false)?;
        let slice = store::company::members(self.db.read(), Scope::of(member), &window).await?;
        Ok(Self::page(member, List::Members, &window, slice, |(at, profile)| (*at, profile.id.0))
            .map(|(_, profile)| profile))
    }

    /// The caller's partnerships, in the order of their invitation.
    pub async fn partnerships(&self, member: &Member, page: PageRequest) -> Result<Page<Partnership>> {
        let window = self.window(member, List::Partnerships, page, false)?;
        let slice = store::company::partnerships(self.db.read(), Scope::of(member), &window).await?;
        Ok(Self::page(member, List::Partnerships, &window, slice, |item| (item.created_at, item.id.0)))
    }

    /// Those of the partnerships that the caller's company is in.
    pub async fn partnerships_by_ids(&self, member: &Member, ids: &[PartnershipId]) -> Result<Vec<Partnership>> {
        store::company::partnerships_by_ids(self.db.read(), Scope::of(member), ids).await
    }

    /// Invites another company; `vendor` says what the caller's will be.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN; `NOT_FOUND` for a slug that no company has; `DUPLICATE` where a partnership in the
    /// same roles is alive, or the key was used for other content.
    pub async fn invite_partner(
        &self,
        member: &Member,
        slug: &str,
        vendor: bool,
        idempotency_key: Option<&str>,
    ) -> Result<Partnership> {
        authorize::role(member, &[Role::Admin], "invite a partner")?;
        let mut faults = Vec::new();
        let key = idempotency(idempotency_key, &mut faults);
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let fingerprint = fingerprint(&(slug, vendor));
        let slug = slug.trim();
        let other = if is_slug(slug) { store::company::by_slug(self.db.read(), slug).await? } else { None };
        let other = other.ok_or_else(|| {
            Fault::new(ErrorCode::NotFound, "No company with this slug can be invited.").at("input.companySlug")
        })?;
        if other.id == member.company {
            return Err(Fault::invalid("input.companySlug", "A company can't be its own partner.").into());
        }
        let (vendor, partner) = if vendor { (member.company, other.id) } else { (other.id, member.company) };
        transaction!(self, tx, {
            let id: PartnershipId = tx.fresh();
            if let Some(key) = &key
                && let Some(earlier) = claim(tx, member, key, "invitePartner", &fingerprint, id.0).await?
            {
                let ids = [PartnershipId(earlier)];
                let found = store::company::partnerships_by_ids(tx.db(), Scope::of(member), &ids).await?;
                return found.into_iter().next().ok_or_else(|| Error::not_found("partnership"));
            }
            let partnership = Partnership {
                id,
                vendor,
                partner,
                invited_by: member.company,
                state: PartnershipState::Invited,
                version: 1,
                created_at: tx.now,
                stage_moved_by: StageMover::default(),
            };
            if !store::company::insert_partnership(tx.db(), &partnership).await? {
                return Err(Fault::new(
                    ErrorCode::Duplicate,
                    "There is a partnership of your companies in these roles already.",
                )
                .at("input.companySlug")
                .into());
            }
            let to = partnership.state.as_str().to_owned();
            let happening = Happening::PartnershipChanged { from: None, to };
            tx.happened(vec![vendor, partner], Some(member.id), None, Some(partnership.id.0), happening);
            Ok(partnership)
        })
    }

    /// Accepts an invitation: leads can be shared from then on.
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN and for the company that invited; `INVALID_TRANSITION` when it is not INVITED.
    pub async fn accept_partnership(
        &self,
        member: &Member,
        id: PartnershipId,
        expected_version: Option<i32>,
    ) -> Result<Partnership> {
        self.move_partnership(member, id, expected_version, PartnershipState::Active, &[PartnershipState::Invited])
            .await
    }

    /// Suspends a partnership: no new leads are shared.
    pub async fn suspend_partnership(
        &self,
        member: &Member,
        id: PartnershipId,
        expected_version: Option<i32>,
    ) -> Result<Partnership> {
        self.move_partnership(member, id, expected_version, PartnershipState::Suspended, &[PartnershipState::Active])
            .await
    }

    /// Resumes a suspended partnership.
    pub async fn resume_partnership(
        &self,
        member: &Member,
        id: PartnershipId,
        expected_version: Option<i32>,
    ) -> Result<Partnership> {
        self.move_partnership(member, id, expected_version, PartnershipState::Active, &[PartnershipState::Suspended])
            .await
    }

    /// Ends a partnership, or declines or takes back an invitation. Live assignments end with it: each receiver keeps
    /// its view of the leads as they are.
    pub async fn end_partnership(
        &self,
        member: &Member,
        id: PartnershipId,
        expected_version: Option<i32>,
    ) -> Result<Partnership> {
        use PartnershipState::{Active, Ended, Invited, Suspended};
        self.move_partnership(member, id, expected_version, Ended, &[Invited, Active, Suspended]).await
    }

    async fn move_partnership(
        &self,
        member: &Member,
        id: PartnershipId,
        expected_version: Option<i32>,
        to: PartnershipState,
        from: &[PartnershipState],
    ) -> Result<Partnership> {
        transaction!(self, tx, {
            let old = authorize::partnership(tx, member, id, "input.partnershipId").await?;
            authorize::version("partnership", old.version, expected_version)?;
            if !from.contains(&old.state) {
                return Err(Fault::because(
                    Reason::WrongState,
                    format!("The partnership is {}; this is not possible now.", old.state.as_str()),
                )
                .stage(old.state.as_str())
                .into());
            }
            if old.state == PartnershipState::Invited
                && to == PartnershipState::Active
                && old.invited_by == member.company
            {
                return Err(Error::because(
                    Reason::OtherSide,
                    "The company that was invited accepts, not the one that invited.",
                ));
            }
            if !store::company::set_partnership_state(tx.db(), &old, to, tx.now).await? {
                return Err(authorize::conflict("partnership", old.version).into());
            }
            if to == PartnershipState::Ended {
                // A lead past its limit stays as it is for every caller, which is expired.
                for (lead, source) in store::lead::due_across(tx.db(), old.id, tx.now).await? {
                    if let Some(loaded) = authorize::lead_of_system(tx, Scope::system(source), lead).await? {
                        Box::pin(self.settle(tx, loaded)).await?;
                    }
                }
                let tasks = store::thread::cancel_tasks(tx.db(), Over::Partnership(old.id), tx.now).await?;
                tell_of_cancelled(tx, Some(member.id), tasks);
                store::lead::end_assignments(tx.db(), old.id, tx.now).await?;
                store::opportunity::end_views(tx.db(), old.id, tx.now).await?;
            }
            let happening =
                Happening::PartnershipChanged { from: Some(old.state.as_str().to_owned()), to: to.as_str().to_owned() };
            tx.happened(vec![old.vendor, old.partner], Some(member.id), None, Some(old.id.0), happening);
            Ok(Partnership { state: to, version: old.version + 1, ..old.clone() })
        })
    }

    /// Changes the settings of a partnership; they hold at once, for leads under way too (mission B3).
    ///
    /// # Errors
    /// `FORBIDDEN` without ADMIN and for the partner; `NOT_FOUND`; `CONFLICT`; `INVALID_TRANSITION` once it has ended.
    pub async fn update_partnership_settings(
        &self,
        member: &Member,
        id: PartnershipId,
        stage_moved_by: Option<StageMover>,
        expected_version: Option<i32>,
    ) -> Result<Partnership> {
        transaction!(self, tx, {
            let old = authorize::partnership(tx, member, id, "input.partnershipId").await?;
            if old.vendor != member.company {
                return Err(Error::because(
                    Reason::OtherSide,
                    "The vendor sets how leads are shared in this partnership.",
                ));
            }
            authorize::version("partnership", old.version, expected_version)?;
            if old.state == PartnershipState::Ended {
                let message = "The partnership is over: its settings stay as they are.";
                return Err(Fault::because(Reason::WrongState, message).stage(old.state.as_str()).into());
            }
            let mover = stage_moved_by.unwrap_or(old.stage_moved_by);
            let name = |mover: StageMover| Some(mover.as_str().to_owned());
            let Some(change) = FieldChange::of("stageMovedBy", name(old.stage_moved_by), name(mover)) else {
                return Ok(old.clone());
            };
            let new = Partnership { stage_moved_by: mover, version: old.version + 1, ..old.clone() };
            if !store::company::set_partnership_settings(tx.db(), &new, tx.now).await? {
                return Err(authorize::conflict("partnership", old.version).into());
            }
            let happening = Happening::PartnershipSettingsChanged { changes: vec![change] };
            tx.happened(vec![old.vendor, old.partner], Some(member.id), None, Some(old.id.0), happening);
            Ok(new)
        })
    }

    /// Reads a list's window from a request; cursors are those of that list.
    pub(super) fn window(
        &self,
        member: &Member,
        list: List,
        page: PageRequest,
        descending: bool,
    ) -> Result<store::page::Window<DateTime<Utc>>> {
        let bounds = page.bounds()?;
        let place = |text: Option<String>, field| {
            text.map(|text| self.cursors.read_created(member.company, list, &text, field)).transpose()
        };
        Ok(store::page::Window {
            limit: bounds.limit,
            last: bounds.last,
            after: place(page.after, "after")?,
            before: place(page.before, "before")?,
            descending,
        })
    }

    /// A page out of a slice of that list.
    pub(super) fn page<T>(
        member: &Member,
        list: List,
        window: &store::page::Window<DateTime<Utc>>,
        slice: store::page::Slice<T>,
        place: impl Fn(&T) -> (DateTime<Utc>, uuid::Uuid),
    ) -> Page<T> {
        let edges = slice.items.into_iter().map(|item| {
            let (at, id) = place(&item);
            (cursor::created(member.company, list, at, id), item)
        });
        Page::new(edges.collect(), slice.more, window.last, window.after.is_some(), window.before.is_some())
    }
}
