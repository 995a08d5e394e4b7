//! The headers of the requests to each source.

use super::{ChannelSpec, SpecFault};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

impl ChannelSpec {
    /// Those of each source, in their order.
    pub(super) fn headers_of(&self, sources: &[Url]) -> Result<Vec<HeaderMap>, SpecFault> {
        let mut all = HeaderMap::new();
        if let Some(text) = &self.user_agent {
            let value = user_agent(text).map_err(|why| SpecFault::new("user_agent", why))?;
            all.insert(header::USER_AGENT, value);
        }
        for (index, text) in self.headers.iter().enumerate() {
            let fault = |why| SpecFault::new(format!("headers[{index}]"), why);
            let (name, value) = header(text).map_err(fault)?;
            all.append(name, value);
        }
        let mut each = vec![all; sources.len()];
        let mut own = vec![HeaderMap::new(); sources.len()];
        for (host, texts) in &self.headers_for {
            let of = |url: &Url| names(url, host);
            if !sources.iter().any(of) {
                let why = format!(
                    "no source is on '{host}'; give the host as in a source's URL, as in b.example"
                );
                return Err(SpecFault::new(format!("headers_for.{host}"), why));
            }
            for (index, text) in texts.iter().enumerate() {
                let fault = |why| SpecFault::new(format!("headers_for.{host}[{index}]"), why);
                let (name, value) = header(text).map_err(fault)?;
                let on_host = sources.iter().zip(&mut own).filter(|(url, _)| of(url));
                on_host.for_each(|(_, own)| {
                    own.append(name.clone(), value.clone());
                });
            }
        }
        for (headers, own) in each.iter_mut().zip(own) {
            for name in own.keys() {
                headers.remove(name);
            }
            for (name, value) in &own {
                headers.append(name, value.clone());
            }
        }
        Ok(each)
    }
}

/// Whether a source is on this host; a port is asked for only where one is given.
pub(super) fn names(url: &Url, host: &str) -> bool {
    let own = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    host.eq_ignore_ascii_case(own) || host.eq_ignore_ascii_case(&format!("{own}:{port}"))
}

/// Headers that the relay has to set itself: another value would break the transfer.
const OWN_HEADERS: [HeaderName; 8] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::TE,
    header::TRANSFER_ENCODING,
];

/// Reads `Name: value`.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let form = "give it as 'Name: value', in quotes";
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("no ':' in it; {form}"))?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| format!("no header name; {form}"))?;
    let value = HeaderValue::try_from(value.trim())
        .map_err(|_| "its value has bytes that no header may have".to_owned())?;
    if OWN_HEADERS.contains(&name) {
        return Err(format!(
            "'{name}' is set by the relay itself and cannot be given"
        ));
    }
    Ok((name, value))
}

/// Reads what the relay calls itself.
pub(crate) fn user_agent(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| "it has bytes that no header may have".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_those_of_our_own_refused() {
        let (name, value) = header("X-Token:  a:b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-token", "a:b"));
        for bad in ["X-Token", ": x", "Host: x", "range: bytes=0-", "X: a\nb"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_for_one_host_goes_to_no_other() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (main, backup) = (url("https://a.example/ch"), url("http://[::1]:8080/ch"));
        let mut all = ChannelSpec::of(Vec::new());
        all.headers = ["X-All: 1", "X-Key: all"].map(str::to_owned).to_vec();
        let own = [("A.example", "X-Key: a"), ("[::1]:8080", "X-B: b")];
        all.headers_for = own
            .map(|(host, text)| (host.to_owned(), vec![text.to_owned()]))
            .into();
        let each = all.headers_of(&[main.clone(), backup]).unwrap();
        let of = |index: usize, name: &str| {
            each[index]
                .get(name)
                .map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(of(0, "x-key").as_deref(), Some("a"));
        assert_eq!(of(1, "x-key").as_deref(), Some("all"));
        assert_eq!((of(0, "x-b"), of(1, "x-b").as_deref()), (None, Some("b")));
        assert!(of(0, "x-all").is_some() && of(1, "x-all").is_some());
        let fault = all.headers_of(&[main]).unwrap_err();
        assert!(fault.why.contains("'[::1]:8080'"), "{fault}");
    }
}
