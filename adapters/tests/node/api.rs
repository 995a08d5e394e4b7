//! The API: what it takes, what it refuses and in which words, and that its description says the same.

use crate::operator::{Answered, Node, spec};
use crate::support::binary::command;
use crate::viewers::{client, origin};
use reqwest::Method;
use serde_json::{Value, json};

const NEWS: &str = "/api/v1/channels/news";
/// Nothing answers there.
const NOWHERE: &str = "http://127.0.0.1:9/live.m3u8";

fn code(answer: &Answered) -> (u16, &str) {
    let code = answer.body["error"]["code"].as_str();
    (answer.status, code.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_made_once_and_only_where_nobody_was_faster() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    assert_eq!(code(&node.get(NEWS).await), (404, "no_channel"));
    let secretive = json!({
        "sources": ["http://me:hunter2@127.0.0.1:9/live.m3u8?token=hunter2"],
        "headers": ["Authorization: Bearer hunter2"],
    });
    let added = node.put("news", secretive).await;
    assert_eq!(added.status, 201, "{added:?}");
    let revision = added.body["revision"].as_u64().unwrap();
    assert_eq!(added.etag, format!("\"{revision}\""));
    let shown = &added.body["spec"]["sources"][0];
    assert_eq!(shown, "http://***@127.0.0.1:9/live.m3u8?token=***");

    // What was shown, written back with a change, keeps its secrets.
    let mut again = added.body["spec"].clone();
    let same = node.put("news", again.clone()).await;
    assert_eq!(
        (same.status, same.body["revision"].as_u64()),
        (200, Some(revision))
    );
    again["window"] = 7.into();
    let body = Some(json!({ "spec": again, "desired": "stop" }));
    let head = [("if-match", &*added.etag)];
    let changed = node.ask(Method::PUT, NEWS, &head, body.clone()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["desired"], "stop");
    let late = node.ask(Method::PUT, NEWS, &head, body.clone()).await;
    assert_eq!(code(&late), (412, "changed"));
    let there = node
        .ask(Method::PUT, NEWS, &[("if-none-match", "*")], body)
        .await;
    assert_eq!(code(&there), (412, "changed"));

    assert_eq!(node.desire("news", "run").await.body["desired"], "run");
    let late = node.ask(Method::DELETE, NEWS, &head, None).await;
    assert_eq!(code(&late), (412, "changed"));
    let listed = node.get("/api/v1/channels").await;
    assert_eq!(listed.body["channels"][0]["id"], "news");
    let gone = node.ask(Method::DELETE, NEWS, &[], None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(code(&node.desire("news", "run").await), (404, "no_channel"));
    let metrics = node.get("/metrics").await.body.to_string();
    let told = [listed.body.to_string(), metrics, node.log()].concat();
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_with_its_field_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let cases = [
        (json!({}), ""),
        (json!({ "spec": { "sources": [] } }), "spec.sources"),
        (
            json!({ "spec": { "sources": ["ftp://x/"] } }),
            "spec.sources[0]",
        ),
        (json!({ "spec": { "sources": [7] } }), "spec.sources[0]"),
        (
            json!({ "spec": { "sources": [NOWHERE], "window": 2 } }),
            "spec.window",
        ),
        (
            json!({ "spec": { "sources": [NOWHERE], "windw": 9 } }),
            "spec.windw",
        ),
        (
            json!({ "spec": { "sources": [NOWHERE], "hole": "x" } }),
            "spec.hole",
        ),
        (
            json!({ "spec": spec(NOWHERE), "desired": "walk" }),
            "desired",
        ),
        (
            json!({ "spec": { "sources": ["http://a/?token=***"] } }),
            "spec.sources[0]",
        ),
        (
            json!({ "spec": { "sources": [NOWHERE], "headers": ["Host: x"] } }),
            "spec.headers[0]",
        ),
    ];
    for (body, field) in cases {
        let answer = node.ask(Method::PUT, NEWS, &[], Some(body.clone())).await;
        assert_eq!(code(&answer), (400, "invalid"), "{body}");
        let told = answer.body["error"]["field"].as_str().unwrap_or_default();
        assert_eq!(told, field, "{answer:?}");
    }
    // By their places, nobody could tell what is what.
    for (body, field) in [
        (json!([spec(NOWHERE)]), ""),
        (json!({ "spec": [[NOWHERE]] }), "spec"),
        (
            json!({ "spec": { "sources": [NOWHERE], "ladder": [["720p", 720]] } }),
            "spec.ladder[0]",
        ),
    ] {
        let answer = node.ask(Method::PUT, NEWS, &[], Some(body.clone())).await;
        assert_eq!(code(&answer), (400, "invalid"), "{body}");
        let told = answer.body["error"]["field"].as_str().unwrap_or_default();
        assert_eq!(told, field, "{answer:?}");
    }
    let url = format!("{}{NEWS}", node.api);
    let broken = client()
        .put(url)
        .body("{\"spec\": {\"sources\": [\"http:")
        .send();
    let answer = broken.await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"]["code"], "invalid", "{answer}");
    assert_eq!(answer["error"]["field"], Value::Null, "{answer}");
    let head = [("if-match", "*")];
    let answer = node
        .ask(
            Method::PUT,
            NEWS,
            &head,
            Some(json!({ "spec": spec(NOWHERE) })),
        )
        .await;
    assert_eq!(code(&answer), (404, "no_channel"));
    let long = json!({ "spec": spec(&format!("http://a/{}", "x".repeat(300 << 10))) });
    let answer = node.ask(Method::PUT, NEWS, &[], Some(long)).await;
    assert_eq!(code(&answer), (413, "too_large"));
    let answer = node.put("a%20b", spec(NOWHERE)).await;
    assert_eq!(code(&answer), (400, "id"));
    let head = [("if-match", "x")];
    let answer = node.ask(Method::DELETE, NEWS, &head, None).await;
    assert_eq!(code(&answer), (400, "condition"));
    assert_eq!(
        node.get("/api/v1/channels").await.body["channels"],
        json!([])
    );
    // A page of somebody else's that a browser on this host has open.
    for head in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let answer = node.ask(Method::PUT, NEWS, &[head], Some(json!({}))).await;
        assert_eq!(code(&answer), (403, "host"), "{head:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_file_says_is_changed_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let text = format!("[[channel]]\nid = \"news\"\nsources = [\"{NOWHERE}\"]\n");
    std::fs::write(&file, text).unwrap();
    let (data, file) = (folder.path().join("data"), file.display().to_string());
    let node = Node::start(&data, &["--config", &file]);
    assert_eq!(node.get(NEWS).await.body["writer"], "config");
    let answer = node
        .put("news", spec("http://127.0.0.1:9/other.m3u8"))
        .await;
    assert_eq!(code(&answer), (409, "not_yours"));
    assert_eq!(node.desire("news", "stop").await.status, 200);
    assert_eq!(node.put("sport", spec(NOWHERE)).await.status, 201);
    drop(node);
    // What was stopped stays so; what the file names no more is gone, what it never named is not.
    let node = Node::start(&data, &["--config", &file]);
    assert_eq!(node.get(NEWS).await.body["desired"], "stop");
    drop(node);
    let node = Node::start(&data, &[]);
    assert_eq!(node.get(NEWS).await.status, 404);
    assert_eq!(node.get("/api/v1/channels/sport").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elsewhere_than_on_this_host_it_takes_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let args = ["node", "--data", &data, "--api-listen", "0.0.0.0:0"];
    let refused = command(&args).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("HLS_RELAY_API_TOKEN"), "{words}");

    let token = "0123456789abcdef";
    let mut args = command(&args);
    args.env("HLS_RELAY_API_TOKEN", token);
    let mut node = Node::of(crate::support::binary::Relay::spawn(args));
    node.api = node.api.replace("localhost", "127.0.0.1");
    for (header, status) in [
        ("Bearer 0123456789abcdef", 200),
        ("Bearer 0123456789abcdeF", 401),
        ("Basic 0123456789abcdef", 401),
        ("", 401),
    ] {
        for page in ["/api/v1/channels", "/metrics", "/api/v1/openapi.json"] {
            let answer = node
                .ask(Method::GET, page, &[("authorization", header)], None)
                .await;
            assert_eq!(answer.status, status, "{header} {page}");
        }
    }
    for page in ["/healthz", "/readyz"] {
        assert_eq!(node.get(page).await.status, 200);
    }
    assert!(!node.log().contains(token));
}

/// What the description says of the pages and their answers is what they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_as_it_is_described() {
    let source = origin(20).await;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let described = node.get("/api/v1/openapi.json").await.body;
    node.put("live", spec(&source.url())).await;
    node.put("dead", spec(NOWHERE)).await;
    node.put("held", spec(NOWHERE)).await;
    node.desire("held", "stop").await;
    node.until_state("live", "live").await;
    node.until_state("held", "stopped").await;
    let schema = &described["components"]["schemas"];
    let list = node.get("/api/v1/channels").await.body;
    conforms(&described, &schema["Channels"], &list, "channels");
    let channel = node.get("/api/v1/channels/live").await.body;
    conforms(&described, &schema["Channel"], &channel, "channel");
    let observed = channel["observed"].as_object().unwrap();
    for figure in [
        "source_url",
        "delay_ms",
        "newest_segment_age_ms",
        "generation",
    ] {
        assert!(observed.contains_key(figure), "{figure} in {observed:?}");
    }
    let refused = node.put("bad", json!({})).await.body;
    conforms(&described, &schema["Error"], &refused, "error");

    let methods = [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::PATCH,
    ];
    for (path, page) in described["paths"].as_object().unwrap() {
        let asked = format!("{}{}", node.api, path.replace("{id}", "none"));
        for method in &methods {
            let described = page.get(method.as_str().to_lowercase()).is_some();
            let request = client().request(method.clone(), &asked).send();
            let status = request.await.unwrap().status().as_u16();
            assert_eq!(status != 405, described, "{method} {path}: {status}");
        }
    }
    assert_eq!(code(&node.get("/api/v1/none").await), (404, "no_page"));
    let metrics = node.get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "hls_relay_channel_state{channel=\"live\",state=\"live\"} 1",
        "hls_relay_channel_desired_run{channel=\"held\"} 0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} in\n{metrics}");
    }
}

/// As much of JSON Schema as the description uses.
fn conforms(all: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let of = all.pointer(name.trim_start_matches('#')).unwrap();
        return conforms(all, of, value, at);
    }
    let is = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("{at}: type {other}"),
    };
    assert!(is, "{at}: {value} is not as {schema}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(all, &schema["items"], item, at);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        assert!(value.get(name).is_some(), "{at}: no {name} in {value}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let own = &schema["properties"][name];
        let others = &schema["additionalProperties"];
        let of = if own.is_null() { others } else { own };
        assert!(of.is_object(), "{at}: {name} is not described");
        conforms(all, of, field, &format!("{at}.{name}"));
    }
}
