//! A load balancer for connections, as stands before the API servers of EKS.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Deals the connections that arrive at the returned address to `backends` in
/// turn; ends with the runtime it is called on.
pub(crate) async fn serve(backends: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        for backend in backends.into_iter().cycle() {
            let Ok((mut client, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(backend).await {
                    let _either_side_may_hang_up = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    address
}
