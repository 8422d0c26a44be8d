// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values, and Socket's readObject and writeObject.

use std::ffi::{c_char, c_void};

use super::border::{bytes, c_string, get, handle, key, status, store, value};
use super::socket::ss_socket;
use super::status::ss_status;
use crate::amf::{Encoding, Graph, Node, Text, Type};
use crate::core::thread::with;
use crate::error::{Failure, Result};

/// A value as ActionScript has it, from readObject or for writeObject: a number, a string, an array of other values.
/// Belongs to the thread it was made on, and to no loop.
///
/// A value and all its parts are one whole. ss_value_new and ss_socket_read_object give one reference to the whole;
/// the parts are borrowed from it, and stay valid until the last reference to the whole is released. What is done to a
/// part with ss_retain, ss_release and ss_set_user_data is done to the whole. The same part has the same handle,
/// wherever in the whole it is met.
///
/// To write { name: "Ann", scores: [1, 2.5] }, and to read it:
///
/// ```c
/// ss_value *message = ss_value_new(SS_VALUE_OBJECT);
/// ss_value *scores = ss_value_add_property(message, "scores");
/// ss_value_set_string(ss_value_add_property(message, "name"), "Ann");
/// ss_value_set(scores, SS_VALUE_ARRAY);
/// ss_value_set_integer(ss_value_add_item(scores), 1);
/// ss_value_set_number(ss_value_add_item(scores), 2.5);
/// ss_socket_write_object(socket, message);
/// ss_release(message);
///
/// ss_status status;
/// while ((status = ss_socket_read_object(socket, &message)) == SS_OK) {
///     const char *name = ss_value_bytes(ss_value_property(message, "name"), NULL);   // NULL if there is none
///     ss_value *scores = ss_value_property(message, "scores");
///     for (size_t i = 0; i < ss_value_item_count(scores); i++)
///         printf("%g\n", ss_value_number(ss_value_item(scores, i)));
///     ss_release(message);
/// }
/// if (status != SS_ERR_EOF)                         // else the rest is still on its way: wait for socketData
///     ss_socket_abort(socket);                      // what this peer sends cannot be read
/// ```
pub struct ss_value {
    _key: [u8; 0],
}

/// ObjectEncoding.AMF0: that of ActionScript 1 and 2.
pub const SS_AMF0: i32 = 0;
/// ObjectEncoding.AMF3: that of ActionScript 3.
pub const SS_AMF3: i32 = 3;

/// ss_value_type: undefined.
pub const SS_VALUE_UNDEFINED: i32 = 1;
/// ss_value_type: null.
pub const SS_VALUE_NULL: i32 = 2;
/// ss_value_type: true or false, see ss_value_boolean.
pub const SS_VALUE_BOOLEAN: i32 = 3;
/// ss_value_type: int, see ss_value_number. AMF3 writes those from -268435456 to 268435455 as such, AMF0 none; others
/// become SS_VALUE_NUMBER, which to ActionScript is the same.
pub const SS_VALUE_INTEGER: i32 = 4;
/// ss_value_type: Number, see ss_value_number.
pub const SS_VALUE_NUMBER: i32 = 5;
/// ss_value_type: String, see ss_value_bytes.
pub const SS_VALUE_STRING: i32 = 6;
/// ss_value_type: Date; its milliseconds since 1970 in UTC, see ss_value_number.
pub const SS_VALUE_DATE: i32 = 7;
/// ss_value_type: ByteArray, see ss_value_bytes.
pub const SS_VALUE_BYTE_ARRAY: i32 = 8;
/// ss_value_type: XML; its text, see ss_value_bytes.
pub const SS_VALUE_XML: i32 = 9;
/// ss_value_type: flash.xml.XMLDocument, which AMF0 makes of XML, too; its text, see ss_value_bytes.
pub const SS_VALUE_XML_DOCUMENT: i32 = 10;
/// ss_value_type: Array. It has items, and may have properties besides.
pub const SS_VALUE_ARRAY: i32 = 11;
/// ss_value_type: Object, or one of a class. It has properties.
pub const SS_VALUE_OBJECT: i32 = 12;
/// ss_value_type: Vector of int. Its items are numbers.
pub const SS_VALUE_VECTOR_INT: i32 = 13;
/// ss_value_type: Vector of uint. Its items are numbers.
pub const SS_VALUE_VECTOR_UINT: i32 = 14;
/// ss_value_type: Vector of Number. Its items are numbers.
pub const SS_VALUE_VECTOR_NUMBER: i32 = 15;
/// ss_value_type: a vector of anything else. It has items, and ss_value_class_name says of which class.
pub const SS_VALUE_VECTOR_OBJECT: i32 = 16;
/// ss_value_type: Dictionary. Its items are its keys and values in turn: a key, its value, the next key, ...
pub const SS_VALUE_DICTIONARY: i32 = 17;

