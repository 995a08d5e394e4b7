//! Gets playlists and segments over HTTP, within limits, and says exactly how it failed.
//!
//! Nothing is decided here: no retry, no other source, no judgement of what a body means. Redirects
//! are followed by our own hand, since each hop is checked ([`zone`]) and credentials are chosen anew
//! for each ([`access`]). A proxy is asked only where the operator names one: it resolves names for us,
//! and then nothing can be said about the addresses they lead to.

mod access;
mod body;
mod decode;
mod decrypt;
mod failure;
mod keys;
mod look;
mod page;
mod range;
mod share;
mod zone;

pub use access::SourceAccess;
pub use keys::Keys;
pub use zone::Zone;

use crate::mask::mask_url;
use crate::store::ObjectWriter;
use body::{BodyReader, Deadlines, duration};
use data_url::{DataUrl, DataUrlError};
use decode::Decoder;
use decrypt::{Decryption, Key};
use hls_relay_core::command::{Download, FetchLimits};
use hls_relay_core::event::{FetchError, LoadedPlaylist, PlaylistBody};
use hls_relay_core::formats::{Formats, Unreadable};
use look::Look;
use page::FirstBytes;
use range::Cut;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Proxy, Response, StatusCode};
use share::{Share, Turn, Turns};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout_at;
use url::Url;
use zone::ReachResolver;

/// What origins see in their logs.
const USER_AGENT: &str = concat!("hls-relay/", env!("CARGO_PKG_VERSION"));
/// The body of a redirect is read up to here, so that its connection can be used again; a longer one
/// costs less as a new connection.
const SMALL_BODY: u64 = 16 << 10;
/// Idle connections kept to one host: as many as there may be, or a node would open and close them all the time.
const IDLE_PER_HOST: usize = share::MOST_REQUESTS;
/// Beyond the reload interval of any sane playlist, and below what most servers keep.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// What media is made of, as its first bytes tell.
pub(crate) fn formats_of(bytes: &[u8]) -> Result<Formats, Unreadable> {
    let mut look = Look::default();
    look.push(bytes);
    look.tell()
}

/// The connections to all origins of a process; a clone shares them.
#[derive(Clone)]
pub struct Fetcher {
    clients: Arc<Clients>,
    /// Where several channels ask the same origins: whose turn it is.
    turns: Option<Turns>,
    share: Option<Share>,
}

/// A client for each zone: a name is resolved, and a connection kept, only with those who may go
/// where it leads. Most processes never build more than one.
#[derive(Default)]
struct Clients {
    public: OnceLock<Client>,
    local: OnceLock<Client>,
    special: OnceLock<Client>,
    /// Names resolved without DNS and without a check, as the operator says.
    pinned: Vec<(String, SocketAddr)>,
    /// Through which all origins are asked.
    proxy: Option<Url>,
}

/// The first answer that is no redirect.
struct Answer {
    response: Response,
    /// That gave it.
    url: Url,
    deadlines: Deadlines,
    /// Held until all of it is read.
    turn: Option<Turn>,
}

/// What is asked for.
struct Ask<'a> {
    access: &'a SourceAccess,
    url: &'a str,
    method: Method,
    limits: &'a FetchLimits,
    headers: HeaderMap,
    /// What is told with it. It goes to nobody else: an answer that leads elsewhere is one like others.
    body: Option<String>,
}

impl Fetcher {
    /// A fetcher without connections yet.
    pub fn new() -> Self {
        Self::with_pinned(Vec::new())
    }

    /// A fetcher that asks all origins through this proxy, where there is one. The environment is not
    /// looked at.
    pub fn through(proxy: Option<Url>) -> Self {
        Self::with(Clients {
            proxy,
            ..Clients::default()
        })
    }

    fn with(clients: Clients) -> Self {
        Self {
            clients: Arc::new(clients),
            turns: None,
            share: None,
        }
    }

    /// The same with turns: its channels share what one origin is asked at a time.
    pub fn shared(self) -> Self {
        let turns = Some(Turns::default());
        Self { turns, ..self }
    }

