//! A way to a server that can be cut, both ways or one: what is sent then goes nowhere, and nobody is told.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way; it ends when it is dropped.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    /// What is asked, and what is answered.
    is_cut: watch::Sender<Cut>,
    port: watch::Sender<u16>,
}

/// What is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) there: bool,
    pub(crate) back: bool,
}

impl Way {
    /// A way to the server at this port of this host.
    pub(crate) async fn to(port: u16) -> Self {
        let way = Self::to_be_led().await;
        way.lead_to(port);
        way
    }

    /// A way that leads nowhere yet.
    pub(crate) async fn to_be_led() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, cut) = watch::channel(Cut::default());
        let (port, led_to) = watch::channel(0);
        tokio::spawn(async move {
            let mut end = cut.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    // The way is gone.
                    Err(_) = end.wait_for(|_| false) => return,
                };
                let (near, cut) = (accepted.unwrap().0, cut.clone());
                let port = *led_to.borrow();
                tokio::spawn(async move {
                    let far = TcpStream::connect(("127.0.0.1", port)).await;
                    if let Ok(far) = far {
                        let ((from_near, to_near), (from_far, to_far)) =
                            (near.into_split(), far.into_split());
                        let there = carry(from_near, to_far, cut.clone(), |it| it.there);
                        let back = carry(from_far, to_near, cut, |it| it.back);
                        tokio::select! { () = there => {}, () = back => {} }
                    }
                });
            }
        });
        Self {
            address,
            is_cut,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it leads, on this host.
    pub(crate) fn lead_to(&self, port: u16) {
        self.port.send_replace(port);
    }

    /// Cuts it, or mends it.
    pub(crate) fn cut(&self, is_cut: bool) {
        let (there, back) = (is_cut, is_cut);
        self.cut_so(Cut { there, back });
    }

    /// The same of one direction.
    pub(crate) fn cut_so(&self, cut: Cut) {
        self.is_cut.send_replace(cut);
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<Cut>,
    is_cut: fn(&Cut) -> bool,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if cut.wait_for(|cut| !is_cut(cut)).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
