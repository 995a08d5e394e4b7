//! The pages of channels.

use super::answers::{Refusal, answer, read};
use super::view::{self, ChannelView};
use super::{Api, Inner};
use crate::control_store::Changed;
use crate::spec::ChannelSpec;
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
    let (wanted, seen) = (api.store.list().await?, api.handle.look().await);
    let views = wanted.iter().map(|(id, record)| {
        let seen = seen.get(id).cloned();
        view::of_channel(&api.node, id, record, seen)
    });
    Ok(futures_util::future::join_all(views).await)
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answered {
    let id = channel(&id)?;
    let record = api.inner.store.get(&id).await?;
    let record = record.ok_or_else(Refusal::missing)?;
    Ok(shown(&api.inner, StatusCode::OK, &id, &record).await)
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

/// What stands masked keeps its secret; then nobody may have put another one there meanwhile.
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
    let condition = match (condition, present) {
        (Condition::Any, Some(present)) if unmasked != spec => {
            Condition::Unchanged(present.revision)
        }
        (condition, _) => condition,
    };
    Ok((unmasked, condition))
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
        Some(record) => shown(api, status, id, record).await,
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn shown(
    api: &Inner,
    status: StatusCode,
    id: &ChannelId,
    record: &Record<ChannelSpec>,
) -> Response {
    let seen = api.handle.look().await.remove(id);
    let view = view::of_channel(&api.node, id, record, seen).await;
    let mut answer = answer(status, &json!(view));
    let tag = HeaderValue::from_str(&format!("\"{}\"", record.revision));
    answer
        .headers_mut()
        .extend(tag.ok().map(|tag| (header::ETAG, tag)));
    answer
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
        (Some(tag), None) => {
            let revision = tag.trim_matches('"').parse();
            revision.map(Condition::Unchanged).map_err(|_| {
                refused("If-Match: give one revision in quotes, as in the ETag of an answer")
            })
        }
        (_, Some(_)) => Err(refused("If-None-Match: only '*' is understood, and alone")),
    }
}
