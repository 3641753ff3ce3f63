//! The real [`Transport`]: HTTP over reqwest.
//!
//! In: a request, signed and complete. Out: the whole answer, or whether the request ever left. Redirects are not followed
//! (a token would go where nobody checked), bodies are bounded, connections are reused. Nothing is logged here: what goes
//! through is other people's data.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Request, Response, redirect};

use super::{Transport, TransportError};

/// Limits of one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest wait for a connection.
    pub connect: Duration,
    /// The longest time from sending to the last byte of the answer.
    pub whole: Duration,
    /// The largest answer in bytes, unpacked.
    pub body: usize,
    /// Whether `HTTPS_PROXY` and its kin are heeded; off for a sandbox on this machine.
    pub proxy: bool,
}

impl Default for HttpLimits {
    /// 5 s, 20 s, 16 MiB, with the environment's proxy.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(20), body: 16 << 20, proxy: true }
    }
}

/// HTTP over the network.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: Client,
    limit: usize,
}

/// The client could not be made (no trusted roots on this machine, a proxy setting that cannot be read).
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made")]
pub struct NoClient(#[from] reqwest::Error);

impl HttpTransport {
    /// A transport with these limits.
    pub fn new(limits: &HttpLimits) -> Result<Self, NoClient> {
        let builder = Client::builder()
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.connect)
            .timeout(limits.whole);
        let builder = if limits.proxy { builder } else { builder.no_proxy() };
        Ok(Self { client: builder.build()?, limit: limits.body })
    }

    async fn whole(&self, mut answer: Response) -> Result<http::Response<Bytes>, TransportError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > self.limit {
                return Err(TransportError::NoAnswer(format!("the answer is larger than {} bytes", self.limit)));
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = http::Response::new(body.freeze());
        *whole.status_mut() = answer.status();
        std::mem::swap(whole.headers_mut(), answer.headers_mut());
        Ok(whole)
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let request = Request::try_from(request).map_err(not_sent)?;
        let answer = self.client.execute(request).await;
        let left = |error: reqwest::Error| {
            if error.is_connect() || error.is_builder() { not_sent(error) } else { no_answer(error) }
        };
        self.whole(answer.map_err(left)?).await
    }
}

fn not_sent(error: reqwest::Error) -> TransportError {
    TransportError::NotSent(causes(error))
}

fn no_answer(error: reqwest::Error) -> TransportError {
    TransportError::NoAnswer(causes(error))
}

/// The error and its causes in one line, without the address: a query may hold an e-mail.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (mut said, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::net::TcpListener;

    fn limits() -> HttpLimits {
        HttpLimits { whole: Duration::from_millis(300), body: 64, proxy: false, ..HttpLimits::default() }
    }

    async fn ask(base: &str, path: &str) -> Result<http::Response<Bytes>, TransportError> {
        let request = http::Request::get(format!("{base}{path}")).body(Bytes::new()).unwrap();
        HttpTransport::new(&limits()).unwrap().send(request).await
    }

    async fn vendor() -> String {
        let routes = Router::new()
            .route("/ok", get(|| async { "yes" }))
            .route("/moved", get(|| async { Redirect::temporary("/ok") }))
            .route("/large", get(|| async { "x".repeat(65) }))
            .route("/silent", get(std::future::pending::<()>));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        base
    }

    #[tokio::test]
    async fn an_answer_comes_whole_and_a_redirect_is_not_followed() {
        let base = vendor().await;
        let answer = ask(&base, "/ok").await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"yes".as_slice()));
        assert!(answer.headers().contains_key("date"));
        assert_eq!(ask(&base, "/moved").await.unwrap().status().as_u16(), 307);
    }

    #[tokio::test]
    async fn what_was_sent_and_not_answered_is_told_apart_from_what_never_left() {
        let base = vendor().await;
        let silent = ask(&base, "/silent?email=jane%40example.com").await.unwrap_err();
        assert!(matches!(&silent, TransportError::NoAnswer(said) if !said.contains("jane")), "{silent}");
        assert!(matches!(ask(&base, "/large").await, Err(TransportError::NoAnswer(_))));
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(matches!(ask(&format!("http://{closed}"), "/ok").await, Err(TransportError::NotSent(_))));
    }
}
