//! `hls-relay drain`: has a node give its channels away, and waits until it has none.

use super::{ClientError, LOOK_EVERY, Node};
use crate::api::view::NodeView;
use crate::cli::DrainArgs;
use reqwest::Method;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Where nothing has moved for so long it is said why that may be.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// Does it, and tells how it goes on.
pub async fn run(args: DrainArgs) -> Result<(), ClientError> {
    let node = Node::new(args.api)?;
    let mut out = io::stdout();
    let begun = node.ask(Method::POST, "/api/v1/node/drain", &[], None);
    let mut view: NodeView = node.understood(&begun.await?)?;
    let (mut told, mut since, mut is_stuck) = (None, Instant::now(), false);
    while view.channels > 0 {
        let (name, left) = (&view.name, view.channels);
        if told != Some(left) {
            (told, since, is_stuck) = (Some(left), Instant::now(), false);
            writeln!(out, "{name}: {left} {} left", channels(left))?;
        } else if since.elapsed() > STUCK_AFTER && !is_stuck {
            is_stuck = true;
            let why = match view.redis_reached {
                Some(false) => "it does not reach Redis",
                Some(true) | None => "it may be that no other node has room for them",
            };
            writeln!(
                out,
                "{name}: {left} {} left for {STUCK_AFTER:?}: {why}",
                channels(left)
            )?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let looked = node.ask(Method::GET, "/api/v1/node", &[], None).await?;
        view = node.understood(&looked)?;
    }
    writeln!(out, "{}: has no channel any more", view.name)?;
    Ok(())
}

fn channels(count: usize) -> &'static str {
    match count {
        1 => "channel is",
        _ => "channels are",
    }
}
