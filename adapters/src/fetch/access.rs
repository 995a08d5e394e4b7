//! What a source is asked with: headers, credentials, cookies, and how far it may lead us.
//!
//! None of this ever enters the core, so no journal and no checkpoint holds it.

use super::zone::Zone;
use cookie_store::CookieStore;
use hls_relay_core::event::FetchError;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use url::Url;

/// Sent only to the host of the configured URL: whoever holds them is taken for the operator.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
];

/// Bytes of cookies kept of one source. An origin that sets a new name with each answer must not make
/// us remember all of them, nor send requests that no server takes: most refuse a head above 8 KB.
const MOST_COOKIE_BYTES: usize = 4 << 10;

/// One configured source, as the fetcher sees it.
#[derive(Debug)]
pub struct SourceAccess {
    /// As configured, without userinfo.
    configured: Url,
    /// The configured URL with its userinfo, where that is how to log in.
    login: Option<Url>,
    everywhere: HeaderMap,
    credentials: HeaderMap,
    cookies: Mutex<CookieStore>,
    reach: OnceCell<Zone>,
}

impl SourceAccess {
    /// Access to `configured`; userinfo in it becomes basic authentication, unless `headers` has an
    /// authorization of its own.
    pub fn new(configured: &Url, headers: &HeaderMap) -> Self {
        let mut everywhere = headers.clone();
        let mut credentials = HeaderMap::new();
        for name in CREDENTIALS {
            everywhere.remove(&name);
            for value in headers.get_all(&name) {
                let mut value = value.clone();
                value.set_sensitive(true);
                credentials.append(&name, value);
            }
        }
        let named = !configured.username().is_empty() || configured.password().is_some();
        let own = credentials.contains_key(header::AUTHORIZATION);
        Self {
            configured: without_userinfo(configured.clone()),
            login: (named && !own).then(|| configured.clone()),
            everywhere,
            credentials,
            cookies: Mutex::new(CookieStore::default()),
            reach: OnceCell::new(),
        }
    }

    /// The configured URL without its userinfo: what the core, and through it a journal, may know.
    pub fn public_url(&self) -> Arc<str> {
        self.configured.as_str().into()
    }

    /// The URL to ask, with the userinfo where it may be known: the client makes basic authentication
    /// of it. A URL that brings userinfo of its own keeps it.
    pub(super) fn url_for(&self, url: &Url) -> Url {
        let mut asked = url.clone();
        let bare = url.username().is_empty() && url.password().is_none();
        if let (Some(login), true) = (&self.login, bare && self.may_know_credentials(url)) {
            // Both fail only for URLs without a host, which are never asked.
            let _ = asked.set_username(login.username());
            let _ = asked.set_password(login.password());
        }
        asked
    }

    /// The headers of a request to `url`, cookies included.
    pub(super) fn headers_for(&self, url: &Url) -> HeaderMap {
        let mut headers = self.everywhere.clone();
        if self.may_know_credentials(url) {
            for (name, value) in &self.credentials {
                headers.append(name, value.clone());
            }
        }
        let own = headers
            .get(header::COOKIE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = own.into_iter().chain(
            kept.get_request_values(url)
                .map(|(name, value)| format!("{name}={value}")),
        );
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        if let (false, Ok(value)) = (cookies.is_empty(), HeaderValue::try_from(cookies)) {
            headers.insert(header::COOKIE, value);
        }
        headers
    }

    /// Remembers what an answer from `url` sets.
    pub(super) fn keep_cookies(&self, url: &Url, answer: &HeaderMap) {
        let mut kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for value in answer
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
        {
            // A cookie that is malformed or for another host is the origin's mistake and not kept.
            let _ = kept.parse(value, url);
        }
        let bytes = kept.iter_any().map(|it| it.name().len() + it.value().len());
        if bytes.sum::<usize>() > MOST_COOKIE_BYTES {
            kept.clear();
        }
    }

    /// Where this source may lead us. An address says so itself; another name is asked of DNS once,
    /// at its first use, so that it cannot wander into the private network later.
    pub(super) async fn reach(&self) -> Result<Zone, FetchError> {
        let decide = || async {
            if let Some(zone) = Zone::named_by(&self.configured) {
                return Ok(zone);
            }
            let host = self.configured.host_str().unwrap_or_default();
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|error| FetchError::Connect(format!("{host}: {error}").into()))?;
            // A name never opens the way to the special zone: its owner is not our operator.
            let zones = found.map(|address| Zone::of(address.ip()));
            Ok(zones.max().unwrap_or(Zone::Public).min(Zone::Local))
        };
        self.reach.get_or_try_init(decide).await.copied()
    }

    /// The same where a proxy resolves names: an address may be where it is, a name is taken for public.
    pub(super) fn reach_as_written(&self) -> Zone {
        Zone::named_by(&self.configured).unwrap_or(Zone::Public)
    }

    /// Only the configured host, and never in clear text what was meant for TLS.
    fn may_know_credentials(&self, url: &Url) -> bool {
        let downgraded = self.configured.scheme() == "https" && url.scheme() != "https";
        url.host() == self.configured.host() && !downgraded
    }
}

fn without_userinfo(mut url: Url) -> Url {
    // Both fail only for URLs without a host, which are no sources.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
