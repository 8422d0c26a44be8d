// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.security;

typedef X500DistinguishedName = serversocket.X500DistinguishedName;
