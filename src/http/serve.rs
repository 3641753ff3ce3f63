//! Connections: how many may be open, and how long each may keep us waiting.
//!
//! In: a listener, and the routes that answer. A connection that does not send a whole head in time is closed, whether it
//! sends slowly or nothing; a body has the time of its request. Who comes when all places are taken waits in the queue of the
//! operating system, and is refused by it when that is full.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::unread::Unread;

/// What connections may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open at once, at most.
    pub most: usize,
    /// How long the head of a request may take, the wait for it included.
    pub head: Duration,
}

/// Descriptors that the store, the calls to vendors and operators need.
const RESERVE: u64 = 256;

/// As many connections as wanted, or as many as the limit of open files leaves room for, once it is raised as far as we may.
pub fn affordable(wanted: usize) -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files is not known");
        RESERVE * 4
    });
    let most = usize::try_from(files.saturating_sub(RESERVE)).unwrap_or(usize::MAX).max(1);
    if most < wanted {
        tracing::warn!(files, wanted, most, "the limit of open files allows fewer connections (`ulimit -n`)");
    }
    wanted.min(most)
}

/// How long nobody is let in after the operating system gave no connection: it has no descriptors left.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// Answers connections until `stop`, and then those that are under way.
pub async fn serve(listener: TcpListener, router: Router, limits: Connections, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.most));
    let open = GracefulShutdown::new();
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    let routes =
        router.map_request(|request: Request<_>| request.map(|body| Body::from_stream(Unread::of(Body::new(body)))));
    let service = TowerToHyperService::new(routes);
    let mut stop = pin!(stop);
    loop {
        let entering = async { (places.clone().acquire_owned().await, accept(&listener).await) };
        let (place, stream) = tokio::select! {
            biased;
            () = &mut stop => break,
            entered = entering => entered,
        };
        let connection = server.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // Whoever hangs up, or is hung up on, is no news.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and are awaited.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken in; raise the limit of open files (`ulimit -n`)");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// The one that knocked is gone again; the next may be well.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const HEAD: Duration = Duration::from_millis(200);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// A server with so many places; its address, and what stops it.
    async fn server(most: usize) -> (SocketAddr, Arc<Notify>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::<Notify>::default());
        let router = Router::new().route("/", axum::routing::get(async || "well"));
        let (limits, rung) = (Connections { most, head: HEAD }, stop.clone());
        let serving = tokio::spawn(serve(listener, router, limits, async move { rung.notified().await }));
        (address, stop, serving)
    }

    /// What a connection answers, as long as it stands.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[tokio::test]
    async fn who_sends_a_head_slowly_or_not_at_all_is_hung_up_on_and_others_are_served() {
        let (address, _stop, _serving) = server(8).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let drip = async {
            for byte in REQUEST {
                if slow.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(HEAD / 8).await;
            }
            answer(&mut slow).await
        };
        let honest = async {
            let mut honest = TcpStream::connect(address).await.unwrap();
            honest.write_all(REQUEST).await.unwrap();
            let first = answer(&mut honest).await;
            // What stays open without asking anything is closed, too.
            (first, answer(&mut honest).await)
        };
        let (slow, (first, then), silent) = tokio::join!(drip, honest, answer(&mut silent));
        assert!(first.ends_with("well"), "{first}");
        assert!([&slow, &then, &silent].iter().all(|answer| !answer.contains("200")), "{slow}; {then}; {silent}");
    }

    /// A webhook of two mebibytes now and then found the connection broken, and not that it is too large.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_answered_while_still_sending_hears_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refuse = axum::routing::post(async || http::StatusCode::PAYLOAD_TOO_LARGE);
        let limits = Connections { most: 8, head: HEAD };
        tokio::spawn(serve(listener, Router::new().route("/", refuse), limits, std::future::pending()));
        let client = reqwest::Client::new();
        for number in 0..100 {
            let request = client.post(format!("http://{address}/")).body(vec![b'x'; 2 << 20]);
            let unsaid = number % 2 == 0;
            let request = if unsaid { request.header("transfer-encoding", "chunked") } else { request };
            assert_eq!(request.send().await.map(|answer| answer.status().as_u16()).ok(), Some(413), "{number}");
        }
    }

    #[test]
    fn no_more_connections_are_promised_than_there_are_descriptors() {
        let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
        assert_eq!(affordable(7), 7);
        let most = affordable(usize::MAX) as u64;
        assert!(most + RESERVE <= hard && most + RESERVE >= soft, "{soft}, {hard}: {most}");
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_for_one() {
        let (address, _stop, _serving) = server(1).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let early = tokio::time::timeout(HEAD / 2, answer(&mut second)).await;
        assert!(early.is_err(), "it was served beside the first");
        drop(first);
        assert!(answer(&mut second).await.ends_with("well"));
    }

    #[tokio::test]
    async fn when_we_are_to_stop_no_idle_connection_keeps_us() {
        let (address, stop, serving) = server(8).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut idle).await.ends_with("well"));
        stop.notify_one();
        tokio::time::timeout(Duration::from_secs(5), serving).await.expect("it ends").unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
