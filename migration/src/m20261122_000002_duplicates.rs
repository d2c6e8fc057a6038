//! What leads are compared by, and how far the jobs are that go through a table once.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000002_duplicates"
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

const UP: &str = r"
CREATE TABLE match_key (
    company_id {uuid} NOT NULL REFERENCES company (id),
    kind TEXT NOT NULL CHECK (kind IN ('NAME', 'DOMAIN', 'EMAIL', 'PHONE')),
    value TEXT NOT NULL,
    created_at {time} NOT NULL,
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    PRIMARY KEY (company_id, kind, value, created_at, lead_id)
);

CREATE INDEX match_key_by_lead ON match_key (lead_id, company_id);

CREATE TABLE job_progress (
    name TEXT PRIMARY KEY,
    lead_id {uuid},
    finished_at {time}
);
";
