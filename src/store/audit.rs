//! Reads the audit trail: the rows of the log as records, whatever is in them.
//!
//! Nothing here knows what a kind's content looks like: a row that was edited is read as it is.

use chrono::{DateTime, Utc};
use cosell_entity::{company, company_feed, event, lead_view};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, Statement,
    Value, sea_query::Expr,
};
use uuid::Uuid;

use super::{log::LogWindow, page::Slice, row::Columns, scope::Scope};
use crate::{
    domain::{
        audit::{Entry, Hash, Record, Salt, VERSION, moment, redacted},
        global_id::{self, NodeType},
        id::{CompanyId, EventId, LeadId, MemberId},
    },
    error::Result,
};

/// A row of the log as the audit trail has it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place in the company's log.
    pub position: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The event.
    pub event: EventId,
    /// What is exported of it.
    pub record: Record,
}

/// Bytes of another length than they should have are an edit like any other: they can't be equal to what is computed.
fn bytes<const N: usize>(found: Vec<u8>) -> [u8; N] {
    found.try_into().unwrap_or([0; N])
}

fn kept(row: event::Model) -> Kept {
    let entry = Entry {
        company: CompanyId(row.company_id),
        lead: row.lead_id.map(LeadId),
        sequence: row.sequence,
        position: row.position,
        previous: row.previous.map(|hash| Hash(bytes(hash))),
        id: EventId(row.id),
        at: row.at,
        actor: row.actor_id.map(MemberId),
        subject: row.subject_id,
        kind: &row.kind,
        content_hash: Hash(bytes(row.content_hash)),
    };
    let salt = row.salt.map(|salt| Salt(bytes(salt)));
    let record = entry.record(Hash(bytes(row.hash)), salt, row.erased_at, row.content);
    Kept { position: row.position, at: row.at, event: EventId(row.id), record }
}

/// A part of one history, in the order of the log: a lead's events, or the company's own.
pub async fn history(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: Option<LeadId>,
    window: LogWindow,
) -> Result<Slice<Kept>> {
    use event::Column as C;
    let of_lead = lead.map_or_else(|| C::LeadId.is_null(), |lead| C::LeadId.eq(lead.0));
    let conditions = scope
        .events()
        .add(of_lead)
        .add_option(window.above.map(|above| C::Position.gt(above)))
        .add_option(window.below.map(|below| C::Position.lt(below)));
    let select = event::Entity::find().filter(conditions).limit(window.limit + 1);
    let select = if window.descending == window.last {
        select.order_by_asc(C::Position)
    } else {
        select.order_by_desc(C::Position)
    };
    let rows = select.all(db).await?.into_iter().map(kept).collect();
    Ok(Slice::cut(rows, window.limit, window.last))
}

/// A row of the log as it is found, whatever was done to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place in the company's log.
    pub position: i64,
    /// What can be read of it. What can't is as it is found, or zeros: it does not fit the hashes then.
    pub record: Record,
    /// Its columns that no writer of cosell could have left so.
    pub unreadable: Vec<&'static str>,
}

/// The columns of a row as hexadecimal text: each database gives that of whatever there is.
struct Hex<'r> {
    columns: Columns<'r>,
    unreadable: Vec<&'static str>,
}

impl Hex<'_> {
    fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let text: Option<String> = self.columns.next()?;
        Ok(text.and_then(|text| hex::decode(text).ok()))
    }

    fn text(&mut self, column: &'static str) -> Result<String> {
        let text = String::from_utf8(self.bytes()?.unwrap_or_default());
        Ok(text.unwrap_or_else(|error| {
            self.unreadable.push(column);
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))
    }

    fn number(&mut self, column: &'static str) -> Result<i64> {
        let number = self.text(column)?.parse();
        Ok(number.unwrap_or_else(|_| {
            self.unreadable.push(column);
            0
        }))
    }

    fn time(&mut self, column: &'static str) -> Result<Option<String>> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let Ok(at) = DateTime::parse_from_rfc3339(&text) else {
            self.unreadable.push(column);
            return Ok(Some(text.into_owned()));
        };
        Ok(Some(moment(at.to_utc())))
    }

    fn id(&mut self, column: &'static str) -> Result<Option<std::result::Result<Uuid, String>>> {
        Ok(self.bytes()?.map(|bytes| {
            Uuid::from_slice(&bytes).map_err(|_| {
                self.unreadable.push(column);
                hex::encode(bytes)
            })
        }))
    }

    fn node(&mut self, column: &'static str, node: NodeType) -> Result<Option<String>> {
        Ok(self.id(column)?.map(|id| id.map_or_else(|text| text, |id| global_id::encode(node, id))))
    }

    fn fixed<const N: usize>(&mut self, column: &'static str) -> Result<Option<[u8; N]>> {
        Ok(self.bytes()?.map(|bytes| {
            bytes.try_into().unwrap_or_else(|_| {
                self.unreadable.push(column);
                [0; N]
            })
        }))
    }
}

