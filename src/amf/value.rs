// SPDX-License-Identifier: MIT OR Apache-2.0
//! A value with all its parts. They lie side by side and name each other by number, so that it does not matter how
//! deep they are nested, how often one is referred to, or whether they go round in circles: they go as they came, all
//! at once.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use crate::error::{Failure, Result};
use crate::memory::{self, Map};

/// What ActionScript would call a value's type. The numbers are those of the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub(crate) enum Type {
    Undefined = 1,
    Null = 2,
    Boolean = 3,
    Integer = 4,
    Number = 5,
    String = 6,
    Date = 7,
    ByteArray = 8,
    Xml = 9,
    XmlDocument = 10,
    Array = 11,
    Object = 12,
    VectorInt = 13,
    VectorUint = 14,
    VectorNumber = 15,
    VectorObject = 16,
    /// Its items are keys and values in turn.
    Dictionary = 17,
}

impl Type {
    pub(crate) const ALL: [Type; 17] = [
        Type::Undefined,
        Type::Null,
        Type::Boolean,
        Type::Integer,
        Type::Number,
        Type::String,
        Type::Date,
        Type::ByteArray,
        Type::Xml,
        Type::XmlDocument,
        Type::Array,
        Type::Object,
        Type::VectorInt,
        Type::VectorUint,
        Type::VectorNumber,
        Type::VectorObject,
        Type::Dictionary,
    ];

    /// A value of this type that says nothing yet.
    pub(crate) fn empty(self) -> Result<Node> {
        Ok(match self {
            Type::Undefined => Node::Undefined,
            Type::Null => Node::Null,
            Type::Boolean => Node::Boolean(false),
            Type::Integer => Node::Integer(0),
            Type::Number => Node::Number(0.0),
            Type::Date => Node::Date(0.0),
            _ if self.is_text() => Node::Text(self, Text::new(&[])?),
            _ => Node::Container(memory::boxed(Container::new(self))?),
        })
    }

    /// Whether it consists of bytes.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Type::String | Type::ByteArray | Type::Xml | Type::XmlDocument)
    }
}

/// Bytes that are shared by all who refer to them. A NUL follows them, for C.
#[derive(Clone, Debug)]
pub(crate) struct Text(Rc<Box<[u8]>>);

impl Text {
    pub(crate) fn new(bytes: &[u8]) -> Result<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len().saturating_add(1)).map_err(|_| Failure::no_memory())?;
        copy.extend_from_slice(bytes);
        copy.push(0);
        Ok(Text(memory::shared(copy.into_boxed_slice())?))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }

    /// Equal for all who share the bytes.
    pub(super) fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

/// One value; its parts are other nodes.
#[derive(Debug)]
pub(crate) enum Node {
    Undefined,
    Null,
    Boolean(bool),
    Integer(i32),
    Number(f64),
    /// Milliseconds since 1970, UTC.
    Date(f64),
    /// A string, XML or a byte array.
    Text(Type, Text),
    Container(Box<Container>),
    /// The same value as another node.
    Same(u32),
}

impl Node {
    fn copy(&self) -> Result<Node> {
        Ok(match self {
            Node::Undefined => Node::Undefined,
            Node::Null => Node::Null,
            Node::Boolean(boolean) => Node::Boolean(*boolean),
            Node::Integer(integer) => Node::Integer(*integer),
            Node::Number(number) => Node::Number(*number),
            Node::Date(milliseconds) => Node::Date(*milliseconds),
            Node::Text(kind, text) => Node::Text(*kind, text.clone()),
            Node::Container(container) => Node::Container(memory::boxed(container.copy()?)?),
            Node::Same(other) => Node::Same(*other),
        })
    }

    pub(crate) fn kind(&self) -> Type {
        match self {
            Node::Undefined | Node::Same(_) => Type::Undefined,
            Node::Null => Type::Null,
            Node::Boolean(_) => Type::Boolean,
            Node::Integer(_) => Type::Integer,
            Node::Number(_) => Type::Number,
            Node::Date(_) => Type::Date,
            Node::Text(kind, _) => *kind,
            Node::Container(container) => container.kind,
        }
    }

    pub(crate) fn container(&self) -> Option<&Container> {
        match self {
            Node::Container(container) => Some(container),
            _ => None,
        }
    }

    fn has_parts(&self) -> bool {
        self.container().is_some_and(|container| !container.items.is_empty() || !container.named.is_empty())
    }
}

/// An array, object, vector or dictionary.
#[derive(Debug)]
pub(crate) struct Container {
    pub kind: Type,
    /// Of an array, vector or dictionary.
    pub items: Vec<u32>,
    /// Properties of an object, or what an array has besides its items; in order.
    pub named: Vec<(Text, u32)>,
    /// Of an object, or what a vector is of.
    pub class: Option<Text>,
    /// How many of the properties AMF3 counts as the class's own. Those come first.
    pub sealed: u32,
    /// An object that may have other properties than its class; a vector of fixed length; a dictionary with weak keys.
    pub flag: bool,
}

impl Container {
    pub(crate) fn new(kind: Type) -> Self {
        Container { kind, items: Vec::new(), named: Vec::new(), class: None, sealed: 0, flag: kind == Type::Object }
    }

    fn copy(&self) -> Result<Container> {
        let mut copy = Container { class: self.class.clone(), sealed: self.sealed, ..Container::new(self.kind) };
        copy.flag = self.flag;
        copy.items.try_reserve_exact(self.items.len()).map_err(|_| Failure::no_memory())?;
        copy.named.try_reserve_exact(self.named.len()).map_err(|_| Failure::no_memory())?;
        copy.items.extend_from_slice(&self.items);
        copy.named.extend_from_slice(&self.named);
        Ok(copy)
    }

