// SPDX-License-Identifier: MIT OR Apache-2.0
//! What values are: the model keeps all their parts side by side, whichever whole they belong to.

use std::collections::HashSet;

use server_socket::ss_status::{self, *};
use server_socket::*;

use crate::model::Handle;

/// What a value is. Other values are named by their places among all of them.
#[derive(Clone, Default)]
pub struct Part {
    pub kind: i32,
    pub number: f64,
    pub bytes: Vec<u8>,
    pub class: Vec<u8>,
    pub items: Vec<usize>,
    pub named: Vec<(Vec<u8>, usize)>,
    /// It is the same as another.
    pub same: Option<usize>,
    /// 0: nobody has asked for it yet.
    pub handle: Handle,
    pub whole: usize,
}

impl Part {
    pub fn new(whole: usize, kind: i32) -> Part {
        Part { kind, whole, ..Part::default() }
    }

    pub fn has_parts(&self) -> bool {
        !self.items.is_empty() || !self.named.is_empty()
    }

    pub fn has_items(&self) -> bool {
        self.kind == SS_VALUE_ARRAY || (SS_VALUE_VECTOR_INT..=SS_VALUE_DICTIONARY).contains(&self.kind)
    }

    pub fn has_names(&self) -> bool {
        self.kind == SS_VALUE_ARRAY || self.kind == SS_VALUE_OBJECT
    }

    pub fn has_bytes(&self) -> bool {
        matches!(self.kind, SS_VALUE_STRING | SS_VALUE_BYTE_ARRAY | SS_VALUE_XML | SS_VALUE_XML_DOCUMENT)
    }
}

/// All values that were ever made.
#[derive(Default)]
pub struct Values {
    pub parts: Vec<Part>,
}

impl Values {
    pub fn add_whole(&mut self, whole: usize, kind: i32, handle: Handle) {
        let part = Part { handle, ..Part::new(whole, kind) };
        self.parts.push(part);
    }

    /// The handles of a whole's parts, all of which die with it.
    pub fn end(&mut self, whole: usize) -> Vec<Handle> {
        let parts = self.parts.iter_mut().filter(|part| part.whole == whole && part.handle != 0);
        parts.map(|part| std::mem::take(&mut part.handle)).collect()
    }

    pub fn resolve(&self, mut place: usize) -> usize {
        while let Some(other) = self.parts[place].same {
            place = other;
        }
        place
    }

    pub fn part(&self, place: usize) -> &Part {
        &self.parts[self.resolve(place)]
    }

    pub fn part_mut(&mut self, place: usize) -> &mut Part {
        let place = self.resolve(place);
        &mut self.parts[place]
    }

    pub fn add(&mut self, whole: usize) -> usize {
        self.parts.push(Part::new(whole, SS_VALUE_UNDEFINED));
        self.parts.len() - 1
    }

    /// Those parts of a whole that the program has handles of.
    pub fn known(&self, whole: usize) -> Vec<usize> {
        (0..self.parts.len())
            .filter(|place| self.parts[*place].whole == whole && self.parts[*place].handle != 0)
            .collect()
    }

    pub fn set(&mut self, place: usize, new: Part) -> ss_status {
        let old = self.part_mut(place);
        if old.has_parts() {
            return SS_ERR_ARGUMENT;
        }
        let (handle, whole) = (old.handle, old.whole);
        *old = Part { handle, whole, ..new };
        SS_OK
    }

    pub fn assign(&mut self, place: usize, other: usize) -> ss_status {
        let (place, other) = (self.resolve(place), self.resolve(other));
        if place == other {
            return SS_OK;
        }
        if self.parts[place].has_parts() {
            return SS_ERR_ARGUMENT;
        }
        let whole = self.parts[place].whole;
        if whole == self.parts[other].whole {
            self.parts[place].same = Some(other);
            return SS_OK;
        }
        if !self.parts[other].has_parts() {
            return self.set(place, self.parts[other].clone());
        }
        // Its parts are copied once each, however often they are referred to.
        let mut copies = vec![(other, self.add(whole))];
        let mut done = 0;
        while let Some((original, copy)) = copies.get(done).copied() {
            done += 1;
            let mut part = Part { handle: 0, whole, ..self.parts[original].clone() };
            for child in part.items.iter_mut().chain(part.named.iter_mut().map(|(_, child)| child)) {
                let original = self.resolve(*child);
                *child = match copies.iter().find(|(known, _)| *known == original) {
                    Some((_, copy)) => *copy,
                    None => {
                        copies.push((original, self.add(whole)));
                        copies[copies.len() - 1].1
                    }
                };
            }
            self.parts[copy] = part;
        }
        self.parts[place].same = Some(copies[0].1);
        SS_OK
    }

    /// Whether every encoding can say it: nothing in it is of the kinds that can be wrong in themselves, or deep.
    pub fn is_plain(&self, place: usize) -> bool {
        let (mut seen, mut rest) = (HashSet::new(), vec![(self.resolve(place), 0)]);
        while let Some((place, depth)) = rest.pop() {
            if !seen.insert(place) {
                continue;
            }
            let part = &self.parts[place];
            let is_odd = matches!(part.kind, SS_VALUE_VECTOR_INT..=SS_VALUE_DICTIONARY);
            if is_odd || depth > 100 || part.named.iter().any(|(name, _)| name.is_empty()) {
                return false;
            }
            let children = part.items.iter().chain(part.named.iter().map(|(_, child)| child));
            rest.extend(children.map(|child| (self.resolve(*child), depth + 1)));
        }
        true
    }
}
