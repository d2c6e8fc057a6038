//! A file's way to its records: decoded, read one by one with a bound, and handed on to whoever imports them.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Cursor, Read},
    rc::Rc,
};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Content, Mapping, Place, Record, Unreadable, json,
    reading::{self, At},
    table,
};
use crate::domain::{country::Country, text};

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct How {
    /// What it is.
    pub format: Format,
    /// Its encoding; found out where nobody says.
    pub encoding: Option<&'static Encoding>,
    /// What stands between the cells of a table; found out where nobody says.
    pub delimiter: Option<u8>,
    /// What is read from where.
    pub mapping: Mapping,
    /// The country of phone numbers without a country's code whose record names none.
    pub default_country: Option<Country>,
    /// Whether those who opted out of e-mail or calls keep their address and number.
    pub keep_opted_out: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array of records, or an object with one.
    Json,
    /// A table with a header row, its cells between commas, semicolons or tabs.
    Csv,
}

/// What is known of a file once its end was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// How many records it had.
    pub records: usize,
    /// How many more the file says that there are.
    pub missing: Option<Missing>,
    /// The fields that are not kept, each with how many records have a value there. A few hundred of them.
    pub unkept: BTreeMap<String, usize>,
}

/// That a file has not all the records that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// So many of that total.
    Some(usize, usize),
    /// It only says that it is not done.
    Unknown,
}

/// The largest record, in bytes.
const LARGEST: u64 = 16 << 20;

/// How many bytes may still be read before a record has to end.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub(super) fn refill(&self) {
        self.0.set(LARGEST);
    }

    pub(super) fn lift(&self) {
        self.0.set(u64::MAX);
    }
}

/// Ends a record that does not end, such as one behind a quotation mark that is never closed.
pub(super) struct Guard<R> {
    inner: R,
    allowance: Allowance,
}

impl<R> Guard<R> {
    pub(super) fn new(inner: R, allowance: Allowance) -> Self {
        Self { inner, allowance }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Allowance(left) = &self.allowance;
        let Some(rest) = left.get().checked_sub(read as u64) else {
            let message = "a record has more than 16 MiB; is there a quotation mark that is not closed?";
            return Err(io::Error::other(message));
        };
        left.set(rest);
        Ok(read)
    }
}

/// Where readers bring what they read.
pub(super) struct Pump<'m> {
    pub(super) how: &'m How,
    pub(super) allowance: Allowance,
    send: &'m mut dyn FnMut(Record) -> bool,
    index: usize,
    unkept: BTreeMap<String, usize>,
}

impl Pump<'_> {
    /// Takes a record; not, where nobody wants more.
    pub(super) fn record(&mut self, at: At, value: &Value, twice: &[String]) -> bool {
        let place = at.whole();
        let read = reading::read(self.how, at, value, twice);
        for field in read.unkept {
            self.not_kept(&field);
        }
        self.hand_on(Record {
            warnings: read.warnings,
            withheld: read.withheld,
            ..Record::of(read.name, place, read.content)
        })
    }

    /// Takes a record that can't be one, and why.
    pub(super) fn faulty(&mut self, at: &At, message: String) -> bool {
        let places = vec![Place { pointer: at.whole(), message }];
        self.hand_on(Record::of(None, at.whole(), Content::Faulty(places)))
    }

    pub(super) fn skipped(&mut self, at: &At, why: &'static str) -> bool {
        self.hand_on(Record::of(None, at.whole(), Content::Skipped(why)))
    }

    pub(super) fn not_kept(&mut self, field: &str) {
        const MOST: usize = 300;
        let field = text::excerpt(field);
        if self.unkept.len() < MOST || self.unkept.contains_key(&field) {
            *self.unkept.entry(field).or_default() += 1;
        }
    }

    fn hand_on(&mut self, record: Record) -> bool {
        let index = self.index;
        self.index += 1;
        (self.send)(Record { index, ..record })
    }
}

