// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** AIR's CertificateStatus: what is thought of a peer's certificate. **/
enum abstract CertificateStatus(String) from String to String {
	var EXPIRED = "expired";

	/** Malformed, or not for this use. **/
	var INVALID = "invalid";

	/** A signature or a link of its chain is wrong. **/
	var INVALID_CHAIN = "invalidChain";

	var NOT_YET_VALID = "notYetValid";

	/** It is for another name. **/
	var PRINCIPAL_MISMATCH = "principalMismatch";

	var REVOKED = "revoked";
	var TRUSTED = "trusted";

	/** There is none, or it was not looked at. **/
	var UNKNOWN = "unknown";

	/** Of an authority that is not trusted. **/
	var UNTRUSTED_SIGNERS = "untrustedSigners";
}
