//! How a line of the log is written.
//!
//! A line is one event, whatever its texts hold: line breaks, escape codes and marks that turn the direction of writing
//! are written as `\u{…}`. What other libraries say is let through only as far as it can't show what callers sent
//! ([`may_say`]), and what stands in quotes in the text of an error is left out ([`masked`]): it is somebody's data as
//! often as not. The ids of the request stand in the same place of every line, from the event or from the span around it.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// The longest text that is written, in bytes; what is longer is cut.
const MAX_TEXT_BYTES: usize = 4096;
/// What every line of a request has, from the event or from the span around it.
const IDS: [&str; 3] = ["request_id", "trace_id", "span_id"];
/// Fields that hold the text of an error, which may repeat what it could not read.
const CAUSES: [&str; 3] = ["cause", "error", "fault"];

/// Whether a library may say something of that level. Below, they show the values of statements, the frames of
/// websockets, or the headers of requests.
pub(super) fn may_say(target: &str, level: Level) -> bool {
    let of = |name: &str| target == name || target.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
    if of("cosell") {
        return true;
    }
    let most = match target.split("::").next().unwrap_or(target) {
        "sqlx" | "sqlx_core" | "sqlx_postgres" | "sqlx_sqlite" | "sea_orm" | "sea_orm_migration" => Level::WARN,
        "tungstenite" | "tokio_tungstenite" | "async_graphql" => Level::INFO,
        _ => Level::DEBUG,
    };
    level <= most
}

/// Writes lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) format: LogFormat,
    pub(super) colours: bool,
}

/// The ids that a span was made with.
#[derive(Debug, Default)]
struct Ids([Option<String>; 3]);

impl Ids {
    fn note(&mut self, name: &str, value: &dyn fmt::Display) {
        if let Some(at) = IDS.iter().position(|id| *id == name) {
            self.0[at] = Some(value.to_string());
        }
    }
}

impl Visit for Ids {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.note(field.name(), &format_args!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut ids = Ids::default();
        attributes.record(&mut ids);
        if ids.0.iter().any(Option::is_some)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(ids);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        // What comes by the crate `log` names itself in a field.
        let target = fields.log_target.as_deref().unwrap_or_else(|| event.metadata().target()).to_owned();
        if !may_say(&target, *event.metadata().level()) {
            return;
        }
        let mut scope = context.event_scope(event);
        while let Some(span) = scope.as_mut().and_then(Iterator::next) {
            if let Some(ids) = span.extensions().get::<Ids>() {
                for (own, outer) in fields.ids.0.iter_mut().zip(&ids.0) {
                    if own.is_none() {
                        own.clone_from(outer);
                    }
                }
            }
        }
        LINE.with(|line| {
            // A value whose text makes an event of its own.
            let mut other = String::new();
            let mut line = line.try_borrow_mut();
            let line = line.as_deref_mut().unwrap_or(&mut other);
            line.clear();
            match self.format {
                LogFormat::Json => json(line, event.metadata(), &target, &fields),
                LogFormat::Text => text(line, event.metadata(), &target, &fields, self.colours),
            }
            line.push('\n');
            // There is nobody to tell that nothing can be told.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        });
    }
}

enum Value {
    Text(String),
    /// A number or a flag: needs no quotes.
    Plain(String),
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    ids: Ids,
    others: Vec<(&'static str, Value)>,
    log_target: Option<String>,
}

impl Fields {
    fn text(&mut self, field: &Field, value: &dyn fmt::Display) {
        match field.name() {
            "message" => self.message = cut(value),
            "log.target" => self.log_target = Some(value.to_string()),
            name if name.starts_with("log.") => {}
            name if IDS.contains(&name) => self.ids.note(name, value),
            name if CAUSES.contains(&name) => self.others.push((name, Value::Text(masked(&cut(value))))),
            name => self.others.push((name, Value::Text(cut(value)))),
        }
    }

    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.others.push((field.name(), Value::Plain(value.to_string())));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, &value);
        } else {
            self.text(field, &value);
        }
    }
}

/// A text as far as it is written.
fn cut(value: &dyn fmt::Display) -> String {
    struct Bounded(String);

    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = MAX_TEXT_BYTES.saturating_sub(self.0.len());
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            self.0.push('…');
            Err(fmt::Error)
        }
    }

    let mut bounded = Bounded(String::new());
    // An error says that it is full.
    let _ = write!(bounded, "{value}");
    bounded.0
}

