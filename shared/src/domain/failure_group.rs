//! Groups of failures: jobs that failed for the same reason, as far as their errors tell.

use super::{ErrorCode, JobError, spelling};

/// The reason that failed jobs of a type have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureGroup {
    /// The code of their errors.
    Code(ErrorCode),
    /// The first line of their messages, if they have no code. Numbers, ids, quoted texts and addresses are left out.
    Message(String),
}

/// Most characters of a message that names a group.
const MAX_PATTERN_CHARS: usize = 120;
/// Fewest hexadecimal digits that are taken for an id, if one of them is a digit.
const MIN_HEX_CHARS: usize = 8;
/// Fewest letters and digits that are taken for an id, if some of them are digits.
const MIN_ID_CHARS: usize = 16;

/// Stands for a number.
const NUMBER: &str = "<n>";
/// Stands for an id.
const ID: &str = "<id>";
/// Stands for a quoted text.
const TEXT: &str = "<text>";
/// Stands for an address.
const URL: &str = "<url>";
/// The name of messages that have no line that shows anything.
const NOTHING: &str = "<nothing>";

impl FailureGroup {
    /// The group of an error. Stored counts go by it: if this changes, jobs leave groups that they never entered.
    pub fn of(error: &JobError) -> Self {
        match &error.code {
            Some(code) => Self::Code(code.clone()),
            None => Self::Message(pattern(&error.message)),
        }
    }

    /// The word for the kind of group, and what names it among these.
    pub fn naming(&self) -> (&'static str, &str) {
        match self {
            Self::Code(code) => ("code", code.as_str()),
            Self::Message(pattern) => ("message", pattern),
        }
    }

    /// Reads the two back; `None` where they name no group.
    pub fn parse(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "code" => Some(Self::Code(ErrorCode::try_from(name).ok()?)),
            "message" if !name.is_empty() => Some(Self::Message(name.to_owned())),
            _ => None,
        }
    }
}

/// The first line of a message that shows anything, with placeholders for all that differs from one job to the next.
fn pattern(message: &str) -> String {
    let line = message.lines().find_map(|line| spelling::told(line, usize::MAX));
    let Some(line) = line else { return NOTHING.to_owned() };
    let mut pattern = String::new();
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let before = pattern.chars().next_back();
        let (taken, shown) = address(rest, before)
            .or_else(|| quoted(rest, before))
            .or_else(|| word(rest))
            .unwrap_or_else(|| (first.len_utf8(), if first.is_whitespace() { " " } else { "" }.to_owned()));
        match shown.as_str() {
            "" => pattern.push(first),
            " " if pattern.ends_with(' ') => {}
            shown => pattern.push_str(shown),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    spelling::cut(pattern, MAX_PATTERN_CHARS)
}

fn is_inside_word(before: Option<char>) -> bool {
    before.is_some_and(char::is_alphanumeric)
}

/// An address at the beginning of a text: its length, and what stands for it.
fn address(text: &str, before: Option<char>) -> Option<(usize, String)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_scheme || is_inside_word(before) {
        return None;
    }
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}' | ',');
    let length = rest.find(ends).unwrap_or(rest.len());
    // A colon or a point after an address belongs to the sentence.
    let length = rest.get(..length).map_or(0, |text| text.trim_end_matches(['.', ':', ';', '!']).len());
    (length > 0).then(|| (scheme.len() + "://".len() + length, URL.to_owned()))
}

/// A quoted text at the beginning of a text. An apostrophe within a word opens none, and none closes there.
fn quoted(text: &str, before: Option<char>) -> Option<(usize, String)> {
    let mut marks = text.char_indices();
    let (_, open) = marks.next()?;
    let close = match open {
        '"' | '`' | '\'' => open,
        '“' => '”',
        '‘' => '’',
        '«' => '»',
        _ => return None,
    };
    if open == '\'' && is_inside_word(before) {
        return None;
    }
    let closes = |place: usize| {
        let next = text.get(place + close.len_utf8()..).and_then(|rest| rest.chars().next());
        close != '\'' || !next.is_some_and(char::is_alphanumeric)
    };
    let (end, _) = marks.find(|(place, mark)| *mark == close && closes(*place))?;
    Some((end + close.len_utf8(), format!("{open}{TEXT}{close}")))
}

/// A word of ASCII letters and digits at the beginning of a text, with what joins its pieces.
fn word(text: &str) -> Option<(usize, String)> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let length = text.find(|c: char| !is_of_word(c)).unwrap_or(text.len());
    let word = text.get(..length).filter(|word| !word.is_empty())?;
    if is_uuid(word) || is_prefixed_hex(word) {
        return Some((length, ID.to_owned()));
    }
    let length = word.find(['-', '_']).unwrap_or(length);
    let piece = word.get(..length).filter(|piece| !piece.is_empty())?;
    if is_id(piece) {
        return Some((length, ID.to_owned()));
    }
    let Some(first) = piece.find(|c: char| c.is_ascii_digit()) else {
        return Some((length, piece.to_owned()));
    };
    let taken = first + number(text.get(first..).unwrap_or_default());
    Some((taken, format!("{}{NUMBER}", piece.get(..first).unwrap_or_default())))
}

