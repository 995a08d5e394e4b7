//! Who may ask: who has the token; where there is none, who is on this host, and no page of a browser there.

use super::Api;
use super::answers::Refusal;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// A shorter token could be guessed.
pub const LEAST_TOKEN_BYTES: usize = 16;

/// What a request has to carry. Only its hash is kept: so all are equally long to compare, and no log or
/// dump has it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Checks a token.
    ///
    /// # Errors
    /// What it has to be.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < LEAST_TOKEN_BYTES || !text.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(format!(
                "a token has at least {LEAST_TOKEN_BYTES} letters, digits and signs, as from 'openssl rand -hex 32'"
            ));
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// The time that this takes tells nothing of how much of it is right.
    fn is(&self, text: &str) -> bool {
        let asked: [u8; 32] = Sha256::digest(text).into();
        self.0.ct_eq(&asked).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(***)")
    }
}

/// Lets a request through, or says why not.
pub(super) async fn only_who_may(State(api): State<Api>, request: Request, next: Next) -> Response {
    let head = request.headers();
    let refusal = match &api.inner.token {
        Some(token) if carries(head, token) => None,
        Some(_) => Some(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "give the node's token, as in 'Authorization: Bearer TOKEN'",
        )),
        None if is_of_this_host(head) => None,
        None => Some(Refusal::new(
            StatusCode::FORBIDDEN,
            "host",
            "without a token only programs on this host are answered, by address or as localhost",
        )),
    };
    match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn carries(head: &HeaderMap, token: &Token) -> bool {
    let given = head.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split_once(' '));
    given.is_some_and(|(scheme, text)| {
        scheme.eq_ignore_ascii_case("bearer") && token.is(text.trim())
    })
}

/// A page of somebody else's in a browser on this host reaches this port as well. It says where it comes
/// from, or under which name it has come here.
fn is_of_this_host(head: &HeaderMap) -> bool {
    let host = head.get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.unwrap_or_default();
    let name = name.rsplit_once(':').map_or(name, |(name, port)| {
        let is_port = port.bytes().all(|it| it.is_ascii_digit());
        if is_port {
            name
        } else {
            host.unwrap_or_default()
        }
    });
    let name = name.trim_matches(['[', ']']);
    let named = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    named && !head.contains_key(header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn head(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_token_is_compared_whole() {
        let token = Token::new("0123456789abcdef").unwrap();
        let carries = |value| carries(&head(&[(header::AUTHORIZATION, value)]), &token);
        assert!(carries("Bearer 0123456789abcdef") && carries("bearer 0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdefg",
            "Bearer",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!carries(wrong), "{wrong}");
        }
        assert!(Token::new("short").is_err() && Token::new("0123456789 abcdef").is_err());
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn pages_of_others_are_told_by_their_names() {
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:8081",
            "[::1]:8081",
            "[::1]",
        ] {
            assert!(is_of_this_host(&head(&[(header::HOST, host)])), "{host}");
        }
        for host in [
            "evil.example:8081",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil:80",
        ] {
            assert!(!is_of_this_host(&head(&[(header::HOST, host)])), "{host}");
        }
        let page = [(header::HOST, "localhost"), (header::ORIGIN, "null")];
        assert!(!is_of_this_host(&head(&page)));
    }
}
