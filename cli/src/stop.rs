//! Ctrl-C and SIGTERM.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::error::INTERRUPTED;

/// Whether the user wants the command to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens from now on. The first signal asks the run to end. The second one ends the process at once, which loses
    /// only the answer of the present call.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (asked, is_asked) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            asked.send_replace(true);
            eprintln!("\nending after the call under way; once more ends at once");
            either(&mut interrupt, &mut terminate).await;
            std::process::exit(i32::from(INTERRUPTED));
        });
        Ok(Self(is_asked))
    }

    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits this long, or until a signal comes.
    pub(crate) async fn wait(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            // The sender lives as long as the process listens.
            _ = self.0.wait_for(|asked| *asked) => {}
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
