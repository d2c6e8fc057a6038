//! Tables as text (CSV): a header row, then a record a row.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

use csv::{ByteRecord, ReaderBuilder};
use encoding_rs::WINDOWS_1252;
use serde_json::{Map, Value};

use super::{
    Unreadable,
    file::{Guard, Pump},
    reading::At,
};
use crate::domain::text;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A row that no table has, which is read last.
const END: &str = "\u{1}end of the table\u{1}";

/// Hands on each record as soon as it is read.
pub(super) fn read(mut reader: impl Read, pump: &mut Pump<'_>) -> Result<(), Unreadable> {
    let mut head = Vec::new();
    reader.by_ref().take(1 << 16).read_to_end(&mut head).map_err(|fault| Unreadable::of(&fault))?;
    let said = sep(&head);
    let before = u64::from(said.is_some());
    let delimiter = match (pump.how.delimiter, said) {
        (given, Some((delimiter, length))) => {
            head.drain(..length);
            given.unwrap_or(delimiter)
        }
        (Some(given), None) => given,
        (None, None) => delimiter(&head),
    };
    let by_two = head.windows(2).find(|signs| signs[1] == b'\n').is_some_and(|signs| signs[0] == b'\r');
    let end = Cursor::new(format!("{}{END}\n", if by_two { "\r\n" } else { "\n" }).into_bytes());
    let whole = Guard::new(Cursor::new(head).chain(reader).chain(end), pump.allowance.clone());
    let mut rows = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(whole);
    let mut row = ByteRecord::new();
    let mut letters = Letters::default();
    let mut header: Option<Vec<String>> = None;
    loop {
        pump.allowance.refill();
        let more = rows.read_byte_record(&mut row).map_err(|fault| match fault.into_kind() {
            csv::ErrorKind::Io(fault) => Unreadable::of(&fault),
            other => Unreadable { message: format!("this is no table: {other:?}"), place: None },
        })?;
        if !more {
            break;
        }
        // The row that stands behind the table: a quotation mark that is not closed makes it a part of the last cell.
        if row.len() == 1 && row.get(0) == Some(END.as_bytes()) {
            break;
        }
        if row.iter().next_back().is_some_and(|cell| cell.windows(END.len()).any(|part| part == END.as_bytes())) {
            let message =
                "a quotation mark that opens a cell in this row is not closed: what follows is one text".to_owned();
            let place = usize::try_from(row.position().map_or(0, csv::Position::line) + before).unwrap_or_default();
            return Err(Unreadable { message, place: Some((place, 1)) });
        }
        let at = At::Line(line(&row, rows.position().line(), by_two) + before);
        let Some(cells) = letters.read(&row) else {
            if header.is_none() || !pump.faulty(&at, "The row is not in UTF-8, as the rows before it are.".to_owned()) {
                break;
            }
            continue;
        };
        let Some(names) = &header else {
            let names: Vec<_> = cells.iter().map(|name| name.trim().to_owned()).collect();
            let read = pump.how.mapping.header(&names);
            header = Some(read.map_err(|message| Unreadable { message, place: None })?);
            continue;
        };
        let more = if cells.iter().all(|cell| text::is_blank(cell)) {
            pump.skipped(&at, "blank rows")
        } else if cells.len() == names.len() {
            let mut fields = Map::new();
            for (place, (name, cell)) in names.iter().zip(cells).enumerate() {
                if !name.is_empty() {
                    fields.insert(name.clone(), Value::String(cell.into_owned()));
                } else if !text::is_blank(&cell) {
                    pump.not_kept(&format!("column {}", place + 1));
                }
            }
            pump.record(at, &Value::Object(fields), &[])
        } else {
            let message = format!(
                "The row has {} cells and the header row {}. A cell that holds a {} or a line break stands in quotation \
                 marks.",
                cells.len(),
                names.len(),
                name(delimiter)
            );
            pump.faulty(&at, message)
        };
        if !more {
            break;
        }
    }
    if header.is_none() {
        return Err(Unreadable { message: "there is no header row".to_owned(), place: None });
    }
    Ok(())
}

/// The line that a row begins on. The library has read on to `now`: behind the line feed that ends the row, but before it
/// where a carriage return stands there too; and its own beginning is then before the line feed of the row before.
fn line(row: &ByteRecord, now: u64, by_two: bool) -> u64 {
    let within = row.as_slice().split(|byte| *byte == b'\n').skip(1).count() as u64;
    let begun = row.position().map_or(0, csv::Position::line);
    begun.max(now.saturating_sub(within).saturating_sub(u64::from(!by_two)))
}

fn name(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "comma",
        b';' => "semicolon",
        b'\t' => "tab",
        _ => "delimiter",
    }
}

/// What the first line says of the delimiter, as spreadsheets write it ("sep=;"), and that line's length.
fn sep(head: &[u8]) -> Option<(u8, usize)> {
    let end = head.iter().position(|byte| *byte == b'\n')?;
    match head[..end].trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some((*delimiter, end + 1)),
        _ if head.starts_with(b"sep=\t") => Some((b'\t', end + 1)),
        _ => None,
    }
}

/// The delimiter by which the header row has the most cells.
fn delimiter(head: &[u8]) -> u8 {
    let cells = |delimiter: u8| {
        let mut rows = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(head);
        let mut row = ByteRecord::new();
        rows.read_byte_record(&mut row).map_or(0, |_| row.len())
    };
    // The first of equals.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| cells(*delimiter)).unwrap_or(b',')
}

/// How the letters beyond ASCII are written, as the first row that has any shows.
#[derive(Default)]
struct Letters {
    is_utf8: Option<bool>,
}

impl Letters {
    /// The cells as text; none where they are in another encoding than the rows before.
    fn read<'r>(&mut self, row: &'r ByteRecord) -> Option<Vec<Cow<'r, str>>> {
        let utf8 =
            || row.iter().map(|cell| std::str::from_utf8(cell).map(Cow::Borrowed)).collect::<Result<Vec<_>, _>>();
        if self.is_utf8 != Some(false) {
            match utf8() {
                Ok(cells) => {
                    if !row.as_slice().is_ascii() {
                        self.is_utf8 = Some(true);
                    }
                    return Some(cells);
                }
                Err(_) if self.is_utf8 == Some(true) => return None,
                Err(_) => self.is_utf8 = Some(false),
            }
        }
        Some(row.iter().map(|cell| WINDOWS_1252.decode_without_bom_handling(cell).0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_parts_the_header_row() {
        for (head, expected) in [
            ("a,b,c\n1;2,3;4", b','),
            ("a;b;c\n1,5;2;3", b';'),
            ("a\tb\n", b'\t'),
            ("\"a;x;y;z\",b\n", b','),
            ("a|b|c", b'|'),
            ("a", b','),
            ("", b','),
        ] {
            assert_eq!(char::from(delimiter(head.as_bytes())), char::from(expected), "{head}");
        }
        assert_eq!(sep(b"sep=;\r\na;b"), Some((b';', 7)));
        assert_eq!(sep(b"sep=\t\na\tb"), Some((b'\t', 6)));
        assert_eq!(sep(b"separate,b\n"), None);
    }
}
