// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** The name of an event, which knows the class of the event that its listeners get. **/
abstract EventType<T>(String) from String to String {}
