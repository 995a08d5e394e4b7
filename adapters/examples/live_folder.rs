//! A folder of `testdata/media` as a live channel, to point a player or a relay at:
//! `cargo run -p hls-relay --example live_folder testdata/media/multi [ADDRESS:PORT]`

#[allow(dead_code, unreachable_pub)]
#[path = "../tests/stage/live_folder/mod.rs"]
mod live_folder;

use live_folder::{LiveFolder, Ways};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let listen = arguments.next().unwrap_or("127.0.0.1:8000".to_owned());
    let ways = Ways {
        date_times: true,
        ..Ways::default()
    };
    let origin = LiveFolder::start(folder.into(), listen.parse()?, ways).await?;
    println!("{}", origin.url());
    std::future::pending().await
}
