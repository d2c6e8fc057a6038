//! Time limits.

use std::fmt;

use chrono::{DateTime, Datelike, Months, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// A time limit: an ISO 8601 duration (`P7D`, `P1M`, `PT36H`), positive and at most ten years. Years and months go by
/// the calendar in UTC, days have 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit {
    text: String,
    months: u32,
    milliseconds: i64,
}

/// The longest limit, in years.
pub const MAX_YEARS: u32 = 10;

impl TimeLimit {
    /// The limit of that text.
    ///
    /// # Errors
    /// A predicate for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || "must be an ISO 8601 duration, such as \"P7D\" or \"PT36H\"".to_owned();
        let text = text.trim();
        // The parser also takes the form of a date ("P0001-02-03T04:05:06") and a "T" with nothing after it.
        if text.len() > 50 || text.contains('-') || text.ends_with('T') {
            return Err(fault());
        }
        let Ok(([], parsed)) = iso8601::parsers::parse_duration(text.as_bytes()) else {
            return Err(fault());
        };
        let (months, milliseconds) = match parsed {
            iso8601::Duration::Weeks(weeks) => (0, u64::from(weeks) * 7 * 86_400_000),
            iso8601::Duration::YMDHMS { year, month, day, hour, minute, second, millisecond } => {
                let seconds =
                    u64::from(day) * 86_400 + u64::from(hour) * 3_600 + u64::from(minute) * 60 + u64::from(second);
                (u64::from(year) * 12 + u64::from(month), seconds * 1000 + u64::from(millisecond))
            }
        };
        if months == 0 && milliseconds == 0 {
            return Err("must be longer than nothing".to_owned());
        }
        let too_long = || format!("must be at most {MAX_YEARS} years");
        let limit = Self {
            text: parsed.to_string(),
            months: u32::try_from(months).map_err(|_| too_long())?,
            milliseconds: i64::try_from(milliseconds).map_err(|_| too_long())?,
        };
        let start = DateTime::UNIX_EPOCH;
        match limit.checked_after(start) {
            Some(end) if end <= latest(start) => Ok(limit),
            _ => Err(too_long()),
        }
    }

    /// When a limit that starts at `start` ends. Where the month is too short for the day, its last day counts.
    pub fn after(&self, start: DateTime<Utc>) -> DateTime<Utc> {
        self.checked_after(start).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The limit in its normal form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn checked_after(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        start
            .checked_add_months(Months::new(self.months))?
            .checked_add_signed(TimeDelta::try_milliseconds(self.milliseconds)?)
    }
}

