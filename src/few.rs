//! Many tasks, a few at a time: one that hangs holds up its own place only, and nobody is overrun.
//!
//! In: items and what to do with each. Out: what came of it. Dropped, it ends those that run.

use tokio::task::JoinSet;

/// How many run at once.
const FEW: usize = 8;

/// Does it for each; gives what came of it, in no order. One that panics is logged and left out.
pub async fn few_at_a_time<T, W>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> W) -> Vec<W::Output>
where
    W: Future<Output: Send + 'static> + Send + 'static,
{
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    let mut items = items.into_iter();
    loop {
        while running.len() < FEW
            && let Some(item) = items.next()
        {
            running.spawn(work(item));
        }
        match running.join_next().await {
            None => return done,
            Some(Ok(output)) => done.push(output),
            Some(Err(error)) => tracing::error!(%error, "one of several tasks ended early"),
        }
    }
}
