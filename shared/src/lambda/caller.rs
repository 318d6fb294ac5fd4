//! Whether the caller of an event is still there, where that can be known. AWS does not tell; the local stack does.

use std::future::Future;

use tokio::sync::watch;

tokio::task_local! {
    /// Closed once the caller has left.
    static CALLER: watch::Receiver<()>;
}

/// Runs a call for a caller that is there as long as the other end of this channel is.
pub async fn for_caller<T>(caller: watch::Receiver<()>, call: impl Future<Output = T>) -> T {
    CALLER.scope(caller, call).await
}

/// The same call, for another task, for the caller of this task.
pub fn for_same_caller<T>(call: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = CALLER.try_with(Clone::clone).ok();
    async move {
        match caller {
            Some(caller) => for_caller(caller, call).await,
            None => call.await,
        }
    }
}

/// Waits until the caller has left; for ever, if nobody can know.
pub async fn caller_left() {
    match CALLER.try_with(Clone::clone) {
        Ok(mut caller) => while caller.changed().await.is_ok() {},
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_caller_is_there_until_its_channel_closes() {
        assert!(caller_left().now_or_never().is_none(), "nobody knows");
        let (here, caller) = watch::channel(());
        assert!(for_caller(caller.clone(), caller_left()).now_or_never().is_none());
        let mut handed_on = None;
        let hand_on = async { handed_on = Some(Box::pin(for_same_caller(caller_left()))) };
        assert!(for_caller(caller.clone(), hand_on).now_or_never().is_some());
        let mut elsewhere = handed_on.expect("a call");
        assert!(elsewhere.as_mut().now_or_never().is_none());
        drop(here);
        assert!(elsewhere.now_or_never().is_some());
        assert!(for_caller(caller, caller_left()).now_or_never().is_some());
    }
}
