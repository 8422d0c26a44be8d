// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways along all living objects of a table.

use super::{BLOCK, BLOCK_BITS, Key, Object, Table};

impl<T: Object> Table<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.blocks.iter().enumerate().filter_map(|(number, block)| Some((number, block.as_ref()?))).flat_map(
            move |(number, block)| {
                block.places.iter().enumerate().filter_map(move |(index, place)| {
                    let key = Key::new(T::KIND, number << BLOCK_BITS | index, block.slots.get(index) >> 1);
                    Some((key, place.get()?))
                })
            },
        )
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.blocks.iter_mut().enumerate().filter_map(|(number, block)| Some((number, block.as_mut()?))).flat_map(
            move |(number, block)| {
                let slots = block.slots;
                block.places.iter_mut().enumerate().filter_map(move |(index, place)| {
                    let key = Key::new(T::KIND, number << BLOCK_BITS | index, slots.get(index) >> 1);
                    Some((key, place.get_mut()?))
                })
            },
        )
    }

    /// The next living object from a place on, which moves behind it: for walks in which objects end. The first is 0.
    pub(crate) fn walk(&self, place: &mut usize) -> Option<Key> {
        while let Some(block) = self.blocks.get(*place >> BLOCK_BITS) {
            let (slot, index) = (*place, *place & (BLOCK - 1));
            match block {
                None => *place += BLOCK - index,
                Some(block) => {
                    *place += 1;
                    if block.places[index].get().is_some() {
                        return Some(Key::new(T::KIND, slot, block.slots.get(index) >> 1));
                    }
                }
            }
        }
        None
    }
}
