//! Searching for a text in the names of jobs, without regard to case and spelling.

use std::collections::BTreeSet;

use icu_casemap::CaseMapper;

use super::{Invalid, Job, spelling};

/// Most characters of a text to search for: as many as a name has.
const MAX_SEARCH_CHARS: usize = 200;
/// The letters that version 0.1.0 kept apart in the texts that it stored: as they are folded, and as it stored them.
const KEPT_APART: [(&str, &str); 2] = [("ss", "ß"), ("\u{3bc}", "\u{b5}")];

/// A text to search for: a part of a name in any case, or a whole id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search(String);

/// A text without regard to case and spelling, as names are searched: Unicode's full case folding, composed.
pub fn folded(text: &str) -> String {
    // Composed before, because a letter and its marks are folded together. Composed after, because of some letters and
    // marks, only the folded ones have a character together.
    spelling::composed(&CaseMapper::new().fold_string(&spelling::composed(text))).into_owned()
}

/// The same as version 0.1.0 did it.
fn folded_before(text: &str) -> String {
    spelling::composed(&spelling::composed(text).to_lowercase()).into_owned()
}

/// A folded text with the other small sigma at the ends of words, as version 0.1.0 stored it. `at_end`: also at the end of
/// the text, where the word may go on in a name.
fn with_final_sigmas(text: &str, at_end: bool) -> String {
    let mut letters = text.chars().peekable();
    let mut sigmas = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        let is_last = letters.peek().map_or(at_end, |next| !next.is_alphabetic());
        let is_final = letter == 'σ' && is_last && sigmas.chars().last().is_some_and(char::is_alphabetic);
        sigmas.push(if is_final { 'ς' } else { letter });
    }
    sigmas
}

impl Search {
    /// The text as it was given: an `external_id` is found by its bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a part of the job's name, or one of its ids.
    pub(super) fn finds(&self, job: &Job) -> bool {
        let is_id = job.id.to_string() == self.0.to_ascii_lowercase();
        let is_external_id = job.external_id.as_ref().is_some_and(|id| id.as_str() == self.0);
        let is_name = || job.name.as_ref().is_some_and(|name| folded(name.as_str()).contains(&self.folded()));
        is_id || is_external_id || is_name()
    }

    /// The text without regard to case.
    pub fn folded(&self) -> String {
        folded(&self.0)
    }

    /// The parts of stored texts that it is found by: the folded text, and other forms that version 0.1.0 stored of it.
    pub fn stored_forms(&self) -> BTreeSet<String> {
        let folded = self.folded();
        let mut forms =
            BTreeSet::from([with_final_sigmas(&folded, false), with_final_sigmas(&folded, true), folded]);
        for (now, before) in KEPT_APART {
            let other: Vec<_> = forms.iter().map(|form| form.replace(now, before)).collect();
            forms.extend(other);
        }
        forms.insert(folded_before(&self.0));
        forms
    }
}

impl TryFrom<&str> for Search {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.is_empty()
            || spelling::composed(text).chars().count() > MAX_SEARCH_CHARS
            || text.chars().any(char::is_control)
        {
            return Err(Invalid(format!(
                "must be 1 to {MAX_SEARCH_CHARS} characters, no control characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_folded_alike_in_any_case_and_spelling() {
        for (one, other) in [
            ("Équipe", "E\u{301}QUIPE"),
            ("\u{212b}", "a\u{30a}"),
            // Together they are one character only when they are small.
            ("H\u{331}", "\u{1e96}"),
            ("İ", "i\u{307}"),
            // One letter, one sound, two small forms.
            ("ΠΕΛΑΤΗΣ", "πελατης"),
            ("ΠΕΛΑΤΗΣ.CSV", "πελατηΣ.csv"),
            ("STRASSE", "straße"),
            ("STRAẞE", "Straße"),
            ("µm", "\u{3bc}M"),
            ("\u{fb01}ne", "FINE"),
            ("ᎠᎡ", "ꭰꭱ"),
        ] {
            assert_eq!(folded(one), folded(other));
        }
        assert_ne!(folded("e"), folded("é"));
        // As in Unicode's own table, and not as in Turkish.
        assert_ne!(folded("I"), folded("ı"));
    }

    #[test]
    fn texts_of_the_older_folding_are_found() {
        for (name, search) in [
            ("ΠΕΛΑΤΗΣ.csv", "ΠΕΛΑΤΗΣ"),
            ("ΠΕΛΑΤΗΣ.csv", "πελατης"),
            ("ΠΕΛΑΤΗΣ 2026", "πελατηΣ"),
            ("ΠΕΛΑΤΗΣ 2026", "ΠΕΛΑΤΗΣ 20"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ΟΔΥΣΣΕΥΣ", "ΟΔΥΣ"),
            ("Hauptstraße 5", "HAUPTSTRASSE"),
            ("Hauptstraße 5", "strasse"),
            ("Hauptstrasse 5", "Straße"),
            ("5 µm", "5 \u{39c}M"),
            ("ᎠᎡ", "ꭰ"),
            ("İstanbul", "İSTAN"),
        ] {
            let stored = [name.to_owned(), folded_before(name)];
            let forms = Search::try_from(search).unwrap().stored_forms();
            assert!(
                forms.iter().any(|form| stored.iter().any(|text| text.contains(form))),
                "{search} in {stored:?}: {forms:?}"
            );
        }
    }

    #[test]
    fn a_search_keeps_the_bytes_that_an_id_is_found_by() {
        let search = Search::try_from(" E\u{301} ").unwrap();
        assert_eq!((search.as_str(), search.folded().as_str()), ("E\u{301}", "é"));
        assert!(Search::try_from("e\u{301}".repeat(200).as_str()).is_ok());
        assert!(Search::try_from("é".repeat(201).as_str()).is_err());
    }

    #[test]
    fn a_search_has_few_forms() {
        let forms = |text: &str| Search::try_from(text).unwrap().stored_forms().len();
        assert_eq!((forms("report"), forms("process"), forms("ΠΕΛΑΤΗΣ 5 µm, STRASSE ΣΑΣ")), (1, 2, 12));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,20}") {
            prop_assert_eq!(folded(&folded(&text)), folded(&text));
        }
    }
}
