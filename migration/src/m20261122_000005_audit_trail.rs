//! The audit trail: each event carries a hash over itself and the one before it; and the indexes that the log is read
//! by.
//!
//! What is there already gets its chain here. The algorithm therefore stands here a second time, as it was when this
//! landed; it is never changed here.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::SecondsFormat;
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{
        ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value,
        prelude::{DateTimeUtc, Uuid},
    },
};
use serde_json::json;
use sha2::{Digest, Sha256};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261122_000005_audit_trail"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, COLUMNS).await?;
        let db = manager.get_connection();
        let secret = rand::random();
        let companies = Statement::from_string(db.get_database_backend(), "SELECT company_id FROM company_feed");
        for company in db.query_all_raw(companies).await? {
            chain(db, company.try_get_by_index(0)?, &secret).await?;
        }
        if db.get_database_backend() == DbBackend::Postgres {
            crate::run(manager, NO_DEFAULTS).await?;
        }
        crate::run(manager, INDEXES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const COLUMNS: &str = r"
ALTER TABLE event ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;

ALTER TABLE event ADD COLUMN previous {bytes};

ALTER TABLE event ADD COLUMN salt {bytes};

ALTER TABLE event ADD COLUMN content_hash {bytes} NOT NULL DEFAULT {no_bytes};

ALTER TABLE event ADD COLUMN hash {bytes} NOT NULL DEFAULT {no_bytes};

ALTER TABLE event ADD COLUMN erased_at {time};

ALTER TABLE company_feed ADD COLUMN last_at {time};

UPDATE company_feed SET last_at = (SELECT MAX(at) FROM event WHERE event.company_id = company_feed.company_id);
";

/// A server of the version before knows no chains: its events are refused, rather than kept without one. SQLite can't
/// drop a default; there is one server there, and it was stopped for this.
const NO_DEFAULTS: &str = r"
ALTER TABLE event
    ALTER COLUMN sequence DROP DEFAULT,
    ALTER COLUMN content_hash DROP DEFAULT,
    ALTER COLUMN hash DROP DEFAULT;
";

const INDEXES: &str = r"
CREATE INDEX event_by_time ON event (company_id, at, position);

CREATE INDEX event_by_kind ON event (company_id, kind, position);

CREATE INDEX event_by_actor ON event (company_id, actor_id, position);

CREATE INDEX idempotency_key_by_result ON idempotency_key (company_id, result_id);
";

/// How many rows are read and written at once.
const BATCH: i64 = 500;

/// Where a history stands: its last sequence and hash.
type Heads = HashMap<Option<Uuid>, (i64, [u8; 32])>;

/// Writes the chains of a company's log, in the order of its positions.
async fn chain(db: &impl ConnectionTrait, company: Uuid, secret: &[u8; 32]) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let (mut heads, mut position) = (Heads::new(), 0_i64);
    loop {
        let sql = "SELECT position, id, at, actor_id, lead_id, subject_id, kind, content FROM event \
                   WHERE company_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
        let values: [Value; 3] = [company.into(), position.into(), BATCH.into()];
        let rows = db.query_all_raw(Statement::from_sql_and_values(backend, places(backend, sql), values)).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        position = last.try_get("", "position")?;
        let (mut marks, mut values) = (Vec::new(), vec![Value::from(company)]);
        for row in &rows {
            let first = values.len() + 1;
            let numbers: Vec<_> = (first..first + 6).map(|number| format!("?{number}")).collect();
            marks.push(format!("({})", numbers.join(", ")));
            values.extend(link(company, row, &mut heads, secret)?);
        }
        let sql = format!(
            "UPDATE event SET sequence = v.column2, previous = v.column3, salt = v.column4, content_hash = v.column5, \
             hash = v.column6 FROM (VALUES {}) AS v WHERE event.company_id = ?1 AND event.position = v.column1",
            marks.join(", ")
        );
        db.execute_raw(Statement::from_sql_and_values(backend, places(backend, &sql), values)).await?;
    }
}

fn places(backend: DbBackend, sql: &str) -> String {
    if backend == DbBackend::Sqlite { sql.to_owned() } else { sql.replace('?', "$") }
}

/// The position, sequence, previous hash, salt, content hash and hash of a row.
fn link(company: Uuid, row: &QueryResult, heads: &mut Heads, secret: &[u8; 32]) -> Result<[Value; 6], DbErr> {
    let (position, id): (i64, Uuid) = (row.try_get("", "position")?, row.try_get("", "id")?);
    let at: DateTimeUtc = row.try_get("", "at")?;
    let (actor, lead): (Option<Uuid>, Option<Uuid>) = (row.try_get("", "actor_id")?, row.try_get("", "lead_id")?);
    let (subject, kind): (Option<Uuid>, String) = (row.try_get("", "subject_id")?, row.try_get("", "kind")?);
    let content: serde_json::Value = row.try_get("", "content")?;
    // The rows of one event get one salt, whichever log they are in; the secret ends with this run.
    let salt = sha256(&[secret, id.as_bytes()])[..16].to_vec();
    let content_hash = sha256(&[&salt, &canonical(&content)?]);
    let (sequence, previous) = heads.get(&lead).map_or((1, None), |(sequence, hash)| (sequence + 1, Some(*hash)));
    let hash = sha256(&[&canonical(&json!({
        "version": 1,
        "company": global_id(1, company),
        "lead": lead.map(|id| global_id(4, id)),
        "sequence": sequence,
        "position": position,
        "previous": previous.map(hex::encode),
        "id": global_id(8, id),
        "at": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "actor": actor.map(|id| global_id(2, id)),
        "subject": subject.map(|id| id.to_string()),
        "kind": kind,
        "contentHash": hex::encode(content_hash),
    }))?]);
    heads.insert(lead, (sequence, hash));
    Ok([
        position.into(),
        sequence.into(),
        previous.map(|hash| hash.to_vec()).into(),
        salt.into(),
        content_hash.to_vec().into(),
        hash.to_vec().into(),
    ])
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// RFC 8785.
fn canonical(value: &serde_json::Value) -> Result<Vec<u8>, DbErr> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| DbErr::Custom(error.to_string()))
}

fn global_id(tag: u8, id: Uuid) -> String {
    let mut bytes = vec![tag];
    bytes.extend(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}
