use std::io::Write as _;

use super::*;
use crate::clock;

fn source(text: &str) -> Source {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Source::open(file.path()).unwrap()
}

fn line(id: &str) -> String {
    format!("{{\"external_id\":\"{id}\"}}\n")
}

fn lines(ids: &[&str]) -> String {
    ids.iter().map(|id| line(id)).collect()
}

/// The numbers of what is sent.
fn numbers(call: &Call) -> Vec<u64> {
    call.sent().iter().map(|entry| entry.job.number).collect()
}

/// The numbers of each call of a file.
fn calls(text: &str, limits: Limits) -> Vec<Vec<u64>> {
    let (mut source, mut pending) = (source(text), Pending::default());
    let mut calls = Vec::new();
    while let Next::Call(call) = pending.next(&mut source, limits, clock::now()).unwrap() {
        assert!(pending.held() <= 1);
        calls.push(call.entries.iter().map(|entry| entry.job.number).collect());
    }
    calls
}

const WIDE: Limits = Limits { jobs: MAX_JOBS, bytes: MAX_BODY_BYTES };

#[test]
fn a_call_ends_at_its_limits_and_before_an_id_that_it_has() {
    let text = lines(&["a", "b", "c", "a", "a", "d"]);
    assert_eq!(calls(&text, WIDE), [vec![1, 2, 3], vec![4], vec![5, 6]]);
    assert_eq!(calls(&text, Limits { jobs: 2, ..WIDE }), [vec![1, 2], vec![3, 4], vec![5, 6]]);
    let bytes = line("a").len() * 2;
    assert_eq!(calls(&text, Limits { bytes, ..WIDE }), [vec![1, 2], vec![3, 4], vec![5, 6]]);
    // A limit below one job lets one through.
    assert_eq!(calls(&text, Limits { jobs: 1, bytes: 1 }).len(), 6);
    // An id may be written in several ways, and many jobs have none that can be read.
    assert_eq!(
        calls("{\"external_id\":\"\\u0061\"}\n{\"external_id\":\" a\"}\n{\n{\n{}\n{}\n", WIDE).len(),
        2
    );
}

#[test]
fn an_unfinished_line_goes_by_itself() {
    assert_eq!(calls(&format!("{}{{", line("a")), WIDE), [[1], [2]]);
}

#[test]
fn a_fault_is_told_once_all_before_it_is_sent() {
    let (mut source, mut pending) = (source("[1,2,{]"), Pending::default());
    let Next::Call(call) = pending.next(&mut source, WIDE, clock::now()).unwrap() else { panic!("no call") };
    assert_eq!((numbers(&call), call.body()), (vec![1, 2], b"1\n2\n".to_vec()));
    pending.give_back(call);
    let small = Limits { jobs: 1, ..WIDE };
    for number in [1, 2] {
        let Next::Call(call) = pending.next(&mut source, small, clock::now()).unwrap() else {
            panic!("no call")
        };
        assert_eq!(numbers(&call), [number]);
    }
    assert!(matches!(pending.next(&mut source, WIDE, clock::now()), Err(Error::Broken { .. })));
}

#[test]
fn a_lost_call_is_not_overtaken_by_what_is_newer() {
    let (mut source, mut pending) = (source(&lines(&["a", "b", "a", "c"])), Pending::default());
    let now = clock::now();
    let Next::Call(call) = pending.next(&mut source, WIDE, now).unwrap() else { panic!("no call") };
    assert_eq!(numbers(&call), [1, 2]);
    pending.lost(&call, now);
    pending.give_back(call);
    // The same jobs may go again at once: they say the same.
    let Next::Call(again) = pending.next(&mut source, WIDE, now).unwrap() else { panic!("no call") };
    assert_eq!(numbers(&again), [1, 2]);
    let soon = now + Duration::from_secs(1);
    let Next::Wait(left) = pending.next(&mut source, WIDE, soon).unwrap() else { panic!("no wait") };
    assert_eq!(left, Duration::from_secs(30));
    let Next::Call(newer) = pending.next(&mut source, WIDE, soon + left).unwrap() else { panic!("no call") };
    assert_eq!(numbers(&newer), [3, 4]);
}
