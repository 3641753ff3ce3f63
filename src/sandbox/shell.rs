//! The sandbox on a socket: takes requests for the core, sends its webhooks, serves the control API.
//!
//! In: HTTP on a given listener. Out: answers, late or cut where a fault says so, and signed webhooks to the receivers.
//! All judgement is the core's ([`Sandbox`], [`Outbox`], [`Signer`]); here are only the clock, the sockets and the locks.

pub mod canned;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::delivery::{Outbox, Sending};
use super::signing::{BadKey, Signer};
use super::{Sandbox, SandboxSettings, Webhook, control};
use crate::clock::{Clock, Millis, SystemClock};

/// The largest request body taken.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Why the sandbox could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// Its own keys are of no use.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The client that sends webhooks cannot be built.
    #[error("the sandbox cannot send webhooks")]
    Client(#[from] reqwest::Error),
    /// The listener failed.
    #[error("the sandbox cannot serve its listener")]
    Listener(#[from] io::Error),
}

/// What the handlers share.
pub(super) struct Shared {
    sandbox: Mutex<Sandbox>,
    outbox: Mutex<Outbox>,
    pub(super) signer: Signer,
    pub(super) settings: SandboxSettings,
    wake: Notify,
    clock: SystemClock,
}

impl Shared {
    pub(super) fn sandbox(&self) -> MutexGuard<'_, Sandbox> {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Wakes the sender: something changed in the outbox.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Puts webhooks into the outbox.
    pub(super) fn post(&self, webhooks: &[Webhook]) {
        if webhooks.is_empty() {
            return;
        }
        let now = self.now();
        let mut outbox = self.outbox();
        for webhook in webhooks {
            outbox.accept(webhook, now);
        }
        drop(outbox);
        self.wake();
    }
}

/// Serves the sandbox until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    settings: SandboxSettings,
    shutdown: CancellationToken,
) -> Result<(), ShellError> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.delivery.timeout)
        .build()?;
    let shared = Arc::new(Shared {
        sandbox: Mutex::new(Sandbox::new(&settings)),
        outbox: Mutex::new(Outbox::new(settings.delivery.clone(), settings.receivers.clone())),
        signer: Signer::new(&settings)?,
        settings,
        wake: Notify::new(),
        clock: SystemClock,
    });
    let sender = tokio::spawn(send_all(Arc::clone(&shared), client, shutdown.clone()));
    let router = Router::new().nest("/control", control::routes()).fallback(stand_in).with_state(shared);
    let connected = router.into_make_service_with_connect_info::<Severed>();
    let served =
        axum::serve(SeverableListener(listener), connected).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let outcome = served.await;
    shutdown.cancel();
    // A sender that was stopped has nothing more to say.
    let _ = sender.await;
    Ok(outcome?)
}

/// Answers a request to one of the stand-ins.
async fn stand_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Severed>,
    request: http::Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = shared.sandbox().answer(shared.now(), http::Request::from_parts(parts, body));
    shared.post(&answer.webhooks);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    if answer.cut {
        connection.0.cancel();
    }
    answer.response.map(Body::from)
}

/// Sends what is due, whenever something is.
async fn send_all(shared: Arc<Shared>, client: reqwest::Client, shutdown: CancellationToken) {
    loop {
        let now = shared.now();
        let (due, next) = {
            let mut outbox = shared.outbox();
            (outbox.take_due(now), outbox.next_due(now))
        };
        for sending in due {
            tokio::spawn(send(Arc::clone(&shared), client.clone(), sending));
        }
        let wait = next.map_or(Duration::from_mins(1), |next| next.since(now));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One try of one delivery.
async fn send(shared: Arc<Shared>, client: reqwest::Client, sending: Sending) {
    let now = shared.sandbox().faults.clock(sending.from, shared.now());
    let Sending { number, from, account, id, url, body, signature, push } = sending;
    let headers = if push { Vec::new() } else { shared.signer.amiss(signature, from, &account, &id, now, &body) };
    let request = client.post(url).header("content-type", "application/json").body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let status = request.send().await.ok().map(|response| response.status().as_u16());
    shared.outbox().settle(number, status, shared.now());
    shared.wake();
}

/// The switch that drops a connection.
#[derive(Debug, Clone)]
struct Severed(CancellationToken);

/// Accepts connections that can be dropped before an answer is written.
struct SeverableListener(TcpListener);

struct Severable {
    stream: TcpStream,
    severed: Severed,
}

impl Listener for SeverableListener {
    type Io = Severable;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for acknowledgements; a socket that refuses the option works all the same.
        let _ = stream.set_nodelay(true);
        (Severable { stream, severed: Severed(CancellationToken::new()) }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, SeverableListener>> for Severed {
    fn connect_info(stream: IncomingStream<'_, SeverableListener>) -> Self {
        stream.io().severed.clone()
    }
}

impl AsyncRead for Severable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.severed.0.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
