#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""An echo server in Python: nothing but the shared library and the header's rules.

    python3 echo.py [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000

The library is looked for where SERVER_SOCKET_LIB says, else where the system keeps its libraries.
"""
import ctypes
import ctypes.util
import os
import sys
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_void_p

ss = ctypes.CDLL(os.environ.get("SERVER_SOCKET_LIB") or ctypes.util.find_library("server_socket"))
Listener = CFUNCTYPE(None, c_void_p, c_void_p)


def declare(name, result, *arguments):
    """A handle must be a c_void_p: left to itself ctypes would cut it down to an int."""
    function = getattr(ss, name)
    function.restype, function.argtypes = result, arguments
    if name in ("ss_add_listener", "ss_bind", "ss_listen", "ss_socket_keep", "ss_loop_poll"):
        function.errcheck = check
    return function


def check(status, function, arguments):
    if status != 0:
        raise OSError(ss.ss_last_os_error(), f"{function.__name__}: {last_error_detail().decode()}")


last_error_detail = declare("ss_last_error_detail", c_char_p)
new = declare("ss_new", c_void_p, c_void_p)
bind = declare("ss_bind", c_int32, c_void_p, c_int32, c_char_p)
listen = declare("ss_listen", c_int32, c_void_p, c_int32)
local_port = declare("ss_local_port", c_int32, c_void_p)
add_listener = declare("ss_add_listener", c_int32, c_void_p, c_char_p, Listener, c_void_p, c_bool, c_int32)
release = declare("ss_release", c_int32, c_void_p)
poll = declare("ss_loop_poll", c_int32, c_void_p, c_int32, POINTER(c_uint32))
event_target = declare("ss_event_target", c_void_p, c_void_p)
event_socket = declare("ss_event_socket", c_void_p, c_void_p)
keep = declare("ss_socket_keep", c_int32, c_void_p)
take = declare("ss_socket_take", c_void_p, c_void_p, POINTER(c_size_t))
write_bytes = declare("ss_socket_write_bytes", c_int32, c_void_p, c_void_p, c_size_t)
bytes_pending = declare("ss_socket_bytes_pending", c_size_t, c_void_p)
pause = declare("ss_socket_pause", c_int32, c_void_p)
resume = declare("ss_socket_resume", c_int32, c_void_p)
abort = declare("ss_socket_abort", c_int32, c_void_p)
MOST_PENDING = 1000000  # unsent bytes of one connection


@Listener
def echo(event, _):
    """Bytes came in, or waiting output went out."""
    socket, length = event_target(event), c_size_t()
    unread = take(socket, byref(length))  # in place: ctypes.string_at(unread, length.value) would copy it
    if write_bytes(socket, unread, length) != 0:
        abort(socket)
    elif bytes_pending(socket) > MOST_PENDING:
        pause(socket)  # who does not read is not read from, until outputProgress brings us back here
    else:
        resume(socket)


@Listener
def on_connect(event, _):
    socket = event_socket(event)
    keep(socket)  # until its connection ends; else it is closed when this returns
    add_listener(socket, b"socketData", echo, None, False, 0)
    add_listener(socket, b"outputProgress", echo, None, False, 0)


server = new(None)
add_listener(server, b"connect", on_connect, None, False, 0)  # the module keeps the listeners alive
bind(server, int(sys.argv[1]) if len(sys.argv) > 1 else 7000, b"127.0.0.1")
listen(server, 0)
print(f"listening on 127.0.0.1:{local_port(server)}", flush=True)
try:
    while True:
        poll(None, -1, None)  # comes back for a signal, so that Ctrl-C works
except KeyboardInterrupt:
    release(server)
