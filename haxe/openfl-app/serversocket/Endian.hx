// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef Endian = openfl.utils.Endian;
