//! Since when and until when a lead has what it is compared by, and the names of marketing lists in their compared form.
//!
//! The form is made in Rust. It therefore stands here a second time, as it was when this landed; it is never changed here.

use std::collections::HashSet;

use caseless::Caseless;
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value, prelude::Uuid},
};
use unicode_normalization::UnicodeNormalization;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261128_000003_text"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, UP).await?;
        let db = manager.get_connection();
        let companies =
            Statement::from_string(db.get_database_backend(), "SELECT DISTINCT company_id FROM marketing_list");
        for company in db.query_all_raw(companies).await? {
            name_lists(db, company.try_get_by_index(0)?).await?;
        }
        crate::run(manager, NAMES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const UP: &str = r"
ALTER TABLE template ADD COLUMN duplicate_protection TEXT;

ALTER TABLE match_key ADD COLUMN protected_until {time};

DROP INDEX match_key_by_lead;

CREATE INDEX match_key_by_lead ON match_key (lead_id, company_id, kind, value, created_at, protected_until);

DROP INDEX marketing_list_name;
";

const NAMES: &str = r"
CREATE UNIQUE INDEX marketing_list_name ON marketing_list (company_id, name_key) WHERE archived_at IS NULL;
";

/// Of two lists whose names have become the same the younger one is told apart by its id, which no name can have in it,
/// until one of them gets another name.
async fn name_lists(db: &impl ConnectionTrait, company: Uuid) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let sql = "SELECT id, name, name_key, archived_at IS NULL FROM marketing_list WHERE company_id = ?1 \
               ORDER BY created_at, id";
    let rows =
        db.query_all_raw(Statement::from_sql_and_values(backend, places(backend, sql), [company.into()])).await?;
    let mut taken = HashSet::new();
    for row in rows {
        let (id, name): (Uuid, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (before, live): (String, bool) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let mut key = folded(&name);
        if live && !taken.insert(key.clone()) {
            key = format!("{key}\n{id}");
        }
        if key != before {
            let sql = "UPDATE marketing_list SET name_key = ?1 WHERE id = ?2";
            let values: [Value; 2] = [key.into(), id.into()];
            db.execute_raw(Statement::from_sql_and_values(backend, places(backend, sql), values)).await?;
        }
    }
    Ok(())
}

fn places(backend: DbBackend, sql: &str) -> String {
    if backend == DbBackend::Sqlite { sql.to_owned() } else { sql.replace('?', "$") }
}

fn folded(text: &str) -> String {
    let shown = text.chars().filter(|c| !is_invisible(*c));
    let folded = shown.nfd().default_case_fold().nfkc().default_case_fold().nfkc();
    let mut plain = String::with_capacity(text.len());
    for c in folded.filter(|c| !is_invisible(*c)) {
        match c {
            'ı' => plain.push('i'),
            '\u{0307}' if plain.ends_with('i') => {}
            c if c.is_whitespace() => {
                if !plain.is_empty() && !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c => plain.push(c),
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// Unicode's `Default_Ignorable_Code_Point`, the blank of Braille, and the signs of annotations.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}
