// SPDX-License-Identifier: MIT OR Apache-2.0
package serversocket.internal;

/** The C library, as the classes above use it; the same functions on each target. **/
#if cpp
typedef Binding = CppBinding;
#elseif neko
typedef Binding = NekoBinding;
#elseif macro
typedef Binding = MacroBinding;
#else
#error "server-socket is for the targets cpp and neko"
#end
