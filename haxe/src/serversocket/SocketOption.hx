// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What can be set on servers and sockets besides AIR's properties. On a server: what its later sockets start with. **/
enum abstract SocketOption(Int) to Int {
	/** TCP_NODELAY, 0 or 1; default 1. **/
	var NO_DELAY = 1;

	/** Server, before bind: "::" takes IPv4, too. 0 or 1; default 0. **/
	var DUAL_STACK = 2;

	/** Server, before bind: several servers share the port. 0 or 1; default 0. **/
	var REUSE_PORT = 3;

	/**
		Server: how many accepted connections may be there, 0 = any number, the default. Those that are closed and still
		send count, and give way to new ones.
	**/
	var MAX_CONNECTIONS = 4;

	/**
		Unread bytes at which reading pauses; default 16 MiB. Nothing that is read in one piece can be longer: such a read
		throws RangeError.
	**/
	var READ_LIMIT = 5;

	/** Unsent bytes beyond which a write is refused: IOError, or RangeError if it alone is more; default 64 MiB. **/
	var WRITE_LIMIT = 6;

	/** Milliseconds for which a closed socket may go on sending without progress; default 30000. **/
	var LINGER = 7;

	/** Milliseconds without a byte either way until a connection is given up; 0 = never, the default. **/
	var IDLE_TIMEOUT = 8;

	/** Seconds of silence until the system probes the peer; 0 = never, the default. **/
	var KEEP_ALIVE = 9;

	/** How many bytes have to go either way within the idle timeout; default 1. **/
	var IDLE_BYTES = 10;

	/** 1: a connection goes on when the peer has ended its side, and the event "end" tells of that; 0, the default: it closes. **/
	var HALF_OPEN = 11;

	/** Milliseconds without a byte from the peer until a connection is given up; 0 = never, the default. **/
	var READ_TIMEOUT = 12;

	/** TLS: the oldest version that is spoken, 12 (default) or 13. **/
	var TLS_MIN_VERSION = 13;

	/** Server: how many bytes all its closed sockets together may have unsent; default 256 MiB. **/
	var LINGER_BYTES = 14;

	/** Server: how many bytes all its sockets together may have unread; default 256 MiB. **/
	var UNREAD_LIMIT = 15;

	/**
		TLS, server: whether clients are asked for a certificate that somebody has signed whom `Tls.addCertificate` has made trusted. 0:
		no, the default. 1: they may have none. 2: they must have one.
	**/
	var CLIENT_CERTIFICATE = 16;

	/** TLS: milliseconds for which a handshake may go on; default 10000. **/
	var HANDSHAKE_TIMEOUT = 17;
}
