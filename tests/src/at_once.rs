//! Runs many cases at the same time, a few at a time: cases that wait, for a retry say, wait together.

use futures_util::stream::{self, StreamExt as _};

/// Cases that run at the same time.
const AT_ONCE: usize = 16;

/// Runs each case. If one fails, the test fails.
pub async fn each_of<T, F: Future<Output = ()>>(cases: impl IntoIterator<Item = T>, run: impl FnMut(T) -> F) {
    stream::iter(cases).for_each_concurrent(AT_ONCE, run).await;
}