/// Socket.readObject(): takes the object that comes next from the unread bytes. *value receives one reference to it:
/// give it back with ss_release.
///
/// SS_ERR_EOF 2030: it has not arrived as a whole yet. SS_ERR_ARGUMENT 2008: what has arrived is no object of the
/// socket's encoding. SS_ERR_RANGE 2006: it is nested more than 128 deep, is longer than SS_OPT_READ_LIMIT, or would
/// take more memory than 16 times that (or 16 MiB, if that is more), the handles of its parts included. SS_ERR_UNSUPPORTED: it is of an IExternalizable
/// class, whose encoding nobody else knows. SS_ERR_IO 2002: not connected and nothing left to read.
///
/// After a failure all bytes are unread still, and the connection goes on: but only after SS_ERR_EOF can more bytes
/// mend it, and after SS_ERR_RANGE a higher SS_OPT_READ_LIMIT. Where the object ends is not known otherwise, so that one mostly closes the socket.
/// Strings are what the peer sent: UTF-8, if it keeps to the format. The endian of the socket does not matter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_object(socket: *mut ss_socket, value: *mut *mut ss_value) -> ss_status {
    status(|| {
        if value.is_null() {
            return Err(Failure::null("value"));
        }
        let object = with(|thread| thread.read_object(key(socket)))?;
        // SAFETY: the caller's, by contract.
        unsafe { store(value, handle(object)) };
        Ok(())
    })
}

/// Socket.writeObject(): writes a value with all its parts, all or nothing. The value stays the caller's, unchanged.
///
/// What is met in it twice is written once, and referred to then, as long as it is no string in AMF0. AMF0 knows
/// neither byte arrays nor vectors nor dictionaries: they are written in AMF3 inside it, as the format provides for.
/// SS_ERR_FULL: it would exceed the write limit. SS_ERR_IO 2002: as ss_socket_write_bytes. SS_ERR_RANGE 2006: it is nested more
/// than 128 deep, or too long for the encoding (a name in AMF0 has at most 65535 bytes). SS_ERR_ARGUMENT 2004: an item
/// of a vector of numbers is none, a dictionary's last key has no value, or in AMF3 an array has a property named "".
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_object(socket: *mut ss_socket, value: *mut ss_value) -> ss_status {
    status(|| with(|thread| thread.write_object(key(socket), key(value))))
}

/// Socket.objectEncoding: SS_AMF3 (the default) or SS_AMF0.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_object_encoding(socket: *mut ss_socket) -> i32 {
    get(0, |thread| {
        Ok(match thread.socket(key(socket))?.object_encoding() {
            Encoding::Amf0 => SS_AMF0,
            Encoding::Amf3 => SS_AMF3,
        })
    })
}

/// Sets Socket.objectEncoding, for the objects read and written from now on. It outlives the connection.
///
/// SS_ERR_ARGUMENT 2008: it is neither SS_AMF3 nor SS_AMF0.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_set_object_encoding(socket: *mut ss_socket, encoding: i32) -> ss_status {
    status(|| {
        with(|thread| {
            thread.socket(key(socket))?;
            let encoding = match encoding {
                SS_AMF0 => Encoding::Amf0,
                SS_AMF3 => Encoding::Amf3,
                _ => return Err(Failure::not_accepted("objectEncoding")),
            };
            thread.socket(key(socket))?.set_object_encoding(encoding)
        })
    })
}

