// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.utils;

typedef ByteArray = serversocket.ByteArray;
typedef ByteArrayData = serversocket.ByteArray.ByteArrayData;
