//! What the sources are asked with, and by which way.

use clap::Args;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// See the help of each; nothing of it ever enters a log or a journal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the sources are asked")]
pub struct AskingArgs {
    /// A header for the requests to the sources, as 'Name: value'; may be repeated
    ///
    /// Authorization, Cookie and Proxy-Authorization are sent only to the host of the source's own
    /// URL, never to where its playlists or redirects lead. What only one source may know is said
    /// with --header-for, or put into its URL.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A header for the requests to the source on this host alone; may be repeated
    ///
    /// HOST is as it stands in the URL of the source or of a backup, with its port where one stands
    /// there: --header-for b.example 'Authorization: Bearer x'. It takes the place of a --header of
    /// the same name.
    #[arg(long = "header-for", num_args = 2, value_names = ["HOST", "HEADER"])]
    pub headers_for: Vec<String>,
    /// What the relay calls itself to the sources, as some CDNs let only players in
    #[arg(long, value_name = "TEXT", value_parser = user_agent)]
    pub user_agent: Option<HeaderValue>,
    /// Ask the sources through this proxy, http or https; a name and password in it are sent to it
    ///
    /// Names are then resolved by the proxy, and it is for the proxy to keep playlists from leading
    /// into its network. HTTP_PROXY and the like are not read: what a shell happens to hold must not
    /// decide which way a channel comes.
    #[arg(long, value_name = "URL", env = "HLS_RELAY_PROXY", hide_env_values = true, value_parser = proxy)]
    pub proxy: Option<Url>,
}

impl AskingArgs {
    /// The headers of the requests to each of the sources.
    ///
    /// # Errors
    /// What is wrong, where a header is for none of them.
    pub fn headers_of(&self, sources: &[&Url]) -> Result<Vec<HeaderMap>, String> {
        let mut all = HeaderMap::new();
        all.extend(
            self.user_agent
                .iter()
                .map(|it| (header::USER_AGENT, it.clone())),
        );
        for (name, value) in &self.headers {
            all.append(name, value.clone());
        }
        let mut each = vec![all; sources.len()];
        let mut own = vec![HeaderMap::new(); sources.len()];
        for pair in self.headers_for.chunks_exact(2) {
            let (host, text) = (&pair[0], &pair[1]);
            let (name, value) = header(text).map_err(|fault| format!("--header-for: {fault}"))?;
            let of = |url: &Url| names(url, host);
            if !sources.iter().any(|url| of(url)) {
                return Err(format!(
                    "--header-for: no source is on '{host}'; give the host as in a source's URL, as in b.example"
                ));
            }
            for (source, headers) in sources.iter().zip(&mut own) {
                if of(source) {
                    headers.append(name.clone(), value.clone());
                }
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
fn names(url: &Url, host: &str) -> bool {
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

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
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

fn user_agent(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| "it has bytes that no header may have".to_owned())
}

fn proxy(text: &str) -> Result<Url, String> {
    let hint = "give it as in http://proxy.example:3128";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!(
            "a proxy is asked over http or https, not '{other}:'; {hint}"
        )),
    }
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
        let all = AskingArgs {
            headers: vec![header("X-All: 1").unwrap(), header("X-Key: all").unwrap()],
            headers_for: ["A.example", "X-Key: a", "[::1]:8080", "X-B: b"]
                .map(str::to_owned)
                .to_vec(),
            ..AskingArgs::default()
        };
        let each = all.headers_of(&[&main, &backup]).unwrap();
        let of = |index: usize, name: &str| {
            each[index]
                .get(name)
                .map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(of(0, "x-key").as_deref(), Some("a"));
        assert_eq!(of(1, "x-key").as_deref(), Some("all"));
        assert_eq!((of(0, "x-b"), of(1, "x-b").as_deref()), (None, Some("b")));
        assert!(of(0, "x-all").is_some() && of(1, "x-all").is_some());
        assert!(
            all.headers_of(&[&main])
                .unwrap_err()
                .contains("'[::1]:8080'")
        );
    }
}
