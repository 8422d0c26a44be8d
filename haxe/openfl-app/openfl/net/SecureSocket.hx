// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.net;

typedef SecureSocket = serversocket.SecureSocket;
