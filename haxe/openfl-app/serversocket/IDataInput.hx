// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef IDataInput = openfl.utils.IDataInput;
