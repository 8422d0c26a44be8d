//! What can be set on a socket, and on a server for the sockets it will accept.

/// The bounds of one connection.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Unread bytes at which reading pauses until some are read.
    pub read_limit: usize,
    /// Unsent bytes beyond which a write is refused.
    pub write_limit: usize,
    /// Milliseconds for which a closed socket may go on sending.
    pub linger: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { read_limit: 1024 * 1024, write_limit: 64 * 1024 * 1024, linger: 30_000 }
    }
}
