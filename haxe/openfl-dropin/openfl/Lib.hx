// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl;

typedef Lib = serversocket.Lib;
