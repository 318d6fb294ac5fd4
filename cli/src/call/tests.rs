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

/// The numbers of the jobs that are sent.
fn numbers(call: &Call) -> Vec<u64> {
    let sent: Vec<_> = call.entries.iter().filter(|entry| entry.text().is_some()).collect();
    assert_eq!(sent.len(), call.sent);
    assert_eq!(call.body().len(), call.bytes);
    sent.iter().map(|entry| entry.job.number).collect()
}

/// The next call.
fn cut(pending: &mut Pending, source: &mut Source, limits: Limits, now: Instant) -> Call {
    match pending.next(source, limits, now).unwrap() {
        Next::Call(call) => call,
        other => panic!("no call: {other:?}"),
    }
}

/// The service's refusal of a line.
fn refused(line: usize) -> Refusal {
    Refusal { line, ..Refusal::of_one("no".to_owned()) }
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
fn a_call_ends_at_its_limits() {
    let text = lines(&["a", "b", "c", "a", "a", "d"]);
    assert_eq!(calls(&text, WIDE), [[1, 2, 3, 4, 5, 6]]);
    // A superseded line is no part of the sent text.
    let three = [vec![1, 2], vec![3, 4, 5], vec![6]];
    assert_eq!(calls(&text, Limits { jobs: 2, ..WIDE }), three);
    assert_eq!(calls(&text, Limits { bytes: line("a").len() * 2, ..WIDE }), three);
    // A limit below one job lets one through.
    assert_eq!(calls(&text, Limits { bytes: 1, ..WIDE }).len(), 6);
    // Lines about one job are held, too.
    let text = line("a").repeat(MAX_JOBS + 1);
    assert_eq!(calls(&text, WIDE).iter().map(Vec::len).collect::<Vec<_>>(), [MAX_JOBS, 1]);
}

#[test]
fn what_is_held_has_a_bound() {
    let long = format!("{}\n", "x".repeat(MAX_JOB_BYTES + 1));
    let held = MAX_BODY_BYTES / MAX_JOB_BYTES;
    assert_eq!(calls(&long.repeat(5), WIDE).iter().map(Vec::len).collect::<Vec<_>>(), [held, 1]);
}

#[test]
fn of_several_lines_about_one_job_a_call_sends_the_last() {
    let (mut source, mut pending) =
        (source(&lines(&["a", "b", "a", "\\u0061", "c", " b"])), Pending::default());
    let mut call = cut(&mut pending, &mut source, WIDE, clock::now());
    assert_eq!(numbers(&call), [4, 5, 6]);
    assert!(call.settle(Vec::new()));
    // Many jobs have no id that can be read.
    assert_eq!(calls("{\n{\n{}\n{}\n", WIDE), [[1, 2, 3, 4]]);
}

#[test]
fn what_a_refused_line_superseded_is_sent_after_all() {
    let text = lines(&["a", "b", "a", "c", "b", "a", "d"]);
    let (mut source, mut pending) = (source(&text), Pending::default());
    let now = clock::now();
    let six = Limits { jobs: 3, ..WIDE };
    let mut call = cut(&mut pending, &mut source, six, now);
    assert_eq!((call.entries.len(), numbers(&call)), (6, vec![4, 5, 6]));
    // The service accepts c, and refuses b and the last a.
    assert!(!call.settle(vec![refused(2), refused(3)]));
    pending.give_back(call);
    let mut call = cut(&mut pending, &mut source, six, now);
    // There is room for one more now. The first a is still superseded, by the second.
    assert_eq!((call.entries.len(), numbers(&call)), (7, vec![2, 3, 7]));
    assert!(!call.settle(vec![refused(2)]));
    pending.give_back(call);
    let mut call = cut(&mut pending, &mut source, six, now);
    assert_eq!(numbers(&call), [1]);
    assert!(call.settle(vec![refused(1)]));
}

#[test]
fn what_was_taken_is_not_overtaken_by_what_it_superseded() {
    let (mut source, mut pending) = (source(&lines(&["a", "b", "b", "a"])), Pending::default());
    let now = clock::now();
    let mut call = cut(&mut pending, &mut source, WIDE, now);
    assert_eq!(numbers(&call), [3, 4]);
    assert!(!call.settle(vec![refused(1)]));
    pending.give_back(call);
    // The file grows meanwhile.
    let content = Content::Whole(line("a").trim().as_bytes().to_vec());
    pending.jobs.push_back(Entry::new(Job { number: 5, content }));
    let mut call = cut(&mut pending, &mut source, WIDE, now);
    assert_eq!(numbers(&call), [2, 5]);
    assert!(call.settle(vec![refused(2)]), "the first a is older than the one that was taken");
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
    let two = Limits { jobs: 2, ..WIDE };
    let call = cut(&mut pending, &mut source, Limits { jobs: 1, ..WIDE }, now);
    assert_eq!(numbers(&call), [1]);
    pending.lost(&call, now);
    pending.give_back(call);
    // The same job may go again at once: it says the same.
    let again = cut(&mut pending, &mut source, two, now);
    assert_eq!(numbers(&again), [1, 2]);
    let soon = now + Duration::from_secs(1);
    let Next::Wait(left) = pending.next(&mut source, two, soon).unwrap() else { panic!("no wait") };
    assert_eq!(left, Duration::from_secs(30));
    assert!(pending.has_lost(soon) && !pending.has_lost(soon + left));
    assert_eq!(numbers(&cut(&mut pending, &mut source, two, soon + left)), [3, 4]);
}

#[test]
fn what_a_lost_call_superseded_stays_so() {
    let (mut source, mut pending) = (source(&lines(&["a", "b", "a"])), Pending::default());
    let now = clock::now();
    let call = cut(&mut pending, &mut source, WIDE, now);
    assert_eq!(numbers(&call), [2, 3]);
    pending.lost(&call, now);
    pending.give_back(call);
    // The service may have the newer line about a. The older one must not come after it, nor wait.
    let one = Limits { jobs: 1, ..WIDE };
    assert_eq!(numbers(&cut(&mut pending, &mut source, one, now)), [2]);
    assert_eq!(numbers(&cut(&mut pending, &mut source, one, now)), [3]);
}

#[test]
fn what_a_refused_line_superseded_waits_for_no_lost_call() {
    let (mut source, mut pending) = (source(&lines(&["a", "a"])), Pending::default());
    let now = clock::now();
    let call = cut(&mut pending, &mut source, WIDE, now);
    pending.lost(&call, now);
    pending.give_back(call);
    let mut again = cut(&mut pending, &mut source, WIDE, now);
    assert_eq!(numbers(&again), [2]);
    assert!(!again.settle(vec![refused(1)]));
    pending.give_back(again);
    assert_eq!(numbers(&cut(&mut pending, &mut source, WIDE, now)), [1]);
}

#[test]
fn after_a_kill_nobody_knows_which_line_about_a_job_is_under_way() {
    let (mut source, mut pending) = (source(&lines(&["a", "b", "c", "a"])), Pending::default());
    let now = clock::now();
    pending.lost_unknown(now);
    assert!(pending.has_lost(now));
    // The killed run may not have read the last line. The command sends no line about a before that run's call is over.
    let Next::Wait(left) = pending.next(&mut source, WIDE, now).unwrap() else { panic!("no wait") };
    assert_eq!(left, MAX_CALL_TIME);
    assert_eq!(numbers(&cut(&mut pending, &mut source, WIDE, now + left)), [2, 3, 4]);
    assert!(!pending.has_lost(now + left));
}

#[test]
fn after_a_kill_other_jobs_do_not_wait() {
    let (mut source, mut pending) = (source(&lines(&["a", "b", "c", "a"])), Pending::default());
    let now = clock::now();
    pending.lost_unknown(now);
    let two = Limits { jobs: 2, ..WIDE };
    assert_eq!(numbers(&cut(&mut pending, &mut source, two, now)), [1, 2]);
    assert_eq!(numbers(&cut(&mut pending, &mut source, two, now)), [3]);
    let Next::Wait(left) = pending.next(&mut source, two, now).unwrap() else { panic!("no wait") };
    assert_eq!(numbers(&cut(&mut pending, &mut source, two, now + left)), [4]);
}