fn found(row: &QueryResult, company: CompanyId) -> Result<Found> {
    let mut row = Hex { columns: Columns::of(row)?, unreadable: Vec::new() };
    let position = row.number("position")?;
    let record = Record {
        version: VERSION,
        company: global_id::encode(NodeType::Company, company.0),
        position,
        id: row.node("id", NodeType::Activity)?.unwrap_or_default(),
        at: row.time("at")?.unwrap_or_else(|| {
            row.unreadable.push("at");
            String::new()
        }),
        actor: row.node("actor_id", NodeType::Member)?,
        lead: row.node("lead_id", NodeType::Lead)?,
        subject: row.id("subject_id")?.map(|id| id.map_or_else(|text| text, |id| id.to_string())),
        kind: row.text("kind")?,
        sequence: row.number("sequence")?,
        previous: row.fixed("previous")?.map(Hash),
        salt: row.fixed("salt")?.map(Salt),
        content_hash: Hash(row.fixed("content_hash")?.unwrap_or_default()),
        hash: Hash(row.fixed("hash")?.unwrap_or_default()),
        erased_at: row.time("erased_at")?,
        content: {
            let text = row.text("content")?;
            serde_json::from_str(&text).unwrap_or_else(|_| {
                row.unreadable.push("content");
                text.into()
            })
        },
    };
    Ok(Found { position, record, unreadable: row.unreadable })
}

/// The next rows of a company's log as they are found: of one lead, or of all its histories.
pub async fn found_rows(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: Option<LeadId>,
    above: i64,
    limit: u64,
) -> Result<Vec<Found>> {
    const PLAIN: &str = "plain";
    const ID: &str = "id";
    const TIME: &str = "time";
    const BYTES: &str = "bytes";
    let columns = [
        ("position", PLAIN),
        ("id", ID),
        ("at", TIME),
        ("actor_id", ID),
        ("lead_id", ID),
        ("subject_id", ID),
        ("kind", PLAIN),
        ("sequence", PLAIN),
        ("previous", BYTES),
        ("salt", BYTES),
        ("content_hash", BYTES),
        ("hash", BYTES),
        ("erased_at", TIME),
        ("content", PLAIN),
    ];
    let backend = db.get_database_backend();
    let hex = |(column, of): &(&str, &str)| match (backend, *of) {
        (DbBackend::Sqlite, _) => format!("CASE WHEN e.{column} IS NOT NULL THEN hex(e.{column}) END"),
        (_, BYTES) => format!("encode(e.{column}, 'hex')"),
        (_, ID) => format!("replace(e.{column}::text, '-', '')"),
        (_, TIME) => format!(
            "encode(convert_to(to_char(e.{column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
             'UTF8'), 'hex')"
        ),
        _ => format!("encode(convert_to(e.{column}::text, 'UTF8'), 'hex')"),
    };
    let columns: Vec<_> = columns.iter().map(hex).collect();
    let of_lead = if lead.is_some() { " AND e.lead_id = $4" } else { "" };
    let is_number = if backend == DbBackend::Sqlite { " AND typeof(e.position) = 'integer'" } else { "" };
    let sql = format!(
        "SELECT {} FROM event e WHERE e.company_id = $1 AND e.position > $2{is_number}{of_lead} \
         ORDER BY e.position LIMIT $3",
        columns.join(", ")
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![scope.company().0.into(), above.into(), limit.into()];
    values.extend(lead.map(|lead| Value::from(lead.0)));
    let sql = if backend == DbBackend::Sqlite { sql.replace('$', "?") } else { sql };
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| found(row, scope.company())).collect()
}

/// How many rows of a company's log have a position that is no number. Only SQLite has room for such.
pub async fn without_position(db: &impl ConnectionTrait, scope: Scope) -> Result<i64> {
    let backend = db.get_database_backend();
    if backend != DbBackend::Sqlite {
        return Ok(0);
    }
    let sql = "SELECT COUNT(*) FROM event WHERE company_id = ? AND typeof(position) <> 'integer'";
    let row = db.query_one_raw(Statement::from_sql_and_values(backend, sql, [scope.company().0.into()])).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
}

/// The next rows of a company's log, of all its histories.
pub async fn log(db: &impl ConnectionTrait, scope: Scope, above: i64, limit: u64) -> Result<Vec<Kept>> {
    let select = event::Entity::find().filter(scope.events()).filter(event::Column::Position.gt(above));
    let rows = select.order_by_asc(event::Column::Position).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(kept).collect())
}

/// The last position that a company's log gave.
pub async fn last_position(db: &impl ConnectionTrait, scope: Scope) -> Result<i64> {
    let row = company_feed::Entity::find_by_id(scope.company().0).one(db).await?;
    Ok(row.map_or(0, |row| row.position))
}

