//! What a socket has in common with the others of its server; stored once, and not ten thousand times.

use crate::handle::Key;
use crate::options::Options;

#[derive(Clone)]
pub(crate) struct Origin {
    /// The loop it lives on.
    pub home: Key,
    /// The server that accepted it, for its figures.
    pub server: Option<Key>,
    /// The settings it started with, or a socket's own once they are changed.
    pub options: Options,
}