/// The latest moment that a limit set at `now` may end at: ten years later.
pub fn latest(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_months(Months::new(MAX_YEARS * 12)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The moment of an RFC 3339 text, in UTC and whole milliseconds, with a year of four digits.
///
/// # Errors
/// A predicate for the caller.
pub fn parse_moment(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|moment| moment.with_timezone(&Utc))
        .filter(|moment| (1..=9999).contains(&moment.year()))
        .and_then(|moment| Utc.timestamp_millis_opt(moment.timestamp_millis()).single())
        .ok_or_else(|| "must be a moment as in RFC 3339, such as \"2026-11-21T09:30:00Z\"".to_owned())
}

/// The day of a text such as `2026-11-21`.
///
/// # Errors
/// A predicate for the caller.
pub fn parse_day(text: &str) -> Result<chrono::NaiveDate, String> {
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    shaped
        .then(|| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
        .filter(|day| day.year() >= 1)
        .ok_or_else(|| "must be a day, such as \"2026-11-21\"".to_owned())
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        limit.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn limits_end_by_the_calendar() {
        for (limit, start, end) in [
            ("P7D", "2026-11-21T09:30:00Z", "2026-11-28T09:30:00Z"),
            ("P1W", "2026-11-21T09:30:00Z", "2026-11-28T09:30:00Z"),
            ("P1M", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("P1Y", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"),
            ("PT36H", "2026-01-01T00:00:00Z", "2026-01-02T12:00:00Z"),
            ("PT1.5S", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01.500Z"),
            ("P1Y2M3DT4H5M6S", "2026-01-01T00:00:00Z", "2027-03-04T04:05:06Z"),
            ("P10Y", "2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z"),
        ] {
            assert_eq!(TimeLimit::parse(limit).unwrap().after(at(start)), at(end), "{limit}");
        }
        assert_eq!(TimeLimit::parse("P7D").unwrap().after(DateTime::<Utc>::MAX_UTC), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn the_text_is_kept_in_its_normal_form() {
        for (typed, kept) in
            [(" P7D ", "P7D"), ("P007D", "P7D"), ("PT1,5S", "PT1.500S"), ("P0Y7D", "P7D"), ("P2W", "P2W")]
        {
            assert_eq!(TimeLimit::parse(typed).unwrap().as_str(), kept);
        }
        let limit = TimeLimit::parse("P7D").unwrap();
        assert_eq!(serde_json::to_string(&limit).unwrap(), "\"P7D\"");
        assert_eq!(serde_json::from_str::<TimeLimit>("\"P7D\"").unwrap(), limit);
        assert!(serde_json::from_str::<TimeLimit>("\"P0D\"").is_err());
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (text, says) in [
            ("", "ISO 8601"),
            ("7 days", "ISO 8601"),
            ("P", "ISO 8601"),
            ("PT", "ISO 8601"),
            ("P1DT", "ISO 8601"),
            ("-P7D", "ISO 8601"),
            ("P-7D", "ISO 8601"),
            ("P7Dx", "ISO 8601"),
            ("P1W2D", "ISO 8601"),
            ("P0001-02-03T04:05:06", "ISO 8601"),
            ("P99999999999D", "ISO 8601"),
            ("P0D", "longer"),
            ("PT0S", "longer"),
            ("P0W", "longer"),
            ("P11Y", "at most 10 years"),
            ("P10YT1S", "at most 10 years"),
            ("P121M", "at most 10 years"),
            ("P4294967295Y", "at most 10 years"),
            ("P4294967295W", "at most 10 years"),
            ("P4294967295DT4294967295H4294967295M4294967295S", "at most 10 years"),
        ] {
            assert!(TimeLimit::parse(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn days_and_moments_are_strict() {
        assert_eq!(parse_day("2028-02-29").unwrap().to_string(), "2028-02-29");
        for bad in
            ["2027-02-29", "2026-1-1", "+2026-01-1", "20260101", "", "2026-11-21T00:00:00Z", "0000-01-01", "２026-01"]
        {
            assert!(parse_day(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_moment("2026-11-21T10:30:00.123456+01:00").unwrap(), at("2026-11-21T09:30:00.123Z"));
        for bad in ["2026-11-21", "2026-11-21T10:30:00", "now", "", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"]
        {
            assert!(parse_moment(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_survives_writing_and_is_within_bounds(
            y in 0u32..12, mo in 0u32..30, d in 0u32..4000, h in 0u32..100, s in 0u32..100_000, now in 0i64..4_000_000_000,
        ) {
            let text = format!("P{y}Y{mo}M{d}DT{h}H{s}S");
            let now = DateTime::from_timestamp(now, 0).unwrap();
            if let Ok(limit) = TimeLimit::parse(&text) {
                prop_assert_eq!(&TimeLimit::parse(limit.as_str()).unwrap(), &limit);
                prop_assert!(limit.after(now) > now);
                // A month counts 28 to 31 days, so the bound differs by a few days with the start.
                prop_assert!(limit.after(now) <= latest(now) + TimeDelta::days(5));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), shaped in "P[0-9YMWDTHS.,]{0,20}") {
            for text in [text, shaped] {
                let _ = TimeLimit::parse(&text);
                let _ = parse_day(&text);
                let _ = parse_moment(&text);
            }
        }
    }
}
