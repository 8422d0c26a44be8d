// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDataInput and IDataOutput of sockets.

use std::ffi::{CStr, c_char, c_void};

use super::border::{c_string, check_room, get, key, status, store};
use super::socket::ss_socket;
use super::status::ss_status;
use crate::core::socket::SocketRef;
use crate::core::socket::typed::Found;
use crate::core::thread::with;
use crate::data::{Charset, Endian, Reading, Written};
use crate::error::{Failure, Result};

/// Endian.BIG_ENDIAN: the most significant byte first, the order of the network, and the default.
pub const SS_BIG_ENDIAN: i32 = 0;
/// Endian.LITTLE_ENDIAN: the least significant byte first.
pub const SS_LITTLE_ENDIAN: i32 = 1;

/// Socket.endian: SS_BIG_ENDIAN or SS_LITTLE_ENDIAN.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_endian(socket: *mut ss_socket) -> i32 {
    get(SS_BIG_ENDIAN, |thread| match thread.socket(key(socket))?.socket.endian {
        Endian::Big => Ok(SS_BIG_ENDIAN),
        Endian::Little => Ok(SS_LITTLE_ENDIAN),
    })
}

/// Sets Socket.endian, the byte order of the typed reads and writes from now on. It outlasts the connection.
///
/// SS_ERR_ARGUMENT 2008: another value.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_set_endian(socket: *mut ss_socket, endian: i32) -> ss_status {
    status(|| {
        with(|thread| {
            thread.socket(key(socket))?.socket.endian = match endian {
                SS_BIG_ENDIAN => Endian::Big,
                SS_LITTLE_ENDIAN => Endian::Little,
                _ => return Err(Failure::not_accepted("endian")),
            };
            Ok(())
        })
    })
}

/// Socket.readBoolean: one byte; true unless it is 0.
///
/// This and the following reads: SS_ERR_EOF 2030: fewer bytes have come, and none was read; wait for more.
/// SS_ERR_IO 2002: not connected and nothing left to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_boolean(socket: *mut ss_socket, value: *mut bool) -> ss_status {
    let boolean = |byte: [u8; 1]| byte[0] != 0;
    // SAFETY: the same contract.
    unsafe { read(socket, value, boolean, boolean) }
}

/// Socket.readByte: -128 to 127.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_byte(socket: *mut ss_socket, value: *mut i8) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, i8::from_be_bytes, i8::from_le_bytes) }
}

/// Socket.readUnsignedByte: 0 to 255.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_unsigned_byte(socket: *mut ss_socket, value: *mut u8) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, u8::from_be_bytes, u8::from_le_bytes) }
}

/// Socket.readShort: 16 bits, signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_short(socket: *mut ss_socket, value: *mut i16) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, i16::from_be_bytes, i16::from_le_bytes) }
}

/// Socket.readUnsignedShort: 16 bits, unsigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_unsigned_short(socket: *mut ss_socket, value: *mut u16) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, u16::from_be_bytes, u16::from_le_bytes) }
}

/// Socket.readInt: 32 bits, signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_int(socket: *mut ss_socket, value: *mut i32) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, i32::from_be_bytes, i32::from_le_bytes) }
}

/// Socket.readUnsignedInt: 32 bits, unsigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_unsigned_int(socket: *mut ss_socket, value: *mut u32) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, u32::from_be_bytes, u32::from_le_bytes) }
}

/// Socket.readFloat: 32 bits, IEEE 754.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_float(socket: *mut ss_socket, value: *mut f32) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, f32::from_be_bytes, f32::from_le_bytes) }
}

/// Socket.readDouble: 64 bits, IEEE 754.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_double(socket: *mut ss_socket, value: *mut f64) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read(socket, value, f64::from_be_bytes, f64::from_le_bytes) }
}

/// Socket.readUTF: a text with its length in bytes, 16 bits, before it.
///
/// The text is written to dst with a NUL behind it, and its length without the NUL to *length. If capacity is too small
/// for both: SS_ERR_RANGE 2006, *length receives the length all the same, and nothing was read; so that capacity 0 and
/// dst NULL ask for it. As in Flash a byte order mark is dropped and a NUL within ends the text. The bytes are not
/// checked to be UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_utf(
    socket: *mut ss_socket,
    dst: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read_text(socket, dst, capacity, length, |socket| socket.find_utf()) }
}

