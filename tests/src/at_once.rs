//! Running many cases at the same time, [`AT_ONCE`] at a time: cases that wait, for a retry say, wait together.

use std::pin::Pin;
use std::task::Poll;

/// Cases that run at the same time.
const AT_ONCE: usize = 16;

/// Runs each case. If one fails, the test fails.
pub async fn each_of<T, F: Future<Output = ()>>(cases: impl IntoIterator<Item = T>, run: impl FnMut(T) -> F) {
    let mut cases = cases.into_iter().map(run);
    let mut running: Vec<Pin<Box<F>>> = cases.by_ref().take(AT_ONCE).map(Box::pin).collect();
    std::future::poll_fn(move |context| {
        let mut place = 0;
        while let Some(case) = running.get_mut(place) {
            if case.as_mut().poll(context).is_pending() {
                place += 1;
            } else if let Some(next) = cases.next() {
                running[place] = Box::pin(next);
            } else {
                drop(running.swap_remove(place));
            }
        }
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
