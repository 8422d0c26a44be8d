// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS: what a secure server and a secure client are made of, AIR's SecureSocket.

use std::ffi::{c_char, c_void};

use super::border::{bytes, c_string, get, handle, key, status, store, value};
use super::object::ss_object;
use super::socket::ss_socket;
use super::status::ss_status;
use crate::core::thread::{Thread, with};
use crate::core::tls::{self, Secured, Tls};
use crate::error::{Failure, Result};
use crate::guard::quieten_panics;

/// What makes connections secure: who a server is, by the names that clients ask for, whom a client trusts, which
/// protocols are spoken above TLS. One serves any number of servers and sockets, of all loops of its thread.
///
/// Belongs to the thread that made it, and to no loop. What is changed in it holds for handshakes that begin later;
/// connections go on as they are. Servers and sockets that use it go on with it when its last reference is given back;
/// its keys are dropped when neither a reference nor such a user is left.
///
/// TLS 1.2 and 1.3, with forward secrecy and authenticated ciphers only. There is no renegotiation, no compression, no early
/// data, and no way to skip the verification of a certificate.
pub struct ss_tls {
    _key: [u8; 0],
}

/// SecureSocket.isSupported: whether this library was built with TLS. Without it all functions here answer
/// SS_ERR_UNSUPPORTED, or that a socket is plain. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ss_tls_is_supported() -> bool {
    tls::IS_SUPPORTED
}

/// Makes an ss_tls without an identity, which trusts the public authorities that browsers trust (Mozilla's list, as the library
/// has it). For most clients that is all.
///
/// Returns one reference: give it back with ss_release. NULL on failure; SS_ERR_UNSUPPORTED: built without TLS.
#[unsafe(no_mangle)]
pub extern "C" fn ss_tls_new() -> *mut ss_tls {
    value(std::ptr::null_mut(), || {
        quieten_panics();
        with(|thread| thread.new_tls()).map(handle)
    })
}

/// Sets who we are: a chain of certificates, our own first, and its private key. Both are copied; each is PEM, or DER (of
/// the certificate alone, of the key as PKCS#8, PKCS#1 or SEC1). A key that is encrypted is not taken.
///
/// A server shows it to clients that ask for that name (SNI): "example.org", or "*.example.org" for all names one label
/// longer. name NULL or "": to all others, and to clients that ask for none; a client shows this one if it is asked to show a
/// certificate. A server without any refuses every handshake.
/// Set again for the same name it takes the place of the former: a certificate is renewed without a restart, and no
/// connection or handshake under way fails. chain NULL removes it; the key is ignored then.
/// SS_ERR_ARGUMENT 2004: the chain or the key is malformed, the key does not fit the chain, the name is no host's name, or there is
/// none to be removed; nothing was changed, and the detail says which. SS_ERR_TYPE 2007: key is NULL, and chain is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_tls_set_identity(
    tls: *mut ss_tls,
    name: *const c_char,
    chain: *const c_void,
    chain_length: usize,
    private_key: *const c_void,
    private_key_length: usize,
) -> ss_status {
    status(|| {
        with(|thread| {
            let tls = find(thread, tls)?;
            // SAFETY: NULL or a NUL-terminated string, by contract.
            let name = unsafe { text_or_none(name) }?;
            if chain.is_null() {
                return tls.remove_identity(name);
            }
            if private_key.is_null() {
                return Err(Failure::null("private_key"));
            }
            // SAFETY: the caller vouches for both, by contract.
            let (chain, private_key) = unsafe {
                (bytes(chain, chain_length, "chain")?, bytes(private_key, private_key_length, "private_key")?)
            };
            tls.set_identity(name, chain, private_key)
        })
    })
}

