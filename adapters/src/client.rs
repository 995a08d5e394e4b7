//! Asks the API of a node: `hls-relay channel` and `hls-relay drain`.

pub mod drain;
mod tell;

use crate::api::view::ChannelView;
use crate::cli::{ChannelAction, ChannelArgs, ChannelCommand, SetArgs};
use crate::node::config::TOKEN;
use crate::one_line::one_line;
use crate::spec::ChannelSpec;
use hls_relay_core::event::Desired;
use hls_relay_core::node::ChannelId;
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;
use url::Url;

const CHANNELS: &str = "/api/v1/channels";
/// A node answers at once, or not at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How often changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An answer is read up to here: ten thousand channels have room in it.
const MOST_BYTES: usize = 64 << 20;
/// Others change a channel, too: so often a change is made anew on what they left.
const TRIES: usize = 3;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node says no: with its words, and the field they are about.
    #[error("{}", one_line(message))]
    Refused { status: StatusCode, message: String },
    /// Nobody answers, or not as a node does.
    #[error(
        "{} cannot be asked: {why}; is 'hls-relay node' running there? Say with --api where it is",
        one_line(api)
    )]
    Unreachable { api: String, why: String },
    /// What is said cannot be meant; in words.
    #[error("{0}")]
    Arguments(String),
    /// Whoever reads the output has gone.
    #[error("{0}")]
    Output(#[from] io::Error),
}

impl ClientError {
    /// See the end of `--help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { status, .. } => match *status {
                StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => 2,
                StatusCode::NOT_FOUND => 6,
                StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => 7,
                _ => 8,
            },
            Self::Unreachable { .. } => 8,
            Self::Arguments(_) => 2,
            Self::Output(_) => 1,
        }
    }
}

/// One node, as its API is asked.
struct Node {
    api: Url,
    client: Client,
    token: Option<String>,
}

/// What a channel was asked for, and its revision.
type Shown = (ChannelView, String);

/// Does what the command line says.
pub async fn run(command: ChannelCommand) -> Result<(), ClientError> {
    let node = Node::new(command.api)?;
    let mut out = io::stdout();
    let json = command.json;
    match command.action {
        ChannelAction::Add(args) => {
            let spec = spec_of(&args.source, &args.channel);
            args.channel.check(&spec).map_err(ClientError::Arguments)?;
            let body = json!({ "spec": spec });
            let head = [(header::IF_NONE_MATCH, "*")];
            let path = path(&args.id);
            let added = node.ask(Method::PUT, &path, &head, Some(body)).await?;
            tell::changed(&mut out, json, &read(&added)?)?;
        }
        ChannelAction::Set(args) => tell::changed(&mut out, json, &set(&node, &args).await?)?,
        ChannelAction::Run(args) => {
            let changed = desire(&node, &args.id, Desired::Run).await?;
            tell::changed(&mut out, json, &changed)?;
        }
        ChannelAction::Stop(args) => {
            let changed = desire(&node, &args.id, Desired::Stop).await?;
            tell::changed(&mut out, json, &changed)?;
        }
        ChannelAction::Rm(args) => {
            node.ask(Method::DELETE, &path(&args.id), &[], None).await?;
            if !json {
                writeln!(out, "{}: removed", args.id)?;
            }
        }
        ChannelAction::Ls => tell::list(&mut out, json, &all(&node).await?)?,
        ChannelAction::Show(args) => {
            let (channel, _) = node.show(&args.id).await?;
            tell::channel(&mut out, json, &channel)?;
        }
        ChannelAction::Watch(args) => watch(&node, args.id.as_ref(), json).await?,
    }
    Ok(())
}

fn spec_of(source: &str, said: &ChannelArgs) -> ChannelSpec {
    let mut spec = ChannelSpec::of(Vec::new());
    said.change(Some(source), &mut spec);
    spec
}

fn path(id: &ChannelId) -> String {
    format!("{CHANNELS}/{id}")
}

/// What is not said stays, secrets too: the node knows what stands behind their masks.
async fn set(node: &Node, args: &SetArgs) -> Result<ChannelView, ClientError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let (channel, tag) = node.show(&args.id).await?;
        let mut spec = channel.spec;
        args.change(&mut spec);
        args.channel.check(&spec).map_err(ClientError::Arguments)?;
        let body = Some(json!({ "spec": spec }));
        let head = [(header::IF_MATCH, &*tag)];
        match node.ask(Method::PUT, &path(&args.id), &head, body).await {
            Err(ClientError::Refused { status, .. })
                if status == StatusCode::PRECONDITION_FAILED && tries > 0 => {}
            changed => return read(&changed?),
        }
    }
}

