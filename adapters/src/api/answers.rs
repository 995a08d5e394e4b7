//! How the API answers, and refuses.

use crate::control_store::ChangeError;
use crate::one_line::one_line;
use crate::spec::SpecFault;
use crate::spec::named::Named;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hls_relay_core::node::Refused;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const JSON: &str = "application/json";
/// The longest spec that can be relayed, with room for white space.
const MOST_BODY_BYTES: usize = 256 << 10;
/// A body takes so long at most.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    message: String,
    field: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        let message = one_line(&message.to_string());
        Self {
            status,
            code,
            message,
            field: None,
        }
    }

    pub(super) fn missing() -> Self {
        Self::from(ChangeError::Refused(Refused::Missing))
    }

    fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(one_line(&field.into()));
        self
    }
}

impl From<SpecFault> for Refusal {
    fn from(SpecFault { field, why }: SpecFault) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", why).at(format!("spec.{field}"))
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        let (status, code) = match &error {
            ChangeError::Refused(Refused::Missing) => (StatusCode::NOT_FOUND, "no_channel"),
            ChangeError::Refused(Refused::Changed(_) | Refused::Present(_)) => {
                (StatusCode::PRECONDITION_FAILED, "changed")
            }
            ChangeError::Refused(Refused::OfConfig | Refused::OfFeed) => {
                (StatusCode::CONFLICT, "not_yours")
            }
            ChangeError::Full => (StatusCode::CONFLICT, "full"),
            ChangeError::Unreadable(_) => (StatusCode::CONFLICT, "unreadable"),
            ChangeError::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
        };
        Self::new(status, code, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        let mut answer = answer(self.status, &json!({ "error": error }));
        let fields = answer.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// An answer in JSON. What is wanted of a channel may change at any time.
pub(super) fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let fields = [
        (header::CONTENT_TYPE, JSON),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, fields, format!("{body:#}\n")).into_response()
}

/// Reads a body as far as it may go.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = timeout(BODY_WITHIN, axum::body::to_bytes(body, MOST_BODY_BYTES));
    let bytes = bytes.await.map_err(|_| {
        let text = format!("the body has not come within {BODY_WITHIN:?}");
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", text)
    })?;
    let bytes = bytes.map_err(|_| {
        let text = format!("the body is longer than {MOST_BODY_BYTES} bytes, or broke off");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    })?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let Named(read) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, error) = (error.path().to_string(), error.inner());
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, "invalid", error);
        // What is no JSON has no fields.
        match error.is_data() && field != "." {
            true => refusal.at(field),
            false => refusal,
        }
    })?;
    let rest = json.end();
    rest.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "invalid", error))?;
    Ok(read)
}
