// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket;

/** What a Socket dispatches as IOErrorEvent. In an OpenFL application it is OpenFL's, and this adds `osError` and `detail`. **/
typedef SocketErrorEvent = IOErrorEvent;