/// Makes a value of a type, SS_VALUE_...: false, 0, "" or without parts.
///
/// Returns one reference: give it back with ss_release. NULL on failure; SS_ERR_ARGUMENT 2008: no such type.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_new(r#type: i32) -> *mut ss_value {
    value(std::ptr::null_mut(), || {
        let mut graph = Graph::new(1)?;
        graph.set(Graph::ROOT, type_of_number(r#type)?.empty()?)?;
        with(|thread| thread.values.add(graph)).map(handle)
    })
}

/// What a value is: SS_VALUE_...; 0 if it is not one.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_type(value: *mut ss_value) -> i32 {
    get(0, |thread| Ok(thread.values.node(key(value))?.kind() as i32))
}

/// Whether a value is true. Only a boolean can be.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_boolean(value: *mut ss_value) -> bool {
    get(false, |thread| Ok(matches!(thread.values.node(key(value))?, Node::Boolean(true))))
}

/// The number that an integer, a number, a date or a boolean is. 0 for other types.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_number(value: *mut ss_value) -> f64 {
    get(0.0, |thread| {
        Ok(match thread.values.node(key(value))? {
            Node::Integer(integer) => f64::from(*integer),
            Node::Number(number) | Node::Date(number) => *number,
            Node::Boolean(true) => 1.0,
            _ => 0.0,
        })
    })
}

/// The bytes of a string, of XML or of a byte array, with a NUL behind them; *length (may be NULL) receives how many,
/// without the NUL. NULL, with *length 0, for other types.
///
/// They are the library's, and valid until the value is set anew or the whole destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_bytes(value: *mut ss_value, length: *mut usize) -> *const c_char {
    // SAFETY: the same contract.
    unsafe {
        text(value, length, |node| match node {
            Node::Text(_, text) => Ok(Some(text)),
            _ => Ok(None),
        })
    }
}

/// The class of an object, as the peer has registered it (registerClassAlias), or that of a vector's items; *length
/// (may be NULL) receives its length. NULL, with *length 0, if there is none.
///
/// The text is the library's, and valid until the class is set anew or the whole destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_class_name(value: *mut ss_value, length: *mut usize) -> *const c_char {
    // SAFETY: the same contract.
    unsafe { text(value, length, |node| Ok(node.container().and_then(|container| container.class.as_ref()))) }
}

/// How many items an array, vector or dictionary has. 0 for other types.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_item_count(value: *mut ss_value) -> usize {
    get(0, |thread| Ok(thread.values.node(key(value))?.container().map_or(0, |container| container.items.len())))
}

/// An item of an array, vector or dictionary; the first is 0. Borrowed.
///
/// NULL if there is none of that index: SS_ERR_RANGE 2006.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_item(value: *mut ss_value, index: usize) -> *mut ss_value {
    get(std::ptr::null_mut(), |thread| {
        let node = thread.values.node(key(value))?;
        let item = node.container().and_then(|container| container.items.get(index).copied());
        thread.values.part(key(value), item.ok_or_else(Failure::out_of_range)?).map(handle)
    })
}

/// How many properties an object has, or an array besides its items. 0 for other types.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_property_count(value: *mut ss_value) -> usize {
    get(0, |thread| Ok(thread.values.node(key(value))?.container().map_or(0, |container| container.named.len())))
}

/// The name of a property; the first is 0. *length (may be NULL) receives its length: a peer's name may contain NULs.
/// They come in the order in which they were written.
///
/// The text is the library's, and valid until the whole is destroyed. NULL, with *length 0, if there is none of that
/// index: SS_ERR_RANGE 2006.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_property_name(
    value: *mut ss_value,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: the same contract.
    unsafe {
        text(value, length, |node| {
            let property = node.container().and_then(|container| container.named.get(index));
            property.map(|(name, _)| Some(name)).ok_or_else(Failure::out_of_range)
        })
    }
}