/// Socket.readUTFBytes: a text of byte_length bytes. Otherwise as ss_socket_read_utf.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_utf_bytes(
    socket: *mut ss_socket,
    byte_length: usize,
    dst: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> ss_status {
    // SAFETY: the same contract.
    unsafe { read_text(socket, dst, capacity, length, |socket| socket.find_utf_bytes(byte_length)) }
}

/// Socket.readMultiByte: a text of byte_length bytes in another charset, converted to UTF-8; what is malformed becomes
/// U+FFFD. Otherwise as ss_socket_read_utf.
///
/// charset is one of AIR's names, in any case: those of Unicode ("utf-8"; "unicode" or "utf-16", low bytes first;
/// "unicodeFFFE", high bytes first), "us-ascii", "iso-8859-1" to "-15", "windows-874", "windows-1250" to "-1258",
/// "koi8-r", "koi8-u", "cp866", "macintosh", "x-mac-cyrillic", "gb2312", "gb18030", "big5", "shift_jis", "euc-jp",
/// "iso-2022-jp", "euc-kr", and their aliases. "iso-8859-1" gives each byte the character of its number; the names of
/// parts 9 and 11 mean windows-1254 and -874, which have more. NULL, "" and a name that is not known mean UTF-8, as in
/// Flash; so do those of AIR's that are missing here: the other DOS and Mac pages, EBCDIC, IA5, ISCII, Johab,
/// "hz-gb-2312", "iso-2022-kr" and "utf-7".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_read_multi_byte(
    socket: *mut ss_socket,
    byte_length: usize,
    charset: *const c_char,
    dst: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> ss_status {
    // SAFETY: a NUL-terminated string or NULL, by contract.
    let charset = unsafe { charset_named(charset) };
    // SAFETY: the same contract.
    unsafe { read_text(socket, dst, capacity, length, |socket| socket.find_multi_byte(byte_length, charset)) }
}

/// Socket.writeBoolean: one byte, 1 or 0.
///
/// This and the following writes are all or nothing. SS_ERR_FULL: the write limit is reached. SS_ERR_IO 2002: as
/// ss_socket_write_bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_boolean(socket: *mut ss_socket, value: bool) -> ss_status {
    let byte = [u8::from(value)];
    write(socket, byte, byte)
}

/// Socket.writeByte: the low 8 bits of value.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_byte(socket: *mut ss_socket, value: i32) -> ss_status {
    let byte = [value as u8];
    write(socket, byte, byte)
}

/// Socket.writeShort: the low 16 bits of value.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_short(socket: *mut ss_socket, value: i32) -> ss_status {
    write(socket, (value as u16).to_be_bytes(), (value as u16).to_le_bytes())
}

/// Socket.writeInt: 32 bits, signed.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_int(socket: *mut ss_socket, value: i32) -> ss_status {
    write(socket, value.to_be_bytes(), value.to_le_bytes())
}

/// Socket.writeUnsignedInt: 32 bits, unsigned.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_unsigned_int(socket: *mut ss_socket, value: u32) -> ss_status {
    write(socket, value.to_be_bytes(), value.to_le_bytes())
}

/// Socket.writeFloat: 32 bits, IEEE 754.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_float(socket: *mut ss_socket, value: f32) -> ss_status {
    write(socket, value.to_be_bytes(), value.to_le_bytes())
}

/// Socket.writeDouble: 64 bits, IEEE 754.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_write_double(socket: *mut ss_socket, value: f64) -> ss_status {
    write(socket, value.to_be_bytes(), value.to_le_bytes())
}

/// Socket.writeUTF: a text with its length in bytes, 16 bits, before it; without its NUL.
///
/// SS_ERR_RANGE 2006: it has more than 65535 bytes, and nothing was written. SS_ERR_TYPE 2007: text is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_utf(socket: *mut ss_socket, text: *const c_char) -> ss_status {
    // SAFETY: the same contract.
    unsafe { write_text(socket, text, |socket, text| socket.write_utf(text)) }
}

