//! The forms that a file may have.

use crate::command::{Source, ingest};
use crate::mock::Mock;

pub(crate) fn job(number: usize) -> String {
    format!("{{\"external_id\":\"{number}\",\"type\":\"a\"}}")
}

pub(crate) fn jobs(count: usize) -> Vec<String> {
    (1..=count).map(job).collect()
}

pub(crate) fn lines(jobs: &[String]) -> String {
    jobs.iter().flat_map(|job| [job, "\n"]).collect()
}

/// Longest job that is held, as the command's documentation says.
const MAX_JOB_BYTES: usize = 1024 * 1024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    jobledger_client::gzip(bytes).unwrap()
}

#[tokio::test]
async fn lines_and_arrays_plain_or_packed_with_or_without_a_mark_are_the_same() {
    let jobs = jobs(5);
    let plain = lines(&jobs);
    let array = format!("\n[\n  {}\n]\n", jobs.join(",\n  "));
    for text in [plain.clone(), array, plain.replace('\n', "\r\n\r\n"), plain.trim_end().to_owned()] {
        for text in [text.clone(), format!("\u{feff}{text}")] {
            for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
                let mock = Mock::start().await;
                let source = Source::new(bytes);
                ingest(&source.path, &mock.url).with(&["--batch", "2"]).run().await.is(0, [5, 0, 0, 0]);
                mock.has(&jobs);
                assert_eq!((mock.sizes(), source.confirmed()), (vec![2, 2, 1], 5), "{text}");
                assert!(!source.beside("rejected.ndjson").exists());
            }
        }
    }
}

#[tokio::test]
async fn a_call_is_packed_and_says_who_sends_it_for_whom() {
    let mock = Mock::start().await;
    let source = Source::new(job(1));
    ingest(&source.path, &mock.url).with(&["--owner", "acme:eu"]).run().await.is(0, [1, 0, 0, 0]);
    let call = mock.seen().calls[0].clone();
    assert_eq!(call.uri, "POST /v1/admin/ingest/jobs?owner=acme:eu");
    assert_eq!(call.headers["content-encoding"], "gzip");
    assert_eq!(call.headers["authorization"], format!("Bearer {}", crate::command::KEY));
    assert!(call.headers["user-agent"].to_str().unwrap().starts_with("jobledger/"));
}

#[tokio::test]
async fn of_several_lines_about_one_job_the_last_one_wins() {
    let mock = Mock::start().await;
    let again = "{\"external_id\":\"1\",\"type\":\"b\"}".to_owned();
    let last = "{\"type\":\"c\",\"external_id\":\"\\u0031\"}".to_owned();
    let all = [job(1), job(2), again.clone(), job(3), last.clone(), job(2)];
    let source = Source::new(lines(&all));
    let ended = ingest(&source.path, &mock.url).run().await;
    ended.is(0, [3, 0, 0, 0]);
    assert_eq!((&ended.summary["jobs"], &ended.summary["superseded"]), (&6.into(), &3.into()));
    assert_eq!((mock.sizes(), source.confirmed()), (vec![3], 6));
    mock.has(&[job(2), job(3), last.clone()]);
    // In another call, it is sent.
    let ended = ingest(&source.path, &mock.url).with(&["--restart", "--batch", "2"]).run().await;
    ended.is(0, [0, 2, 3, 0]);
    assert_eq!((&ended.summary["superseded"], &mock.sizes()[1..]), (&1.into(), &[2, 2, 1][..]));
    assert_eq!(mock.seen().jobs["1"], [last.clone(), again, last]);
}

