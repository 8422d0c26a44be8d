#!/usr/bin/env node
// An echo server in Node: the shared library, the declarations that lie beside its header, and koffi (npm install koffi).
//
//     node echo.js [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
//
// The library is looked for where SERVER_SOCKET_LIB says, else where the system keeps its libraries; the declarations where
// SERVER_SOCKET_CDEF says, else in this repository.
const fs = require('fs'), path = require('path'), koffi = require('koffi');

const library = koffi.load(process.env.SERVER_SOCKET_LIB || 'libserver_socket.so');
const cdef = fs.readFileSync(process.env.SERVER_SOCKET_CDEF || path.join(__dirname, '../../include/server_socket.cdef.h'), 'utf8');
koffi.alias('ss_status', 'int32_t');
koffi.alias('handle', 'uintptr_t'); // a handle is no address: what Node has for pointers cannot hold it
const listenerType = koffi.proto('void ss_listener(handle event, uintptr_t user_data)');
const ss = {};
for (const name of ['new', 'bind', 'listen', 'local_port', 'retain', 'release', 'loop_poll', 'last_error_detail', 'add_listener',
    'event_target', 'event_socket', 'socket_peek', 'socket_skip', 'socket_write_bytes', 'socket_abort']) {
    const declaration = cdef.match(new RegExp(`^\\w.*\\bss_${name}\\(.*\\);$`, 'm'))[0];
    ss[name] = library.func(declaration.replace(/\bss_(loop|server|socket|event|object|value) \*/g, 'handle ')
        .replace('ss_listener listener', 'ss_listener *listener').replace('size_t *length', '_Out_ size_t *length'));
}

function check(status) {
    if (status !== 0) throw new Error(ss.last_error_detail());
}

// One callback for each type of event; koffi keeps it until it is unregistered. What is thrown inside waits until the library
// has returned.
let thrown = null;
const listener = (handle) => koffi.register((event) => {
    try { handle(event); } catch (error) { thrown ??= error; }
}, koffi.pointer(listenerType));

const onData = listener((event) => {
    const socket = ss.event_target(event), length = [0];
    const bytes = ss.socket_peek(socket, length); // in place: koffi.decode(bytes, 'uint8_t', length[0]) would copy it
    if (ss.socket_write_bytes(socket, bytes, length[0]) === 0) return ss.socket_skip(socket, length[0]);
    ss.socket_abort(socket); // the peer sends, but does not read
    ss.release(socket);
});
const onClose = listener((event) => ss.release(ss.event_target(event)));
const onConnect = listener((event) => {
    const socket = ss.event_socket(event);
    check(ss.retain(socket)); // else it is closed when this returns
    check(ss.add_listener(socket, 'socketData', onData, null, false, 0));
    check(ss.add_listener(socket, 'close', onClose, null, false, 0));
});

const server = ss.new(0);
check(ss.add_listener(server, 'connect', onConnect, null, false, 0));
check(ss.bind(server, Number(process.argv[2] ?? 7000), '127.0.0.1'));
check(ss.listen(server, 0));
console.log(`listening on 127.0.0.1:${ss.local_port(server)}`);
// Node cannot wait for a descriptor of somebody else's, so that it looks once a millisecond; a wait would hold up all of Node.
setInterval(() => {
    check(ss.loop_poll(0, 0, null));
    if (thrown) throw thrown;
}, 1);
