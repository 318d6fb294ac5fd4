//! How people's words are spelled: one text for what reads the same, however it was typed.
//!
//! Names and labels are compared, counted and searched, so two spellings of one team would be two teams. Ids are not
//! touched: the program that made them compares them byte by byte, and so do we.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::Invalid;

/// A text in Unicode's Normalization Form C: `é` is one character, even where it came as `e` and an accent.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    const { ComposingNormalizerBorrowed::new_nfc() }.normalize(text)
}

/// A text as it is kept: composed, and without what nobody sees at its ends. Case stays.
pub(super) fn tidied(text: &str) -> String {
    // A part of a composed text is composed, so the order of the two does not matter.
    composed(text).trim_matches(is_blank).to_owned()
}

/// A tidied text of 1 to `max` characters that shows as what it is.
pub(super) fn shown(text: &str, max: usize) -> Result<String, Invalid> {
    let text = tidied(text);
    if text.is_empty() || text.chars().count() > max || text.chars().any(is_misleading) {
        return Err(Invalid(format!(
            "must be 1 to {max} characters, without control characters, line breaks and marks that turn the direction"
        )));
    }
    Ok(text)
}

/// As much of a text as can be shown in `max` characters: a character that misleads becomes a space, and a text that is
/// too long ends with `…`. `None`: the text shows nothing.
pub(super) fn told(text: &str, max: usize) -> Option<String> {
    let text: String = text.chars().map(|c| if is_misleading(c) { ' ' } else { c }).collect();
    let text = tidied(&text);
    if text.is_empty() {
        return None;
    }
    Some(cut(text, max))
}

/// A text, or if it is longer than `max` characters, its beginning and `…`.
pub(crate) fn cut(text: String, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text,
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Whether a character at an end of a text is not to be seen there: white space, and what joins, parts or marks others.
/// Files and web pages leave them behind. Within a text they stay: Persian, Khmer and family emoji are written with them.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Whether a character makes a text show as another: control characters, line ends, a byte-order mark within the text,
/// and the marks that have the rest read in another direction, so that `exe.cod` looks like `doc.exe`.
pub(super) fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(shown(text, 20).ok().as_deref(), expect, "{text:?}");
    }

    #[test]
    fn what_reads_the_same_is_the_same() {
        for (text, expect) in [
            ("Blue", "Blue"),
            ("Équipe", "Équipe"),
            ("E\u{301}quipe", "Équipe"),
            // The sign of the Ångström is the letter, and Hangul comes in syllables.
            ("\u{212b}", "\u{c5}"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            // Two marks in either order.
            ("a\u{307}\u{323}", "\u{1ea1}\u{307}"),
            ("a\u{323}\u{307}", "\u{1ea1}\u{307}"),
            // Compatible is not the same: a ligature and a wide letter stay what they are.
            ("\u{fb01}x", "\u{fb01}x"),
            ("\u{ff21}", "\u{ff21}"),
        ] {
            check(text, Some(expect));
        }
    }

    #[test]
    fn ends_have_nothing_that_is_not_seen() {
        for text in [
            " blue ",
            "\tblue\r\n",
            "\u{feff}blue",
            "blue\u{200b}\u{a0}",
            "\u{2060}\u{3000}blue\u{200d}",
            "\u{200e}blue\u{200f}",
            "blue\u{2028}",
        ] {
            check(text, Some("blue"));
        }
        for nothing in ["", " ", "\u{feff}", "\u{200b}\u{200d}", "\r\n"] {
            check(nothing, None);
        }
        // Within, they are part of how a word is written.
        for word in ["می\u{200c}خواهم", "👩\u{200d}💻", "a  b", "ខ្ញុំ\u{200b}ទៅ", "a\u{200f}b"]
        {
            check(word, Some(word));
        }
    }

    #[test]
    fn what_misleads_is_refused() {
        for text in [
            "a\u{0}b",
            "a\tb",
            "a\nb",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{2028}b",
            "invoice\u{202e}fdp.exe",
            "\u{202e}a",
            "a\u{2066}b\u{2069}",
            "a\u{feff}b",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn texts_that_only_tell_are_cut() {
        assert_eq!(told(" step\n2 of\t3 ", 20).as_deref(), Some("step 2 of 3"));
        assert_eq!(told(&"é".repeat(20), 20), Some("é".repeat(20)));
        assert_eq!(told(&"é".repeat(21), 20), Some(format!("{}…", "é".repeat(19))));
        assert_eq!(told("\u{feff} \n", 20), None);
    }

    #[test]
    fn length_is_counted_when_it_is_tidied() {
        check(&format!("  {}  ", "e\u{301}".repeat(20)), Some(&"é".repeat(20)));
        check(&"é".repeat(21), None);
        // Some characters have no composed form: one becomes two.
        check(&"\u{958}".repeat(10), Some(&"\u{915}\u{93c}".repeat(10)));
        check(&"\u{958}".repeat(11), None);
    }

    proptest! {
        /// A text that is kept stays as it is when it comes again: else the second time would be another name.
        #[test]
        fn a_tidied_text_is_tidy(text in "[ \u{feff}\u{200b}]?[a-zA-ZÀ-ÿ\u{300}-\u{345}\u{900}-\u{9ff}\u{1100}-\u{11ff}\u{200b}-\u{200f} ]{0,12}") {
            let once = tidied(&text);
            prop_assert_eq!(&tidied(&once), &once);
            if let Ok(shown) = shown(&text, 50) {
                prop_assert_eq!(shown, once);
            }
        }
    }
}
