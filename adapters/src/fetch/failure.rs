//! The many ways of a request to fail, as the few that the core tells apart.

use super::zone::OutOfReach;
use hls_relay_core::event::FetchError;
use std::error::Error;
use std::io;
use url::Url;

/// A request that got no answer.
pub(super) fn of_request(error: &reqwest::Error, url: &Url) -> FetchError {
    let mut causes = causes(error);
    if causes.any(|cause| cause.is::<OutOfReach>()) {
        return FetchError::PrivateAddress(url.host_str().unwrap_or_default().into());
    }
    if error.is_builder() {
        return FetchError::BadUrl(crate::mask::mask(url).into());
    }
    if error.is_connect() {
        return FetchError::Connect(words(error).into());
    }
    match io_kind(error) {
        Some(_) => FetchError::Interrupted { received: 0 },
        None if closed_early(error) => FetchError::Interrupted { received: 0 },
        None => FetchError::Protocol(words(error).into()),
    }
}

/// An answer that broke off within its body.
pub(super) fn of_body(error: &reqwest::Error, received: u64, expected: Option<u64>) -> FetchError {
    match (io_kind(error), expected) {
        // Closed in good order, only too early: the origin believes that this was all.
        (Some(io::ErrorKind::UnexpectedEof), Some(expected)) => {
            FetchError::Truncated { received, expected }
        }
        _ => FetchError::Interrupted { received },
    }
}

/// What went wrong, from the innermost cause, which is the one that an operator can act on.
pub(super) fn words(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_else(|| "no reason given".to_owned())
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}

/// The server hung up before it answered; hyper has no io error for this.
fn closed_early(error: &reqwest::Error) -> bool {
    words(error).contains("closed before message completed")
}

/// The causes of an error, not itself: its own text would repeat the URL with its tokens.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
