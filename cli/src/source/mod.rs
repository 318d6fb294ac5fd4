//! The jobs of a file, one after the other, as it has them: lines, or elements of one array; packed by gzip, or plain.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::error::Error;

mod array;
mod lines;

use array::Array;
use lines::Lines;

/// Longest job: the service takes 512 KiB of JSON beside its head, so no longer one could go in.
pub(crate) const MAX_JOB_BYTES: usize = 1024 * 1024;
/// The bytes that are read from the disk at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// The name that stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How files begin that would be nothing but broken lines.
const OTHERS: [(&[u8], &str); 10] = [
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard; unpack it, or pipe it: zstdcat FILE | jobledger ingest -"),
    (b"\xfd7zXZ", "packed by xz; unpack it, or pipe it: xzcat FILE | jobledger ingest -"),
    (b"BZh", "packed by bzip2; unpack it, or pipe it: bzcat FILE | jobledger ingest -"),
    (b"\xff\xfe", WIDE),
    (b"\xfe\xff", WIDE),
    (b"{\0", WIDE),
    (b"[\0", WIDE),
    (b"\0{", WIDE),
    (b"\0[", WIDE),
];
const WIDE: &str = "text in UTF-16; JSON is UTF-8: iconv -f UTF-16 -t UTF-8 FILE | jobledger ingest -";
const PRETTY: &str = "JSON with several lines a job; a job has one: jq -c . FILE | jobledger ingest -";
/// The longest beginning that tells the form of a file.
const MAX_MARK_BYTES: u64 = 5;

/// A job as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Its line, or its place in the array; the first 1.
    pub(crate) number: u64,
    pub(crate) content: Content,
}

impl Job {
    /// How many bytes of it are held.
    pub(crate) fn bytes(&self) -> usize {
        match &self.content {
            Content::Whole(text) | Content::Unfinished(text) => text.len(),
            Content::TooLong { start, .. } => start.len(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One line of text, without white space around it.
    Whole(Vec<u8>),
    /// Over [`MAX_JOB_BYTES`]: its beginning, and how many bytes it has.
    TooLong { start: Vec<u8>, bytes: u64 },
    /// A last line that does not end and is no JSON: perhaps it is still being written.
    Unfinished(Vec<u8>),
}

/// Why there is no next job.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// The place where the array is broken, and how.
    Broken(String),
    /// A job has several lines.
    Pretty,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Input = Box<dyn BufRead>;

enum Jobs {
    Lines(Lines<Input>),
    Array(Array<Input>),
}

/// A file that is read from its beginning on.
pub(crate) struct Source {
    jobs: Jobs,
    /// Bytes read, of those that the file has.
    read: Rc<Cell<u64>>,
    /// Bytes that the file had when it was opened; none of a pipe.
    pub(crate) size: Option<u64>,
    name: String,
}

impl Source {
    /// Opens a file, and looks how it begins.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        if path == Path::new(STANDARD_INPUT) {
            return Self::of(Box::new(io::stdin()), "standard input".to_owned(), None);
        }
        let file = File::open(path).map_err(Error::file("open", path))?;
        let metadata = file.metadata().map_err(Error::file("open", path))?;
        if !metadata.is_file() {
            let what = "no file; of what is not, pipe the content: … | jobledger ingest -";
            return Err(Error::Unreadable { file: name, what });
        }
        // Until the file is closed, no other process sends it.
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(name)),
            // Not every file system knows locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Self::of(Box::new(file), name, Some(metadata.len()))
    }

    fn of(reader: Box<dyn Read>, name: String, size: Option<u64>) -> Result<Self, Error> {
        let read = Rc::new(Cell::new(0));
        let counted = Counted { reader, read: read.clone() };
        let jobs = look(BufReader::with_capacity(BUFFER_BYTES, counted)).map_err(|error| match error {
            Unopened::Io(source) => Error::File { doing: "read", path: name.clone().into(), source },
            Unopened::Other(what) => Error::Unreadable { file: name.clone(), what },
        })?;
        Ok(Self { jobs, read, size, name })
    }

    /// The next job.
    pub(crate) fn next(&mut self) -> Result<Option<Job>, Error> {
        let next = match &mut self.jobs {
            Jobs::Lines(lines) => lines.next(),
            Jobs::Array(array) => array.next(),
        };
        next.map_err(|fault| match fault {
            Fault::Io(source) => Error::File { doing: "read on in", path: self.name.clone().into(), source },
            Fault::Broken(what) => Error::Broken { file: self.name.clone(), what },
            Fault::Pretty => Error::Unreadable { file: self.name.clone(), what: PRETTY },
        })
    }

    /// How many bytes of the file have been read.
    pub(crate) fn read(&self) -> u64 {
        self.read.get()
    }

    /// The unit that a job's number counts.
    pub(crate) fn unit(&self) -> &'static str {
        match self.jobs {
            Jobs::Lines(_) => "line",
            Jobs::Array(_) => "element",
        }
    }
}

struct Counted<R> {
    reader: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.read.set(self.read.get() + u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(bytes)
    }
}

enum Unopened {
    Io(io::Error),
    Other(&'static str),
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The jobs of a stream of bytes, by how it begins.
fn look(input: impl BufRead + 'static) -> Result<Jobs, Unopened> {
    let (mark, input) = beginning(Box::new(input))?;
    let input = if mark.starts_with(GZIP) {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input)))
    } else {
        input
    };
    let (mark, mut input) = beginning(input)?;
    if let Some((_, what)) = OTHERS.iter().find(|(other, _)| mark.starts_with(other)) {
        return Err(Unopened::Other(what));
    }
    if mark.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    let mut line_ends = 0;
    while let Some(byte) = peek(&mut input)?.filter(u8::is_ascii_whitespace) {
        line_ends += u64::from(byte == b'\n');
        input.consume(1);
    }
    Ok(match peek(&mut input)? {
        Some(b'[') => {
            input.consume(1);
            Jobs::Array(Array::new(input))
        }
        Some(_) | None => Jobs::Lines(Lines::new(input, line_ends)),
    })
}

/// The first bytes, and an input that still holds all bytes. If there is a byte-order mark, the first buffer of that
/// input holds at least the whole mark.
fn beginning(mut input: Input) -> io::Result<(Vec<u8>, Input)> {
    let mut mark = Vec::new();
    input.by_ref().take(MAX_MARK_BYTES).read_to_end(&mut mark)?;
    let whole = Cursor::new(mark.clone()).chain(input);
    Ok((mark, Box::new(whole)))
}

/// The next byte, which stays.
fn peek(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        match input.fill_buf() {
            Ok(bytes) => return Ok(bytes.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
