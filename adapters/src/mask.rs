//! What of a URL may be seen by those who read logs: neither passwords nor tokens.

use url::Url;

/// What stands in place of a secret.
pub const MASKED: &str = "***";

/// The URL with userinfo, query values and fragment replaced by `***`. What is no URL is not shown
/// at all, since nobody knows where its secrets are.
pub fn mask_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => mask(&url),
        Err(_) => format!("(not a URL, {} bytes)", url.len()),
    }
}

/// See [`mask_url`].
pub fn mask(url: &Url) -> String {
    let mut shown = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        shown.push_str(MASKED);
        shown.push('@');
    }
    shown.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.push_str(url.path());
    if let Some(query) = url.query() {
        let pairs: Vec<String> = query.split('&').map(mask_pair).collect();
        shown.push('?');
        shown.push_str(&pairs.join("&"));
    }
    shown
}

/// A name is kept, since it tells which parameter is meant; a bare word may be the token itself.
fn mask_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}={MASKED}"),
        None => MASKED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_query_values_are_never_shown() {
        let shown = mask_url("https://me:pw@cdn.example:8443/a/live.m3u8?token=abc&x=&bare#frag");
        assert_eq!(
            shown,
            "https://***@cdn.example:8443/a/live.m3u8?token=***&x=***&***"
        );
    }

    #[test]
    fn what_is_no_url_is_not_shown() {
        assert_eq!(mask_url("secret words"), "(not a URL, 12 bytes)");
    }
}
