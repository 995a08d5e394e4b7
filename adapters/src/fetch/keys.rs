//! The keys of one channel whose segments are decrypted on their way. They live here and nowhere else: no
//! event, no journal, no checkpoint and no log ever holds one.

use super::decrypt::Key;
use super::{Fetcher, SourceAccess};
use hls_relay_core::command::{Download, FetchLimits};
use hls_relay_core::config;
use hls_relay_core::event::FetchError;
use hls_relay_core::ids::Generation;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// So many are remembered: the key in force, those of segments that are tried again, and a few that a
/// source with rotation has announced.
const REMEMBERED: usize = 32;

/// Keys by who asked for them and their URL: each is fetched once, whoever waits for it.
#[derive(Debug, Default)]
pub struct Keys {
    known: Mutex<VecDeque<Known>>,
}

#[derive(Debug)]
struct Known {
    /// With other headers, another answer.
    asker: (Generation, usize),
    url: Arc<str>,
    key: Arc<OnceCell<Key>>,
}

impl Keys {
    /// The key at a URL, fetched where it is not known.
    pub(super) async fn get(
        &self,
        fetcher: &Fetcher,
        access: &SourceAccess,
        download: &Download,
        url: &Arc<str>,
    ) -> Result<Key, FetchError> {
        let cell = self.cell((download.generation, download.source), url);
        let limits = FetchLimits {
            least_bytes: 0,
            ..config::resource_limits(download.limits.first_byte)
        };
        let fetch = || async {
            let key = fetcher.key(access, url, &limits).await;
            key.map_err(|error| FetchError::Key(error.to_string().into()))
        };
        cell.get_or_try_init(fetch).await.copied()
    }

    fn cell(&self, asker: (Generation, usize), url: &Arc<str>) -> Arc<OnceCell<Key>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &Known| it.asker == asker && it.url == *url;
        if let Some(it) = known.iter().find(|it| is_it(it)) {
            return Arc::clone(&it.key);
        }
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        let key = Arc::default();
        known.push_back(Known {
            asker,
            url: Arc::clone(url),
            key: Arc::clone(&key),
        });
        key
    }
}