/// A property by its place; the first is 0. Borrowed.
///
/// NULL if there is none of that index: SS_ERR_RANGE 2006.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_property_at(value: *mut ss_value, index: usize) -> *mut ss_value {
    get(std::ptr::null_mut(), |thread| {
        let node = thread.values.node(key(value))?;
        let property = node.container().and_then(|container| container.named.get(index).map(|(_, part)| *part));
        thread.values.part(key(value), property.ok_or_else(Failure::out_of_range)?).map(handle)
    })
}

/// A property by its name. Borrowed. NULL if there is none, which is no failure.
///
/// SS_ERR_TYPE 2007: name is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_property(value: *mut ss_value, name: *const c_char) -> *mut ss_value {
    get(std::ptr::null_mut(), |thread| {
        // SAFETY: a NUL-terminated string, by contract.
        let name = unsafe { c_string(name, "name") }?.to_bytes();
        let container = thread.values.node(key(value))?.container();
        match container.and_then(|container| container.property(name)) {
            Some(part) => thread.values.part(key(value), part).map(handle),
            None => Ok(std::ptr::null_mut()),
        }
    })
}

/// Makes a value one of another type, SS_VALUE_...: false, 0, "" or without parts.
///
/// SS_ERR_ARGUMENT 2008: no such type. This and the functions below set a value as often as one likes, but not one
/// that has parts: SS_ERR_ARGUMENT 2004.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_set(value: *mut ss_value, r#type: i32) -> ss_status {
    set(value, || type_of_number(r#type)?.empty())
}

/// Makes a value a boolean.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_set_boolean(value: *mut ss_value, boolean: bool) -> ss_status {
    set(value, || Ok(Node::Boolean(boolean)))
}

/// Makes a value an integer.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_set_integer(value: *mut ss_value, integer: i32) -> ss_status {
    set(value, || Ok(Node::Integer(integer)))
}

/// Makes a value a number.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_set_number(value: *mut ss_value, number: f64) -> ss_status {
    set(value, || Ok(Node::Number(number)))
}

/// Makes a value a date: milliseconds since 1970, UTC.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_set_date(value: *mut ss_value, milliseconds: f64) -> ss_status {
    set(value, || Ok(Node::Date(milliseconds)))
}

/// Makes a value a string, in UTF-8. The text is copied.
///
/// SS_ERR_TYPE 2007: text is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_set_string(value: *mut ss_value, text: *const c_char) -> ss_status {
    set(value, || {
        // SAFETY: a NUL-terminated string, by contract.
        let text = unsafe { c_string(text, "text") }?.to_bytes();
        Ok(Node::Text(Type::String, Text::new(text)?))
    })
}

/// Makes a value one of the types that consist of bytes, and copies them: SS_VALUE_STRING, SS_VALUE_BYTE_ARRAY,
/// SS_VALUE_XML, SS_VALUE_XML_DOCUMENT.
///
/// SS_ERR_ARGUMENT 2008: another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_set_bytes(
    value: *mut ss_value,
    r#type: i32,
    src: *const c_void,
    length: usize,
) -> ss_status {
    set(value, || {
        let kind = type_of_number(r#type)?;
        if !kind.is_text() {
            return Err(Failure::not_accepted("type"));
        }
        // SAFETY: the caller vouches for `length` bytes at `src`.
        let bytes = unsafe { bytes(src, length, "src") }?;
        Ok(Node::Text(kind, Text::new(bytes)?))
    })
}

/// Makes an object, with or without parts, one of a class, by the name under which the peer has registered it; or says
/// what a vector of objects is of. NULL or "": of none.
///
/// SS_ERR_ARGUMENT 2004: another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_set_class_name(value: *mut ss_value, name: *const c_char) -> ss_status {
    status(|| {
        let name = match name.is_null() {
            true => &[],
            // SAFETY: a NUL-terminated string, by contract.
            false => unsafe { c_string(name, "name") }?.to_bytes(),
        };
        let class = if name.is_empty() { None } else { Some(Text::new(name)?) };
        with(|thread| thread.values.set_class(key(value), class))
    })
}