/// A text without what stands in quotes in it.
pub(crate) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '`', '\'', '“', '«']) {
        let (before, quoted) = rest.split_at(at);
        let mut inner = quoted.chars();
        let open = inner.next().unwrap_or('"');
        let inner = inner.as_str();
        shown.push_str(before);
        shown.push(open);
        let close = match open {
            '“' => '”',
            '«' => '»',
            other => other,
        };
        // An apostrophe within a word opens nothing.
        if open == '\'' && before.ends_with(char::is_alphanumeric) {
            rest = inner;
            continue;
        }
        let mut escaped = false;
        let end = inner.char_indices().find(|(_, c)| {
            let ends = *c == close && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        shown.push('…');
        let Some((end, _)) = end else { return shown };
        shown.push(close);
        rest = &inner[end + close.len_utf8()..];
    }
    shown.push_str(rest);
    shown
}

/// Whether a character is no part of a line: it ends it, or changes how the rest of it looks.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn push_escaped(line: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '"' | '\\' if quoted => line.extend(['\\', c]),
            c if disturbs(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
}

fn push_json(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            // All of them lie in the first plane.
            c if disturbs(c) => drop(write!(line, "\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    line.push('"');
}

fn push_time(line: &mut String) {
    // Writing to a text can't fail.
    let _ = SystemTime.format_time(&mut Writer::new(line));
}

fn json(line: &mut String, metadata: &Metadata<'_>, target: &str, fields: &Fields) {
    line.push_str("{\"timestamp\":\"");
    push_time(line);
    let _ = write!(line, "\",\"level\":\"{}\",\"target\":", metadata.level());
    push_json(line, target);
    line.push_str(",\"message\":");
    push_json(line, &fields.message);
    for (name, id) in IDS.iter().zip(&fields.ids.0) {
        if let Some(id) = id {
            let _ = write!(line, ",\"{name}\":");
            push_json(line, id);
        }
    }
    for (name, value) in &fields.others {
        let own = ["timestamp", "level", "target", "message"].contains(name);
        let _ = write!(line, ",\"{}{name}\":", if own { "field_" } else { "" });
        match value {
            Value::Plain(text) => line.push_str(text),
            Value::Text(text) => push_json(line, text),
        }
    }
    line.push('}');
}

fn text(line: &mut String, metadata: &Metadata<'_>, target: &str, fields: &Fields, colours: bool) {
    push_time(line);
    let level = *metadata.level();
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    let _ = if colours { write!(line, " \x1b[{colour}m{level:>5}\x1b[0m ") } else { write!(line, " {level:>5} ") };
    push_escaped(line, target, false);
    line.push_str(": ");
    push_escaped(line, &fields.message, false);
    for (name, value) in &fields.others {
        let _ = write!(line, " {name}=");
        match value {
            Value::Plain(text) => line.push_str(text),
            Value::Text(text) => push_value(line, text),
        }
    }
    for (name, id) in IDS.iter().zip(&fields.ids.0) {
        if let Some(id) = id {
            let _ = write!(line, " {name}=");
            push_value(line, id);
        }
    }
}

/// A value, in quotes where it could be taken for more than one.
fn push_value(line: &mut String, text: &str) {
    let quoted =
        text.is_empty() || text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || disturbs(c));
    if !quoted {
        line.push_str(text);
        return;
    }
    line.push('"');
    push_escaped(line, text, true);
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_left_out() {
        for (text, shown) in [
            ("invalid input syntax for type uuid: \"karl@x.org\"", "invalid input syntax for type uuid: \"…\""),
            ("invalid type: string \"a \\\" b\", expected u8", "invalid type: string \"…\", expected u8"),
            ("invalid type: integer `5`", "invalid type: integer `…`"),
            ("it can't be: 'x y' isn't 'z'", "it can't be: '…' isn't '…'"),
            ("it is open: \"and so on", "it is open: \"…"),
            ("«é» and “ü”.", "«…» and “…”."),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_text_stays_in_its_line_and_is_cut() {
        let nasty = "a\nb\r\x1b[31m\u{85}\u{202e}\u{2028}\"\\é";
        let mut line = String::new();
        push_json(&mut line, nasty);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), nasty);
        assert!(!line.contains(disturbs), "{line:?}");
        line.clear();
        push_value(&mut line, nasty);
        assert_eq!(line, "\"a\\nb\\u{d}\\u{1b}[31m\\u{85}\\u{202e}\\u{2028}\\\"\\\\é\"");
        line.clear();
        push_escaped(&mut line, nasty, false);
        assert!(!line.contains(disturbs), "{line:?}");
        let long = cut(&"é".repeat(MAX_TEXT_BYTES));
        assert!(long.len() <= MAX_TEXT_BYTES + '…'.len_utf8() && long.ends_with("é…"));
    }

    #[test]
    fn libraries_are_held_back() {
        for (target, level, may) in [
            ("cosell::http", Level::TRACE, true),
            ("cosellx", Level::TRACE, false),
            ("sea_orm::driver", Level::DEBUG, false),
            ("sqlx::query", Level::INFO, false),
            ("sqlx::query", Level::WARN, true),
            ("hyper::proto", Level::DEBUG, true),
            ("hyper::proto", Level::TRACE, false),
        ] {
            assert_eq!(may_say(target, level), may, "{target} {level}");
        }
    }
}
