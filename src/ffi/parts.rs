// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ss_socket_write_vector takes.

use std::ffi::c_void;

use super::border::{bytes, check_room};
use crate::error::{Failure, Result};

/// Bytes of the caller's: a part of what ss_socket_write_vector writes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ss_bytes {
    /// NULL is allowed where length is 0.
    pub bytes: *const c_void,
    /// How many bytes.
    pub length: usize,
}

/// The parts, each of them looked at, and how long they are together.
///
/// # Safety
/// `parts` is NULL or points to `count` of them, and each of those is NULL or points to as many readable bytes as it says.
pub(super) unsafe fn all_parts<'a>(
    parts: *const ss_bytes,
    count: usize,
) -> Result<(impl Iterator<Item = &'a [u8]> + Clone, usize)> {
    let size = count.saturating_mul(size_of::<ss_bytes>());
    check_room(parts.cast_mut().cast(), size, "parts")?;
    let parts = match count {
        0 => &[][..],
        // SAFETY: not NULL and not longer than an object may be; the caller vouches for the rest.
        _ => unsafe { std::slice::from_raw_parts(parts, count) },
    };
    let mut length = 0_usize;
    for part in parts {
        // SAFETY: the caller's, by contract.
        let bytes = unsafe { bytes(part.bytes, part.length, "bytes") }?;
        length = length.checked_add(bytes.len()).ok_or_else(|| {
            Failure::out_of_range().because("the parts are longer than all memory: no write limit allows them")
        })?;
    }
    // SAFETY: each was looked at just now.
    Ok((parts.iter().map(|part| unsafe { bytes(part.bytes, part.length, "bytes") }.unwrap_or_default()), length))
}
