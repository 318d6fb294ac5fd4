//! Killed in the middle, and run again.

use serde_json::json;

use crate::command::{Source, ingest};
use crate::inputs::{job, jobs, lines};
use crate::mock::{Fate, Mock};

#[tokio::test]
async fn a_killed_run_resumes_after_the_last_confirmed_call() {
    let mut all = jobs(10);
    all[1] = "{broken".to_owned();
    all[6] = "{\"external_id\":7".to_owned();
    let good: Vec<_> = all.iter().filter(|job| job.ends_with('}')).cloned().collect();
    let source = Source::new(lines(&all));
    let mock = Mock::scripted(|_| Fate::Held).await;
    for killed in 0..5 {
        let start = mock.sizes().len();
        // The mock accepts one call, and the next one is in flight when the process dies.
        let goes_in = usize::from(killed > 0);
        mock.script(move |call| if call.place - start < goes_in { Fate::In } else { Fate::Held });
        let running = ingest(&source.path, &mock.url).with(&["--batch", "2"]).start();
        mock.calls(start + goes_in + 1).await;
        running.signal("-KILL").await;
        assert_eq!(running.ended().await.code, None);
        assert_eq!((source.confirmed(), &source.state()["under_way"]), (killed * 2, &true.into()));
    }
    mock.script(|_| Fate::In);
    let ended = ingest(&source.path, &mock.url).with(&["--batch", "2"]).run().await;
    ended.is(1, [8, 0, 0, 2]);
    assert_eq!(ended.summary["jobs_before"], 8);
    ended.says(1, &["going on after 8 jobs"]);
    mock.has(&good);
    assert_eq!(source.rejected().iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 7]);
}

#[tokio::test]
async fn a_job_that_comes_twice_waits_until_what_a_killed_run_sent_is_over() {
    let mock = Mock::scripted(|_| Fate::Held).await;
    let source = Source::new(lines(&jobs(2)));
    let killed = ingest(&source.path, &mock.url).start();
    mock.calls(1).await;
    killed.signal("-KILL").await;
    killed.ended().await;
    // The killed run's call with the first job may still run. It must not come after the new line.
    source.write(lines(&[job(1), job(2), job(3), "{\"external_id\":\"1\",\"type\":\"b\"}".to_owned()]));
    let running = ingest(&source.path, &mock.url).start();
    running.says("waiting 3").await;
    running.signal("-INT").await;
    let ended = running.ended().await;
    ended.says(3, &["interrupted"]);
    assert_eq!((mock.sizes(), &source.state()["under_way"]), (vec![2], &true.into()));
}

#[tokio::test]
async fn jobs_rejected_by_an_unconfirmed_call_are_reported_once() {
    let mock = Mock::start().await;
    let all = ["{".to_owned(), job(1), "[".to_owned()];
    let source = Source::new(lines(&all[..2]));
    ingest(&source.path, &mock.url).run().await.is(1, [1, 0, 0, 1]);
    let mut older = source.state();
    older["rejected_bytes"] = std::fs::metadata(source.beside("rejected.ndjson")).unwrap().len().into();
    source.write(lines(&all));
    ingest(&source.path, &mock.url).run().await.is(1, [1, 0, 0, 2]);
    // As if the process was killed between the two files: the rejected jobs are listed, and the state is older.
    std::fs::write(source.beside("jobledger-ingest.json"), older.to_string()).unwrap();
    ingest(&source.path, &mock.url).run().await.is(1, [1, 0, 0, 2]);
    assert_eq!(source.rejected().iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test]
async fn a_file_that_is_in_is_not_sent_again_unless_it_grew() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&jobs(3)));
    ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
    for _ in 0..2 {
        let ended = ingest(&source.path, &mock.url).run().await;
        ended.is(0, [3, 0, 0, 0]);
        assert_eq!((&ended.summary["calls"], &ended.summary["finished"]), (&0.into(), &true.into()));
        assert_eq!(source.state()["under_way"], false);
    }
    source.write(lines(&jobs(5)));
    ingest(&source.path, &mock.url).run().await.is(0, [5, 0, 0, 0]);
    assert_eq!(mock.sizes(), [3, 2]);
    mock.has(&jobs(5));
    ingest(&source.path, &mock.url).with(&["--restart"]).run().await.is(0, [0, 0, 5, 0]);
    assert_eq!(mock.sizes(), [3, 2, 5]);
}

