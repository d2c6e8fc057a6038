//! Marketing lists: a company's own lists of leads.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000003_marketing_lists"
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
CREATE TABLE marketing_list (
    id {uuid} PRIMARY KEY,
    company_id {uuid} NOT NULL REFERENCES company (id),
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    lead_count INTEGER NOT NULL CHECK (lead_count >= 0),
    archived_at {time},
    version INTEGER NOT NULL,
    created_by {uuid} NOT NULL REFERENCES member (id),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
);

CREATE UNIQUE INDEX marketing_list_name ON marketing_list (company_id, name_key) WHERE archived_at IS NULL;

CREATE INDEX marketing_list_live ON marketing_list (company_id, created_at, id) WHERE archived_at IS NULL;

CREATE INDEX marketing_list_archived ON marketing_list (company_id, created_at, id) WHERE archived_at IS NOT NULL;

CREATE TABLE marketing_list_lead (
    list_id {uuid} NOT NULL REFERENCES marketing_list (id),
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    company_id {uuid} NOT NULL REFERENCES company (id),
    added_by {uuid} NOT NULL REFERENCES member (id),
    added_at {time} NOT NULL,
    PRIMARY KEY (list_id, lead_id)
);

CREATE INDEX marketing_list_lead_by_list ON marketing_list_lead (list_id, added_at, lead_id);

CREATE INDEX marketing_list_lead_by_lead ON marketing_list_lead (lead_id, company_id, added_at, list_id);
";
