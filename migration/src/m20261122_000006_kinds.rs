//! The version of a comment, and when a lead's sides are told that its limit comes near.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000006_kinds"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, UP).await?;
        // When their counters were started is not known: a day before the end.
        let before = match manager.get_connection().get_database_backend() {
            DbBackend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f', expires_at, '-1 day') || '+00:00'",
            _ => "expires_at - INTERVAL '1 day'",
        };
        crate::run(manager, &RUNNING.replace("{before}", before)).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const UP: &str = r"
ALTER TABLE comment ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

ALTER TABLE lead_view ADD COLUMN warn_at {time};

CREATE INDEX lead_view_warn ON lead_view (warn_at) WHERE warn_at IS NOT NULL AND side = 'SOURCE';
";

const RUNNING: &str = r"
UPDATE lead_view SET warn_at = {before}
    WHERE ended_at IS NULL AND expires_at IS NOT NULL AND on_expiry IS NOT NULL AND expires_kind = 'EXPIRED';
";
