// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.events;

typedef IOErrorEvent = serversocket.IOErrorEvent;
