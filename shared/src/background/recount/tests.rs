use super::*;

/// Tasks outlive deployments: this text must stay readable.
const STORED: &str = r#"{"repair":true,"owner":"ann","settle_seconds":60,"at":{"levels":["ann","a",1768107600000,"days"]},"suspects":[{"owner":"ann","hour":1768107600000,"seen":"00ff","looks":1}],"again":[],"settling":1768107600001,"fixes":[{"scope":"*","place":"total@a","wrong":2},{"scope":"ann","place":"hour#2026-01-11T05","wrong":1,"seen":"00ff"}],"numbers":{"hours":3,"rows":70,"busy":1,"drift":{"*":2,"ann":5},"repaired":4,"left":{"ann":1}}}"#;

#[test]
fn what_is_stored_stays_readable() {
    let state: RecountState = serde_json::from_str(STORED).unwrap();
    assert_eq!(serde_json::to_string(&state).unwrap(), STORED);
    let places = [
        At::HoursAfter(None),
        At::HoursAfter(Some("ann".to_owned())),
        At::Hours("ann".to_owned(), 5),
        At::LevelsAfter(None),
        At::Levels("ann".to_owned(), None, 5, Level::Month),
        At::Everybody,
        At::End,
    ];
    for at in places {
        let text = serde_json::to_string(&RecountState { at: at.clone(), ..state.clone() }).unwrap();
        assert_eq!(serde_json::from_str::<RecountState>(&text).unwrap().at, at, "{text}");
    }
}

#[test]
fn its_progress_is_what_it_has_compared() {
    let state: RecountState = serde_json::from_str(STORED).unwrap();
    let progress = Recount::progress(&state);
    assert_eq!(progress.current_task.unwrap().as_str(), "compared 3 hours, 7 numbers were wrong");
    assert_eq!(progress.overall_progress.hundredths(), 5_000);
}

#[test]
fn a_state_with_all_that_it_can_hold_is_some_kilobytes() {
    let state: RecountState = serde_json::from_str(STORED).unwrap();
    let suspect = Suspect { owner: "x".repeat(64), seen: "f".repeat(32), ..state.suspects[0].clone() };
    let suspects = vec![suspect; MAX_SUSPECTS + 23];
    let text = serde_json::to_string(&RecountState { suspects, ..state }).unwrap();
    assert!(text.len() < 16 * 1024, "{}", text.len());
}
