//! The right to scrape: for everybody, or for a scraper that sends the token that the deployment was given.

use std::collections::BTreeMap;

use jobledger::domain::KeyHash;
use jobledger::http::{Problem, bearer};
use lambda_http::http::HeaderMap;

/// The variable that holds the token; empty or absent: everybody may scrape.
const VARIABLE: &str = "SCRAPE_TOKEN";

/// The token that a scraper has to send; `None`: no token.
#[derive(Debug)]
pub(crate) struct Token(Option<KeyHash>);

impl Token {
    pub(crate) fn of(vars: &BTreeMap<String, String>) -> Self {
        Self(vars.get(VARIABLE).filter(|text| !text.is_empty()).map(|text| KeyHash::of(text)))
    }

    /// Refuses who does not send it. Hashes are compared, so the time that it takes says nothing of the token, not even how
    /// long it is.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.0 else { return Ok(()) };
        if let Ok(Some(sent)) = bearer(headers)
            && KeyHash::of(sent).matches(token)
        {
            return Ok(());
        }
        Err(Problem::unauthenticated(
            "the metrics are for who has the scrape token: Authorization: Bearer TOKEN",
        ))
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::http::header::AUTHORIZATION;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn is_let_in(token: &Token, values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        token.check(&headers).is_ok()
    }

    #[test]
    fn only_the_token_is_let_in() {
        let token = Token::of(&BTreeMap::from([(VARIABLE.to_owned(), TOKEN.to_owned())]));
        for good in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN} ")] {
            assert!(is_let_in(&token, &[&good]), "{good}");
        }
        for bad in [
            TOKEN.to_owned(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {TOKEN}"),
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Bearer {}", TOKEN.to_uppercase()),
            format!("Bearer {TOKEN} {TOKEN}"),
        ] {
            assert!(!is_let_in(&token, &[&bad]), "{bad}");
        }
        assert!(!is_let_in(&token, &[]));
        let good = format!("Bearer {TOKEN}");
        assert!(!is_let_in(&token, &[&good, &good]));
    }

    #[test]
    fn without_a_token_all_are_let_in() {
        for vars in [BTreeMap::new(), BTreeMap::from([(VARIABLE.to_owned(), String::new())])] {
            let token = Token::of(&vars);
            assert!(is_let_in(&token, &[]) && is_let_in(&token, &["Bearer x"]) && is_let_in(&token, &["x"]));
        }
    }
}
