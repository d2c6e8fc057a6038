//! A few rows of each of many owners, such as the last comments of each of fifty leads, in one statement.

use std::{collections::HashMap, hash::Hash};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use uuid::Uuid;

use super::{page::Slice, scope::Scope};
use crate::error::Result;

/// A statement that takes a few rows of each of many owners.
pub(super) struct Batch {
    pub(super) table: &'static str,
    /// The column that names the owner.
    pub(super) of: &'static str,
    /// Of `t`, the rows, and of what is joined to them, in the order that they are read in.
    pub(super) columns: &'static str,
    pub(super) join: &'static str,
    /// The condition on `c`; `$1` is the company.
    pub(super) scope: &'static str,
    pub(super) order: [&'static str; 2],
}

/// The first or last rows of each owner, one more than asked for.
pub(super) async fn rows_of_each(
    db: &impl ConnectionTrait,
    batch: &Batch,
    scope: Scope,
    owners: Vec<Uuid>,
    limit: u64,
    last: bool,
) -> Result<Vec<QueryResult>> {
    let Batch { table, of, columns, join, scope: condition, order: [first, second] } = batch;
    let way = if last { "DESC" } else { "ASC" };
    let limit = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let backend = db.get_database_backend();
    let statement = if backend == DbBackend::Postgres {
        // One lateral scan an owner reads only what is asked for, however long its list is.
        let sql = format!(
            "SELECT {columns} FROM unnest($2::uuid[]) AS o (id) CROSS JOIN LATERAL (SELECT c.* FROM {table} c \
             WHERE c.{of} = o.id AND {condition} ORDER BY c.{first} {way}, c.{second} {way} LIMIT $3) t {join} \
             ORDER BY t.{of}, t.{first} {way}, t.{second} {way}"
        );
        let values: [Value; 3] = [scope.company().0.into(), owners.into(), limit.into()];
        Statement::from_sql_and_values(backend, sql, values)
    } else {
        let marks = (3..owners.len() + 3).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {columns} FROM (SELECT c.*, ROW_NUMBER() OVER (PARTITION BY c.{of} \
             ORDER BY c.{first} {way}, c.{second} {way}) AS place FROM {table} c \
             WHERE {condition} AND c.{of} IN ({marks})) t {join} WHERE t.place <= ?2 \
             ORDER BY t.{of}, t.place"
        );
        let sql = sql.replace("$1", "?1");
        let mut values: Vec<Value> = vec![scope.company().0.into(), limit.into()];
        values.extend(owners.into_iter().map(Value::from));
        Statement::from_sql_and_values(backend, sql, values)
    };
    Ok(db.query_all_raw(statement).await?)
}

/// Each owner's rows as a part of its list.
pub(super) fn cut_each<K: Eq + Hash, T>(found: HashMap<K, Vec<T>>, limit: u64, last: bool) -> HashMap<K, Slice<T>> {
    found.into_iter().map(|(owner, rows)| (owner, Slice::cut(rows, limit, last))).collect()
}
