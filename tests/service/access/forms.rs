//! Keys in forms and lengths that no valid key has, in each header and in both.

use jobledger_local::LOCAL_KEY;
use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::keys::{add_key, id_and_key, with_key};
use jobledger_tests::problems::is_unauthenticated;

use super::routes;

/// Words that are almost a valid key, or far from one.
fn wrong_forms(good: &str) -> Vec<String> {
    let secret = good.trim_start_matches("jobledger_");
    let mut forms: Vec<String> = [
        "",
        " ",
        ",",
        "\"",
        "'",
        "null",
        "undefined",
        "*",
        "%",
        "Bearer",
        "jobledger_",
        "\u{fffd}",
        "ключ",
        "🔑",
        "\t",
        "keys",
        "head",
        "{}",
        "[\"a\"]",
        "${KEY}",
        "KEY",
    ]
    .map(str::to_owned)
    .into();
    forms.extend([
        secret.to_owned(),
        good.to_uppercase(),
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!("{good},{good}"),
        format!("{good} {good}"),
        format!("{good}\u{a0}x"),
        format!("\"{good}\""),
        format!("\u{feff}{good}"),
        good.replace('_', "-"),
        good.repeat(3),
        format!("jobledger_{}", "0".repeat(64)),
        jobledger::domain::KeyHash::of(good).as_str().to_owned(),
        jobledger::domain::KeyHash::of(good).key_id().to_string(),
    ]);
    forms.extend([255, 256, 257, 10_000, 100_000].map(|length| "x".repeat(length)));
    forms.push("é".repeat(10_000));
    forms
}

#[tokio::test]
async fn a_part_of_a_key_is_refused() {
    let service = Service::start().await;
    let (_, good) = id_and_key(&service, &serde_json::json!({ "owner": "a", "scopes": ["read"] })).await;
    let environment = service.stack.environment("list-jobs").expect("the function");
    let lists = Alone::start("list-jobs", environment).await;
    let request = |headers: &[(&str, &str)]| {
        // Without the default key of test requests.
        let request = Request::new("GET", "/v1/jobs").without("authorization");
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    let bearer = |key: &str| format!("Bearer {key}");
    assert_eq!(lists.call(&request(&[("x-api-key", &good)])).await.status, 200);
    assert_eq!(lists.call(&request(&[("authorization", &bearer(&good))])).await.status, 200);
    for form in wrong_forms(&good) {
        for headers in [
            &[("x-api-key", form.as_str())][..],
            &[("authorization", &bearer(&form))],
            &[("authorization", &form)],
            &[("x-api-key", &form), ("authorization", &bearer(&form))],
            // Also beside a valid key.
            &[("x-api-key", &good), ("authorization", &form)],
            &[("x-api-key", &form), ("authorization", &bearer(&good))],
        ] {
            let reply = lists.call(&request(headers)).await;
            is_unauthenticated(&reply);
            assert!(!reply.text.contains(&good), "a key comes back: {}", reply.text);
        }
    }
    for scheme in ["Basic", "Digest", "Token", "Bearer,", "Bearer:", "", "Key", "Bearer Bearer"] {
        let value = format!("{scheme} {good}");
        is_unauthenticated(&lists.call(&request(&[("authorization", &value)])).await);
    }
}

#[tokio::test]
async fn a_repeated_key_header_is_refused() {
    let service = Service::start().await;
    let bearer = format!("Bearer {LOCAL_KEY}");
    for (name, good) in [("x-api-key", LOCAL_KEY), ("authorization", bearer.as_str())] {
        for (first, second) in [(good, good), (good, "unknown"), ("unknown", good), (good, "")] {
            let call = service.anonymous("GET", "/v1/jobs").header(name, first).header(name, second);
            is_unauthenticated(&call.send().await);
        }
    }
}

#[tokio::test]
async fn a_key_in_the_query_or_a_cookie_is_ignored() {
    let service = Service::start().await;
    for route in routes(&service).1 {
        for name in ["api_key", "key", "x-api-key", "access_token", "authorization"] {
            let path = format!("{}?{name}={LOCAL_KEY}", route.path);
            is_unauthenticated(&service.anonymous(&route.method, &path).send().await);
        }
        let cookie = format!("x-api-key={LOCAL_KEY}; authorization=Bearer {LOCAL_KEY}");
        is_unauthenticated(&route.call(&service).header("cookie", &cookie).send().await);
    }
}

#[tokio::test]
async fn spaces_around_a_key_are_ignored() {
    let service = Service::start().await;
    add_key(&service, "spaced", "a", &["read"], None).await;
    for value in ["spaced", " spaced", "spaced ", "  spaced  "] {
        with_key(&service, value, "GET", "/v1/jobs").expect(200).await;
    }
    is_unauthenticated(&with_key(&service, "spa ced", "GET", "/v1/jobs").send().await);
}
