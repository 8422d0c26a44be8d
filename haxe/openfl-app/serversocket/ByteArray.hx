// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef ByteArray = openfl.utils.ByteArray;
typedef ByteArrayData = openfl.utils.ByteArray.ByteArrayData;