/// Socket.writeUTFBytes: a text's bytes, without a length and without its NUL. SS_ERR_TYPE 2007: text is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_utf_bytes(socket: *mut ss_socket, text: *const c_char) -> ss_status {
    // SAFETY: the same contract.
    unsafe { write_text(socket, text, |socket, text| socket.write(text)) }
}

/// Socket.writeMultiByte: a text, given in UTF-8, in another charset (see ss_socket_read_multi_byte). A character that
/// the charset has not is sent as '?'. SS_ERR_TYPE 2007: text is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_write_multi_byte(
    socket: *mut ss_socket,
    text: *const c_char,
    charset: *const c_char,
) -> ss_status {
    // SAFETY: a NUL-terminated string or NULL, by contract.
    let charset = unsafe { charset_named(charset) };
    // SAFETY: the same contract.
    unsafe { write_text(socket, text, |socket, text| socket.write(&charset.encode(text)?)) }
}

/// # Safety
/// `value` is NULL or points to a writable T.
unsafe fn read<T, const N: usize>(
    socket: *mut ss_socket,
    value: *mut T,
    big: fn([u8; N]) -> T,
    little: fn([u8; N]) -> T,
) -> ss_status {
    status(|| {
        let number = with(|thread| thread.socket(key(socket))?.read_number(&Reading { big, little }))?;
        // SAFETY: NULL or the caller's, by contract.
        unsafe { store(value, number) };
        Ok(())
    })
}

fn write<const N: usize>(socket: *mut ss_socket, big: [u8; N], little: [u8; N]) -> ss_status {
    status(|| with(|thread| thread.socket(key(socket))?.write_number(&Written { big, little })))
}

/// Hands a text out, or only the length that it needs.
///
/// # Safety
/// `dst` has room for `capacity` bytes, `length` is NULL or points to a writable size_t.
unsafe fn read_text(
    socket: *mut ss_socket,
    dst: *mut c_char,
    capacity: usize,
    length: *mut usize,
    find: impl for<'a> FnOnce(&'a SocketRef<'_>) -> Result<Found<'a>>,
) -> ss_status {
    status(|| {
        with(|thread| {
            let mut socket = thread.socket(key(socket))?;
            let found = find(&socket)?;
            let needed = found.text.len();
            if needed >= capacity {
                // SAFETY: NULL or the caller's, by contract.
                unsafe { store(length, needed) };
                return Err(Failure::out_of_range()
                    .because(format!("the text needs room for {needed} bytes and a NUL; nothing was read")));
            }
            check_room(dst.cast::<c_void>(), needed + 1, "dst")?;
            // SAFETY: the caller vouches for `capacity` bytes at `dst`, and the text with its NUL is not longer.
            unsafe {
                std::ptr::copy(found.text.as_ptr().cast(), dst, needed);
                dst.add(needed).write(0);
                store(length, needed);
            }
            let consumed = found.length;
            drop(found);
            socket.consume(consumed);
            Ok(())
        })
    })
}

/// # Safety
/// `text` is NULL or a NUL-terminated string.
unsafe fn write_text(
    socket: *mut ss_socket,
    text: *const c_char,
    write: impl FnOnce(&mut SocketRef<'_>, &[u8]) -> Result<()>,
) -> ss_status {
    status(|| {
        with(|thread| {
            let mut socket = thread.socket(key(socket))?;
            // SAFETY: NULL or NUL-terminated, by contract.
            let text = unsafe { c_string(text, "text") }?;
            write(&mut socket, text.to_bytes())
        })
    })
}

/// # Safety
/// `name` is NULL or a NUL-terminated string.
unsafe fn charset_named(name: *const c_char) -> Charset {
    match name.is_null() {
        true => Charset::Utf8,
        // SAFETY: not NULL, and NUL-terminated by contract.
        false => Charset::named(unsafe { CStr::from_ptr(name) }.to_bytes()),
    }
}
