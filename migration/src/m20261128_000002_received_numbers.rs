//! Numbers of a company's own for the leads that it receives.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000002_received_numbers"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, UP).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What is searched ends with the number.
const UP: &str = r"
CREATE TABLE company_received (
    company_id {uuid} PRIMARY KEY REFERENCES company (id),
    lead_number BIGINT NOT NULL
);

INSERT INTO company_received (company_id, lead_number)
    SELECT id, 1000 + (SELECT COUNT(*) FROM lead_view WHERE company_id = company.id AND side = 'RECEIVER') FROM company;

UPDATE lead_view
    SET number = received.number,
        search = substr(search, 1, length(search) - length(lead_view.number)) || lower(received.number)
    FROM (
        SELECT lead_id, company_id,
            'R-' || (1000 + row_number() OVER (PARTITION BY company_id ORDER BY created_at, lead_id)) AS number
        FROM lead_view WHERE side = 'RECEIVER'
    ) AS received
    WHERE lead_view.lead_id = received.lead_id AND lead_view.company_id = received.company_id;

CREATE UNIQUE INDEX lead_view_number ON lead_view (company_id, number);
";
