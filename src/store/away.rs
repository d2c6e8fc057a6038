//! A database that can't be reached now: is it worth waiting for, and how long until the next try.

use std::{sync::Arc, time::Duration};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::{Connection as _, PgConnection};

/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(5);
/// The longest that one try may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before something that was away is tried for the `attempt`th time (from 1): a quarter of a second,
/// then twice as long each time, up to five seconds. A part of it is left to chance, so that servers that lost the same
/// thing at the same moment don't come back to it at the same moment.
pub fn pause(attempt: u32) -> Duration {
    let whole = LONGEST.min(Duration::from_millis(250) * 2_u32.saturating_pow(attempt.saturating_sub(1).min(16)));
    whole.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

/// Connects once, at once, and goes away again. `SQLite` is a file, and always there.
///
/// A pool tries again in silence until its own time is up; this says what is wrong.
pub async fn probe(url: &str) -> Result<(), DbErr> {
    if url.starts_with("sqlite:") {
        return Ok(());
    }
    let opened = tokio::time::timeout(PATIENCE, PgConnection::connect(url)).await;
    let connection = opened.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let closed = async { connection?.close().await }.await;
    closed.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Whether the database may be there in a moment: it can't be reached, is starting or ending, or has no connection
/// free. A wrong password, a missing database or a certificate that does not hold are faults that waiting does not
/// mend.
pub fn may_come_back(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return matches!(error, DbErr::ConnectionAcquire(_));
    };
    match &**error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // 57P01 to 57P03: shutting down, crashed, starting; 53300: too many connections.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P") || code == "53300"),
        _ => false,
    }
}

/// What is wrong, in words for an operator.
pub fn reason(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(&**error, sqlx::Error::PoolTimedOut) => {
            format!("no answer within {} seconds", PATIENCE.as_secs())
        }
        DbErr::Conn(RuntimeErr::SqlxError(error)) => error.to_string(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let shortest = |attempt| (0..100).map(|_| pause(attempt)).min().unwrap();
        let longest = |attempt| (0..100).map(|_| pause(attempt)).max().unwrap();
        assert!(shortest(1) >= Duration::from_millis(125) && longest(1) <= Duration::from_millis(250));
        assert!(shortest(3) >= Duration::from_millis(500) && longest(3) <= Duration::from_secs(1));
        for attempt in [6, 7, 100, u32::MAX] {
            assert!(shortest(attempt) >= LONGEST / 2 && longest(attempt) <= LONGEST, "{attempt}");
        }
        assert!(shortest(9) < longest(9));
    }
}
