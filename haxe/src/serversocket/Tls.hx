// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Binding;
import serversocket.internal.Calls;
import serversocket.internal.Errors;
import serversocket.internal.Failure;
import serversocket.internal.Handle;
import serversocket.internal.Memory;
import serversocket.internal.Text;

/**
	What makes connections secure: who a server is, by the names that clients ask for; whom a client trusts; which protocols are
	spoken above TLS. One serves any number of servers and sockets of its thread: `ServerSocket.secure`, `Socket.secure`,
	`SecureSocket.tls`.

	What is changed in it holds for handshakes that begin later; connections go on as they are. It speaks TLS 1.2 and 1.3. There is no way
	to skip the verification of a certificate: who must trust one adds it.
**/
class Tls {
	/** Whether the library was built with TLS. **/
	public static var isSupported(get, never):Bool;

	@:allow(serversocket) final __handle:Handle;

	/**
		Without an identity; it trusts the public authorities that browsers trust. For most clients that is all.

		Throws IllegalOperationError: `isSupported` is false.
	**/
	public function new() {
		if (!isSupported)
			throw new IllegalOperationError("This build of the library has no TLS");
		__handle = Binding.newTls();
	}

	/**
		Sets who we are: a chain of certificates, our own first, and its private key, each in PEM or DER. Both are copied.

		A server shows it to clients that ask for `name`: "example.org", or "*.example.org" for all names one label longer. `name` null: to
		all others; a client shows this one if it is asked to. Set again for the same name it takes the place of the former: a
		certificate is renewed without a restart.

		Throws ArgumentError: the chain or the key is malformed, the key does not fit, or `name` is no host's name; nothing was
		changed, and the `detail` says which. TypeError: one of them is null.
	**/
	public function setIdentity(name:Null<String>, chain:ByteArray, privateKey:ByteArray):Void {
		if (chain == null || privateKey == null)
			throw Errors.isNull(chain == null ? "chain" : "privateKey");
		Failure.check(Binding.setIdentity(__handle, Text.withoutNul(name), Memory.storage(chain), Memory.lengthOf(chain), Memory.storage(privateKey),
			Memory.lengthOf(privateKey)));
	}

	/** Throws ArgumentError: there is none of that name. **/
	public function removeIdentity(name:Null<String>):Void {
		Failure.check(Binding.setIdentity(__handle, Text.withoutNul(name), null, 0, null, 0));
	}

	/**
		Adds one or more certificates, PEM or DER, which are copied. `trusted`: authorities, whose signature is trusted besides the
		public ones'; for a server, who may sign the certificates of clients. A certificate that is its own issuer is trusted as it is. Not
		`trusted`: links, for servers that do not send them.

		Throws ArgumentError: malformed, or without a certificate; nothing was added. TypeError: it is null.
	**/
	public function addCertificate(certificate:ByteArray, trusted:Bool = true):Void {
		if (certificate == null)
			throw Errors.isNull("certificate");
		Failure.check(Calls.tlsAddCertificate(__handle, Memory.storage(certificate), 0, Memory.lengthOf(certificate), trusted));
	}

	/**
		Which protocols are spoken above TLS (ALPN), the best first: "h2", "http/1.1". A client offers them; a server takes the first of its
		own that the client offers, and refuses a client that offers only others. `Socket.protocol` says what came of it.

		Throws ArgumentError: a name is empty, has a comma, or is longer than 255 bytes.
	**/
	public function setProtocols(protocols:Array<String>):Void {
		for (protocol in protocols)
			if (protocol == "" || protocol.indexOf(",") >= 0 || Text.hasNul(protocol))
				throw Errors.argument();
		Failure.check(Calls.tlsSetProtocols(__handle, protocols.join(",")));
	}

	/**
		The secret of a server's session tickets, at least 32 bytes: who comes back resumes the session, at every server that has the
		same secret and identities, on whatever thread and in whatever process. Change it every day; that before the last change is still
		taken. null: no tickets. Without this, each `Tls` has a secret by chance.

		Throws ArgumentError: shorter than 32 bytes.
	**/
	public function setTicketSecret(secret:ByteArray):Void {
		if (secret == null)
			Failure.check(Binding.setTicketSecret(__handle, null, 0));
		else
			Failure.check(Binding.setTicketSecret(__handle, Memory.storage(secret), Memory.lengthOf(secret)));
	}

	static function get_isSupported():Bool {
		return Calls.tlsIsSupported();
	}
}
