// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.security;

typedef X509Certificate = serversocket.X509Certificate;
