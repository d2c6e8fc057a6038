//! Workflows of companies' own, a status beside the stage, what few leads have, the settings of a partnership.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000001_workflows"
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
CREATE TABLE workflow (
    id {uuid} PRIMARY KEY,
    company_id {uuid} NOT NULL REFERENCES company (id),
    key TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('DRAFT', 'PUBLISHED', 'RETIRED')),
    definition {json} NOT NULL,
    version INTEGER NOT NULL,
    created_by {uuid} NOT NULL REFERENCES member (id),
    published_at {time},
    retired_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    UNIQUE (company_id, key, workflow_version)
);

CREATE UNIQUE INDEX workflow_draft ON workflow (company_id, key) WHERE state = 'DRAFT';

ALTER TABLE partnership ADD COLUMN stage_moved_by TEXT NOT NULL DEFAULT 'BOTH'
    CHECK (stage_moved_by IN ('VENDOR', 'PARTNER', 'BOTH'));

ALTER TABLE template ADD COLUMN workflow_owner {uuid} REFERENCES company (id);

ALTER TABLE template ADD COLUMN check_every TEXT;

ALTER TABLE template ADD COLUMN required_fields {json};

ALTER TABLE template ADD COLUMN defaults {json};

INSERT INTO template (id, company_id, key, name, subject, workflow_key, workflow_version, check_every, is_default, version,
    created_at, updated_at)
SELECT {new_id}, id, 'submitted-lead', 'Submitted lead', 'LEAD', 'submitted-lead', 1, 'P1M', FALSE, 1, created_at, created_at
FROM company;

INSERT INTO template (id, company_id, key, name, subject, workflow_key, workflow_version, is_default, version,
    created_at, updated_at)
SELECT {new_id}, id, 'internal-lead', 'Internal lead', 'LEAD', 'internal-lead', 1, FALSE, 1, created_at, created_at
FROM company;

ALTER TABLE opportunity_view ADD COLUMN workflow_owner {uuid} REFERENCES company (id);

ALTER TABLE opportunity_view ADD COLUMN city TEXT;

ALTER TABLE opportunity_view ADD COLUMN current_situation TEXT;

ALTER TABLE opportunity_view ADD COLUMN selling_direction TEXT;

ALTER TABLE lead_view ADD COLUMN workflow_owner {uuid} REFERENCES company (id);

ALTER TABLE lead_view ADD COLUMN stage_locked BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE lead_view ADD COLUMN status_key TEXT;

ALTER TABLE lead_view ADD COLUMN status_kind TEXT;

ALTER TABLE lead_view ADD COLUMN expires_kind TEXT;

ALTER TABLE lead_view ADD COLUMN expires_track TEXT;

ALTER TABLE lead_view ADD COLUMN details {json};

ALTER TABLE lead_view ADD COLUMN internal_opportunity_id {uuid} REFERENCES opportunity (id);

UPDATE lead_view SET expires_kind = 'EXPIRED', expires_track = 'STAGE' WHERE expires_to IS NOT NULL;

CREATE INDEX lead_view_by_status ON lead_view (company_id, status_key, created_at, lead_id) WHERE status_key IS NOT NULL;

CREATE INDEX lead_view_by_template ON lead_view (company_id, template_id, stage_key, created_at, lead_id);

CREATE INDEX lead_view_by_internal_opportunity ON lead_view (internal_opportunity_id, company_id)
    WHERE internal_opportunity_id IS NOT NULL;

CREATE INDEX lead_view_by_workflow ON lead_view (workflow_owner, workflow_key, workflow_version, lead_id)
    WHERE workflow_owner IS NOT NULL AND side = 'SOURCE';

CREATE INDEX opportunity_view_by_workflow ON opportunity_view (workflow_owner, workflow_key, workflow_version, opportunity_id)
    WHERE workflow_owner IS NOT NULL AND side = 'RECEIVER';
";
