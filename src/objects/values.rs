//! Values among the thread's objects, and sockets that read and write them.
//!
//! A value and all its parts live and die together. The host's handle of the value itself owns the whole; handles of
//! parts are made when somebody asks for a part, one for each, so that equal handles mean the same value.

use super::Objects;
use crate::amf::{self, Encoding, Graph, Node, Text};
use crate::error::{Failure, Result};
use crate::event::Life;
use crate::foreign::UserData;
use crate::handle::Key;
use crate::inject;
use crate::socket::Socket;

/// What a host's handle of a value stands for.
pub(crate) enum Value {
    Whole(Box<Whole>),
    Part { whole: Key, node: u32 },
}

pub(crate) struct Whole {
    life: Life,
    user: UserData,
    graph: Graph,
    /// The parts' handles, by node, as far as they were asked for.
    parts: Vec<Option<Key>>,
}

impl Objects {
    pub(crate) fn new_value(&mut self, graph: Graph) -> Result<Key> {
        inject::point();
        self.values.insert(Value::Whole(Box::new(Whole {
            life: Life::OWNED,
            user: UserData::NONE,
            graph,
            parts: Vec::new(),
        })))
    }

    /// The whole that a value belongs to, and which of its nodes it is.
    fn place(&self, value: Key) -> Result<(Key, u32)> {
        match self.values.find(value)? {
            Value::Whole(_) => Ok((value, Graph::ROOT)),
            Value::Part { whole, node } => Ok((*whole, *node)),
        }
    }

    fn whole(&mut self, key: Key) -> Result<&mut Whole> {
        match self.values.find_mut(key)? {
            Value::Whole(whole) => Ok(whole),
            Value::Part { .. } => Err(Failure::stale_handle()),
        }
    }

    pub(super) fn value_life(&mut self, value: Key) -> Result<&mut Life> {
        let (whole, _) = self.place(value)?;
        self.whole(whole).map(|whole| &mut whole.life)
    }

    pub(super) fn value_user(&mut self, value: Key) -> Result<&mut UserData> {
        let (whole, _) = self.place(value)?;
        self.whole(whole).map(|whole| &mut whole.user)
    }

    /// Ends the whole that a value belongs to.
    pub(super) fn destroy_value(&mut self, value: Key) {
        let Ok((whole, _)) = self.place(value) else { return };
        if let Some(Value::Whole(whole)) = self.values.remove(whole) {
            for part in whole.parts.into_iter().flatten() {
                self.values.remove(part);
            }
            self.due.extend(whole.user.into_destructor());
        }
    }

    pub(crate) fn value(&self, value: Key) -> Result<&Node> {
        let (whole, node) = self.place(value)?;
        match self.values.find(whole)? {
            Value::Whole(whole) => Ok(whole.graph.node(node)),
            Value::Part { .. } => Err(Failure::stale_handle()),
        }
    }

    pub(crate) fn set_value(&mut self, value: Key, node: Node) -> Result<()> {
        let (whole, id) = self.place(value)?;
        self.whole(whole)?.graph.set(id, node)
    }

    pub(crate) fn set_value_class(&mut self, value: Key, class: Option<Text>) -> Result<()> {
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
        let part = self.values.insert(Value::Part { whole: whole_key, node })?;
        self.whole(whole_key)?.parts[node as usize] = Some(part);
        Ok(part)
    }

    /// Adds an item to an array, vector or dictionary, undefined as yet.
    pub(crate) fn add_item(&mut self, value: Key) -> Result<Key> {
        let (whole, id) = self.place(value)?;
        let graph = &mut self.whole(whole)?.graph;
        graph.list(id)?;
        let node = graph.add(Node::Undefined)?;
        let part = self.part(whole, node)?;
        self.whole(whole)?.graph.list(id)?.push_item(node)?;
        Ok(part)
    }

    /// Adds a property to an object or array, undefined as yet.
    pub(crate) fn add_property(&mut self, value: Key, name: Text) -> Result<Key> {
        let (whole, id) = self.place(value)?;
        let graph = &mut self.whole(whole)?.graph;
        graph.object(id)?;
        let node = graph.add(Node::Undefined)?;
        let part = self.part(whole, node)?;
        self.whole(whole)?.graph.object(id)?.push_named(name, node)?;
        Ok(part)
    }

    /// Makes a value the same as another: the same one, if they are parts of one whole, and a copy otherwise.
    pub(crate) fn assign_value(&mut self, value: Key, other: Key) -> Result<()> {
        let (whole, id) = self.place(value)?;
        let (source, theirs) = self.place(other)?;
        if whole == source {
            return self.whole(whole)?.graph.join(id, theirs);
        }
        // Out of the table for the time of the copy: two of its values are needed at once.
        let mut graph = std::mem::replace(&mut self.whole(whole)?.graph, Graph::new());
        let outcome = match self.whole(source) {
            Ok(source) => graph.copy(id, &source.graph, theirs),
            Err(failure) => Err(failure),
        };
        self.whole(whole)?.graph = graph;
        outcome
    }

    pub(crate) fn object_encoding(&self, socket: Key) -> Result<Encoding> {
        Ok(encoding_of(self.sockets.find(socket)?))
    }

    pub(crate) fn set_object_encoding(&mut self, socket: Key, encoding: Encoding) -> Result<()> {
        let socket = self.sockets.find_mut(socket)?;
        if encoding != encoding_of(socket) {
            socket.make_rare()?.objects.set_encoding(encoding);
        }
        Ok(())
    }

    /// `readObject()`: all of it or, if it has not arrived yet or is no good, nothing.
    pub(crate) fn read_object(&mut self, key: Key) -> Result<Key> {
        inject::point();
        let mut input = std::mem::take(&mut self.sockets.find_mut(key)?.make_rare()?.objects);
        let outcome = self.look_at_object(key, &mut input);
        self.sockets.find_mut(key)?.make_rare()?.objects = input;
        let (graph, length) = outcome?;
        let value = self.new_value(graph)?;
        self.consume(key, length)?;
        Ok(value)
    }

    fn look_at_object(&self, key: Key, input: &mut amf::ObjectInput) -> Result<(Graph, usize)> {
        let unread = self.unread(key)?;
        let socket = self.sockets.find(key)?;
        // Without a connection nothing more will come, so that there is nothing to go on with.
        let start = socket.connection.and_then(|connection| Some((connection.bits(), socket.rare()?.consumed)));
        input.read(start, unread, socket.options().read_limit)
    }

    /// `writeObject()`: all of it or nothing.
    pub(crate) fn write_object(&mut self, key: Key, value: Key) -> Result<()> {
        inject::point();
        let socket = self.sockets.find(key)?;
        let connection = self.connections.find(socket.connection()?)?;
        let room = socket.options().write_limit.saturating_sub(connection.pending());
        let (whole, node) = self.place(value)?;
        let Value::Whole(whole) = self.values.find(whole)? else { return Err(Failure::stale_handle()) };
        let bytes = amf::write(&whole.graph, node, encoding_of(socket), room)?;
        self.write(key, &bytes)
    }
}

fn encoding_of(socket: &Socket) -> Encoding {
    socket.rare().map_or(Encoding::default(), |rare| rare.objects.encoding)
}
