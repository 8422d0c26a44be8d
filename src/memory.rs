//! Allocations that may fail. What the standard library offers for them aborts the process instead.

use std::rc::Rc;

use crate::error::{Failure, Result};

pub(crate) fn boxed<T>(value: T) -> Result<Box<T>> {
    look_for_room::<T>(0)?;
    Ok(Box::new(value))
}

pub(crate) fn shared<T>(value: T) -> Result<Rc<T>> {
    look_for_room::<T>(2 * size_of::<usize>())?;
    Ok(Rc::new(value))
}

/// A copy of a text.
pub(crate) fn text(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Failure::no_memory())?;
    copy.push_str(text);
    Ok(copy)
}

/// Adds to a list.
pub(crate) fn push<T>(list: &mut Vec<T>, entry: T) -> Result<()> {
    list.try_reserve(1).map_err(|_| Failure::no_memory())?;
    list.push(entry);
    Ok(())
}

/// Asks the allocator for as much as the allocation right behind this takes. Between the two another thread may take
/// it away, so that this is no proof; but memory that is short is noticed here, where it is an error of one call.
fn look_for_room<T>(extra: usize) -> Result<()> {
    Vec::<u8>::new().try_reserve_exact(size_of::<T>() + extra).map_err(|_| Failure::no_memory())
}