/// Makes a value the same as another. If both are parts of one whole, that value is in both places from now on, even if
/// it comes to be a part of itself. If not, the value becomes a copy of the other, with copies of all its parts.
///
/// SS_ERR_ARGUMENT 2004: the value has parts.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_assign(value: *mut ss_value, other: *mut ss_value) -> ss_status {
    status(|| with(|thread| thread.values.assign(key(value), key(other))))
}

/// Adds an item to an array, vector or dictionary. It is undefined until it is set. Borrowed.
///
/// NULL on failure; SS_ERR_ARGUMENT 2004: another type.
#[unsafe(no_mangle)]
pub extern "C" fn ss_value_add_item(value: *mut ss_value) -> *mut ss_value {
    get(std::ptr::null_mut(), |thread| thread.values.add_item(key(value)).map(handle))
}

/// Adds a property to an object, or to an array besides its items. It is undefined until it is set. Borrowed. To set
/// one that is there already, get it with ss_value_property: of two with the same name the later one counts.
///
/// NULL on failure; SS_ERR_ARGUMENT 2004: another type. SS_ERR_TYPE 2007: name is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_value_add_property(value: *mut ss_value, name: *const c_char) -> *mut ss_value {
    get(std::ptr::null_mut(), |thread| {
        thread.values.node(key(value))?;
        // SAFETY: a NUL-terminated string, by contract.
        let name = Text::new(unsafe { c_string(name, "name") }?.to_bytes())?;
        thread.values.add_property(key(value), name).map(handle)
    })
}

/// A text inside a value, and its length.
///
/// # Safety
/// `length` is NULL or points to a writable size_t.
unsafe fn text(
    value: *mut ss_value,
    length: *mut usize,
    find: impl FnOnce(&Node) -> Result<Option<&Text>>,
) -> *const c_char {
    let (start, count) = get((std::ptr::null(), 0), |thread| {
        let text = find(thread.values.node(key(value))?)?;
        Ok(text.map_or((std::ptr::null(), 0), |text| (text.bytes().as_ptr(), text.bytes().len())))
    });
    // SAFETY: NULL or the caller's, by contract.
    unsafe { store(length, count) };
    start.cast()
}

/// Sets a value, after making sure that there is one: a bad handle is reported before anything else.
fn set(value: *mut ss_value, node: impl FnOnce() -> Result<Node>) -> ss_status {
    status(|| {
        with(|thread| {
            thread.values.node(key(value))?;
            thread.values.set(key(value), node()?)
        })
    })
}

fn type_of_number(number: i32) -> Result<Type> {
    Type::ALL.into_iter().find(|kind| *kind as i32 == number).ok_or_else(|| Failure::not_accepted("type"))
}

// The names are the numbers of the types.
const _: () = {
    let names = [
        SS_VALUE_UNDEFINED,
        SS_VALUE_NULL,
        SS_VALUE_BOOLEAN,
        SS_VALUE_INTEGER,
        SS_VALUE_NUMBER,
        SS_VALUE_STRING,
        SS_VALUE_DATE,
        SS_VALUE_BYTE_ARRAY,
        SS_VALUE_XML,
        SS_VALUE_XML_DOCUMENT,
        SS_VALUE_ARRAY,
        SS_VALUE_OBJECT,
        SS_VALUE_VECTOR_INT,
        SS_VALUE_VECTOR_UINT,
        SS_VALUE_VECTOR_NUMBER,
        SS_VALUE_VECTOR_OBJECT,
        SS_VALUE_DICTIONARY,
    ];
    let mut index = 0;
    while index < Type::ALL.len() {
        assert!(Type::ALL[index] as i32 == names[index]);
        index += 1;
    }
};
