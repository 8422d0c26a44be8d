// SPDX-License-Identifier: MIT OR Apache-2.0
//! AMF, the format of `readObject` and `writeObject`: versions 0 and 3.
//!
//! ```text
//! reader   the grammar of both versions, as a machine that takes one token at a time and tells a sink what it met
//! input    the bytes that it takes;  markers  the types' markers;  sink  who wants to know
//! builder  the sink that makes a value of it
//! writer   from a value to bytes
//! value    a value with all its parts
//! ```
//!
//! Bytes of a peer go through the reader twice. First with a sink that keeps nothing: that finds where the value ends,
//! and refuses what is malformed, nested too deep, or would take too much memory. It stops where the bytes do and goes
//! on when there are more, so that a value which comes in a million small segments is looked at once. Only a value
//! that is there as a whole is built, by the same machine.
//!
//! Why not a crate: the one there is, flash-lso 0.7, decodes recursively (a megabyte of nested arrays ends the process)
//! and copies what is referenced (120 KB became 980 MB), so that it would need this reader before it. It leaves
//! references to whoever calls it, takes AMF0's unknown markers for values, and writes references that point to the
//! wrong object as soon as a date or two equal objects come before. Nor can it write a value outside of a file.

mod builder;
mod input;
mod markers;
mod reader;
mod sink;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use value::{Graph, Node, Text, Type};
pub(crate) use writer::{PIECE, write};

use crate::error::{Failure, Result};
use crate::memory;
use builder::Builder;
use reader::Reader;
use sink::{Fault, Scan, Stop};

/// `objectEncoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    Amf0,
    #[default]
    Amf3,
}

/// How deep values may be nested, read or written.
const MAX_DEPTH: usize = 128;
/// What a value may take in memory is this many times the read limit, and never less than [`MIN_MEMORY`].
const EXPANSION: usize = 16;
const MIN_MEMORY: usize = 16 * 1024 * 1024;

/// What a socket knows of the objects it reads: their encoding, and how far the one that is arriving has been looked at.
#[derive(Default)]
pub(crate) struct ObjectInput {
    pub encoding: Encoding,
    progress: Option<Box<Progress>>,
}

struct Progress {
    start: Place,
    /// The limit at that time. Under another one it is looked at anew.
    limit: usize,
    scan: Reader<Scan>,
    /// The bytes are no good, and more of them will not help.
    fault: Option<Fault>,
}

/// A position in the stream of a connection: some number of the connection's, and how many bytes came before.
pub(crate) type Place = (usize, u64);

impl ObjectInput {
    pub(crate) fn set_encoding(&mut self, encoding: Encoding) {
        *self = ObjectInput { encoding, progress: None };
    }

    /// The value at the front of `unread`, and how many bytes it takes up. `start` is where `unread` begins, if that
    /// can be told: there the next call goes on where this one found too few bytes. `limit` is how many bytes can be
    /// unread at a time.
    pub(crate) fn read(&mut self, start: Option<Place>, unread: &[u8], limit: usize) -> Result<(Graph, usize)> {
        let memory = limit.saturating_mul(EXPANSION).max(MIN_MEMORY);
        let known = self.progress.take();
        let known = known.filter(|progress| start == Some(progress.start) && limit == progress.limit);
        let (mut scan, fault) = match known {
            Some(progress) => (progress.scan, progress.fault),
            None => (Reader::new(self.encoding, memory, Scan), None),
        };
        let outcome = match fault {
            Some(fault) => Err(Stop::Fault(fault)),
            None => scan.run(unread),
        };
        let (fault, failure) = match outcome {
            Ok(length) => {
                let mut reader = Reader::new(self.encoding, memory, Builder::new(scan.nodes)?);
                return match reader.run(&unread[..length]) {
                    Ok(_) => Ok((reader.sink.finish(), length)),
                    Err(Stop::Fault(fault)) => Err(fault.into_failure()),
                    Err(Stop::Incomplete(_)) => Err(Failure::end_of_file()),
                };
            }
            Err(Stop::Incomplete(length)) if length > limit => (
                None,
                Failure::out_of_range()
                    .because("the object is longer than what may be unread at a time; raise SS_OPT_READ_LIMIT"),
            ),
            Err(Stop::Incomplete(_)) => {
                (None, Failure::end_of_file().because("the object has not arrived as a whole yet; nothing was read"))
            }
            Err(Stop::Fault(Fault::NoMemory)) => return Err(Failure::no_memory()),
            Err(Stop::Fault(fault)) => {
                // What was learned is not needed any more, only that it ends here.
                scan = Reader::new(self.encoding, memory, Scan);
                (Some(fault.clone()), fault.into_failure())
            }
        };
        // Without memory for it the next call begins anew.
        self.progress = start.and_then(|start| memory::boxed(Progress { start, limit, scan, fault }).ok());
        Err(failure)
    }
}

impl Fault {
    fn into_failure(self) -> Failure {
        match self {
            Fault::Malformed(what) => Failure::not_accepted("object")
                .because(format!("the bytes are not an object of the socket's encoding: {what}; nothing was read")),
            Fault::TooDeep => Failure::out_of_range()
                .because(format!("the object is nested more than {MAX_DEPTH} deep; nothing was read")),
            Fault::TooLarge => Failure::out_of_range()
                .because("the object would take too much memory; nothing was read. SS_OPT_READ_LIMIT sets how much"),
            Fault::Externalizable => Failure::unsupported().because(
                "the object is of a class with an encoding of its own (IExternalizable), so that nobody but that class \
                 knows where it ends; nothing was read",
            ),
            Fault::NoMemory => Failure::no_memory(),
        }
    }
}
