// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.errors;

typedef IllegalOperationError = serversocket.IllegalOperationError;
