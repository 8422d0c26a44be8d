// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** Where an event is on its way. Sockets have no parents: here it is always at its target. **/
enum abstract EventPhase(Int) from Int to Int {
	var CAPTURING_PHASE = 1;
	var AT_TARGET = 2;
	var BUBBLING_PHASE = 3;
}
