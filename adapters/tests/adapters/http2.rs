//! An origin that speaks HTTP/2 over TLS and nothing else, relayed by the real binary.

use crate::support::binary::{Relay, command};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::CertifiedKey;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

type Asked = Arc<Mutex<Vec<(Version, String)>>>;

const LIST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:1,\n1.ts\n\
                    #EXTINF:1,\n2.ts\n#EXTINF:1,\n3.ts\n#EXT-X-ENDLIST\n";

/// Serves on a free port, and tells its address and what it was asked.
async fn serve(certified: &CertifiedKey<rcgen::KeyPair>) -> (SocketAddr, Asked) {
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, asked) = (TlsAcceptor::from(Arc::new(config)), Asked::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let all = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, asked) = (acceptor.clone(), all.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await?;
                let answer = service_fn(move |request| answer(request, asked.clone()));
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let served = http2.serve_connection(TokioIo::new(stream), answer).await;
                served.map_err(std::io::Error::other)
            });
        }
    });
    (address, asked)
}

async fn answer(request: Request<Incoming>, asked: Asked) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    asked
        .lock()
        .unwrap()
        .push((request.version(), path.clone()));
    let body = if path == "/live.m3u8" {
        LIST.to_owned()
    } else {
        path
    };
    Ok(Response::new(body))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_asked_over_http_2() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (address, asked) = serve(&certified).await;
    let mut authorities = tempfile::NamedTempFile::new().unwrap();
    authorities
        .write_all(certified.cert.pem().as_bytes())
        .unwrap();
    let url = format!("https://localhost:{}/live.m3u8", address.port());
    let mut relay = command(&["relay", &url]);
    relay.env("SSL_CERT_FILE", authorities.path());
    let relay = Relay::spawn(relay);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    let list = loop {
        let list = client
            .get(&relay.address)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        if list.contains("#EXT-X-ENDLIST") {
            break list;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let segments = list.lines().filter(|line| line.ends_with(".ts"));
    for (line, path) in segments.zip(["/1.ts", "/2.ts", "/3.ts"]) {
        let url = relay.address.replace("index.m3u8", line);
        let held = client.get(url).send().await.unwrap().text().await.unwrap();
        assert_eq!(held, path);
    }
    let asked = asked.lock().unwrap();
    assert!(asked.len() >= 4, "{asked:?}");
    assert!(asked.iter().all(|it| it.0 == Version::HTTP_2), "{asked:?}");
}
