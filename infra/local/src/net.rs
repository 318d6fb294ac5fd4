//! Listening on this machine only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::error::{Error, Result};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Opens a port on the loopback address; 0 is any that is free. `option` names another port.
pub(crate) fn listen(port: u16, option: &'static str) -> Result<(TcpListener, SocketAddr)> {
    let open = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = TcpSocket::new_v4()?;
        // Without it, a port stays in use for a minute after a stack that had connections.
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it. Without it, an answer in two writes waits 40 ms for an acknowledgement.
        socket.set_nodelay(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    open().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { port, option },
        _ => Error::Listen { port, source },
    })
}
