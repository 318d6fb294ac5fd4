//! The elements of one JSON array, cut without being understood.
//!
//! The service reads each by itself, so an element that is wrong inside keeps no other out. A parser would refuse all that
//! follows it, and hold an element of any length. Only what has to be known is: strings, and which brackets are open.

use std::io::BufRead;

use super::{Content, Fault, Job, MAX_JOB_BYTES, peek};

/// Deepest nesting: the service takes 120 levels.
const MAX_DEPTH: usize = 1_024;

/// The rest of the input after the opening bracket.
pub(super) struct Array<R> {
    reader: R,
    number: u64,
    next: Next,
}

/// The next thing that may come.
enum Next {
    /// An element, or the end of an empty array.
    First,
    /// An element.
    Element,
    /// Nothing: the array has ended.
    Nothing,
}

impl<R: BufRead> Array<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, next: Next::First }
    }

    pub(super) fn next(&mut self) -> Result<Option<Job>, Fault> {
        let byte = self.peek_text()?;
        match (&self.next, byte) {
            (Next::Nothing, None) => return Ok(None),
            (Next::Nothing, Some(_)) => return Err(broken("something follows the array's end")),
            (Next::First, Some(b']')) => {
                self.reader.consume(1);
                self.next = Next::Nothing;
                return self.next();
            }
            (Next::First | Next::Element, _) => {}
        }
        self.number += 1;
        let mut element = Element::default();
        loop {
            let Some(byte) = peek(&mut self.reader)? else {
                return Err(broken(format!("the file ends within element {}", self.number)));
            };
            self.reader.consume(1);
            match element.take(byte) {
                Step::Goes => {}
                Step::Ends(next) => {
                    self.next = next;
                    break;
                }
                Step::Breaks(what) => return Err(broken(format!("element {}: {what}", self.number))),
            }
        }
        let content = element.content();
        match &content {
            Content::Whole(text) if text.is_empty() => {
                Err(broken(format!("element {} is empty: there is a comma too many", self.number)))
            }
            Content::Whole(_) | Content::TooLong { .. } | Content::Unfinished(_) => {
                Ok(Some(Job { number: self.number, content }))
            }
        }
    }

    /// The next byte that is no white space, which stays.
    fn peek_text(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match peek(&mut self.reader)? {
                Some(byte) if byte.is_ascii_whitespace() => self.reader.consume(1),
                other => return Ok(other),
            }
        }
    }
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::Broken(format!("the array is broken: {}", what.into()))
}

enum Step {
    Goes,
    Ends(Next),
    Breaks(&'static str),
}

/// An element as far as it was read.
#[derive(Default)]
struct Element {
    kept: Vec<u8>,
    bytes: u64,
    /// The closing brackets of those that are open.
    open: Vec<u8>,
    is_in_string: bool,
    is_escaped: bool,
}

impl Element {
    fn take(&mut self, byte: u8) -> Step {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            // It becomes one line. No string of JSON has such bytes, and it must not become right by losing them.
            self.keep(if matches!(byte, b'\n' | b'\r') { b'\t' } else { byte });
            return Step::Goes;
        }
        match byte {
            b',' if self.open.is_empty() => return Step::Ends(Next::Element),
            b']' if self.open.is_empty() => return Step::Ends(Next::Nothing),
            b'{' | b'[' if self.open.len() == MAX_DEPTH => return Step::Breaks("it is nested too deeply"),
            b'{' => self.open.push(b'}'),
            b'[' => self.open.push(b']'),
            b'}' | b']' if self.open.pop() != Some(byte) => {
                return Step::Breaks("a bracket closes what is not open");
            }
            b'"' => self.is_in_string = true,
            _ => {}
        }
        self.keep(if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
        Step::Goes
    }

    fn keep(&mut self, byte: u8) {
        self.bytes += 1;
        if self.kept.len() <= MAX_JOB_BYTES {
            self.kept.push(byte);
        }
    }

    fn content(self) -> Content {
        if self.kept.len() > MAX_JOB_BYTES {
            return Content::TooLong { start: self.kept, bytes: self.bytes };
        }
        Content::Whole(self.kept.trim_ascii().to_vec())
    }
}
