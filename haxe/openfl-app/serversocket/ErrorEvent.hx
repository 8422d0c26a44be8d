// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef ErrorEvent = openfl.events.ErrorEvent;
