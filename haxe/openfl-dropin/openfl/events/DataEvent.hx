// SPDX-License-Identifier: MIT OR Apache-2.0
package openfl.events;

typedef DataEvent = serversocket.DataEvent;
