//! The pages of channels.

use super::answers::{Refusal, answer, read};
use super::view::{self, ChannelView};
use super::{Api, Inner};
use crate::control_store::{ChangeError, Changed, Told};
use crate::spec::{ChannelSpec, named};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Change, ChannelId, Condition, Record, Writer};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    #[serde(deserialize_with = "named::one")]
    spec: ChannelSpec,
    desired: Option<Desired>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutDesired {
    desired: Desired,
}

type Answered = Result<Response, Refusal>;

pub(super) async fn list(State(api): State<Api>) -> Answered {
    let channels = all(&api.inner).await?;
    Ok(answer(StatusCode::OK, &json!({ "channels": channels })))
}

/// All channels as they are wanted and observed.
pub(super) async fn all(api: &Inner) -> Result<Vec<ChannelView>, Refusal> {
    let (wanted, seen) = (api.store.list_told().await?, api.handle.look().await);
    let makers = &api.makers.view().await;
    let views = wanted.into_iter().map(|((id, record), told)| {
        let seen = seen.get(&id).cloned();
        let told = told.map(|it| api.whether_dead(it));
        async move {
            let view = view::of_channel(&api.node, &id, &record, seen, told).await;
            view.made_by(&api.node, makers)
        }
    });
    Ok(futures_util::future::join_all(views).await)
}

/// Those that are this node's, however it is with the store.
pub(super) async fn own(api: &Inner) -> Vec<ChannelView> {
    let seen = api.handle.look().await.into_iter();
    let views = seen.map(|(id, seen)| {
        let record = seen.record.clone();
        async move { view::of_channel(&api.node, &id, &record, Some(seen), None).await }
    });
    futures_util::future::join_all(views).await
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answered {
    let id = channel(&id)?;
    let found = match api.inner.store.get_told(&id).await {
        // What this node relays it can tell of.
        Err(error @ ChangeError::Failed(_)) => {
            let mut seen = api.inner.handle.look().await;
            let seen = seen.remove(&id).ok_or(error)?;
            Some((seen.record, None))
        }
        found @ (Ok(_) | Err(_)) => found?,
    };
    let (record, told) = found.ok_or_else(Refusal::missing)?;
    Ok(shown(&api.inner, StatusCode::OK, &id, &record, told).await)
}

pub(super) async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    head: HeaderMap,
    body: Body,
) -> Answered {
    let (id, condition) = (channel(&id)?, condition(&head)?);
    let Put { spec, desired } = read(body).await?;
    let (spec, condition) = with_secrets(&api.inner, &id, spec, condition).await?;
    spec.resolve()?;
    let spec = Arc::new(spec);
    make(&api.inner, &id, Change::Put { spec, desired }, condition).await
}

/// What stands masked keeps its secret.
async fn with_secrets(
    api: &Inner,
    id: &ChannelId,
    spec: ChannelSpec,
    condition: Condition,
) -> Result<(ChannelSpec, Condition), Refusal> {
    let present = api.store.get(id).await?;
    let unmasked = spec
        .clone()
        .unmasked(present.as_ref().map(|it| &*it.spec))?;
    let kept_from = present.filter(|_| unmasked != spec);
    Ok((
        unmasked,
        guarded(condition, kept_from.map(|it| it.revision)),
    ))
}

/// Where a secret is kept from a revision, nobody may have put another one there meanwhile.
fn guarded(condition: Condition, kept_from: Option<u64>) -> Condition {
    match (condition, kept_from) {
        (Condition::Any | Condition::Present, Some(revision)) => Condition::Unchanged(revision),
        (condition, _) => condition,
    }
}

pub(super) async fn desire(
    State(api): State<Api>,
    Path(id): Path<String>,
    head: HeaderMap,
    body: Body,
) -> Answered {
    let (id, condition) = (channel(&id)?, condition(&head)?);
    let PutDesired { desired } = read(body).await?;
    make(&api.inner, &id, Change::Desire(desired), condition).await
}

pub(super) async fn remove(
    State(api): State<Api>,
    Path(id): Path<String>,
    head: HeaderMap,
) -> Answered {
    let (id, condition) = (channel(&id)?, condition(&head)?);
    make(&api.inner, &id, Change::Remove, condition).await
}

async fn make(
    api: &Inner,
    id: &ChannelId,
    change: Change<ChannelSpec>,
    condition: Condition,
) -> Answered {
    if api.handle.is_leaving() {
        let text = "the node is leaving";
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "leaving",
            text,
        ));
    }
    let changed = api.store.change(id, Writer::Api, change, condition).await?;
    let Changed {
        revision,
        record,
        is_new,
    } = changed;
    let channel = &**id.name();
    let wish = match record.as_ref().map(|it| it.desired) {
        Some(Desired::Run) => "it should run",
        Some(Desired::Stop) => "it should stop",
        None => "it is removed",
    };
    tracing::info!(channel, revision, "by the API: {wish}");
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(match &record {
        Some(record) => {
            // What is observed is no part of the change: where it cannot be had, the change is made all the same.
            let told = api.store.get_told(id).await.ok().flatten();
            let told = told.and_then(|(_, told)| told);
            shown(api, status, id, record, told).await
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn shown(
    api: &Inner,
    status: StatusCode,
    id: &ChannelId,
    record: &Record<ChannelSpec>,
    told: Option<Told>,
) -> Response {
    let seen = api.handle.look().await.remove(id);
    let told = told.map(|it| api.whether_dead(it));
    let view = view::of_channel(&api.node, id, record, seen, told).await;
    let view = view.made_by(&api.node, &api.makers.view().await);
    let mut answer = answer(status, &json!(view));
    let tag = HeaderValue::from_str(&format!("\"{}\"", record.revision));
    answer
        .headers_mut()
        .extend(tag.ok().map(|tag| (header::ETAG, tag)));
    answer
}

impl Inner {
    /// Beside what an owner has told, whether he may be asked for it still.
    fn whether_dead(&self, told: Told) -> Told {
        let owner = told.owner.as_deref().and_then(|it| it.parse().ok());
        let known = self.hands.as_ref().zip(owner);
        let is_dead = known.is_some_and(|(hands, owner)| hands.address_of(&owner).is_none());
        Told { is_dead, ..told }
    }
}

fn channel(text: &str) -> Result<ChannelId, Refusal> {
    ChannelId::new(text).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "id", error))
}

/// What the head of a request asks for before anything is changed.
fn condition(head: &HeaderMap) -> Result<Condition, Refusal> {
    let text = |name: HeaderName| {
        let value = head.get(name)?;
        // What is no text is no revision either.
        Some(value.to_str().unwrap_or_default().trim())
    };
    let refused = |text| Refusal::new(StatusCode::BAD_REQUEST, "condition", text);
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Any),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(tag), None) => {
            let revision = tag.trim_matches('"').parse();
            revision.map(Condition::Unchanged).map_err(|_| {
                refused("If-Match: give one revision in quotes, as in the ETag of an answer, or *")
            })
        }
        (_, Some(_)) => Err(refused("If-None-Match: only '*' is understood, and alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_from_the_revision_that_it_was_read_of() {
        for (asked, kept_from, made) in [
            (Condition::Any, Some(7), Condition::Unchanged(7)),
            (Condition::Present, Some(7), Condition::Unchanged(7)),
            // It is refused where that is not the newest any more.
            (Condition::Unchanged(6), Some(7), Condition::Unchanged(6)),
            (Condition::Absent, Some(7), Condition::Absent),
            (Condition::Any, None, Condition::Any),
            (Condition::Present, None, Condition::Present),
        ] {
            assert_eq!(guarded(asked, kept_from), made);
        }
    }
}