/// Every company with its slug, in the order of the slugs.
pub async fn companies(db: &impl ConnectionTrait) -> Result<Vec<(CompanyId, String)>> {
    use company::Column as C;
    let rows: Vec<(Uuid, String)> = company::Entity::find()
        .select_only()
        .columns([C::Id, C::Slug])
        .order_by_asc(C::Slug)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, slug)| (CompanyId(id), slug)).collect())
}

/// The lead that has that number at the company.
pub async fn lead_by_number(db: &impl ConnectionTrait, scope: Scope, number: &str) -> Result<Option<LeadId>> {
    use lead_view::Column as C;
    let found: Option<Uuid> = lead_view::Entity::find()
        .select_only()
        .column(C::LeadId)
        .filter(scope.leads())
        .filter(C::Number.eq(number))
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.map(LeadId))
}

/// A row of the log that holds personal data.
#[derive(Clone, Debug)]
pub struct Personal {
    /// Whose log.
    pub company: CompanyId,
    position: i64,
    /// The event.
    pub event: EventId,
    /// Its content without that.
    pub left: serde_json::Value,
}

/// The rows about a lead that hold a customer's personal data, in these companies' logs, in their order.
pub async fn personal(db: &impl ConnectionTrait, lead: LeadId, companies: &[CompanyId]) -> Result<Vec<Personal>> {
    use event::Column as C;
    let mut found = Vec::new();
    for company in companies {
        let rows: Vec<(i64, Uuid, serde_json::Value)> = event::Entity::find()
            .select_only()
            .columns([C::Position, C::Id, C::Content])
            .filter(Scope::system(*company).events())
            .filter(C::LeadId.eq(lead.0))
            .order_by_asc(C::Position)
            .into_tuple()
            .all(db)
            .await?;
        found.extend(rows.into_iter().filter_map(|(position, id, content)| {
            let left = redacted(&content)?;
            Some(Personal { company: *company, position, event: EventId(id), left })
        }));
    }
    Ok(found)
}

/// Leaves of a row's content what is no personal data. Its hashes stay as they were.
pub async fn erase(db: &impl ConnectionTrait, row: &Personal, at: DateTime<Utc>) -> Result<()> {
    use event::Column as C;
    event::Entity::update_many()
        .col_expr(C::Content, Expr::value(row.left.clone()))
        .col_expr(C::Salt, Expr::value(Option::<Vec<u8>>::None))
        .col_expr(C::ErasedAt, Expr::value(at))
        .filter(C::CompanyId.eq(row.company.0))
        .filter(C::Position.eq(row.position))
        .exec(db)
        .await?;
    Ok(())
}

/// A row that another company's row of the same event does not agree with.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The row's place in the company's log.
    pub position: i64,
    /// The other company.
    pub other: CompanyId,
}

/// Which of the company's rows between two positions, of all or of one lead, have a row of the same event in another
/// company's log that says something else.
pub async fn disagreements(
    db: &impl ConnectionTrait,
    scope: Scope,
    lead: Option<LeadId>,
    above: i64,
    up_to: i64,
) -> Result<Vec<Disagreement>> {
    let backend = db.get_database_backend();
    let differs = if backend == DbBackend::Postgres { "IS DISTINCT FROM" } else { "IS NOT" };
    let fields = ["at", "actor_id", "lead_id", "subject_id", "kind", "content_hash"];
    let fields: Vec<_> = fields.iter().map(|field| format!("m.{field} {differs} o.{field}")).collect();
    let fields = fields.join(" OR ");
    // Who else may have the event: of a lead, those that have a view of it. Events without a lead are few.
    let mut sql = format!(
        "SELECT m.position, o.company_id FROM event m \
         JOIN lead_view v ON v.lead_id = m.lead_id AND v.company_id <> m.company_id \
         JOIN event o ON o.company_id = v.company_id AND o.id = m.id \
         WHERE m.company_id = $1 AND m.position > $2 AND m.position <= $3 AND ({fields})"
    );
    let mut values: Vec<Value> = vec![scope.company().0.into(), above.into(), up_to.into()];
    if let Some(lead) = lead {
        sql.push_str(" AND m.lead_id = $4");
        values.push(lead.0.into());
    } else {
        sql = format!(
            "{sql} UNION ALL SELECT m.position, o.company_id FROM event m JOIN company c ON c.id <> m.company_id \
             JOIN event o ON o.company_id = c.id AND o.id = m.id \
             WHERE m.company_id = $1 AND m.position > $2 AND m.position <= $3 AND m.lead_id IS NULL AND ({fields})"
        );
    }
    let sql = if backend == DbBackend::Postgres { sql } else { sql.replace('$', "?") };
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let mut row = Columns::of(row)?;
            Ok(Disagreement { position: row.next()?, other: CompanyId(row.next()?) })
        })
        .collect()
}
