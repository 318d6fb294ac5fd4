//! The connections of the gateway. A client that does not send the whole head of a request in time loses its connection:
//! else half-sent heads would keep connections, and with them file handles, for ever.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::stop::Stopped;

/// How long a client may take for the head of a request, as for a body. A connection that waits for its next request ends
/// after the same time.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted, such as for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until it is told to stop; then it ends the requests under way.
pub(super) async fn serve<H, F>(listener: TcpListener, mut stopped: Stopped, handle: H)
where
    H: Fn(SocketAddr, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped.over() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let handle = handle.clone();
                let connection = connection(stream, move |request| handle(peer, request));
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Nobody is accepted any more, also none of those who wait.
    drop(listener);
    graceful.shutdown().await;
}

/// Answers the requests of one connection.
fn connection<S, H, F>(
    stream: S,
    handle: H,
) -> http1::Connection<
    TokioIo<S>,
    impl hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send>,
>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request) -> F + Send,
    F: Future<Output = Response> + Send,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = handle(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    /// How long such a connection lasts, and what its client reads.
    async fn lasts(sent: &str) -> (Duration, String) {
        let (mut client, server) = tokio::io::duplex(10_000);
        let serving = connection(server, |_| async { Response::new(Body::from("answered")) });
        let began = Instant::now();
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut read = String::new();
        let (_, ended) = tokio::join!(serving, client.read_to_string(&mut read));
        ended.unwrap();
        (began.elapsed(), read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_stays_half_sent_ends_its_connection() {
        for half in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
            let (time, read) = lasts(half).await;
            assert!((HEAD_MAX..HEAD_MAX + Duration::from_secs(1)).contains(&time), "{half:?}: {time:?}");
            assert!(!read.contains("answered"), "{half:?}: {read}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_anew_with_each_request() {
        let (time, read) = lasts("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n").await;
        assert!((HEAD_MAX..HEAD_MAX + Duration::from_secs(1)).contains(&time), "{time:?}");
        assert_eq!(read.matches("answered").count(), 1, "{read}");
    }
}
