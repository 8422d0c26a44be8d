// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import haxe.io.Bytes;
import serversocket.internal.Der;

/**
	AIR's X509Certificate: what a certificate says. It is for people to read. Whether it is trusted has been decided before, and not
	here: see `CertificateStatus`. What cannot be read, since it is malformed, is null.
**/
class X509Certificate {
	/** All of it, in DER. **/
	public var encoded(default, null):ByteArray;

	public var issuer(default, null):Null<X500DistinguishedName>;

	/** In hexadecimal digits, as are `subjectPublicKey` and the two unique identifiers, which hardly any certificate has. **/
	public var serialNumber(default, null):Null<String>;

	public var issuerUniqueID(default, null):Null<String>;
	public var signatureAlgorithmOID(default, null):Null<String>;

	/** In DER; null if there are none. **/
	public var signatureAlgorithmParams(default, null):ByteArray;

	public var subject(default, null):Null<X500DistinguishedName>;
	public var subjectPublicKey(default, null):Null<String>;
	public var subjectPublicKeyAlgorithmOID(default, null):Null<String>;
	public var subjectUniqueID(default, null):Null<String>;

	/** On neko, only from 1901 to 2038; other times are null there. **/
	public var validNotBefore(default, null):Null<Date>;

	public var validNotAfter(default, null):Null<Date>;

	/** 2 means X.509 version 3, which has extensions; 0 means version 1. **/
	public var version(default, null):Int = 0;

	@:allow(serversocket)
	function new(der:Bytes) {
		encoded = copy(der);
		try {
			read(Der.of(der).part(0));
		} catch (_:Malformed) {}
	}

	/** What is signed: version, serial number, signature, issuer, validity, subject, key, identifiers, extensions. **/
	function read(certificate:Der):Void {
		var parts = certificate.parts();
		if (parts.length > 0 && parts[0].tag == Der.EXPLICIT_0)
			version = parts.shift().part(0).int();
		if (parts.length < 6)
			throw new Malformed();
		serialNumber = parts[0].hex();
		signatureAlgorithmOID = parts[1].part(0).oid();
		var algorithm = parts[1].parts();
		if (algorithm.length > 1 && algorithm[1].tag != Der.NULL)
			signatureAlgorithmParams = copy(algorithm[1].whole());
		issuer = new X500DistinguishedName(parts[2]);
		validNotBefore = parts[3].part(0).date();
		validNotAfter = parts[3].part(1).date();
		subject = new X500DistinguishedName(parts[4]);
		subjectPublicKeyAlgorithmOID = parts[5].part(0).part(0).oid();
		subjectPublicKey = parts[5].part(1).bitsAsHex();
		for (part in parts.slice(6)) {
			if (part.tag == Der.IMPLICIT_1)
				issuerUniqueID = part.bitsAsHex();
			if (part.tag == Der.IMPLICIT_2)
				subjectUniqueID = part.bitsAsHex();
		}
	}

	static function copy(bytes:Bytes):ByteArray {
		var array = new ByteArray();
		for (i in 0...bytes.length)
			array.writeByte(bytes.get(i));
		array.position = 0;
		return array;
	}
}
