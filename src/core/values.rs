// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of `readObject` and `writeObject` as the host holds them.
//!
//! A value and all its parts live and die together. The host's handle of the value itself owns the whole; handles of
//! parts are made when somebody asks for a part, one for each, so that equal handles mean the same value.

use super::events::Life;
use super::host::{Due, UserData};
use crate::amf::{Graph, Node, Text};
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind, Object, Table};
use crate::inject;
use crate::memory;

pub(crate) struct Values(Table<Value>);

/// What a host's handle of a value stands for.
enum Value {
    Whole(Box<Whole>),
    Part { whole: Key, node: u32 },
}

impl Object for Value {
    const KIND: Kind = Kind::Value;
}

struct Whole {
    life: Life,
    user: UserData,
    graph: Graph,
    /// The parts' handles, by node, as far as they were asked for.
    parts: Vec<Option<Key>>,
}

impl Values {
    pub(crate) const fn new() -> Self {
        Values(Table::new())
    }

    pub(crate) fn add(&mut self, graph: Graph) -> Result<Key> {
        inject::point();
        let whole = Whole { life: Life::OWNED, user: UserData::NONE, graph, parts: Vec::new() };
        self.0.insert(Value::Whole(memory::boxed(whole)?))
    }

    /// How many there are; the parts of one are no values of their own.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|(_, value)| matches!(value, Value::Whole(_))).count()
    }

    /// The whole that a value belongs to, and which of its nodes it is.
    fn place(&self, value: Key) -> Result<(Key, u32)> {
        match self.0.find(value)? {
            Value::Whole(_) => Ok((value, Graph::ROOT)),
            Value::Part { whole, node } => Ok((*whole, *node)),
        }
    }

    fn whole(&mut self, key: Key) -> Result<&mut Whole> {
        match self.0.find_mut(key)? {
            Value::Whole(whole) => Ok(whole),
            Value::Part { .. } => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn life(&mut self, value: Key) -> Result<&mut Life> {
        let (whole, _) = self.place(value)?;
        self.whole(whole).map(|whole| &mut whole.life)
    }

    pub(crate) fn user(&mut self, value: Key) -> Result<&mut UserData> {
        let (whole, _) = self.place(value)?;
        self.whole(whole).map(|whole| &mut whole.user)
    }

    /// Ends the whole that a value belongs to.
    pub(crate) fn destroy(&mut self, value: Key, due: &mut Due) {
        let Ok((whole, _)) = self.place(value) else { return };
        if let Some(Value::Whole(whole)) = self.0.remove(whole) {
            for part in whole.parts.into_iter().flatten() {
                self.0.remove(part);
            }
            due.add(whole.user.into_destructor());
        }
    }

    pub(crate) fn destroy_all(&mut self, due: &mut Due) {
        let keys: Vec<Key> = self.0.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.destroy(key, due);
        }
    }

    /// The whole that a value belongs to, and which of its nodes it is.
    pub(crate) fn graph(&self, value: Key) -> Result<(&Graph, u32)> {
        let (whole, node) = self.place(value)?;
        match self.0.find(whole)? {
            Value::Whole(whole) => Ok((&whole.graph, node)),
            Value::Part { .. } => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn node(&self, value: Key) -> Result<&Node> {
        self.graph(value).map(|(graph, node)| graph.node(node))
    }

    pub(crate) fn set(&mut self, value: Key, node: Node) -> Result<()> {
        let (whole, id) = self.place(value)?;
        self.whole(whole)?.graph.set(id, node)
    }

    pub(crate) fn set_class(&mut self, value: Key, class: Option<Text>) -> Result<()> {
        let (whole, id) = self.place(value)?;
        self.whole(whole)?.graph.set_class(id, class)
    }

    /// The handle of a part of the whole that `value` belongs to.
    pub(crate) fn part(&mut self, value: Key, node: u32) -> Result<Key> {
        let (whole_key, _) = self.place(value)?;
        let whole = self.whole(whole_key)?;
        let node = whole.graph.resolve(node);
        if node == Graph::ROOT {
            return Ok(whole_key);
        }
        let count = whole.graph.len();
        if whole.parts.len() < count {
            whole.parts.try_reserve(count - whole.parts.len()).map_err(|_| Failure::no_memory())?;
            whole.parts.resize(count, None);
        }
        if let Some(part) = whole.parts[node as usize] {
            return Ok(part);
        }
        let part = self.0.insert(Value::Part { whole: whole_key, node })?;
        self.whole(whole_key)?.parts[node as usize] = Some(part);
        Ok(part)
    }

    /// Adds an item to an array, vector or dictionary, undefined as yet.
    pub(crate) fn add_item(&mut self, value: Key) -> Result<Key> {
        let (whole, id) = self.place(value)?;
        self.whole(whole)?.graph.list(id)?.make_room()?;
        let (part, node) = self.new_part(whole)?;
        self.whole(whole)?.graph.list(id)?.push_item(node)?;
        Ok(part)
    }

    /// Adds a property to an object or array, undefined as yet.
    pub(crate) fn add_property(&mut self, value: Key, name: Text) -> Result<Key> {
        let (whole, id) = self.place(value)?;
        self.whole(whole)?.graph.object(id)?.make_room()?;
        let (part, node) = self.new_part(whole)?;
        self.whole(whole)?.graph.object(id)?.push_named(name, node)?;
        Ok(part)
    }

    /// A new node of a whole, no part of anything yet, and its handle.
    fn new_part(&mut self, whole: Key) -> Result<(Key, u32)> {
        let node = self.whole(whole)?.graph.add(Node::Undefined)?;
        match self.part(whole, node) {
            Ok(part) => Ok((part, node)),
            Err(failure) => {
                self.whole(whole)?.graph.take_back(node as usize);
                Err(failure)
            }
        }
    }

    /// Makes a value the same as another: the same one, if they are parts of one whole, and a copy otherwise.
    pub(crate) fn assign(&mut self, value: Key, other: Key) -> Result<()> {
        let (whole, id) = self.place(value)?;
        let (source, theirs) = self.place(other)?;
        if whole == source {
            return self.whole(whole)?.graph.join(id, theirs);
        }
        // Out of the table for the time of the copy: two of its values are needed at once.
        let mut graph = std::mem::take(&mut self.whole(whole)?.graph);
        let outcome = match self.whole(source) {
            Ok(source) => graph.copy(id, &source.graph, theirs),
            Err(failure) => Err(failure),
        };
        self.whole(whole)?.graph = graph;
        outcome
    }
}
