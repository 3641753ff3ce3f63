//! `GET /oauth/SYSTEM/connect` and `/oauth/SYSTEM/callback`: the owner of an account lets us in.
//!
//! In: a person's browser. Out: redirects and two small pages, without scripts, that tell no secret. A one-time cookie binds
//! the way back to the browser that began; what the vendor sends with it (a code) is never shown or logged.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::frame::Page;
use super::problem::Problem;
use crate::model::System;
use crate::secret::Secret;

/// The cookie. Its prefix makes browsers insist on https and on our host; over plain http (a rehearsal) it has none.
const COOKIE_NAME: &str = "lockstep-connect";
/// Seconds that an authorization may take.
const LASTS: u32 = 600;

/// An authorization that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the owner decides.
    pub url: Secret,
    /// What their browser keeps meanwhile.
    pub cookie: Secret,
}

/// What an authorization led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// The accounts that are connected, each with its workspace.
    pub connected: Vec<(String, String)>,
    /// Accounts that were left out, for no workspace has them.
    pub left_out: Vec<String>,
}

/// Why an authorization came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No app is configured.
    #[error("no OAuth app is configured")]
    NotConfigured,
    /// Too many were begun.
    #[error("too many people are connecting; try again in a minute")]
    TooMany,
    /// It was not begun here, in this browser, in the last ten minutes; or it was used already.
    #[error("this was not begun in this browser in the last ten minutes, or it was used already")]
    NotBegun,
    /// The vendor, or the owner, refused.
    #[error("{0}")]
    Refused(String),
    /// The vendor takes long; it goes on without the browser.
    #[error(
        "the vendor takes long to answer, and this goes on without you: look again in a minute, before you begin anew"
    )]
    Slow,
    /// Something failed; the page does not say what, the log does.
    #[error("it failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What connects accounts.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Begins an authorization at a vendor.
    async fn begin(&self, system: System) -> Result<Begun, ConnectError>;
    /// Ends one: the vendor sent the owner back with `state` and `code`, their browser showed `cookie`.
    async fn finish(
        &self,
        system: System,
        state: &str,
        cookie: &Secret,
        code: &Secret,
    ) -> Result<Connected, ConnectError>;
    /// Whether people reach us over https.
    fn is_https(&self) -> bool;
}

type Behind = State<Arc<dyn Connect>>;

/// Sends the owner to the vendor.
pub(super) async fn connect(State(connect): Behind, Path(system): Path<String>) -> Response {
    let Some(system) = vendor(&system) else { return Problem::of(StatusCode::NOT_FOUND).into_response() };
    let begun = match connect.begin(system).await {
        Ok(begun) => begun,
        Err(error) => return failed(&error),
    };
    let (name, secure) = cookie_name(connect.is_https());
    let cookie = format!("{name}={}; Max-Age={LASTS}; Path=/; HttpOnly; SameSite=Lax{secure}", begun.cookie.expose());
    let (Ok(to), Ok(mut cookie)) = (HeaderValue::try_from(begun.url.expose()), HeaderValue::try_from(cookie)) else {
        return failed(&ConnectError::Failed("the address of the vendor is not fit for a header".into()));
    };
    cookie.set_sensitive(true);
    guarded((StatusCode::SEE_OTHER, [(LOCATION, to), (SET_COOKIE, cookie)]).into_response())
}

/// What the vendor sends back.
#[derive(Deserialize)]
pub(super) struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// The owner comes back.
pub(super) async fn callback(
    State(connect): Behind,
    Path(system): Path<String>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let Some(system) = vendor(&system) else { return Problem::of(StatusCode::NOT_FOUND).into_response() };
    let (name, secure) = cookie_name(connect.is_https());
    let mut answer = match finished(connect.as_ref(), system, back, cookie(&headers, &name)).await {
        Ok(connected) => page(StatusCode::OK, "Connected", &told(system, &connected)),
        Err(error) => failed(&error),
    };
    // Good once, whatever came of it.
    let ended = format!("{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{secure}");
    if let Ok(ended) = HeaderValue::try_from(ended) {
        answer.headers_mut().insert(SET_COOKIE, ended);
    }
    answer
}

async fn finished(
    connect: &dyn Connect,
    system: System,
    back: Back,
    cookie: Option<Secret>,
) -> Result<Connected, ConnectError> {
    if let Some(error) = back.error {
        let word: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        return Err(ConnectError::Refused(format!("{} answered `{word}`", words(system).vendor)));
    }
    let (Some(state), Some(code), Some(cookie)) = (back.state, back.code, cookie) else {
        return Err(ConnectError::NotBegun);
    };
    connect.finish(system, &state, &cookie, &Secret::new(code)).await
}

fn cookie_name(https: bool) -> (String, &'static str) {
    if https { (format!("__Host-{COOKIE_NAME}"), "; Secure") } else { (COOKIE_NAME.to_owned(), "") }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| Secret::new(value))
}

/// How people call things at a vendor.
struct Words {
    vendor: &'static str,
    account: &'static str,
}

fn words(system: System) -> Words {
    let (vendor, account) = match system {
        System::Ghl => ("GoHighLevel", "Location"),
        System::Timify => ("TIMIFY", "Company"),
        System::Timerex => ("TimeRex", "Team"),
    };
    Words { vendor, account }
}

/// The vendor that a path names, if owners connect there.
fn vendor(path: &str) -> Option<System> {
    path.parse().ok().filter(|system| matches!(system, System::Ghl | System::Timerex))
}

fn told(system: System, connected: &Connected) -> String {
    let noun = words(system).account;
    let joined = |(account, workspace): &(String, String)| {
        let (account, workspace) = (escaped(account), escaped(workspace));
        format!("<p>{noun} <code>{account}</code> is connected, as workspace <code>{workspace}</code>.</p>")
    };
    let left_out = |account: &String| {
        format!(
            "<p>{noun} <code>{}</code> was left out: no workspace has it, or somebody else has connected it.</p>",
            escaped(account)
        )
    };
    let mut lines: Vec<String> = connected.connected.iter().map(joined).collect();
    lines.extend(connected.left_out.iter().map(left_out));
    if lines.is_empty() {
        lines
            .push("<p>The agency is connected. Its locations follow when the app is installed in them.</p>".to_owned());
    }
    lines.push("<p>You may close this page.</p>".to_owned());
    lines.concat()
}

fn failed(error: &ConnectError) -> Response {
    let status = match error {
        ConnectError::NotConfigured => StatusCode::NOT_FOUND,
        ConnectError::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ConnectError::NotBegun | ConnectError::Refused(_) => StatusCode::BAD_REQUEST,
        ConnectError::Slow => StatusCode::ACCEPTED,
        ConnectError::Failed(cause) => {
            tracing::error!(%cause, "an account could not be connected");
            StatusCode::BAD_GATEWAY
        }
    };
    let title = if status.is_success() { "Not connected yet" } else { "Not connected" };
    let again = r#"<p><a href="connect">Begin here</a>, also after an install from a marketplace.</p>"#;
    let mut answer = page(status, title, &format!("<p>{}.</p>{again}", escaped(&sentence(error))));
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    answer
}

/// An error as a sentence for people, without its full stop.
fn sentence(error: &ConnectError) -> String {
    let text = error.to_string();
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} - Lockstep</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}</style>\
         <h1>{title}</h1>{body}</html>"
    );
    let mut page = guarded((status, Html(html)).into_response());
    page.extensions_mut().insert(Page);
    page
}

/// Nothing is kept, framed, or told to the next page; nothing is loaded.
fn guarded(mut answer: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut made, c| {
        match c {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            c => made.push(c),
        }
        made
    })
}
