// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef EventType<T> = openfl.events.EventType<T>;
