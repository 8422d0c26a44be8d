// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

import serversocket.internal.Der;

/** AIR's X500DistinguishedName: whom a certificate is for, or who has signed it. What is not said there is null. **/
class X500DistinguishedName {
	public var commonName(default, null):Null<String>;
	public var countryName(default, null):Null<String>;
	public var localityName(default, null):Null<String>;
	public var organizationName(default, null):Null<String>;
	public var organizationalUnitName(default, null):Null<String>;
	public var stateOrProvinceName(default, null):Null<String>;

	/** From a Name of X.501. Of each attribute the first one counts, as in AIR. **/
	@:allow(serversocket.X509Certificate)
	function new(name:Der) {
		for (set in name.parts())
			for (attribute in set.parts())
				take(attribute.part(0).oid(), attribute.part(1));
	}

	function take(oid:String, value:Der):Void {
		switch (oid) {
			case "2.5.4.3" if (commonName == null):
				commonName = value.text();
			case "2.5.4.6" if (countryName == null):
				countryName = value.text();
			case "2.5.4.7" if (localityName == null):
				localityName = value.text();
			case "2.5.4.8" if (stateOrProvinceName == null):
				stateOrProvinceName = value.text();
			case "2.5.4.10" if (organizationName == null):
				organizationName = value.text();
			case "2.5.4.11" if (organizationalUnitName == null):
				organizationalUnitName = value.text();
			case _:
		}
	}

	/** "/CN=example.org/C=DE", as OpenFL has it. **/
	public function toString():String {
		var text = new StringBuf();
		for (part in [
			{name: "CN", value: commonName},
			{name: "C", value: countryName},
			{name: "L", value: localityName},
			{name: "OU", value: organizationalUnitName},
			{name: "O", value: organizationName},
			{name: "S", value: stateOrProvinceName}
		])
			if (part.value != null)
				text.add('/${part.name}=${part.value}');
		return text.toString();
	}
}
