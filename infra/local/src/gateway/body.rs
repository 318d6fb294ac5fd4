//! Request bodies, read with a limit.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;

/// The gateway reads on a refused body, so that its sender comes to read the answer; but at most this much.
const DISCARD_MAX_BYTES: usize = 64 * 1024 * 1024;
/// And at most for this long.
const DISCARD_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to send its body, as API Gateway limits it.
const READ_MAX: Duration = Duration::from_secs(30);

/// The reason why there is no body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unread {
    /// It is longer than the limit.
    TooLarge,
    /// The client did not send all of it.
    Broken,
}

/// Reads a whole body.
pub(super) async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Unread> {
    let read = async {
        let mut stream = body.into_data_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_cut| Unread::Broken)?;
            if bytes.len() + chunk.len() > max_bytes {
                drop(bytes);
                discard(Body::from_stream(stream)).await;
                return Err(Unread::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(bytes))
    };
    tokio::time::timeout(READ_MAX, read).await.unwrap_or(Err(Unread::Broken))
}

/// Reads a body and discards it. Else the connection would be reset under a client that is still sending, which then
/// never reads the answer.
pub(super) async fn discard(body: Body) {
    let drain = async {
        let mut stream = body.into_data_stream();
        let mut bytes = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            bytes += chunk.len();
            if bytes > DISCARD_MAX_BYTES {
                break;
            }
        }
    };
    // A body that is too slow is treated like one that is too long.
    let _ = tokio::time::timeout(DISCARD_MAX, drain).await;
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::{Unread, read};

    #[tokio::test]
    async fn the_limit_is_inclusive() {
        assert_eq!(read(Body::from("1234"), 4).await.unwrap(), "1234");
        assert_eq!(read(Body::from("12345"), 4).await, Err(Unread::TooLarge));
        assert_eq!(read(Body::empty(), 0).await.unwrap(), "");
    }
}
