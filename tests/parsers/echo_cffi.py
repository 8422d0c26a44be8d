# SPDX-License-Identifier: MIT OR Apache-2.0
"""An echo server by cffi in ABI mode: echo_cffi.py CDEF LIBRARY"""
import sys

import cffi

ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1]).read())
ss = ffi.dlopen(sys.argv[2])
missing = [name for name in sys.stdin.read().split() if not hasattr(ss, name)]
if missing:
    sys.exit(f"not in the declarations: {missing}")
size = ffi.new("size_t *")


@ffi.callback("ss_listener")
def on_data(event, user_data):
    socket = ffi.cast("ss_socket *", ss.ss_event_target(event))
    unread = ss.ss_socket_peek(socket, size)
    assert ss.ss_socket_write_bytes(socket, unread, size[0]) == ss.SS_OK
    assert ss.ss_socket_skip(socket, size[0]) == ss.SS_OK


@ffi.callback("ss_listener")
def on_connect(event, user_data):
    socket = ss.ss_event_socket(event)
    ss.ss_retain(socket)
    assert ss.ss_add_listener(socket, b"socketData", on_data, ffi.NULL, False, 0) == ss.SS_OK


server = ss.ss_new(ffi.NULL)
assert ss.ss_bind(server, 65536, ffi.NULL) == ss.SS_ERR_RANGE
assert ss.ss_add_listener(server, b"connect", on_connect, ffi.NULL, False, 0) == ss.SS_OK
assert ss.ss_bind(server, 0, b"127.0.0.1") == ss.SS_OK
assert ss.ss_listen(server, 0) == ss.SS_OK
print(ss.ss_local_port(server), flush=True)
ss.ss_loop_run(ffi.NULL)