/// How long the number at the beginning of a text is: `1`, `1.5`, `10,000`, `10.0.0.1:80` and `05:59:59` are one each.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
    let joins = |place: usize| bytes.get(place).is_some_and(|byte| matches!(byte, b'.' | b',' | b':'));
    let mut length = 0;
    while is_digit(length) || (length > 0 && joins(length) && is_digit(length + 1)) {
        length += 1;
    }
    length
}

fn is_uuid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let pieces: Vec<&str> = word.split('-').collect();
    pieces.len() == lengths.len()
        && pieces.iter().zip(lengths).all(|(piece, length)| piece.len() == length && is_hex(piece))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_prefixed_hex(word: &str) -> bool {
    word.strip_prefix("0x").is_some_and(|rest| !rest.is_empty() && is_hex(rest))
}

/// Whether a piece looks like an id. Letters alone are a word, and digits alone a number.
fn is_id(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let is_mixed = digits > 0 && digits < piece.len();
    is_mixed && (piece.len() >= MIN_ID_CHARS || (piece.len() >= MIN_HEX_CHARS && is_hex(piece)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_one_job_to_the_next_is_left_out() {
        for (message, expected) in [
            ("out of luck", "out of luck"),
            ("took 17 s, limit 1.5 s", "took <n> s, limit <n> s"),
            ("cannot reach 10.0.0.1:80 after 3 tries.", "cannot reach <n> after <n> tries."),
            ("at 2026-01-11T05:59:59.999Z", "at <n>-<n>-<n>T<n>Z"),
            ("no job 0198ab12-3456-7abc-8def-0123456789ab here", "no job <id> here"),
            ("commit deadbee0f, page 0x7fFF", "commit <id>, page <id>"),
            ("deadbeef facade", "deadbeef facade"),
            ("request_req8Zk2Lq0Pw4Xv1Ty failed", "request_<id> failed"),
            ("worker-17 of utf8 v2", "worker-<n> of utf<n> v<n>"),
            ("can't open 'a b.txt' or \"it's\"", "can't open '<text>' or \"<text>\""),
            ("the workers' queue isn't there", "the workers' queue isn't there"),
            ("no such key `x`: “ä”", "no such key `<text>`: “<text>”"),
            ("GET https://a.example/b?c=1#d: 503", "GET <url>: <n>"),
            ("(s3://bucket/key)", "(<url>)"),
            ("\n  \n first  line\tends \n second", "first line ends"),
            ("", "<nothing>"),
            ("\n\u{7}\n", "<nothing>"),
            ("12345678", "<n>"),
            ("- -_1", "- -_<n>"),
            ("٣ Äpfel 🦀", "٣ Äpfel 🦀"),
            ("http://", "http://"),
        ] {
            assert_eq!(pattern(message), expected, "{message:?}");
        }
        assert_eq!(pattern(&"word ".repeat(100)).chars().count(), MAX_PATTERN_CHARS);
    }

    #[test]
    fn a_code_names_the_group_whatever_the_message_says() {
        let group = |message: &str, code: Option<&str>| {
            FailureGroup::of(&JobError::told(message.to_owned(), None, code.map(str::to_owned)))
        };
        assert_eq!(group("a", Some("timeout")), group("b", Some("timeout")));
        assert_ne!(group("timeout", None), group("timeout", Some("timeout")));
        assert_eq!(group("try 1", None), group("try 22", None));
    }

    proptest! {
        #[test]
        fn any_message_has_a_group_that_can_be_stored(message in "(?s).{0,600}", also in "[ -~]{0,200}") {
            for message in [message, also] {
                let group = FailureGroup::of(&JobError { message, failed_task: None, code: None });
                let (kind, name) = group.naming();
                prop_assert!(!name.is_empty() && name.chars().count() <= MAX_PATTERN_CHARS);
                prop_assert!(!name.chars().any(char::is_control));
                prop_assert_eq!(FailureGroup::parse(kind, name), Some(group.clone()));
            }
        }

        #[test]
        fn numbers_do_not_part_failures(a: u32, b: u32, c: u64) {
            let said = |number: u64| pattern(&format!("try {number} of {number}.{number}: item-{number} lost"));
            prop_assert_eq!(said(a.into()), said(b.into()));
            prop_assert_eq!(said(c), said(7));
        }
    }
}
