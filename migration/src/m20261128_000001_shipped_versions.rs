//! New leads and opportunities start on the second version of the shipped workflows. What is on the first stays on it.

use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000001_shipped_versions"
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
UPDATE template SET workflow_version = 2, version = version + 1
WHERE workflow_owner IS NULL AND workflow_version = 1
    AND workflow_key IN ('partner-lead', 'submitted-lead', 'internal-lead', 'opportunity');
";