    /// The same for one channel.
    pub fn for_channel(&self, channel: &Arc<str>) -> Self {
        Self {
            share: self.turns.as_ref().map(|turns| turns.share(channel)),
            ..self.clone()
        }
    }

    /// A fetcher that takes the word of the operator for where some names are, as `curl --resolve`.
    pub fn with_pinned(pinned: Vec<(String, SocketAddr)>) -> Self {
        Self::with(Clients {
            pinned,
            ..Clients::default()
        })
    }

    /// GETs a playlist.
    pub async fn playlist(
        &self,
        access: &SourceAccess,
        url: &str,
        etag: Option<&str>,
        limits: &FetchLimits,
    ) -> Result<LoadedPlaylist, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let etag = etag.and_then(|etag| HeaderValue::try_from(etag).ok());
        let conditional = etag.is_some();
        headers.extend(etag.map(|etag| (header::IF_NONE_MATCH, etag)));
        let ask = Ask {
            access,
            url,
            method: Method::GET,
            limits,
            headers,
            body: None,
        };
        let Answer {
            response,
            url,
            deadlines,
            turn: _turn,
        } = self.answer(ask).await?;
        if response.status() == StatusCode::NOT_MODIFIED && conditional {
            return Ok(LoadedPlaylist::NotModified);
        }
        Cut::of_answer(response.status(), response.headers(), None)?;
        let etag = response
            .headers()
            .get(header::ETAG)
            .and_then(|value| value.to_str().ok());
        let etag = etag.map(Arc::from);
        let mut decoder = Decoder::new(response.headers(), true, limits.max_bytes)?;
        let mut reader = BodyReader::new(response, limits, deadlines.whole);
        let mut body = Vec::new();
        while let Some(bytes) = reader.next().await? {
            decoder.push(&bytes, &mut body)?;
        }
        decoder.finish(&mut body)?;
        let body = PlaylistBody(body.into());
        Ok(LoadedPlaylist::Body {
            url: url.as_str().into(),
            body,
            etag,
        })
    }

    /// GETs the key of AES-128, or reads it where it stands in its URL.
    async fn key(
        &self,
        access: &SourceAccess,
        url: &str,
        limits: &FetchLimits,
    ) -> Result<Key, FetchError> {
        match DataUrl::process(url) {
            Err(DataUrlError::NotADataUrl) => {}
            data => return Key::in_url(data),
        }
        let headers = HeaderMap::new();
        let ask = Ask {
            access,
            url,
            method: Method::GET,
            limits,
            headers,
            body: None,
        };
        let Answer {
            response,
            deadlines,
            turn: _turn,
            ..
        } = self.answer(ask).await?;
        Cut::of_answer(response.status(), response.headers(), None)?;
        let mut reader = BodyReader::new(response, limits, deadlines.whole);
        let mut body = Vec::new();
        while let Some(bytes) = reader.next().await? {
            body.extend_from_slice(&bytes);
            if body.len() > Key::BYTES {
                break;
            }
        }
        Key::of(body)
    }

    /// Asks an edge for an object as a viewer does, or tells somebody to fetch it, and throws away what comes.
    pub async fn warm(
        &self,
        access: &SourceAccess,
        (method, url, body): (Method, &str, Option<String>),
        limits: &FetchLimits,
    ) -> Result<(), FetchError> {
        let whole = method != Method::HEAD;
        let headers = HeaderMap::new();
        let ask = Ask {
            access,
            url,
            method,
            limits,
            headers,
            body,
        };
        let Answer {
            response,
            deadlines,
            turn: _turn,
            ..
        } = self.answer(ask).await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        // What is said of a body that is not sent is no promise.
        if !whole {
            return Ok(());
        }
        let mut reader = BodyReader::new(response, limits, deadlines.whole);
        let mut received = 0;
        while let Some(bytes) = reader.next().await? {
            received += bytes.len() as u64;
            if received > limits.max_bytes {
                let limit = limits.max_bytes;
                return Err(FetchError::TooLarge { limit });
            }
        }
        Ok(())
    }

    /// GETs a segment, or a range of a resource, into a store. What was written counts only once the
    /// writer is committed, which is left to the caller. With `keys`, what is encrypted is stored in
    /// the clear. What it is made of is told where that is asked for.
    pub async fn segment(
        &self,
        access: &SourceAccess,
        download: &Download,
        keys: &Keys,
        object: &mut ObjectWriter,
    ) -> Result<Option<Result<Formats, Unreadable>>, FetchError> {
        let Download {
            url,
            byte_range,
            limits,
            ..
        } = download;
        let byte_range = *byte_range;
        let mut decryption = match &download.decrypt {
            Some(decrypt) => {
                let key = keys.get(self, access, download, &decrypt.key_url).await?;
                Some(Decryption::new(key, decrypt.iv))
            }
            None => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let range = byte_range.and_then(|range| range::header_value(range).try_into().ok());
        headers.extend(range.map(|range| (header::RANGE, range)));
        let ask = Ask {
            access,
            url,
            method: Method::GET,
            limits,
            headers,
            body: None,
        };
        let Answer {
            response,
            deadlines,
            turn: _turn,
            ..
        } = self.answer(ask).await?;
        let status = match response.status() {
            // Nothing is what is there.
            StatusCode::NO_CONTENT if download.may_be_empty => StatusCode::OK,
            status => status,
        };
        let mut cut = Cut::of_answer(status, response.headers(), byte_range)?;
        let mut decoder = Decoder::new(response.headers(), false, limits.max_bytes)?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        if partial && !decoder.is_identity() {
            return Err(FetchError::BadEncoding("a part of an encoded whole".into()));
        }
        let mut first = FirstBytes::of(response.headers());
        let mut reader = BodyReader::new(response, limits, deadlines.whole);
        if let (Some(expected), None) = (reader.expected(), byte_range) {
            if expected > limits.max_bytes {
                return Err(FetchError::TooLarge {
                    limit: limits.max_bytes,
                });
            }
            object.expect(expected);
        }
        let (mut decoded, mut plain) = (Vec::new(), Vec::new());
        let mut look = download.look.then(Look::default);
        loop {
            let next = reader.next().await?;
            let come = match &next {
                Some(bytes) => decoder.decode(bytes, &mut decoded)?,
                None => {
                    decoded.clear();
                    decoder.finish(&mut decoded)?;
                    &decoded
                }
            };
            if first.are_of_a_page(come) {
                return Err(FetchError::Protocol("a page in place of a segment".into()));
            }
            let wanted = cut.apply(come);
            let plain = match &mut decryption {
                Some(decryption) => {
                    plain.clear();
                    decryption.push(wanted, &mut plain);
                    &plain
                }
                None => wanted,
            };
            if let Some(look) = &mut look {
                look.push(plain);
            }
            object.write(plain).await.map_err(FetchError::Store)?;
            // The rest of a whole answer is of no use; the end of a part is, to keep its connection.
            if next.is_none() || (cut.is_complete() && !partial) {
                break;
            }
        }
        cut.finish()?;
        if let Some(decryption) = decryption {
            plain.clear();
            decryption.finish(&mut plain)?;
            object.write(&plain).await.map_err(FetchError::Store)?;
        }
        if object.is_empty() && !download.may_be_empty {
            Err(FetchError::Empty)
        } else {
            Ok(look.map(Look::tell))
        }
    }

    /// The first answer that is no redirect. Its time begins once the channel has a turn.
    async fn answer(&self, ask: Ask<'_>) -> Result<Answer, FetchError> {
        let url = Url::parse(ask.url).map_err(|_| FetchError::BadUrl(mask_url(ask.url).into()))?;
        let turn = self.turn(&url, ask.limits).await?;
        let deadlines = Deadlines::from_now(ask.limits);
        let timely = timeout_at(deadlines.first_byte, self.follow(url, turn, &ask));
        let (response, url, turn) = timely
            .await
            .unwrap_or(Err(FetchError::FirstByteTimeout(ask.limits.first_byte)))?;
        Ok(Answer {
            response,
            url,
            deadlines,
            turn,
        })
    }

    async fn turn(&self, url: &Url, limits: &FetchLimits) -> Result<Option<Turn>, FetchError> {
        match &self.share {
            Some(share) => Ok(Some(share.turn(url, duration(limits.first_byte)).await?)),
            None => Ok(None),
        }
    }

    async fn follow(
        &self,
        mut url: Url,
        mut turn: Option<Turn>,
        ask: &Ask<'_>,
    ) -> Result<(Response, Url, Option<Turn>), FetchError> {
        let access = ask.access;
        let reach = match self.clients.proxy {
            Some(_) => access.reach_as_written(),
            None => access.reach().await?,
        };
        for _ in 0..=ask.limits.max_redirects {
            check(&url, reach)?;
            let mut headers = access.headers_for(&url);
            headers.extend(ask.headers.clone());
            let request = self
                .client(reach)?
                .request(ask.method.clone(), access.url_for(&url))
                .headers(headers);
            let request = match &ask.body {
                Some(body) => request.body(body.clone()),
                None => request,
            };
            let response = request
                .send()
                .await
                .map_err(|error| failure::of_request(&error, &url))?;
            access.keep_cookies(&url, response.headers());
            let next = match ask.method {
                Method::POST => None,
                _ => redirect(&response, &url)?,
            };
            let Some(next) = next else {
                return Ok((response, url, turn));
            };
            drain(response).await;
            // Nobody waits for one origin while he holds a turn at another.
            drop(turn.take());
            turn = self.turn(&next, ask.limits).await?;
            url = next;
        }
        Err(FetchError::TooManyRedirects(ask.limits.max_redirects))
    }

    fn client(&self, reach: Zone) -> Result<&Client, FetchError> {
        let clients = &*self.clients;
        let cell = match reach {
            Zone::Public => &clients.public,
            Zone::Local => &clients.local,
            Zone::Special => &clients.special,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = build_client(reach, clients)
            .map_err(|error| FetchError::Connect(format!("no HTTP client: {error}").into()))?;
        Ok(cell.get_or_init(|| client))
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the certificates of any authority no origin can be trusted over TLS, and those without it can
/// still be relayed.
fn build_client(reach: Zone, clients: &Clients) -> reqwest::Result<Client> {
    client_builder(reach, clients)?.build().or_else(|error| {
        let client = client_builder(reach, clients)?.tls_certs_only([]).build()?;
        tracing::warn!(
            "no origin can be asked over https: {}; install the certificates of this system \
             (ca-certificates)",
            failure::words(&error)
        );
        Ok(client)
    })
}

/// Origins are not refused for what browsers forgive, hence the lenient reading of heads. Content codings
/// are left alone whatever features other crates of a build switch on: [`decode`] undoes them.
fn client_builder(reach: Zone, clients: &Clients) -> reqwest::Result<ClientBuilder> {
    // Of a proxy nothing is resolved but its own name, and it is where the operator says.
    let resolves = clients.proxy.as_ref().map_or(reach, |_| Zone::Local);
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .dns_resolver(ReachResolver(resolves))
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_FOR)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true);
    let builder = match &clients.proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.clone())?),
        None => builder,
    };
    let pinned = clients.pinned.iter();
    Ok(pinned.fold(builder, |builder, (name, at)| builder.resolve(name, *at)))
}

/// Whether a hop may be made (C-36). Names are checked again when they are resolved.
fn check(url: &Url, reach: Zone) -> Result<(), FetchError> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(FetchError::BadUrl(crate::mask::mask(url).into()));
    }
    match Zone::named_by(url) {
        Some(zone) if !reach.reaches(zone) => Err(FetchError::PrivateAddress(
            url.host_str().unwrap_or_default().into(),
        )),
        _ => Ok(()),
    }
}

/// Where an answer leads; `None` where it is one to be judged by its status.
fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let location = String::from_utf8_lossy(location.as_bytes());
    let mut next = url
        .join(&location)
        .map_err(|_| FetchError::BadUrl(mask_url(&location).into()))?;
    next.set_fragment(None);
    Ok(Some(next))
}

/// Reads what is left of a small body, so that the connection is free for the next request.
async fn drain(mut response: Response) {
    if response
        .content_length()
        .is_some_and(|length| length <= SMALL_BODY)
    {
        while let Ok(Some(_)) = response.chunk().await {}
    }
}
