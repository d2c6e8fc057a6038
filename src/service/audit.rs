//! The audit trail, read and checked (mission D7).

use super::{Service, cursor};
use crate::{
    domain::{
        actor::Member,
        audit::{Finding, Flaw, History, Record, Summary, Verifier, Watch},
        global_id::{self, NodeType},
        id::{CompanyId, LeadId},
        page::{Page, PageRequest},
    },
    error::{ErrorCode, Fault, Result},
    store::{self, audit::Kept, log::LogWindow, scope::Scope},
};

/// How many rows are read at once where all are read.
const BATCH: u64 = 1_000;

impl Service {
    /// A page of one history of the caller's company, the oldest first: the lead's as the company has it, or its own
    /// events where there is no lead.
    pub async fn audit_trail(&self, member: &Member, lead: Option<LeadId>, page: PageRequest) -> Result<Page<Kept>> {
        let bounds = page.bounds()?;
        let scope = Scope::of(member);
        if let Some(lead) = lead
            && store::lead::find(self.db().read(), scope, lead).await?.is_none()
        {
            return Err(Fault::new(ErrorCode::NotFound, "There is no such lead.").at("leadId").into());
        }
        let place = |text: Option<&String>, field| {
            text.map(|text| self.cursors().read_log(member.company, text, field)).transpose()
        };
        let (above, below) = (place(page.after.as_ref(), "after")?, place(page.before.as_ref(), "before")?);
        let window = LogWindow { limit: bounds.limit, above, below, descending: false, last: bounds.last };
        let slice = store::audit::history(self.db().read(), scope, lead, window).await?;
        let edges = slice.items.into_iter().map(|kept| (cursor::log(member.company, kept.position), kept));
        Ok(Page::new(edges.collect(), slice.more, bounds.last, above.is_some(), below.is_some()))
    }

    /// The next records of a company: of one lead, or of its whole log. For the command line.
    pub async fn audit_records(&self, company: CompanyId, lead: Option<LeadId>, above: i64) -> Result<Vec<Kept>> {
        let scope = Scope::system(company);
        if lead.is_none() {
            return store::audit::log(self.db().read(), scope, above, BATCH).await;
        }
        let window = LogWindow { limit: BATCH, above: Some(above), below: None, descending: false, last: false };
        Ok(store::audit::history(self.db().read(), scope, lead, window).await?.items)
    }

    /// Every company with its slug. For the command line.
    pub async fn audited_companies(&self) -> Result<Vec<(CompanyId, String)>> {
        store::audit::companies(self.db().read()).await
    }

    /// The lead that has that number at the company. For the command line.
    pub async fn lead_by_number(&self, company: CompanyId, number: &str) -> Result<Option<LeadId>> {
        store::audit::lead_by_number(self.db().read(), Scope::system(company), number).await
    }

    /// Checks what the database holds of a company: of one lead, or its whole log with its positions. A row that can't be
    /// read is a finding. For the command line.
    pub async fn verify_audit(
        &self,
        company: CompanyId,
        lead: Option<LeadId>,
        watch: &mut Watch,
    ) -> Result<(Vec<Finding>, Vec<Summary>)> {
        let scope = Scope::system(company);
        let db = self.db().read();
        let mut verifier = Verifier::default();
        // What is written meanwhile is read too, or not; this far all has to be there.
        let end = store::audit::last_position(db, scope).await?;
        let mut position = 0;
        loop {
            let first = position;
            let rows = store::audit::found_rows(db, scope, lead, position, BATCH).await?;
            let Some(last) = rows.last().map(|row| row.position) else { break };
            for row in &rows {
                if lead.is_none() && row.position != position + 1 {
                    verifier.add(gap(company, position + 1, row.position - 1));
                }
                position = row.position;
                if !row.unreadable.is_empty() {
                    let columns = row.unreadable.join(", ");
                    verifier
                        .add(finding(&row.record, format!("can't be read: what is in {columns} was not written so")));
                }
                watch.see(&row.record);
                verifier.push(&row.record);
            }
            for differing in store::audit::disagreements(db, scope, lead, first, last).await? {
                if let Some(row) = rows.iter().find(|row| row.position == differing.position) {
                    let other = global_id::encode(NodeType::Company, differing.other.0);
                    verifier.add(finding(
                        &row.record,
                        format!("differs from the same event in the log of company {other}"),
                    ));
                }
            }
        }
        if lead.is_none() && position < end {
            verifier.add(gap(company, position + 1, end));
        }
        if lead.is_none() && store::audit::without_position(db, scope).await? > 0 {
            let history = History { company: global_id::encode(NodeType::Company, company.0), lead: None };
            let flaw = Flaw::Other("a row's position is no number".to_owned());
            verifier.add(Finding { history, sequence: 0, event: None, flaw });
        }
        Ok(verifier.finish())
    }
}

fn gap(company: CompanyId, from: i64, to: i64) -> Finding {
    let history = History { company: global_id::encode(NodeType::Company, company.0), lead: None };
    let flaw = Flaw::Position { from, to };
    Finding { history, sequence: 0, event: None, flaw }
}

fn finding(record: &Record, what: String) -> Finding {
    let history = History { company: record.company.clone(), lead: record.lead.clone() };
    Finding { history, sequence: record.sequence, event: Some(record.id.clone()), flaw: Flaw::Other(what) }
}