#[tokio::test]
async fn an_event_log_goes_in_with_as_many_calls_as_it_has_jobs() {
    let mock = Mock::start().await;
    let events =
        |number| (0..3).map(move |event| format!("{{\"external_id\":\"{number}\",\"type\":\"{event}\"}}"));
    let all: Vec<_> = (0..1_000).flat_map(events).collect();
    let ended = ingest(&Source::new(lines(&all)).path, &mock.url).run().await;
    ended.is(0, [1_000, 0, 0, 0]);
    assert_eq!((&ended.summary["superseded"], mock.sizes()), (&2_000.into(), vec![1_000]));
    mock.has(&all.into_iter().skip(2).step_by(3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wrong_line_does_not_keep_out_the_one_that_it_supersedes() {
    let mock = Mock::start().await;
    // Only the service can see that these jobs are wrong.
    let wrong = |number: usize| format!("{{\"external_id\":\"{number}\",\"wrong\":true}}");
    let source = Source::new(lines(&[job(1), job(2), wrong(1), job(3), wrong(2), wrong(3), job(3)]));
    let ended = ingest(&source.path, &mock.url).run().await;
    ended.is(1, [3, 0, 0, 2]);
    assert_eq!((&ended.summary["superseded"], &ended.summary["jobs"]), (&2.into(), &7.into()));
    let lines: Vec<_> = source.rejected().into_iter().map(|(line, _)| line).collect();
    assert_eq!((lines, mock.sizes()), (vec![3, 5], vec![3, 2]));
    mock.has(&jobs(3));
}

#[tokio::test]
async fn a_broken_line_does_not_reject_the_others() {
    let mock = Mock::start().await;
    let long = format!("{{\"external_id\":\"long\",\"payload\":\"{}\"}}", "x".repeat(MAX_JOB_BYTES));
    let source = Source::new(format!("{}\n\n{{broken\n{}\n{long}\n{}\n[]\n", job(1), job(2), job(3)));
    let ended = ingest(&source.path, &mock.url).with(&["--batch", "4"]).run().await;
    ended.is(1, [3, 0, 0, 3]);
    assert_eq!(ended.summary["rejected_file"], source.beside("rejected.ndjson").to_str().unwrap());
    mock.has(&jobs(3));
    let line = || vec!["line".to_owned()];
    assert_eq!(source.rejected(), [(3, line()), (5, line()), (7, line())]);
    // These jobs are confirmed: another run does not read them again.
    ingest(&source.path, &mock.url).run().await.is(1, [3, 0, 0, 3]);
    assert_eq!((source.rejected().len(), mock.sizes().len()), (3, 2));
}

#[tokio::test]
async fn a_broken_array_gives_what_is_before_and_goes_on_when_it_is_mended() {
    let mock = Mock::start().await;
    let source = Source::new(format!("[{},{},{{\"a\":[}}", job(1), job(2)));
    let ended = ingest(&source.path, &mock.url).run().await;
    ended.is(2, [2, 0, 0, 0]);
    ended.says(2, &["element 3", "Mend the file"]);
    source.write(format!("[{},{},\n{}]", job(1), job(2), job(3)));
    ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
    assert_eq!(mock.sizes(), [2, 1]);
}

#[tokio::test]
async fn standard_input_is_read_once() {
    let mock = Mock::start().await;
    let folder = tempfile::tempdir().unwrap();
    let input = format!("{}\n{{", job(1));
    let command = ingest("-".as_ref(), &mock.url).folder(folder.path());
    command.piped(input.as_bytes()).await.is(1, [1, 0, 0, 1]);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["jobledger-ingest.rejected.ndjson"]);
}

#[tokio::test]
async fn a_file_without_jobs_is_sent_at_once() {
    let mock = Mock::start().await;
    for text in ["", "\n", "[]", "\u{feff}"] {
        ingest(&Source::new(text).path, &mock.url).run().await.is(0, [0; 4]);
    }
    assert!(mock.sizes().is_empty());
}

#[tokio::test]
async fn an_unreadable_file_is_reported_before_any_call() {
    let mock = Mock::start().await;
    let source = Source::new("\u{1}");
    let folder = source.path.parent().unwrap();
    ingest(&folder.join("none"), &mock.url).run().await.says(2, &["cannot open", "none", "No such file"]);
    ingest(folder, &mock.url).run().await.says(2, &["pipe"]);
    source.write(b"\xff\xfe[\0");
    ingest(&source.path, &mock.url).run().await.says(2, &["UTF-16", "iconv"]);
    source.write(b"PK\x03\x04");
    ingest(&source.path, &mock.url).run().await.says(2, &["ZIP"]);
    source.write("{\n  \"external_id\": \"1\"\n}\n");
    ingest(&source.path, &mock.url).run().await.says(2, &["several lines a job", "jq -c"]);
    let packed = gzip(lines(&jobs(50)).as_bytes());
    source.write(&packed[..packed.len() / 2]);
    ingest(&source.path, &mock.url).with(&["--batch", "1"]).run().await.says(2, &["cannot read on in"]);
    assert!(mock.sizes().len() < 50);
    source.write(job(1));
    for (arguments, words) in [
        (&["--url", "ftp://h"][..], "address must be"),
        (&["--key-file", "/nowhere"], "/nowhere"),
        (&["--state", "/nowhere/state"], "/nowhere/state"),
        (&["--rejected", source.path.to_str().unwrap()], "three files"),
    ] {
        ingest(&source.path, &mock.url).with(arguments).run().await.says(2, &[words]);
    }
    assert_eq!(std::fs::read_to_string(&source.path).unwrap(), job(1));
    ingest(&source.path, &mock.url).key("").run().await.says(2, &["JOBLEDGER_KEY", "--key-file"]);
}

#[tokio::test]
async fn a_file_that_is_no_list_of_rejected_jobs_is_left_alone() {
    let mock = Mock::start().await;
    let (source, other) = (Source::new("{\n"), Source::new("important"));
    let other_path = other.path.to_str().unwrap();
    ingest(&source.path, &mock.url).with(&["--rejected", other_path]).run().await.says(2, &["--rejected"]);
    assert_eq!(std::fs::read_to_string(&other.path).unwrap(), "important");
    assert!(mock.sizes().is_empty());
}

#[tokio::test]
async fn a_key_may_come_from_a_file() {
    let mock = Mock::start().await;
    let (source, key) = (Source::new(job(1)), Source::new("of-the-file\n"));
    let arguments = ["--key-file", key.path.to_str().unwrap()];
    ingest(&source.path, &mock.url).with(&arguments).run().await.is(0, [1, 0, 0, 0]);
    assert_eq!(mock.seen().calls[0].headers["authorization"], "Bearer of-the-file");
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_writes_nothing() {
    let source = Source::new(format!("{}\n{{\"external_id\":7}}\nsecret\n{}", job(1), job(2)));
    let ended = ingest(&source.path, "").with(&["--dry-run"]).key("").run().await;
    assert_eq!((ended.code, &ended.summary["jobs"]), (Some(1), &4.into()), "{ended:?}");
    ended.says(1, &["line 2: has no external_id", "line 3: is no JSON"]);
    assert!(!ended.errors.contains("secret"));
    assert_eq!(std::fs::read_dir(source.path.parent().unwrap()).unwrap().count(), 1);
}