    /// Makes room for one part more.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        let room = self.items.try_reserve(1).and_then(|()| self.named.try_reserve(1));
        room.map_err(|_| Failure::no_memory())
    }

    pub(crate) fn push_item(&mut self, part: u32) -> Result<()> {
        memory::push(&mut self.items, part)
    }

    pub(crate) fn push_named(&mut self, name: Text, part: u32) -> Result<()> {
        memory::push(&mut self.named, (name, part))
    }

    /// The property of that name; the last one, should there be several.
    ///
    /// Looks through the list: to hash a peer's names costs more than to compare them, since they may all be one
    /// long string.
    pub(crate) fn property(&self, name: &[u8]) -> Option<u32> {
        self.named.iter().rev().find(|(text, _)| text.bytes() == name).map(|(_, part)| *part)
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.items.iter_mut().chain(self.named.iter_mut().map(|(_, part)| part))
    }
}

/// The whole. Node 0 is the value itself.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    pub(crate) const ROOT: u32 = 0;

    /// A value that is nothing yet, with room for as many nodes.
    pub(crate) fn new(room: usize) -> Result<Self> {
        let mut nodes = Vec::new();
        nodes.try_reserve_exact(room.max(1)).map_err(|_| Failure::no_memory())?;
        nodes.push(Node::Undefined);
        Ok(Graph { nodes })
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node that a node stands for.
    pub(crate) fn resolve(&self, mut id: u32) -> u32 {
        while let Node::Same(other) = self.nodes[id as usize] {
            id = other;
        }
        id
    }

    pub(crate) fn node(&self, id: u32) -> &Node {
        &self.nodes[self.resolve(id) as usize]
    }

    pub(super) fn node_mut(&mut self, id: u32) -> &mut Node {
        let id = self.resolve(id);
        &mut self.nodes[id as usize]
    }

    /// Adds a node that is no part of anything yet.
    pub(crate) fn add(&mut self, node: Node) -> Result<u32> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| Failure::no_memory())?;
        memory::push(&mut self.nodes, node)?;
        Ok(id)
    }

    /// Takes nodes back that were added since there were so many, and are no part of anything.
    pub(crate) fn take_back(&mut self, length: usize) {
        self.nodes.truncate(length);
    }

    /// Makes a node something else. One that has parts stays what it is: they would be left behind, to no end.
    pub(crate) fn set(&mut self, id: u32, node: Node) -> Result<()> {
        let old = self.node_mut(id);
        if old.has_parts() {
            return Err(Failure::invalid_parameter()
                .because("the value has parts, and cannot be made anything else; make a new value"));
        }
        *old = node;
        Ok(())
    }

    /// The array, vector or dictionary to which an item can be added.
    pub(crate) fn list(&mut self, id: u32) -> Result<&mut Container> {
        match self.node_mut(id) {
            Node::Container(container) if container.kind != Type::Object => Ok(container),
            _ => Err(Failure::invalid_parameter().because("only an array, a vector and a dictionary have items")),
        }
    }

    /// The object or array to which a property can be added.
    pub(crate) fn object(&mut self, id: u32) -> Result<&mut Container> {
        match self.node_mut(id) {
            Node::Container(container) if matches!(container.kind, Type::Array | Type::Object) => Ok(container),
            _ => Err(Failure::invalid_parameter().because("only an object and an array have properties")),
        }
    }

    pub(crate) fn set_class(&mut self, id: u32, class: Option<Text>) -> Result<()> {
        match self.node_mut(id) {
            Node::Container(container) if container.kind == Type::Object => {
                container.flag = class.is_none();
                container.class = class;
                Ok(())
            }
            Node::Container(container) if container.kind == Type::VectorObject => {
                container.class = class;
                Ok(())
            }
            _ => Err(Failure::invalid_parameter().because("only an object, or a vector of objects, has a class")),
        }
    }

    /// Makes `id` the same value as another of this whole.
    pub(crate) fn join(&mut self, id: u32, other: u32) -> Result<()> {
        let (id, other) = (self.resolve(id), self.resolve(other));
        if id != other {
            self.set(id, Node::Same(other))?;
        }
        Ok(())
    }

    /// Makes `id` what a value of another whole is, with copies of all its parts. All or nothing.
    pub(crate) fn copy(&mut self, id: u32, other: &Graph, theirs: u32) -> Result<()> {
        let original = other.node(theirs);
        if !original.has_parts() || self.node(id).has_parts() {
            return self.set(id, original.copy()?);
        }
        let length = self.nodes.len();
        let copy = self.add_copies(other, other.resolve(theirs)).inspect_err(|_| self.take_back(length))?;
        self.set(id, Node::Same(copy))
    }

    fn add_copies(&mut self, other: &Graph, theirs: u32) -> Result<u32> {
        let first = self.add(Node::Undefined)?;
        let (mut copies, mut rest) = (Map::default(), Vec::new());
        memory::insert(&mut copies, theirs, first)?;
        memory::push(&mut rest, (theirs, first))?;
        while let Some((theirs, copy)) = rest.pop() {
            let mut node = other.node(theirs).copy()?;
            if let Node::Container(container) = &mut node {
                for part in container.parts_mut() {
                    let original = other.resolve(*part);
                    *part = match copies.get(&original) {
                        Some(copy) => *copy,
                        None => {
                            let copy = self.add(Node::Undefined)?;
                            memory::insert(&mut copies, original, copy)?;
                            memory::push(&mut rest, (original, copy))?;
                            copy
                        }
                    };
                }
            }
            self.nodes[copy as usize] = node;
        }
        Ok(first)
    }
}