#[tokio::test]
async fn a_line_that_is_still_being_written_goes_in_once_it_is_whole() {
    let mock = Mock::start().await;
    let whole = lines(&jobs(2));
    let source = Source::new(&whole[..whole.len() - 4]);
    for _ in 0..2 {
        let ended = ingest(&source.path, &mock.url).run().await;
        ended.is(1, [1, 0, 0, 1]);
        ended.says(1, &["still being written"]);
        assert_eq!(source.rejected(), [(2, vec!["line".to_owned()])]);
    }
    source.write(&whole);
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    assert!(source.rejected().is_empty());
    mock.has(&jobs(2));
}

#[tokio::test]
async fn a_file_that_changed_where_it_was_sent_is_refused() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&jobs(3)));
    ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
    let other = lines(&[job(1), job(9), job(3), job(4)]);
    for changed in [other.as_str(), &lines(&jobs(2)), ""] {
        source.write(changed);
        let ended = ingest(&source.path, &mock.url).run().await;
        ended.says(2, &["has changed", "first 3 jobs", "--restart"]);
    }
    assert_eq!(mock.sizes(), [3]);
    source.write(other);
    ingest(&source.path, &mock.url).with(&["--restart"]).run().await.is(0, [2, 0, 2, 0]);
}

#[tokio::test]
async fn blank_lines_and_packing_are_no_change() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&jobs(3)));
    ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
    source.write(format!("\u{feff}[{}]", jobs(4).join(" ,\n")));
    ingest(&source.path, &mock.url).run().await.is(0, [4, 0, 0, 0]);
    assert_eq!(mock.sizes(), [3, 1]);
}

#[tokio::test]
async fn a_file_sent_to_another_service_is_sent_again() {
    let (mock, other) = (Mock::start().await, Mock::start().await);
    let source = Source::new(lines(&jobs(2)));
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    ingest(&source.path, &other.url).run().await.says(2, &[&mock.url, "--restart"]);
    ingest(&source.path, &mock.url).with(&["--owner", "o"]).run().await.says(2, &["--restart"]);
    assert!(other.sizes().is_empty());
    ingest(&source.path, &other.url).with(&["--restart"]).run().await.is(0, [2, 0, 0, 0]);
}

#[tokio::test]
async fn a_service_that_was_emptied_is_noticed() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&jobs(2)));
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    mock.empty();
    source.write(lines(&jobs(3)));
    for _ in 0..2 {
        ingest(&source.path, &mock.url).run().await.says(2, &["first 2 jobs", "emptied", "--restart"]);
    }
    assert_eq!((mock.sizes(), source.confirmed()), (vec![2], 2));
    ingest(&source.path, &mock.url).with(&["--restart"]).run().await.is(0, [3, 0, 0, 0]);
    mock.has(&jobs(3));
    ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
}

#[tokio::test]
async fn a_key_that_may_not_send_any_more_is_noticed_although_nothing_is_to_be_sent() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&jobs(2)));
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    let problem = json!({ "title": "Not allowed", "code": "missing_scope" });
    mock.says_of_itself(403, problem);
    ingest(&source.path, &mock.url).run().await.says(2, &["403", "Not allowed"]);
    mock.says_of_itself(503, json!({ "title": "No" }));
    ingest(&source.path, &mock.url).with(&["--tries", "2"]).run().await.says(3, &["503", "last of 2 tries"]);
    mock.says_of_itself(200, json!("a page"));
    ingest(&source.path, &mock.url).run().await.says(2, &["no jobledger"]);
}

#[tokio::test]
async fn an_older_service_has_no_id_and_is_sent_to() {
    let mock = Mock::start().await;
    mock.says_of_itself(404, json!({ "message": "Not Found" }));
    let source = Source::new(lines(&jobs(2)));
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    assert!(source.state()["service"].is_null());
    // It is updated: what it has stays sent.
    mock.says_of_itself(200, json!({ "service_id": "first" }));
    ingest(&source.path, &mock.url).run().await.is(0, [2, 0, 0, 0]);
    assert_eq!((mock.sizes(), &source.state()["service"]), (vec![2], &"first".into()));
}

#[tokio::test]
async fn two_runs_do_not_send_one_file() {
    let mock = Mock::scripted(|_| Fate::Held).await;
    let source = Source::new(job(1));
    let first = ingest(&source.path, &mock.url).start();
    mock.calls(1).await;
    ingest(&source.path, &mock.url).run().await.says(2, &["another run"]);
    mock.release();
    first.ended().await.is(0, [1, 0, 0, 0]);
}
