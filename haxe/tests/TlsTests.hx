// SPDX-License-Identifier: MIT OR Apache-2.0
import haxe.io.Bytes;
import serversocket.*;

/** What needs no certificate of a peer: certificates that are read, and what there is without TLS. `Secure` has the rest. **/
@:keep
class TlsTests {
	/** Made by `openssl req -x509 -newkey ed25519`, with a subject that has all that AIR's names, in several charsets. **/
	static final CERTIFICATE = "308201e330820195a0030201020214326396adea87e10ba27022268bef92c2604bcbfa300506032b65703067310b3009060355040613024445310c300a060355"
		+ "04080c034e5257310e300c06035504070c054bc3b66c6e31163014060355040a0c0d7365727665722d736f636b6574310e300c060355040b0c05546573747331"
		+ "12301006035504030c096c6f63616c686f7374301e170d3236313132393231343231385a170d3336313132363231343231385a3067310b300906035504061302"
		+ "4445310c300a06035504080c034e5257310e300c06035504070c054bc3b66c6e31163014060355040a0c0d7365727665722d736f636b6574310e300c06035504"
		+ "0b0c0554657374733112301006035504030c096c6f63616c686f7374302a300506032b65700321009e3514fb54371bf669bce7319c3cdd817f01e58edf8d87c5"
		+ "2af1c437fc0d281da3533051301d0603551d0e0416041469c44c1603bca9040befc9f4081de8113f3ea2af301f0603551d2304183016801469c44c1603bca904"
		+ "0befc9f4081de8113f3ea2af300f0603551d130101ff040530030101ff300506032b657003410077fd2ccca362cbd8ef4f504f48d3d6eda7de2554b1198bc4da"
		+ "a1e95d58a24d42a7631938306d1a399cbcf97360cf87bcb85e6294a153ad70f8bb5fd4bcf0840a";

	public function new() {}

	function read(hex:String):X509Certificate {
		return @:privateAccess new X509Certificate(Bytes.ofHex(hex));
	}

	function testWhatACertificateSays() {
		var certificate = read(CERTIFICATE);
		var subject = certificate.subject;
		Check.equal("/CN=localhost/C=DE/L=Köln/OU=Tests/O=server-socket/S=NRW", subject.toString());
		Check.equal(subject.toString(), certificate.issuer.toString());
		Check.equal("Köln", subject.localityName);
		Check.equal(2, certificate.version);
		Check.equal("326396ADEA87E10BA27022268BEF92C2604BCBFA", certificate.serialNumber);
		Check.equal("1.3.101.112", certificate.signatureAlgorithmOID);
		Check.equal(null, certificate.signatureAlgorithmParams);
		Check.equal("1.3.101.112", certificate.subjectPublicKeyAlgorithmOID);
		Check.equal("9E3514FB54371BF669BCE7319C3CDD817F01E58EDF8D87C52AF1C437FC0D281D", certificate.subjectPublicKey);
		Check.equal(1795988538000.0, certificate.validNotBefore.getTime());
		Check.equal(2111348538000.0, certificate.validNotAfter.getTime());
		Check.equal(null, certificate.issuerUniqueID);
		var der = certificate.encoded;
		Check.equal(CERTIFICATE, [for (i in 0...der.length) StringTools.hex(der[i], 2)].join("").toLowerCase());
	}

	/** A peer may send anything: it is read as far as it goes, and nothing else happens. **/
	function testMalformedCertificatesAreReadAsFarAsTheyGo() {
		var whole = Bytes.ofHex(CERTIFICATE);
		for (length in 0...whole.length)
			@:privateAccess new X509Certificate(whole.sub(0, length));
		for (at in 0...whole.length)
			for (value in [0, 0x1E, 0x7F, 0x80, 0x84, 0xFF]) {
				var changed = whole.sub(0, whole.length);
				changed.set(at, value);
				var certificate = @:privateAccess new X509Certificate(changed);
				Check.equal(whole.length, (certificate.encoded.length : Int));
			}
		Check.equal(null, read("").subject);
		Check.equal(null, read("3080").serialNumber);
	}

	function testWithoutTlsItSaysSo() {
		var server = new ServerSocket();
		var socket = new Socket();
		server.secure(null);
		Check.equal(0, socket.tlsVersion);
		Check.equal(null, socket.serverName);
		Check.equal(null, socket.protocol);
		Check.equal(null, socket.peerCertificate());
		Check.equal(null, socket.peerCertificate(-1));
		Check.equal(CertificateStatus.UNKNOWN, socket.peerCertificateStatus);
		Check.equal(Tls.isSupported, SecureSocket.isSupported);
		if (Tls.isSupported)
			return;
		Check.throws(IllegalOperationError, 0, () -> new Tls());
		Check.throws(IllegalOperationError, 0, () -> new SecureSocket());
	}

	function testTheEventOfAFailedHandshakeIsClonedWithItsClass() {
		var event = new HandshakeErrorEvent(HandshakeErrorEvent.HANDSHAKE_ERROR, false, false, "why", 0, 104);
		var clone = event.clone();
		Check.equal("serversocket.HandshakeErrorEvent", Type.getClassName(Type.getClass(clone)));
		Check.equal('[HandshakeErrorEvent type="handshakeError" bubbles=false cancelable=false text="why" osError=104]', clone.toString());
	}
}
