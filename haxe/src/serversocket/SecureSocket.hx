// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/**
	AIR's SecureSocket: a client's Socket whose connections are secure.

	`Event.CONNECT` means that the server is who it should be: its certificate is signed by somebody who is trusted, is valid now,
	and is for the host that was given to `connect`. Else `IOErrorEvent.IO_ERROR` comes; `serverCertificateStatus`, and the
	`detail` of the event, say why. All else is as with Socket. The server's side is `ServerSocket.secure`.
**/
@:nativeProperty
class SecureSocket extends Socket {
	/** Whether the library was built with TLS. **/
	public static var isSupported(get, never):Bool;

	/** The server's certificate, also one that was not trusted; null before the handshake. **/
	public var serverCertificate(get, never):X509Certificate;

	/** "unknown" before the handshake, and "trusted" from `Event.CONNECT` on. It stays until the next `connect`. **/
	public var serverCertificateStatus(get, never):CertificateStatus;

	/** Whom this socket trusts, who it is itself if it is asked, and its protocols. Another one holds from the next `connect` on. **/
	public var tls(default, set):Tls;

	/** Throws IllegalOperationError: `isSupported` is false. **/
	public function new() {
		super();
		tls = new Tls();
	}

	/**
		Adds a certificate, DER as in AIR, or PEM. `trusted`: an authority, or the server's own that nobody else has signed. Else a link
		between the server's certificate and an authority. Before `connect`.

		Throws ArgumentError: malformed; nothing was added. TypeError: it is null.
	**/
	public function addBinaryChainBuildingCertificate(certificate:ByteArray, trusted:Bool):Void {
		tls.addCertificate(certificate, trusted);
	}

	function set_tls(value:Tls):Tls {
		secure(value);
		return tls = value;
	}

	function get_serverCertificate():X509Certificate {
		return peerCertificate();
	}

	function get_serverCertificateStatus():CertificateStatus {
		return peerCertificateStatus;
	}

	static function get_isSupported():Bool {
		return Tls.isSupported;
	}
}
