// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allocations that may fail. What the standard library offers for them aborts the process instead.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use crate::error::{Failure, Result};

pub(crate) fn boxed<T>(value: T) -> Result<Box<T>> {
    const { assert!(size_of::<T>() > 0) };
    let layout = Layout::new::<T>();
    // SAFETY: the layout is not empty.
    let place = unsafe { alloc(layout) }.cast::<T>();
    if place.is_null() {
        return Err(Failure::no_memory());
    }
    // SAFETY: allocated just now as a box allocates, with room for the value.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place))
    }
}

pub(crate) fn shared<T>(value: T) -> Result<Rc<T>> {
    look_for(size_of::<T>() + 2 * size_of::<usize>())?;
    Ok(Rc::new(value))
}

/// What memory is mapped by.
const PAGE: usize = 4096;

/// Zeros from the beginning of a page on, of which the system need not bring the pages before they are used.
pub(crate) struct Pages {
    allocation: NonNull<u8>,
    layout: Layout,
    /// Within the allocation.
    start: NonNull<u8>,
    length: usize,
}

impl Pages {
    pub(crate) fn new(length: usize) -> Result<Self> {
        // Asked for aligned memory the allocator would set all of it, so that it were there from the start.
        let layout = Layout::array::<u8>(length.saturating_add(PAGE)).map_err(|_| Failure::no_memory())?;
        // SAFETY: the layout is not empty.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(Failure::no_memory)?;
        // SAFETY: the allocation is larger than what is asked for by a page, and the next page begins within one.
        let start = unsafe { allocation.add(allocation.align_offset(PAGE).min(PAGE)) };
        Ok(Pages { allocation, layout, start, length })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

impl Deref for Pages {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes, all set, lie there, and they are this value's alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Pages {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

/// A copy of a text.
pub(crate) fn text(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Failure::no_memory())?;
    copy.push_str(text);
    Ok(copy)
}

/// Adds bytes to others.
pub(crate) fn append(bytes: &mut Vec<u8>, more: &[u8]) -> Result<()> {
    bytes.try_reserve(more.len()).map_err(|_| Failure::no_memory())?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// A copy of bytes.
pub(crate) fn bytes(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Failure::no_memory())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Adds to a list.
pub(crate) fn push<T>(list: &mut Vec<T>, entry: T) -> Result<()> {
    list.try_reserve(1).map_err(|_| Failure::no_memory())?;
    list.push(entry);
    Ok(())
}

/// A map to which something is added only if there is room.
pub(crate) type Map<K, V> = HashMap<K, V, Seed>;

pub(crate) fn insert<K: Eq + Hash, V>(map: &mut Map<K, V>, key: K, value: V) -> Result<()> {
    map.try_reserve(1).map_err(|_| Failure::no_memory())?;
    map.insert(key, value);
    Ok(())
}

/// What hashes begin with. Hardly ever the same twice, so that nobody can choose keys which meet in one place; it does without
/// the system's random numbers, which a sandbox may refuse.
pub(crate) struct Seed(DefaultHasher);

impl Default for Seed {
    fn default() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut hasher = DefaultHasher::new();
        hasher.write_usize((&raw const COUNTER).addr());
        hasher.write_u32(std::process::id());
        hasher.write_u128(UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos()));
        hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
        Seed(hasher)
    }
}

impl Seed {
    pub(crate) fn number(&self) -> u64 {
        self.0.finish()
    }
}

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}

/// Asks the allocator for as much as the allocation right behind this takes. Between the two another thread may take
/// it away, so that this is no proof; but memory that is short is noticed here, where it is an error of one call.
pub(crate) fn look_for(bytes: usize) -> Result<()> {
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Failure::no_memory())
}
