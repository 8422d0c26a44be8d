// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.utils;

typedef Timer = serversocket.Timer;
