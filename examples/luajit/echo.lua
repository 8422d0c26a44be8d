#!/usr/bin/env luajit
-- An echo server in LuaJIT: nothing but the shared library and the declarations that lie beside its header.
--
--     luajit echo.lua [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
--
-- The library is looked for where SERVER_SOCKET_LIB says, else where the system keeps its libraries; the declarations where
-- SERVER_SOCKET_CDEF says, else in this repository.
local ffi = require "ffi"
local here = arg[0]:match "^(.*)/[^/]*$" or "."
local file = assert(io.open(os.getenv "SERVER_SOCKET_CDEF" or here .. "/../../include/server_socket.cdef.h"))
ffi.cdef(file:read "*a")
file:close()
local ss = ffi.load(os.getenv "SERVER_SOCKET_LIB" or "server_socket")

local function check(status)
    if status ~= ss.SS_OK then error(ffi.string(ss.ss_last_error_detail()), 2) end
end

-- One callback for each type of event, not for each connection: LuaJIT has room for some hundreds. What is raised inside
-- waits until the library has returned.
local raised
local function listener(handle)
    return ffi.cast("ss_listener", function(event)
        local good, problem = pcall(handle, event)
        if not good then raised = raised or problem end
    end)
end

local on_data = listener(function(event)
    local socket, length = ffi.cast("ss_socket *", ss.ss_event_target(event)), ffi.new "size_t[1]"
    local bytes = ss.ss_socket_peek(socket, length) -- in place: ffi.string(bytes, length[0]) would copy it
    if ss.ss_socket_write_bytes(socket, bytes, length[0]) == ss.SS_OK then
        ss.ss_socket_skip(socket, length[0])
    else -- the peer sends, but does not read
        ss.ss_socket_abort(socket)
        ss.ss_release(socket)
    end
end)

local on_close = listener(function(event) ss.ss_release(ss.ss_event_target(event)) end)

local on_connect = listener(function(event)
    local socket = ss.ss_event_socket(event)
    check(ss.ss_retain(socket)) -- else it is closed when this returns
    check(ss.ss_add_listener(socket, "socketData", on_data, nil, false, 0))
    check(ss.ss_add_listener(socket, "close", on_close, nil, false, 0))
end)

local server = ss.ss_new(nil)
check(ss.ss_add_listener(server, "connect", on_connect, nil, false, 0))
check(ss.ss_bind(server, tonumber(arg[1] or 7000), "127.0.0.1"))
check(ss.ss_listen(server, 0))
print("listening on 127.0.0.1:" .. ss.ss_local_port(server))
io.stdout:flush()
jit.off() -- what LuaJIT has compiled must not call a function that calls Lua
repeat check(ss.ss_loop_poll(nil, -1, nil)) until raised
error(raised, 0)
