//! A way to a server that can be cut: what is sent then goes nowhere, and nobody is told.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way; it ends when it is dropped.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl Way {
    /// A way to the server at this port of this host.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, cut) = watch::channel(false);
        tokio::spawn(async move {
            let mut end = cut.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The way is gone.
                    Err(_) = end.wait_for(|_| false) => return,
                };
                let (near, cut) = (accepted.unwrap().0, cut.clone());
                tokio::spawn(async move {
                    let far = TcpStream::connect(("127.0.0.1", port)).await;
                    if let Ok(far) = far {
                        let ((from_near, to_near), (from_far, to_far)) =
                            (near.into_split(), far.into_split());
                        let there = carry(from_near, to_far, cut.clone());
                        let back = carry(from_far, to_near, cut);
                        tokio::select! { () = there => {}, () = back => {} }
                    }
                });
            }
        });
        Self { address, is_cut }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Cuts it, or mends it.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if cut.wait_for(|is_cut| !is_cut).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
