//! Time of a run: the runtime's own, paused, so that it passes only where nothing else is left to do.

use tokio::time::{Duration, sleep};

/// Lets so much time pass.
pub(super) async fn pass(millis: u64) {
    if millis > 0 {
        sleep(Duration::from_millis(millis)).await;
    }
}