/// SecureSocket.addBinaryChainBuildingCertificate: adds one or more certificates, PEM or DER, which are copied.
///
/// trusted: authorities, whose signature is trusted besides the public ones', and for a server: who may sign the certificates of
/// clients; only these may, none of the public ones. A certificate that is its own issuer, of a device say, is trusted as it is
/// if it is valid for the name that is connected to. Otherwise they are links: used to find the way from a server's certificate to an
/// authority where the server does not send them.
/// SS_ERR_ARGUMENT 2004: malformed, or without a certificate; nothing was added. SS_ERR_TYPE 2007: certificate is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_tls_add_certificate(
    tls: *mut ss_tls,
    certificate: *const c_void,
    length: usize,
    trusted: bool,
) -> ss_status {
    status(|| {
        with(|thread| {
            let tls = find(thread, tls)?;
            if certificate.is_null() {
                return Err(Failure::null("certificate"));
            }
            // SAFETY: the caller vouches for it, by contract.
            tls.add_certificate(unsafe { bytes(certificate, length, "certificate") }?, trusted)
        })
    })
}

/// Sets which protocols are spoken above TLS (ALPN), the best first: "h2,http/1.1". NULL or "": none, as at first.
///
/// A client offers them; a server takes the first of its own that the client offers, and refuses a client that offers only
/// others. ss_socket_protocol says what came of it. SS_ERR_ARGUMENT 2004: a name between the commas is empty, or longer than 255
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_tls_set_protocols(tls: *mut ss_tls, protocols: *const c_char) -> ss_status {
    status(|| {
        with(|thread| {
            let tls = find(thread, tls)?;
            // SAFETY: NULL or a NUL-terminated string, by contract.
            tls.set_protocols(unsafe { text_or_none(protocols) }?.unwrap_or_default())
        })
    })
}

/// Sets the secret of a server's session tickets, at least 32 bytes, which are copied: a client that comes back resumes its session, with a
/// shorter handshake, at every ss_tls that has the same secret, the same identities, and, where clients are asked for certificates,
/// the same that are trusted, in whatever loop or process.
///
/// Without it each ss_tls has a secret of its own, by chance. Tickets are good for 12 hours. Whoever learns the secret can read
/// connections of TLS 1.2 that were resumed with it: change it every day; tickets of the secret before the last change are still
/// taken. NULL: no tickets, and nobody resumes. SS_ERR_ARGUMENT 2004: shorter than 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_tls_set_ticket_secret(tls: *mut ss_tls, secret: *const c_void, length: usize) -> ss_status {
    status(|| {
        with(|thread| {
            let tls = find(thread, tls)?;
            if secret.is_null() {
                return tls.set_ticket_secret(None);
            }
            // SAFETY: the caller vouches for it, by contract.
            tls.set_ticket_secret(Some(unsafe { bytes(secret, length, "secret") }?))
        })
    })
}

/// Makes a server or a socket secure; tls NULL: plain, as at first.
///
/// A server: the connections that it accepts from now on. Their connect event comes when the handshake is done, with a socket whose
/// peer is known; name is ignored. A handshake that fails is "handshakeError" on the server. Handshakes under way count for
/// SS_OPT_MAX_CONNECTIONS, and have SS_OPT_HANDSHAKE_TIMEOUT.
///
/// A socket that is not connected: its later connections. "connect" means that the server is who it should be: its certificate is
/// signed by somebody who is trusted, is valid now, and is for name; NULL: for the host that is given to ss_socket_connect. A handshake that
/// fails is ioError 2031; ss_socket_certificate_status and ss_event_detail say why.
///
/// A socket that is connected (STARTTLS): what is written before leaves plain, what is written later is held back until the handshake
/// is done, and unread bytes are taken for the beginning of the peer's handshake. Then "connect" comes on the socket; if
/// the handshake fails ioError and close. With a name, and where the socket itself has connected, we are TLS's client, and else its
/// server. tls NULL of a connected socket does nothing if it is plain.
///
/// tls is used for as long as this stands; no reference to it is needed. SS_ERR_IO 2002: the socket is secure or connecting
/// already, the server is closed, or a socket that is connected has called ss_socket_shutdown or has met the peer's end.
/// SS_ERR_ARGUMENT 2004: name is neither a host's name nor an IP address. SS_ERR_UNSUPPORTED: built without TLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_set_tls(object: *mut ss_object, tls: *mut ss_tls, name: *const c_char) -> ss_status {
    status(|| {
        // SAFETY: NULL or a NUL-terminated string, by contract.
        let name = unsafe { text_or_none(name) }?;
        with(|thread| thread.set_tls(key(object), (!tls.is_null()).then(|| key(tls)), name))
    })
}

