//! A user ends the command.

use crate::command::{Source, ingest};
use crate::inputs::{jobs, lines};
use crate::mock::{Fate, Mock};

#[tokio::test]
async fn the_first_signal_ends_the_run_after_the_current_call() {
    for signal in ["-INT", "-TERM"] {
        let mock = Mock::scripted(|_| Fate::Held).await;
        let source = Source::new(lines(&jobs(4)));
        let running = ingest(&source.path, &mock.url).with(&["--batch", "2"]).start();
        mock.calls(1).await;
        running.signal(signal).await;
        running.says("ending after the call under way").await;
        mock.release();
        let ended = running.ended().await;
        ended.is(3, [2, 0, 0, 0]);
        ended.says(3, &["interrupted", "same command again"]);
        assert_eq!((mock.sizes().len(), source.confirmed()), (1, 2));
        ingest(&source.path, &mock.url).run().await.is(0, [4, 0, 0, 0]);
        mock.has(&jobs(4));
    }
}

#[tokio::test]
async fn the_second_signal_ends_the_run_at_once() {
    let mock = Mock::scripted(|_| Fate::Held).await;
    let source = Source::new(lines(&jobs(4)));
    let running = ingest(&source.path, &mock.url).start();
    mock.calls(1).await;
    running.signal("-INT").await;
    running.says("once more ends at once").await;
    running.signal("-INT").await;
    assert_eq!(running.ended().await.code, Some(3));
    assert_eq!(source.confirmed(), 0);
}

#[tokio::test]
async fn a_signal_ends_the_wait_for_a_retry() {
    let mock = Mock::scripted(|_| Fate::Refused(503, Some(250), serde_json::Value::Null)).await;
    let source = Source::new(lines(&jobs(4)));
    let running = ingest(&source.path, &mock.url).start();
    running.says("try 2 of 10").await;
    running.signal("-INT").await;
    assert_eq!(running.ended().await.code, Some(3));
    assert_eq!(mock.sizes().len(), 1);
}
