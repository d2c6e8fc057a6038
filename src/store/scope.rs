//! Whose rows a caller may read. Every read starts here.

use cosell_entity::{event, lead_view, marketing_list, marketing_list_lead, opportunity_view};
use sea_orm::{ColumnTrait, Condition};

use crate::domain::{actor::Member, id::CompanyId};

/// The rows of one company. Made from a member that was signed in, or by the system for a company it works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    company: CompanyId,
}

impl Scope {
    /// What this member may read.
    pub fn of(member: &Member) -> Self {
        Self { company: member.company }
    }

    /// What the system reads when it works for a company: its feed, its counters.
    pub fn system(company: CompanyId) -> Self {
        Self { company }
    }

    /// The company.
    pub fn company(self) -> CompanyId {
        self.company
    }

    /// The company's views of leads.
    pub fn leads(self) -> Condition {
        Condition::all().add(lead_view::Column::CompanyId.eq(self.company.0))
    }

    /// The company's views of opportunities.
    pub fn opportunities(self) -> Condition {
        Condition::all().add(opportunity_view::Column::CompanyId.eq(self.company.0))
    }

    /// The company's marketing lists.
    pub fn marketing_lists(self) -> Condition {
        Condition::all().add(marketing_list::Column::CompanyId.eq(self.company.0))
    }

    /// What is on the company's marketing lists.
    pub fn listings(self) -> Condition {
        Condition::all().add(marketing_list_lead::Column::CompanyId.eq(self.company.0))
    }

    /// The company's log.
    pub fn events(self) -> Condition {
        Condition::all().add(event::Column::CompanyId.eq(self.company.0))
    }

    /// The comments that the company may read: its own, and the shared ones of leads it is a side of.
    pub fn comments(self) -> Condition {
        use cosell_entity::comment::Column as C;
        let id = self.company.0;
        let party = Condition::any().add(C::SourceId.eq(id)).add(C::ReceiverId.eq(id));
        Condition::all().add(C::RemovedAt.is_null()).add(
            Condition::any().add(C::CompanyId.eq(id)).add(Condition::all().add(C::Visibility.eq("SHARED")).add(party)),
        )
    }

    /// The tasks that the company may read, by the same rule.
    pub fn tasks(self) -> Condition {
        use cosell_entity::task::Column as C;
        let id = self.company.0;
        let party = Condition::any().add(C::SourceId.eq(id)).add(C::ReceiverId.eq(id));
        Condition::any().add(C::CompanyId.eq(id)).add(Condition::all().add(C::Visibility.eq("SHARED")).add(party))
    }
}
