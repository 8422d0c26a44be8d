//! What a socket has in common with the others of its server; stored once, and not ten thousand times.

use std::cell::Cell;
use std::rc::Rc;

use crate::handle::Key;
use crate::options::Options;

#[derive(Clone)]
pub(crate) struct Origin {
    /// The loop it lives on.
    pub home: Key,
    /// The server that accepted it, for its figures.
    pub server: Option<Key>,
    /// How many bytes have come to that server, or else to this socket.
    pub bytes_in: Rc<Cell<u64>>,
    /// The settings it started with, or a socket's own once they are changed.
    pub options: Options,
}
