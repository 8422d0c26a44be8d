// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.events;

typedef EventType<T> = serversocket.EventType<T>;
