//! Telling every task of the stack that it is over.

use tokio::sync::watch;

/// The one who says so. Dropped, it says so too.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

/// One who is told.
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
    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is over.
    pub(crate) async fn over(&mut self) {
        // An error says that nobody is left to say it.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