/// The version of TLS of a socket's connection: 12 or 13; 0 while it is plain, or its handshake is not done.
///
/// This and what follows stays readable when the connection is over, until the socket is connected anew.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_tls_version(socket: *mut ss_socket) -> i32 {
    about(socket, 0, |secured| secured.version())
}

/// The name that the client has asked for (SNI), in small letters; on a client the name that it has asked for itself. NULL if there is
/// none. The text is the library's, and valid until the socket is connected anew, or its end.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_server_name(socket: *mut ss_socket) -> *const c_char {
    about(socket, std::ptr::null(), |secured| secured.server_name().map_or(std::ptr::null(), |name| name.as_ptr()))
}

/// The protocol that both sides have agreed upon (ALPN); NULL if none. The text is the library's, and valid as
/// ss_socket_server_name's.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_protocol(socket: *mut ss_socket) -> *const c_char {
    about(socket, std::ptr::null(), |secured| secured.protocol().map_or(std::ptr::null(), |name| name.as_ptr()))
}

/// SecureSocket.serverCertificate: a certificate of the peer's chain in DER; index 0 is the peer's own, the next ones are what it
/// sent with it. *length receives how many bytes. Also of one that was not trusted.
///
/// The bytes are the library's, and valid as ss_socket_server_name's text. NULL with *length 0: there is none at that index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_socket_peer_certificate(
    socket: *mut ss_socket,
    index: usize,
    length: *mut usize,
) -> *const u8 {
    let (start, count) = about(socket, (std::ptr::null(), 0), |secured| {
        secured.certificate(index).map_or((std::ptr::null(), 0), |found| (found.as_ptr(), found.len()))
    });
    // SAFETY: NULL or the caller's, by contract.
    unsafe { store(length, count) };
    start
}

/// SecureSocket.serverCertificateStatus, of the peer's certificate, in the words of AIR's CertificateStatus: "trusted", "expired",
/// "notYetValid", "principalMismatch" (it is for another name), "untrustedSigners" (of an authority that is not trusted), "invalidChain"
/// (a signature or a link of the chain is wrong), "revoked", "invalid" (malformed, or not for this use), "unknown" (there is none, or it was
/// not looked at). Never NULL for a socket; the text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn ss_socket_certificate_status(socket: *mut ss_socket) -> *const c_char {
    let status = get(None, |thread| {
        let mut socket = thread.socket(key(socket))?;
        Ok(Some(socket.secured().map_or(tls::UNKNOWN, |secured| secured.certificate_status())))
    });
    status.map_or(std::ptr::null(), |status| status.as_ptr())
}

/// What a handle opens, where there is TLS at all.
fn find(thread: &mut Thread, handle: *mut ss_tls) -> Result<&mut Tls> {
    match tls::IS_SUPPORTED {
        true => thread.tls(key(handle)),
        false => Err(Failure::without_tls()),
    }
}

/// What a secure socket has to tell; the fallback of one that is plain.
fn about<T: Copy>(socket: *mut ss_socket, fallback: T, tell: impl FnOnce(&Secured) -> T) -> T {
    get(fallback, |thread| Ok(thread.socket(key(socket))?.secured().map_or(fallback, tell)))
}

/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives through the call.
unsafe fn text_or_none<'a>(text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the same contract.
    let text = unsafe { c_string(text, "name") }?.to_str();
    let text = text.map_err(|_| Failure::invalid_parameter().because("it is not UTF-8"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}
