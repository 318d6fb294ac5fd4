//! The list of rejected jobs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::command::{Source, ingest};
use crate::inputs::{job, jobs, lines};
use crate::mock::{Fate, Mock};

/// A job that the mock rejects.
fn wrong(number: usize) -> String {
    format!("{{\"external_id\":\"{number}\",\"wrong\":true}}")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The jobs of a list, each as one line.
fn told(list: &Path) -> Vec<String> {
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["job"].to_string();
    fs::read_to_string(list).unwrap().lines().map(line).collect()
}

#[tokio::test]
async fn rejected_jobs_can_be_corrected_and_sent_again() {
    let mock = Mock::start().await;
    let source = Source::new(lines(&[job(1), wrong(2), "{\"a".to_owned(), wrong(3)]));
    ingest(&source.path, &mock.url).run().await.is(1, [1, 0, 0, 3]);
    let list = source.beside("rejected.ndjson");
    assert_eq!(told(&list), [wrong(2), "\"{\\\"a\"".to_owned(), wrong(3)]);
    // No other user may read it, because the jobs may be confidential.
    assert_eq!(fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);

    let mended: Vec<_> =
        told(&list).iter().map(|job| job.replace("\"wrong\":true", "\"type\":\"a\"")).collect();
    let again = ingest("-".as_ref(), &mock.url).folder(source.path.parent().unwrap());
    let ended = again.piped(lines(&mended).as_bytes()).await;
    ended.is(1, [2, 0, 0, 1]);
    mock.has(&jobs(3));
}

#[tokio::test]
async fn pipes_in_one_folder_have_a_list_each() {
    let mock = Mock::start().await;
    let folder = tempfile::tempdir().unwrap();
    let piped = || ingest("-".as_ref(), &mock.url).folder(folder.path());
    let first = piped().piped(lines(&[wrong(1), job(2)]).as_bytes()).await;
    first.is(1, [1, 0, 0, 1]);
    assert_eq!(first.summary["rejected_file"], "jobledger-ingest.rejected.ndjson");
    piped().piped(job(3).as_bytes()).await.is(0, [1, 0, 0, 0]);
    let third = piped().piped(lines(&[wrong(4), wrong(5)]).as_bytes()).await;
    assert_eq!(third.summary["rejected_file"], "jobledger-ingest.2.rejected.ndjson");
    assert_eq!(
        names(folder.path()),
        ["jobledger-ingest.2.rejected.ndjson", "jobledger-ingest.rejected.ndjson"]
    );
    let told = |name: &str| told(&folder.path().join(name));
    assert_eq!(told("jobledger-ingest.rejected.ndjson"), [wrong(1)]);
    assert_eq!(told("jobledger-ingest.2.rejected.ndjson"), [wrong(4), wrong(5)]);
}

#[tokio::test]
async fn pipes_at_the_same_time_have_a_list_each() {
    let mock = Mock::scripted(|_| Fate::Held).await;
    let folder = tempfile::tempdir().unwrap();
    let (mock, folder) = (&mock, &folder);
    let piped = |number| {
        let text = lines(&[wrong(number), wrong(number + 10)]);
        async move {
            let command = ingest("-".as_ref(), &mock.url).folder(folder.path());
            command.with(&["--batch", "1"]).piped(text.as_bytes()).await.is(1, [0, 0, 0, 2]);
        }
    };
    let release = async {
        mock.calls(3).await;
        mock.release();
    };
    tokio::join!(piped(1), piped(2), piped(3), release);
    let names = names(folder.path());
    assert_eq!(names.len(), 3);
    let mut lists: Vec<_> = names.iter().map(|name| told(&folder.path().join(name))).collect();
    lists.sort();
    assert_eq!(lists, [1, 2, 3].map(|number| [wrong(number), wrong(number + 10)]));
}

#[tokio::test]
async fn a_list_is_emptied_only_by_whom_it_is_of() {
    let mock = Mock::start().await;
    let (first, second) = (Source::new(wrong(1)), Source::new(lines(&[wrong(2), job(3)])));
    let list = first.beside("rejected.ndjson");
    let arguments = ["--rejected", list.to_str().unwrap()];
    ingest(&first.path, &mock.url).run().await.is(1, [0, 0, 0, 1]);
    // Another source, without a state: it adds its lines to the list; and again, after its own lines.
    ingest(&second.path, &mock.url).with(&arguments).run().await.is(1, [1, 0, 0, 1]);
    second.write(lines(&[wrong(2), job(3), wrong(4)]));
    ingest(&second.path, &mock.url).with(&arguments).run().await.is(1, [1, 0, 0, 2]);
    let piped = ingest("-".as_ref(), &mock.url).with(&arguments);
    piped.piped(wrong(5).as_bytes()).await.is(1, [0, 0, 0, 1]);
    assert_eq!(told(&list), [wrong(1), wrong(2), wrong(4), wrong(5)]);
    // The lines of other runs stay.
    first.write(lines(&[wrong(1), wrong(6)]));
    ingest(&first.path, &mock.url).run().await.is(1, [0, 0, 0, 2]);
    assert_eq!(told(&list), [1, 2, 4, 5, 6].map(wrong));
    // Its state is lost, so its rejected jobs are listed once more.
    fs::remove_file(first.beside("jobledger-ingest.json")).unwrap();
    ingest(&first.path, &mock.url).run().await.is(1, [0, 0, 0, 2]);
    assert_eq!(told(&list), [1, 2, 4, 5, 6, 1, 6].map(wrong));
    ingest(&first.path, &mock.url).with(&["--restart"]).run().await.is(1, [0, 0, 0, 2]);
    assert_eq!(told(&list), [1, 6].map(wrong));
}

#[tokio::test]
async fn two_runs_do_not_write_one_list() {
    let mock = Mock::start().await;
    let (first, second) = (Source::new(lines(&[wrong(1), job(3)])), Source::new(wrong(2)));
    let list = first.beside("rejected.ndjson");
    let start = || ingest(&first.path, &mock.url).with(&["--batch", "1"]);
    mock.script(|call| if call.place == 0 { Fate::In } else { Fate::Held });
    let running = start().start();
    mock.calls(2).await;
    let arguments = ["--rejected", list.to_str().unwrap()];
    let refused = ingest(&second.path, &mock.url).with(&arguments).run().await;
    refused.says(2, &["another run", "--rejected"]);
    assert_eq!((mock.sizes().len(), told(&list)), (2, vec![wrong(1)]));
    mock.release();
    running.ended().await.is(1, [1, 0, 0, 1]);
}
