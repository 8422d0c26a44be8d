// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sink that makes a value of what the reader meets.

use super::Encoding;
use super::sink::{Fault, Outcome, Sink, Stop, Word};
use super::value::{Container, Graph, Node, Text, Type};
use crate::error::{Failure, Result};
use crate::memory::{self, push};

pub(super) struct Builder {
    graph: Graph,
    /// The root has been met.
    begun: bool,
    /// The node just met.
    last: u32,
    /// Those whose parts are still to come, from the outermost to the innermost.
    open: Vec<u32>,
    /// What the next part is called, if it has a name.
    name: Option<Name>,
    strings: Vec<Text>,
    /// What references may name, in AMF0 and in AMF3.
    counted: [Vec<u32>; 2],
    shapes: Vec<Shape>,
    empty: Text,
}

struct Name {
    text: Text,
    /// In AMF0 the items of an array have names, too.
    may_be_index: bool,
}

struct Shape {
    class: Option<Text>,
    dynamic: bool,
    names: Vec<Text>,
}

impl From<Failure> for Stop {
    /// Making a value can fail in one way only.
    fn from(_: Failure) -> Self {
        Stop::Fault(Fault::NoMemory)
    }
}

impl Builder {
    /// For a value of so many nodes.
    pub(super) fn new(nodes: usize) -> Result<Self> {
        Ok(Builder {
            graph: Graph::new(nodes)?,
            begun: false,
            last: Graph::ROOT,
            open: Vec::new(),
            name: None,
            strings: Vec::new(),
            counted: [Vec::new(), Vec::new()],
            shapes: Vec::new(),
            empty: Text::new(&[])?,
        })
    }

    pub(super) fn finish(self) -> Graph {
        self.graph
    }

    /// Adds a value and makes it a part of the innermost one.
    fn add(&mut self, node: Node) -> Outcome {
        if !self.begun {
            self.begun = true;
            return Ok(self.graph.set(Graph::ROOT, node)?);
        }
        let id = self.graph.add(node)?;
        self.last = id;
        self.attach(id)
    }

    fn attach(&mut self, part: u32) -> Outcome {
        let Some(parent) = self.open.last() else { return Ok(()) };
        let Node::Container(parent) = self.graph.node_mut(*parent) else { return Ok(()) };
        Ok(match self.name.take() {
            Some(name) if name.may_be_index && is_next_index(&name.text, parent) => parent.push_item(part),
            Some(name) => parent.push_named(name.text, part),
            None => parent.push_item(part),
        }?)
    }

    fn word(&mut self, word: Word) -> Outcome<Text> {
        Ok(match word {
            Word::Empty => self.empty.clone(),
            Word::Plain(bytes) => Text::new(bytes)?,
            Word::New(bytes) => {
                let text = Text::new(bytes)?;
                push(&mut self.strings, text.clone())?;
                text
            }
            Word::Known(index) => self.strings[index as usize].clone(),
        })
    }

    fn class(&mut self, word: Word) -> Outcome<Option<Text>> {
        let class = self.word(word)?;
        Ok((!class.bytes().is_empty()).then_some(class))
    }

    fn begin(&mut self, container: Container) -> Outcome {
        self.add(Node::Container(memory::boxed(container)?))?;
        Ok(push(&mut self.open, self.last)?)
    }
}

impl Sink for Builder {
    fn leaf(&mut self, value: Node) -> Outcome {
        self.add(value)
    }

    fn text(&mut self, kind: Type, word: Word) -> Outcome {
        let text = self.word(word)?;
        self.add(Node::Text(kind, text))
    }

    fn reference(&mut self, version: Encoding, index: u32) -> Outcome {
        self.attach(self.counted[version as usize][index as usize])
    }

    fn count(&mut self, version: Encoding) -> Outcome {
        Ok(push(&mut self.counted[version as usize], self.last)?)
    }

    fn open(&mut self, kind: Type, class: Word, flag: bool) -> Outcome {
        let class = self.class(class)?;
        self.begin(Container { class, flag, ..Container::new(kind) })
    }

    fn name(&mut self, word: Word) -> Outcome {
        self.name = Some(Name { text: self.word(word)?, may_be_index: matches!(word, Word::Plain(_)) });
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
    }

    fn shape(&mut self, class: Word, dynamic: bool) -> Outcome {
        let class = self.class(class)?;
        Ok(push(&mut self.shapes, Shape { class, dynamic, names: Vec::new() })?)
    }

    fn shape_name(&mut self, word: Word) -> Outcome {
        let name = self.word(word)?;
        match self.shapes.last_mut() {
            Some(shape) => Ok(push(&mut shape.names, name)?),
            None => Ok(()),
        }
    }

    fn open_shaped(&mut self, shape: u32) -> Outcome {
        let Shape { class, dynamic, names } = &self.shapes[shape as usize];
        let sealed = names.len() as u32;
        self.begin(Container { class: class.clone(), sealed, flag: *dynamic, ..Container::new(Type::Object) })
    }

    fn shaped_name(&mut self, shape: u32, index: u32) {
        let text = self.shapes[shape as usize].names[index as usize].clone();
        self.name = Some(Name { text, may_be_index: false });
    }
}

/// Whether an array has an item less than this name says: then what bears it is the next item.
fn is_next_index(name: &Text, parent: &Container) -> bool {
    parent.kind == Type::Array && name.bytes() == parent.items.len().to_string().as_bytes()
}
