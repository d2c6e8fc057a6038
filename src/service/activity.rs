//! The company's log, read.

use chrono::{DateTime, Duration, Utc};

use super::{Service, cursor};
use crate::{
    domain::{
        actor::Member,
        event::Event,
        id::{CompanyId, EventId, LeadId, MemberId},
        page::{Page, PageRequest},
        patch::Patch,
    },
    error::{ErrorCode, Fault, Result},
    store::{
        self,
        log::{EventFilter, LogWindow},
        scope::Scope,
    },
};

/// Which events are asked for. What is absent does not matter; what is null is to be none.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// About this lead.
    pub lead: Patch<LeadId>,
    /// Of these kinds, by the name of [`crate::domain::event::Happening`]'s variant in the log.
    pub kinds: Option<Vec<&'static str>>,
    /// Done by this member.
    pub actor: Patch<MemberId>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Service {
    /// A page of the caller's company's log, the newest first.
    pub async fn activity(&self, member: &Member, filter: ActivityFilter, page: PageRequest) -> Result<Page<Event>> {
        let bounds = page.bounds()?;
        let place = |text: Option<&String>, field| {
            text.map(|text| self.cursors().read_log(member.company, text, field)).transpose()
        };
        // The newest stands first, so what comes after an entry has a lower position.
        let below = place(page.after.as_ref(), "after")?;
        let above = place(page.before.as_ref(), "before")?;
        let window = LogWindow { limit: bounds.limit, above, below, descending: true, last: bounds.last };
        let filter = EventFilter {
            lead: filter.lead,
            kinds: filter.kinds,
            actor: filter.actor,
            since: filter.since,
            until: filter.until,
        };
        let slice = store::log::events(self.db().read(), Scope::of(member), &filter, window).await?;
        let edges = slice.items.into_iter().map(|event| (cursor::log(member.company, event.position), event));
        Ok(Page::new(edges.collect(), slice.more, bounds.last, below.is_some(), above.is_some()))
    }

    /// An entry of the caller's company's log.
    pub async fn event(&self, member: &Member, id: EventId) -> Result<Option<Event>> {
        store::log::event(self.db().read(), Scope::of(member), id).await
    }

    /// Entries of a company's log, or those of them about one lead, after a position and up to another, in their order;
    /// at most `limit`. For the feed.
    pub async fn log_after(
        &self,
        company: CompanyId,
        lead: Option<LeadId>,
        position: i64,
        up_to: i64,
        limit: u64,
    ) -> Result<Vec<Event>> {
        let below = up_to.checked_add(1);
        let window = LogWindow { limit, above: Some(position), below, descending: false, last: false };
        let filter = EventFilter { lead: lead.map_or(Patch::Absent, Patch::Value), ..EventFilter::default() };
        Ok(store::log::events(self.db().read(), Scope::system(company), &filter, window).await?.items)
    }

    /// Whether the company's part in the lead is over: nothing about it will come to the company any more, unless the
    /// lead comes anew. For the feed.
    pub async fn is_over(&self, company: CompanyId, lead: LeadId) -> Result<bool> {
        let lead = store::lead::find(self.db().read(), Scope::system(company), lead).await?;
        Ok(lead.is_none_or(|lead| lead.ended_at.is_some()))
    }

    /// Refuses to go on after a position where what comes next lies farther back than the retention.
    ///
    /// # Errors
    /// `CURSOR_EXPIRED`, with the cursor after which the retention begins.
    pub async fn refuse_older(&self, company: CompanyId, position: i64, retention: Duration) -> Result<()> {
        let limit = self.now() - retention;
        let next = self.log_after(company, None, position, i64::MAX, 1).await?;
        let Some(next) = next.first() else { return self.refuse_ahead(company, position).await };
        if next.at >= limit {
            return Ok(());
        }
        let start = store::log::last_before(self.db().read(), Scope::system(company), limit).await?;
        let start = self.cursors().text(&cursor::log(company, start));
        Err(Fault::new(
            ErrorCode::CursorExpired,
            format!(
                "What comes after this cursor lies more than {} days back. Read it with the query `activity`, and \
                 subscribe after the cursor in `extensions.startAfter`.",
                retention.num_days()
            ),
        )
        .at("after")
        .start_after(start)
        .into())
    }

    /// A position past the log's end was given out by a history that is no more: the database is an older copy. Who went
    /// on from there would miss what takes those positions now.
    async fn refuse_ahead(&self, company: CompanyId, position: i64) -> Result<()> {
        let heads = self.log_heads(&[company]).await?;
        let head = heads.first().map_or(0, |(_, head)| *head);
        if position <= head {
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::CursorExpired,
            "This cursor lies past the end of the log, as after the database was restored from a backup. Read what \
             there is with the query `activity`, and subscribe after the cursor in `extensions.startAfter`.",
        )
        .at("after")
        .start_after(self.cursors().text(&cursor::log(company, head)))
        .into())
    }

    /// The last positions of companies' logs. For the feed.
    pub async fn log_heads(&self, companies: &[CompanyId]) -> Result<Vec<(CompanyId, i64)>> {
        store::log::heads(self.db().read(), companies).await
    }

    /// Where the company's log stands at a cursor: an entry's own, or that of a comment in the lead's thread.
    pub async fn position_at(&self, member: &Member, lead: Option<LeadId>, cursor: &str) -> Result<i64> {
        let Some(lead) = lead else { return self.cursors().read_log(member.company, cursor, "after") };
        match self.cursors().read_log_or_comment(member.company, cursor, "after")? {
            Ok(position) => Ok(position),
            Err(comment) => {
                let scope = Scope::of(member);
                let found = store::log::position_of(self.db().read(), scope, lead, comment, "COMMENT_ADDED").await?;
                found.ok_or_else(|| Fault::invalid("after", "This cursor is not of a comment of this lead.").into())
            }
        }
    }
}
