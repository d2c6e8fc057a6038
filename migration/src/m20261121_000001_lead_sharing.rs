//! Companies, members, partnerships, templates, leads, opportunities, comments, tasks, the event log.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261121_000001_lead_sharing"
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
CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cursor_key {bytes} NOT NULL,
    created_at {time} NOT NULL
);

CREATE TABLE company (
    id {uuid} PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at {time} NOT NULL
);

CREATE TABLE company_feed (
    company_id {uuid} PRIMARY KEY REFERENCES company (id),
    position BIGINT NOT NULL
);

CREATE TABLE company_sequence (
    company_id {uuid} PRIMARY KEY REFERENCES company (id),
    lead_number BIGINT NOT NULL
);

CREATE TABLE member (
    id {uuid} PRIMARY KEY,
    company_id {uuid} NOT NULL REFERENCES company (id),
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    roles TEXT NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    UNIQUE (company_id, subject)
);

CREATE TABLE partnership (
    id {uuid} PRIMARY KEY,
    vendor_id {uuid} NOT NULL REFERENCES company (id),
    partner_id {uuid} NOT NULL REFERENCES company (id),
    invited_by {uuid} NOT NULL REFERENCES company (id),
    state TEXT NOT NULL CHECK (state IN ('INVITED', 'ACTIVE', 'SUSPENDED', 'ENDED')),
    version INTEGER NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK (vendor_id <> partner_id)
);

CREATE UNIQUE INDEX partnership_alive ON partnership (vendor_id, partner_id) WHERE state <> 'ENDED';

CREATE INDEX partnership_by_vendor ON partnership (vendor_id, created_at, id);

CREATE INDEX partnership_by_partner ON partnership (partner_id, created_at, id);

CREATE TABLE template (
    id {uuid} PRIMARY KEY,
    company_id {uuid} NOT NULL REFERENCES company (id),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL CHECK (subject IN ('LEAD', 'OPPORTUNITY')),
    workflow_key TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    answer_within TEXT,
    convert_within TEXT,
    is_default BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    UNIQUE (company_id, key)
);

CREATE TABLE lead (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES company (id),
    number BIGINT NOT NULL,
    created_by {uuid} NOT NULL REFERENCES member (id),
    created_at {time} NOT NULL,
    UNIQUE (source_id, number)
);

CREATE TABLE assignment (
    id {uuid} PRIMARY KEY,
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    partnership_id {uuid} NOT NULL REFERENCES partnership (id),
    receiver_id {uuid} NOT NULL REFERENCES company (id),
    offered_at {time} NOT NULL,
    answered_at {time},
    ended_at {time},
    outcome TEXT
);

CREATE INDEX assignment_by_lead ON assignment (lead_id, offered_at);

CREATE INDEX assignment_alive ON assignment (partnership_id) WHERE ended_at IS NULL;

CREATE TABLE opportunity (
    id {uuid} PRIMARY KEY,
    company_id {uuid} NOT NULL REFERENCES company (id),
    created_by {uuid} NOT NULL REFERENCES member (id),
    created_at {time} NOT NULL
);

CREATE TABLE opportunity_view (
    opportunity_id {uuid} NOT NULL REFERENCES opportunity (id),
    company_id {uuid} NOT NULL REFERENCES company (id),
    side TEXT NOT NULL CHECK (side IN ('SOURCE', 'RECEIVER')),
    template_id {uuid} NOT NULL REFERENCES template (id),
    workflow_key TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    value_amount BIGINT,
    value_currency TEXT,
    close_date TEXT,
    stage_key TEXT NOT NULL,
    stage_kind TEXT NOT NULL,
    responsible_id {uuid} REFERENCES member (id),
    reason TEXT,
    closed_at {time},
    version INTEGER NOT NULL,
    ended_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (opportunity_id, company_id)
);

CREATE INDEX opportunity_view_by_created ON opportunity_view (company_id, created_at, opportunity_id);

CREATE INDEX opportunity_view_by_kind ON opportunity_view (company_id, stage_kind, created_at, opportunity_id);

CREATE TABLE lead_view (
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    company_id {uuid} NOT NULL REFERENCES company (id),
    side TEXT NOT NULL CHECK (side IN ('SOURCE', 'RECEIVER')),
    source_id {uuid} NOT NULL REFERENCES company (id),
    receiver_id {uuid} REFERENCES company (id),
    partnership_id {uuid} REFERENCES partnership (id),
    assignment_id {uuid} REFERENCES assignment (id),
    template_id {uuid} NOT NULL REFERENCES template (id),
    workflow_key TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    number TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT,
    lead_source TEXT,
    customer_company TEXT NOT NULL,
    customer_website TEXT,
    customer_industry TEXT,
    customer_employees INTEGER,
    address_street TEXT,
    address_city TEXT,
    address_region TEXT,
    address_postal_code TEXT,
    address_country TEXT,
    contact_first_name TEXT,
    contact_last_name TEXT,
    contact_job_title TEXT,
    contact_email TEXT,
    contact_phone TEXT,
    contact_phone_typed TEXT,
    value_amount BIGINT,
    value_currency TEXT,
    stage_key TEXT NOT NULL,
    stage_kind TEXT NOT NULL,
    owner_id {uuid} REFERENCES member (id),
    active BOOLEAN NOT NULL,
    archived BOOLEAN NOT NULL,
    reason TEXT,
    expires_at {time},
    on_expiry TEXT,
    expires_to TEXT,
    accepted_at {time},
    declined_at {time},
    expired_at {time},
    converted_at {time},
    closed_at {time},
    opportunity_id {uuid} REFERENCES opportunity (id),
    version INTEGER NOT NULL,
    ended_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    sort_expires {time} NOT NULL,
    sort_value BIGINT NOT NULL,
    search TEXT NOT NULL,
    PRIMARY KEY (lead_id, company_id)
);