/// Reads a file to its end, and hands on each record as soon as it is read, as long as that is wanted.
///
/// # Errors
/// Where the file can't be read further. The records before that place have been handed on.
pub(super) fn pump(raw: impl Read, how: &How, send: &mut dyn FnMut(Record) -> bool) -> Result<End, Unreadable> {
    let allowance = Allowance(Rc::new(Cell::new(u64::MAX)));
    let mut pump = Pump { how, allowance, send, index: 0, unkept: BTreeMap::new() };
    let decoded = decoded(raw, how.encoding).map_err(|fault| Unreadable::of(&fault))?;
    let extent = match how.format {
        Format::Json => json::read(decoded, &mut pump)?,
        Format::Csv => {
            table::read(decoded, &mut pump)?;
            json::Extent::default()
        }
    };
    let Pump { index: records, unkept, .. } = pump;
    let missing = match (extent.total, extent.done) {
        (Some(total), _) if total > records => Some(Missing::Some(total - records, total)),
        (_, Some(false)) => Some(Missing::Unknown),
        _ => None,
    };
    Ok(End { records, missing, unkept })
}

/// The text as UTF-8, where it says or shows that it is in another encoding.
fn decoded(mut raw: impl Read, encoding: Option<&'static Encoding>) -> io::Result<impl Read> {
    let mut head = Vec::new();
    raw.by_ref().take(4096).read_to_end(&mut head)?;
    let encoding = encoding.or_else(|| wide(&head));
    let mut builder = DecodeReaderBytesBuilder::new();
    builder.encoding(encoding).bom_override(true).utf8_passthru(true).strip_bom(true);
    Ok(builder.build(Cursor::new(head).chain(raw)))
}

/// Whether every second byte of a text that begins with ASCII letters is zero: UTF-16 without its mark.
fn wide(head: &[u8]) -> Option<&'static Encoding> {
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    match (zeros(0), zeros(1)) {
        (0, odd) if odd * 4 > head.len() => Some(UTF_16LE),
        (even, 0) if even * 4 > head.len() => Some(UTF_16BE),
        _ => None,
    }
}

#[derive(Debug)]
enum Message {
    Record(Box<Record>),
    End(Result<End, Unreadable>),
}

/// The records of a file, as they are read. Few of them are ahead of whoever takes them.
#[derive(Debug)]
pub struct Records {
    receiver: mpsc::Receiver<Message>,
    first: Option<Box<Record>>,
    end: Option<Result<End, Unreadable>>,
}

impl Records {
    /// Begins to read.
    ///
    /// # Errors
    /// Where not even a first record can be read.
    pub async fn of(raw: impl Read + Send + 'static, how: How) -> Result<Self, Unreadable> {
        let (sender, receiver) = mpsc::channel(16);
        std::thread::spawn(move || {
            let mut send = |record| sender.blocking_send(Message::Record(Box::new(record))).is_ok();
            let end = pump(raw, &how, &mut send);
            // Whoever has gone away wants no end either.
            let _ = sender.blocking_send(Message::End(end));
        });
        let mut records = Self { receiver, first: None, end: None };
        records.first = records.receive().await;
        match records.end.take_if(|end| end.is_err()) {
            Some(Err(fault)) => Err(fault),
            _ => Ok(records),
        }
    }

    /// The next record; none after the last.
    pub async fn next(&mut self) -> Option<Box<Record>> {
        match self.first.take() {
            Some(record) => Some(record),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Box<Record>> {
        if self.end.is_some() {
            return None;
        }
        match self.receiver.recv().await {
            Some(Message::Record(record)) => Some(record),
            Some(Message::End(end)) => {
                self.end = Some(end);
                None
            }
            None => {
                let message = "the reader came to no end".to_owned();
                self.end = Some(Err(Unreadable { message, place: None }));
                None
            }
        }
    }

    /// What is known at the end, once there is no next record.
    ///
    /// # Errors
    /// Where the file can't be read further.
    pub fn end(self) -> Result<End, Unreadable> {
        self.end.unwrap_or_else(|| Ok(End::default()))
    }
}
