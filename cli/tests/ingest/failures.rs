//! A service that fails.

use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::command::{Source, ingest};
use crate::inputs::{job, jobs, lines};
use crate::mock::{Fate, Mock, refused};

#[tokio::test]
async fn whichever_call_fails_each_job_goes_in() {
    let jobs = jobs(12);
    for status in [408, 429, 500, 502, 503, 504] {
        // It fails every other call.
        let mock =
            Mock::scripted(move |call| if call.place % 2 == 0 { refused(status) } else { Fate::In }).await;
        let source = Source::new(lines(&jobs));
        let ended = ingest(&source.path, &mock.url).with(&["--batch", "4", "--tries", "2"]).run().await;
        ended.is(0, [12, 0, 0, 0]);
        ended.says(0, &[&format!("answered {status}: No: not today; try 2 of 2")]);
        mock.has(&jobs);
    }
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_sent_again() {
    let jobs = jobs(9);
    for lost in 0..3 {
        let mock =
            Mock::scripted(move |call| if call.place == lost { Fate::InUnheard } else { Fate::In }).await;
        let source = Source::new(lines(&jobs));
        let ended = ingest(&source.path, &mock.url).with(&["--batch", "3"]).run().await;
        ended.says(0, &["try 2 of 10"]);
        let [created, updated, unchanged, rejected] = ended.counts();
        assert_eq!((created + unchanged, updated, rejected), (9, 0, 0));
        assert_eq!(unchanged, 3);
        mock.has(&jobs);
    }
}

#[tokio::test]
async fn a_call_that_timed_out_is_sent_again_in_smaller_calls() {
    let jobs = jobs(18);
    let mock = Mock::scripted(|call| if call.place == 0 { Fate::Held } else { Fate::In }).await;
    let source = Source::new(lines(&jobs));
    let ended = ingest(&source.path, &mock.url).with(&["--batch", "4", "--timeout", "1"]).run().await;
    ended.says(0, &["no answer within 1s"]);
    let [created, updated, unchanged, rejected] = ended.counts();
    assert_eq!((created + unchanged, updated, rejected), (18, 0, 0));
    // Accepted calls make the next ones grow, up to the given limit.
    assert_eq!(mock.sizes(), [4, 2, 3, 4, 4, 4, 1]);
    mock.has(&jobs);
}

#[tokio::test]
async fn a_store_that_is_slow_gets_smaller_calls_until_all_is_in() {
    let jobs = jobs(1_000);
    // At worst, each call ingests one job in its time.
    for most in [1, 20] {
        let mock = Mock::scripted(move |_| Fate::Part(most)).await;
        let source = Source::new(lines(&jobs[..50 * most]));
        let ended = ingest(&source.path, &mock.url).run().await;
        ended.says(0, &["503"]);
        let [created, updated, unchanged, rejected] = ended.counts();
        assert_eq!((created + unchanged, updated, rejected), (mock.seen().jobs.len() as u64, 0, 0));
        assert_eq!(ended.summary["sent_again"], ended.errors.matches("; try ").count());
        mock.has(&jobs[..50 * most]);
    }
}

#[tokio::test]
async fn calls_shrink_while_each_retry_ingests_a_job() {
    let mock = Mock::scripted(|_| Fate::Part(1)).await;
    let source = Source::new(lines(&jobs(1_000)));
    let running = ingest(&source.path, &mock.url).start();
    mock.calls(10).await;
    let sizes = mock.sizes();
    assert_eq!(sizes[..8], [1_000, 500, 250, 125, 62, 31, 15, 7], "{sizes:?}");
    drop(running);
    assert!(source.confirmed() > 0);
}

#[tokio::test]
async fn the_service_says_when_to_come_back() {
    for status in [429, 503] {
        let away = move || Fate::Refused(status, Some(1), json!({ "message": "slow down" }));
        let mock = Mock::scripted(move |call| if call.place == 0 { away() } else { Fate::In }).await;
        let source = Source::new(job(1));
        let started = Instant::now();
        ingest(&source.path, &mock.url).run().await.is(0, [1, 0, 0, 0]);
        assert!(started.elapsed() >= Duration::from_secs(1));
    }
}

#[tokio::test]
async fn the_command_gives_up_after_its_retries_and_resumes_later() {
    let jobs = jobs(6);
    let mock =
        Mock::scripted(|call| if call.place == 1 || call.place > 2 { refused(503) } else { Fate::In }).await;
    let source = Source::new(lines(&jobs));
    let ended = ingest(&source.path, &mock.url).with(&["--batch", "2", "--tries", "3"]).run().await;
    // Tries are counted in a row.
    ended.says(3, &["503", "last of 3 tries", "same command again"]);
    assert_eq!((ended.summary["finished"].as_bool(), source.confirmed()), (Some(false), 3));
    assert_eq!(
        source.state()["under_way"],
        true,
        "a gateway's word does not tell that its function has ended"
    );
    mock.script(|_| Fate::In);
    ingest(&source.path, &mock.url).with(&["--batch", "2"]).run().await.is(0, [6, 0, 0, 0]);
    mock.has(&jobs);
}

#[tokio::test]
async fn an_unreachable_service_is_reported_in_plain_words() {
    // A port that no process uses.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let source = Source::new(job(1));
    let ended = ingest(&source.path, &url).with(&["--tries", "2"]).run().await;
    ended.says(3, &["cannot be reached", "same command again"]);
}

#[tokio::test]
async fn an_error_that_no_retry_can_fix_ends_the_run_at_once() {
    for status in [400, 401, 403, 404, 409, 422] {
        let mock = Mock::scripted(move |call| if call.place == 1 { refused(status) } else { Fate::In }).await;
        let source = Source::new(lines(&jobs(3)));
        let ended = ingest(&source.path, &mock.url).with(&["--batch", "1"]).run().await;
        ended.says(2, &[&format!("{status}: No: not today")]);
        assert_eq!((mock.sizes().len(), source.confirmed()), (2, 1));
        // Once the file is mended, the command goes on.
        ingest(&source.path, &mock.url).run().await.is(0, [3, 0, 0, 0]);
    }
}

#[tokio::test]
async fn an_answer_of_another_service_is_not_accepted() {
    let wrong = [json!("hello"), json!({ "created": 2, "updated": 0, "unchanged": 0, "rejected": [] })];
    for body in wrong {
        let mock = Mock::scripted(move |_| Fate::Refused(200, None, body.clone())).await;
        let source = Source::new(job(1));
        ingest(&source.path, &mock.url).run().await.says(2, &["is no jobledger"]);
        assert_eq!(source.confirmed(), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_too_large_is_halved() {
    let jobs = jobs(100);
    let limit = lines(&jobs).len() / 5;
    let mock = Mock::scripted(move |call| if call.bytes > limit { refused(413) } else { Fate::In }).await;
    let source = Source::new(lines(&jobs));
    ingest(&source.path, &mock.url).run().await.is(0, [100, 0, 0, 0]);
    mock.has(&jobs);
    // The command remembers the limit that it learnt.
    let refused = mock.seen().calls.iter().filter(|call| call.bytes > limit).count();
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn a_job_that_is_too_large_by_itself_is_passed_over() {
    let large = format!("{{\"external_id\":\"large\",\"name\":\"{}\"}}", "x".repeat(1_000));
    let mock = Mock::scripted(|call| if call.bytes > 500 { refused(413) } else { Fate::In }).await;
    let source = Source::new(lines(&[job(1), large, job(2)]));
    ingest(&source.path, &mock.url).run().await.is(1, [2, 0, 0, 1]);
    assert_eq!(source.rejected(), [(2, vec!["line".to_owned()])]);
    mock.has(&jobs(2));
}

#[tokio::test]
async fn where_packed_calls_are_not_taken_they_are_sent_as_they_are() {
    let is_packed = |call: &crate::mock::Call| call.headers.contains_key("content-encoding");
    let mock = Mock::scripted(move |call| if is_packed(call) { refused(415) } else { Fate::In }).await;
    let source = Source::new(lines(&jobs(4)));
    ingest(&source.path, &mock.url).with(&["--batch", "2"]).run().await.is(0, [4, 0, 0, 0]);
    assert_eq!(mock.sizes(), [2, 2, 2]);
    let mock = Mock::scripted(|_| refused(415)).await;
    ingest(&Source::new(job(1)).path, &mock.url).run().await.says(2, &["415"]);
    assert_eq!(mock.sizes(), [1, 1]);
}