CREATE INDEX lead_view_by_created ON lead_view (company_id, created_at, lead_id);

CREATE INDEX lead_view_by_updated ON lead_view (company_id, updated_at, lead_id);

CREATE INDEX lead_view_by_expires ON lead_view (company_id, sort_expires, lead_id);

CREATE INDEX lead_view_by_value ON lead_view (company_id, sort_value, lead_id);

CREATE INDEX lead_view_by_stage ON lead_view (company_id, stage_key, created_at, lead_id);

CREATE INDEX lead_view_by_partnership ON lead_view (company_id, partnership_id, created_at, lead_id);

CREATE INDEX lead_view_by_owner ON lead_view (company_id, owner_id, created_at, lead_id);

CREATE INDEX lead_view_by_opportunity ON lead_view (opportunity_id, company_id);

CREATE INDEX lead_view_by_assignment ON lead_view (assignment_id);

CREATE INDEX lead_view_due ON lead_view (expires_at) WHERE expires_at IS NOT NULL AND side = 'SOURCE';

CREATE TABLE external_reference (
    company_id {uuid} NOT NULL REFERENCES company (id),
    system TEXT NOT NULL,
    external_id TEXT NOT NULL,
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    url TEXT,
    created_at {time} NOT NULL,
    PRIMARY KEY (company_id, system, external_id)
);

CREATE INDEX external_reference_by_lead ON external_reference (lead_id, company_id);

CREATE TABLE comment (
    id {uuid} PRIMARY KEY,
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    source_id {uuid} NOT NULL REFERENCES company (id),
    receiver_id {uuid} REFERENCES company (id),
    company_id {uuid} NOT NULL REFERENCES company (id),
    author_id {uuid} NOT NULL REFERENCES member (id),
    visibility TEXT NOT NULL CHECK (visibility IN ('SHARED', 'INTERNAL')),
    body TEXT NOT NULL,
    in_reply_to {uuid} REFERENCES comment (id),
    created_at {time} NOT NULL,
    edited_at {time},
    removed_at {time}
);

CREATE INDEX comment_by_lead ON comment (lead_id, created_at, id);

CREATE TABLE task (
    id {uuid} PRIMARY KEY,
    lead_id {uuid} NOT NULL REFERENCES lead (id),
    source_id {uuid} NOT NULL REFERENCES company (id),
    receiver_id {uuid} REFERENCES company (id),
    company_id {uuid} NOT NULL REFERENCES company (id),
    created_by {uuid} NOT NULL REFERENCES member (id),
    assigned_company_id {uuid} NOT NULL REFERENCES company (id),
    assignee_id {uuid} REFERENCES member (id),
    visibility TEXT NOT NULL CHECK (visibility IN ('SHARED', 'INTERNAL')),
    title TEXT NOT NULL,
    description TEXT,
    state TEXT NOT NULL CHECK (state IN ('OPEN', 'DONE', 'CANCELLED')),
    due_at {time},
    completed_at {time},
    version INTEGER NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
);

CREATE INDEX task_by_lead ON task (lead_id, created_at, id);

CREATE INDEX task_by_source ON task (source_id, created_at, id);

CREATE INDEX task_by_receiver ON task (receiver_id, created_at, id);

CREATE INDEX task_by_assignee ON task (assignee_id, created_at, id);

CREATE TABLE event (
    company_id {uuid} NOT NULL REFERENCES company (id),
    position BIGINT NOT NULL,
    id {uuid} NOT NULL,
    at {time} NOT NULL,
    actor_id {uuid} REFERENCES member (id),
    lead_id {uuid} REFERENCES lead (id),
    subject_id {uuid},
    kind TEXT NOT NULL,
    content {json} NOT NULL,
    PRIMARY KEY (company_id, position)
);

CREATE UNIQUE INDEX event_by_id ON event (company_id, id);

CREATE INDEX event_by_lead ON event (company_id, lead_id, position);

CREATE TABLE idempotency_key (
    company_id {uuid} NOT NULL REFERENCES company (id),
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    fingerprint {bytes} NOT NULL,
    result_id {uuid} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (company_id, key)
);

CREATE TABLE job_lease (
    name TEXT PRIMARY KEY,
    holder {uuid} NOT NULL,
    until {time} NOT NULL
);
";
