//! Telling every task of the stack to stop.

use tokio::sync::watch;

/// The sender of the signal to stop. If it is dropped, that is the signal, too.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

/// A receiver of the signal to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stopped(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn new() -> (Self, Stopped) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stopped(receiver))
    }

    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Whether the stack stops.
    pub(crate) fn is_over(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the stack stops.
    pub(crate) async fn over(&mut self) {
        // An error means that the sender is gone, so the stack stops.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
