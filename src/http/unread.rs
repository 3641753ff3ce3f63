//! The rest of a body that was answered before its end.
//!
//! Who sends a body that is too large, or to a path that there is not, still sends when it is answered. If we hung up then, the
//! sender would find the connection broken and not the answer. So the rest is read and thrown away, up to a bound.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;

/// So much of one body is thrown away, at most.
const MOST: usize = 16 << 20;
/// And for so long.
const LONGEST: Duration = Duration::from_secs(2);

/// A body that we read to its end if nobody else does.
pub(super) struct Unread {
    rest: BodyDataStream,
    ended: bool,
}

impl Unread {
    pub(super) fn of(body: Body) -> Self {
        Self { ended: body.is_end_stream(), rest: body.into_data_stream() }
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.rest.poll_next_unpin(context));
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current()
            && !self.ended
        {
            let rest = std::mem::replace(&mut self.rest, Body::empty().into_data_stream());
            runtime.spawn(tokio::time::timeout(LONGEST, throw_away(rest)));
        }
    }
}

async fn throw_away(mut rest: BodyDataStream) {
    let mut count = 0;
    while count < MOST
        && let Some(Ok(bytes)) = rest.next().await
    {
        count += bytes.len();
    }
}
