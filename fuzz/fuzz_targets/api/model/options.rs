// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options by their numbers.

/// The values of SS_OPT_... by their numbers; some numbers are none.
pub type Options = [i64; 18];

/// What they are at first.
pub const DEFAULT_OPTIONS: Options =
    [0, 1, 0, 0, 0, 16 << 20, 64 << 20, 30_000, 0, 0, 1, 0, 0, 12, 256 << 20, 256 << 20, 0, 10_000];
pub const MAX_CONNECTIONS: usize = 4;
pub const READ_LIMIT: usize = 5;
pub const WRITE_LIMIT: usize = 6;
pub const LINGER: usize = 7;
pub const HALF_OPEN: usize = 11;
pub const READ_TIMEOUT: usize = 12;
pub const LINGER_BYTES: usize = 14;
pub const UNREAD_LIMIT: usize = 15;