async fn desire(node: &Node, id: &ChannelId, desired: Desired) -> Result<ChannelView, ClientError> {
    let path = format!("{}/desired", path(id));
    let body = Some(json!({ "desired": desired }));
    read(&node.ask(Method::PUT, &path, &[], body).await?)
}

async fn all(node: &Node) -> Result<Vec<ChannelView>, ClientError> {
    #[derive(Deserialize)]
    struct Channels {
        channels: Vec<ChannelView>,
    }
    let answer = node.ask(Method::GET, CHANNELS, &[], None).await?;
    let channels: Channels = node.understood(&answer)?;
    Ok(channels.channels)
}

/// Tells each change once. A node that is away for a while is waited for, and said.
async fn watch(node: &Node, id: Option<&ChannelId>, json: bool) -> Result<(), ClientError> {
    let mut out = io::stdout();
    let mut told: BTreeMap<String, tell::Line> = BTreeMap::new();
    let mut away = false;
    let mut first = true;
    loop {
        let found = match id {
            Some(id) => node.show(id).await.map(|(channel, _)| vec![channel]),
            None => all(node).await,
        };
        match found {
            Ok(channels) => {
                tell::news(&mut out, json, &mut told, &channels)?;
                away = false;
            }
            // Nobody there at the start is a mistake, later it is news.
            Err(error) if first || error.exit_code() != 8 => return Err(error),
            Err(error) if !away => {
                tracing::warn!("{error}");
                away = true;
            }
            Err(_) => {}
        }
        first = false;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Node {
    fn new(api: Url) -> Result<Self, ClientError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWERS_WITHIN)
            .build();
        let client = client.map_err(|error| ClientError::Output(io::Error::other(error)))?;
        let token = std::env::var(TOKEN).ok();
        Ok(Self { api, client, token })
    }

    async fn show(&self, id: &ChannelId) -> Result<Shown, ClientError> {
        let answer = self.ask(Method::GET, &path(id), &[], None).await?;
        let channel: ChannelView = self.understood(&answer)?;
        let tag = format!("\"{}\"", channel.revision);
        Ok((channel, tag))
    }

    /// The body of an answer that is a success.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        head: &[(header::HeaderName, &str)],
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.api.as_str().trim_end_matches('/'));
        let mut request = self.client.request(method, url);
        for (name, value) in head {
            request = request.header(name, *value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            let json = (header::CONTENT_TYPE, "application/json");
            request = request.header(json.0, json.1).body(body.to_string());
        }
        let (status, text) = self.answer(request).await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        match status.is_success() {
            true => Ok(body),
            false => Err(self.refusal(path, status, &body)),
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, String), ClientError> {
        let unreachable = |error: reqwest::Error| self.unreachable(words(&error));
        let mut answer = request.send().await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(bytes) = answer.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&bytes);
            if body.len() > MOST_BYTES {
                return Err(
                    self.unreachable(format!("it answers with more than {MOST_BYTES} bytes"))
                );
            }
        }
        Ok((answer.status(), String::from_utf8_lossy(&body).into_owned()))
    }

    fn unreachable(&self, why: String) -> ClientError {
        let api = crate::mask::mask(&self.api);
        ClientError::Unreachable { api, why }
    }

    /// Only the API itself can say no: another server's 404 says nothing of channels.
    fn refusal(&self, path: &str, status: StatusCode, body: &Value) -> ClientError {
        let text = |name: &str| body["error"][name].as_str();
        let message = match (text("code"), text("field"), text("message")) {
            (Some("no_channel"), _, Some(message)) => {
                let channel = path.strip_prefix(CHANNELS).unwrap_or_default();
                let channel = channel.trim_start_matches('/').split('/').next();
                format!("{}: {message}", channel.unwrap_or_default())
            }
            (Some("token"), _, Some(_)) => match &self.token {
                Some(_) => format!("what {TOKEN} says is not the token of the node"),
                None => format!("the node answers those who have its token: set {TOKEN} to it"),
            },
            (Some(_), Some(field), Some(message)) => format!("{field}: {message}"),
            (Some(_), None, Some(message)) if status != StatusCode::NOT_FOUND => message.to_owned(),
            _ => return self.unreachable(format!("it answers {status}")),
        };
        ClientError::Refused { status, message }
    }

    fn understood<T: for<'de> Deserialize<'de>>(&self, answer: &Value) -> Result<T, ClientError> {
        let why = |error| format!("it does not answer as a node of this version: {error}");
        T::deserialize(answer).map_err(|error| self.unreachable(one_line(&why(error))))
    }
}

fn read(answer: &Value) -> Result<ChannelView, ClientError> {
    let read = ChannelView::deserialize(answer);
    read.map_err(|error| ClientError::Output(io::Error::other(error)))
}

/// The last cause is the one that helps.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    one_line(&cause.to_string())
}
