//! Handlers, with any types of their own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::{Outcome, Task, TaskError};

/// The result that a handler's future ends with.
pub(crate) type Handled = Result<Outcome, TaskError>;
/// A handler.
pub(crate) type Handler = Arc<dyn Fn(Task) -> Pin<Box<dyn Future<Output = Handled> + Send>> + Send + Sync>;

pub(crate) fn handler<F, Fut, T>(run: F) -> Handler
where
    F: Fn(Task) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
    T: Into<Outcome>,
{
    let run = Arc::new(run);
    Arc::new(move |task| {
        let run = run.clone();
        // The call itself is in the future, too: a panic in it is one of the try.
        Box::pin(async move { run(task).await.map(Into::into) })
    })
}

/// A handler at work, as a task of its own. Dropping this drops it, so that nothing goes on unseen.
pub(crate) struct Running(JoinHandle<Handled>);

impl Running {
    pub(crate) fn start(handler: &Handler, task: Task) -> Self {
        Self(tokio::spawn(handler(task)))
    }

    /// Drops the handler's future, as soon as it next waits for something.
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl Future for Running {
    /// A panic is an error as any other, by its message.
    type Output = Handled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Handled> {
        Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(handled) => handled,
            Err(error) => Err(match error.try_into_panic() {
                Ok(panic) => {
                    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                    let text = text.unwrap_or_else(|| "without a message".to_owned());
                    TaskError::new(format!("the handler panicked: {text}")).code("panic")
                }
                Err(_) => TaskError::new("the handler was dropped before it ended").code("dropped"),
            }),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
