// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

typedef ProgressEvent = openfl.events.ProgressEvent;
