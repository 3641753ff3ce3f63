//! The browser of an account's owner: it follows no redirect by itself, and keeps no cookie but those it is told to show.

use std::net::SocketAddr;

use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderName, StatusCode};
use lockstep::model::System;

/// A browser that connects at one service.
pub struct Browser {
    pub client: reqwest::Client,
    service: SocketAddr,
    public: String,
    system: System,
}

impl Browser {
    /// For the service that listens at `service`, and to which GHL sends people back at `public`.
    pub fn at(service: SocketAddr, public: &str) -> Self {
        Self::to(System::Ghl, service, public)
    }

    /// The same for any vendor.
    pub fn to(system: System, service: SocketAddr, public: &str) -> Self {
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { client: builder.build().unwrap(), service, public: public.to_owned(), system }
    }

    /// Where a page sends the browser, and the cookie that it sets.
    async fn sent_on(&self, url: &str) -> (String, String) {
        let answer = self.client.get(url).send().await.unwrap();
        assert!(answer.status().is_redirection(), "{}: {}", answer.status(), answer.text().await.unwrap());
        let header = |name: &HeaderName| {
            answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let cookie = header(&SET_COOKIE);
        (header(&LOCATION), cookie.split(';').next().unwrap_or_default().to_owned())
    }

    /// Begins to connect and chooses; gives the way back, to where the service listens, and the cookie.
    pub async fn choose(&self, choice: &str) -> (String, String) {
        let (page, cookie) = self.sent_on(&format!("http://{}/oauth/{}/connect", self.service, self.system)).await;
        assert!(self.client.get(&page).send().await.unwrap().status().is_success());
        let (page, wish) = page.split_once('?').unwrap();
        let (back, _) = self.sent_on(&format!("{page}/choose?{wish}&{choice}")).await;
        let back = back.strip_prefix(&self.public).unwrap();
        (format!("http://{}{back}", self.service), cookie)
    }

    pub async fn go_back(&self, back: &str, cookie: &str) -> (StatusCode, String) {
        let answer = self.client.get(back).header(COOKIE, cookie).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Connects an account as its owner does.
    pub async fn connect(&self, choice: &str) -> (StatusCode, String) {
        let (back, cookie) = self.choose(choice).await;
        self.go_back(&back, &cookie).await
    }
}
