// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;
import sys.io.File;

/**
	Secure connections with the certificates of a folder: `Secure folder serve` is an echo server, for real clients; `Secure folder
	connect host port` a client that prints what it sees; `Secure folder check` both, in one program.
**/
class Secure {
	static var folder:String;
	static final server = new ServerSocket();
	static final held:Array<Socket> = [];

	static function main() {
		var arguments = Sys.args();
		folder = arguments[0];
		switch (arguments[1]) {
			case "serve":
				serve(identity("server"));
				Sys.println('port ${server.localPort}');
				Sys.stdout().flush();
			case "connect":
				connect(arguments[2], Std.parseInt(arguments[3]));
			case _:
				check();
		}
	}

	static function pem(name:String):Bytes {
		return File.getBytes('$folder/$name.pem');
	}

	static function identity(name:String):Tls {
		var tls = new Tls();
		tls.setIdentity(null, pem(name), pem('$name-key'));
		tls.setProtocols(["echo", "http/1.1"]);
		return tls;
	}

	static function serve(tls:Tls) {
		server.addEventListener(ServerSocketConnectEvent.CONNECT, e -> {
			var socket = e.socket;
			socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				var bytes = new ByteArray();
				socket.readBytes(bytes);
				socket.writeBytes(bytes);
			});
			held.push(socket);
		});
		server.secure(tls);
		server.bind(0, "127.0.0.1");
		server.listen();
	}

	/** Says hello, and what is seen of the server. **/
	static function connect(host:String, port:Int) {
		var socket = new SecureSocket();
		socket.addBinaryChainBuildingCertificate(pem("authority"), true);
		socket.addEventListener(Event.CONNECT, _ -> socket.writeUTFBytes("hello\n"));
		socket.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
			if (socket.bytesAvailable < 6)
				return;
			var certificate = socket.serverCertificate;
			Sys.print('${socket.readUTFBytes(6)}${socket.serverCertificateStatus} ${certificate.subject.commonName} by ${certificate.issuer.commonName}\n');
			socket.close();
		});
		socket.addEventListener(IOErrorEvent.IO_ERROR, event -> {
			Sys.println('${socket.serverCertificateStatus} ${event.text} ${event.detail != ""}');
			socket.peerCertificate(); // it can be looked at
		});
		socket.connect(host, port);
	}

	static function until(condition:() -> Bool, what:String) {
		Check.until(condition, what);
	}

	/** Both sides here. **/
	static function check() {
		Pump.automatic = false;
		serve(identity("server"));
		var refused = [];
		server.addEventListener(HandshakeErrorEvent.HANDSHAKE_ERROR, e -> refused.push(e.text));
		trusted();
		untrusted(refused);
		renewed();
		inTheMiddle();
		ofClients();
		Sys.println("all is as it should be");
		Sys.exit(0);
	}

	static function client(trusts:Bool, ?prepare:SecureSocket->Void):{socket:SecureSocket, heard:Array<String>} {
		var socket = new SecureSocket();
		var heard = [];
		if (trusts)
			socket.addBinaryChainBuildingCertificate(pem("authority"), true);
		if (prepare != null)
			prepare(socket);
		Check.equal(null, socket.serverCertificate);
		Check.equal(CertificateStatus.UNKNOWN, socket.serverCertificateStatus);
		socket.addEventListener(Event.CONNECT, _ -> heard.push("connect"));
		socket.addEventListener(IOErrorEvent.IO_ERROR, e -> heard.push('ioError ${e.errorID}'));
		socket.addEventListener(Event.CLOSE, _ -> heard.push("close"));
		socket.connect("localhost", server.localPort);
		until(() -> heard.length > 0, "what comes of it");
		return {socket: socket, heard: heard};
	}

	static function trusted() {
		var made = client(true, socket -> socket.tls.setProtocols(["http/1.1", "echo"]));
		var socket = made.socket;
		Check.list(["connect"], made.heard);
		Check.equal(CertificateStatus.TRUSTED, socket.serverCertificateStatus);
		Check.equal(13, socket.tlsVersion);
		Check.equal("localhost", socket.serverName);
		Check.equal("echo", socket.protocol);
		Check.equal("localhost", socket.serverCertificate.subject.commonName);
		var pattern = Check.pattern(3000000);
		socket.writeBytes(pattern);
		var echo = new ByteArray();
		until(() -> {
			socket.readBytes(echo, echo.length);
			return echo.length == pattern.length;
		}, "3 MB");
		for (i in 0...pattern.length)
			if (pattern.get(i) != echo[i])
				Check.fail('byte $i is another');
		var accepted = held[held.length - 1];
		Check.equal("localhost", accepted.serverName);
		Check.equal("echo", accepted.protocol);
		Check.equal(null, accepted.peerCertificate());
		Check.throws(IOError, 2002, () -> socket.secure(new Tls())); // it is, already
		socket.close();
		until(() -> !accepted.connected, "its end");
		Check.equal(0, accepted.closeError);
	}

	static function untrusted(refused:Array<String>) {
		var made = client(false);
		Check.list(["ioError 2031"], made.heard);
		Check.equal(CertificateStatus.UNTRUSTED_SIGNERS, made.socket.serverCertificateStatus);
		Check.equal("localhost", made.socket.serverCertificate.subject.commonName);
		Check.equal(false, made.socket.connected);
		until(() -> refused.length == 1, "the server is told of it");
		Check.isTrue(refused[0].indexOf("127.0.0.1") >= 0, refused[0]);
	}

	/** Another certificate takes the place of the former, and connections go on. **/
	static function renewed() {
		var first = client(true);
		var tls = new Tls();
		tls.setIdentity(null, pem("server"), pem("server-key"));
		server.secure(tls);
		var error = Check.throws(ArgumentError, 2004, () -> tls.setIdentity(null, pem("server"), pem("other-key")));
		Check.isTrue(error.detail != "", "it says why");
		Check.throws(ArgumentError, 2004, () -> tls.setIdentity(null, Bytes.ofString("nonsense"), pem("server-key")));
		Check.throws(ArgumentError, 2004, () -> tls.addCertificate(Bytes.ofString("nonsense")));
		Check.throws(TypeError, 2007, () -> tls.setIdentity(null, null, null));
		Check.throws(ArgumentError, 2004, () -> tls.removeIdentity("example.org"));
		Check.throws(ArgumentError, 2004, () -> tls.setTicketSecret(Bytes.ofString("short")));
		tls.setIdentity(null, pem("other"), pem("other-key"));
		var second = client(true);
		Check.equal("other", second.socket.serverCertificate.subject.organizationName);
		Check.equal("localhost", first.socket.serverCertificate.subject.commonName);
		first.socket.writeUTFBytes("hello");
		until(() -> first.socket.bytesAvailable == 5, "the first goes on");
		tls.removeIdentity(null);
		var third = client(true);
		Check.list(["ioError 2031"], third.heard);
		for (made in [first, second])
			made.socket.close();
	}

	/** A connection that is plain becomes secure (STARTTLS). **/
	static function inTheMiddle() {
		var plain = new ServerSocket();
		var tls = identity("server");
		var heard = [];
		var accepted:Socket = null;
		plain.addEventListener(ServerSocketConnectEvent.CONNECT, e -> {
			accepted = e.socket;
			accepted.addEventListener(Event.CONNECT, _ -> heard.push('server ${accepted.tlsVersion}'));
			accepted.addEventListener(ProgressEvent.SOCKET_DATA, _ -> {
				var said = accepted.readUTFBytes(accepted.bytesAvailable);
				accepted.writeUTFBytes(said == "STARTTLS" ? "go" : said);
				if (said == "STARTTLS")
					accepted.secure(tls);
			});
		});
		plain.bind(0, "127.0.0.1");
		plain.listen();
		var socket = new Socket();
		socket.addEventListener(Event.CONNECT, _ -> heard.push('client ${socket.tlsVersion}'));
		socket.connect("127.0.0.1", plain.localPort);
		until(() -> socket.connected, "a plain connection");
		socket.writeUTFBytes("STARTTLS");
		until(() -> socket.bytesAvailable == 2, "the server's word");
		Check.equal("go", socket.readUTFBytes(2));
		var trust = new Tls();
		trust.addCertificate(pem("authority"));
		Check.throws(ArgumentError, 2004, () -> socket.secure(trust, "no host"));
		socket.secure(trust, "localhost");
		socket.writeUTFBytes("hidden");
		until(() -> socket.bytesAvailable == 6, "the echo");
		Check.equal("hidden", socket.readUTFBytes(6));
		heard.sort(Reflect.compare);
		Check.list(["client 0", "client 13", "server 13"], heard);
		Check.equal("localhost", accepted.serverName);
		Check.equal(CertificateStatus.TRUSTED, socket.peerCertificateStatus);
		socket.close();
		plain.close();
	}

	/** A server asks for certificates, and lets in who has one. **/
	static function ofClients() {
		var tls = identity("server");
		tls.addCertificate(pem("authority"));
		server.secure(tls);
		server.setOption(SocketOption.CLIENT_CERTIFICATE, 2);
		var refused = [];
		server.addEventListener(HandshakeErrorEvent.HANDSHAKE_ERROR, e -> refused.push(e.text));
		var before = held.length;
		var known = client(true, socket -> socket.tls.setIdentity(null, pem("other"), pem("other-key")));
		until(() -> held.length == before + 1, "who has a certificate");
		var accepted = held[before];
		Check.equal("other", accepted.peerCertificate().subject.organizationName);
		Check.equal(CertificateStatus.TRUSTED, accepted.peerCertificateStatus);
		Check.equal(null, accepted.peerCertificate(1));
		known.socket.writeUTFBytes("hello");
		until(() -> known.socket.bytesAvailable == 5, "the echo");
		client(true);
		until(() -> refused.length == 1, "who has none");
		Check.isTrue(refused[0].indexOf("certificate") >= 0, refused[0]);
		Check.equal(before + 1, held.length);
		known.socket.close();
	}
}
