// An echo server in Go: the shared library and its header, by cgo.
//
//	go run echo.go [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
//
// CGO_CFLAGS=-I... and CGO_LDFLAGS=-L... say where they are if the system does not know.
package main

// #cgo LDFLAGS: -lserver_socket
// #include <server_socket.h>
// void onConnect(ss_event *event, void *user_data);
// void onData(ss_event *event, void *user_data);
// void onClose(ss_event *event, void *user_data);
// // An ss_object * is an unsafe.Pointer to Go, whose garbage collector looks where it points to. A handle points nowhere, so
// // that it may come into Go only as an ss_socket * and the like, which Go leaves alone.
// static inline ss_socket *target(ss_event *event) { return (ss_socket *)ss_event_target(event); }
// static inline void release(ss_socket *socket) { ss_release(socket); }
// static inline bool hear(ss_server *server) {
//     return ss_add_listener(server, SS_EVENT_CONNECT, onConnect, NULL, false, 0) == SS_OK;
// }
// static inline bool keep(ss_socket *socket) { // retained, or it is closed when the listener returns
//     return ss_retain(socket) == SS_OK && ss_add_listener(socket, SS_EVENT_SOCKET_DATA, onData, NULL, false, 0) == SS_OK &&
//         ss_add_listener(socket, SS_EVENT_CLOSE, onClose, NULL, false, 0) == SS_OK;
// }
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"
)

func check(good bool) {
	if !good {
		panic(C.GoString(C.ss_last_error_detail()))
	}
}

//export onConnect
func onConnect(event *C.ss_event, _ unsafe.Pointer) { check(bool(C.keep(C.ss_event_socket(event)))) }

//export onData
func onData(event *C.ss_event, _ unsafe.Pointer) {
	socket, length := C.target(event), C.size_t(0)
	bytes := C.ss_socket_peek(socket, &length) // in place: C.GoBytes(unsafe.Pointer(bytes), C.int(length)) would copy it
	if C.ss_socket_write_bytes(socket, unsafe.Pointer(bytes), length) == C.SS_OK {
		C.ss_socket_skip(socket, length)
	} else { // the peer sends, but does not read
		C.ss_socket_abort(socket)
		C.release(socket)
	}
}

//export onClose
func onClose(event *C.ss_event, _ unsafe.Pointer) { C.release(C.target(event)) }

func main() {
	runtime.LockOSThread()                              // a loop belongs to a thread of the system's
	port, _ := strconv.Atoi(append(os.Args, "7000")[1]) // the first argument, or this
	server := C.ss_new(nil)
	check(bool(C.hear(server)))
	check(C.ss_bind(server, C.int32_t(port), C.CString("127.0.0.1")) == C.SS_OK)
	check(C.ss_listen(server, 0) == C.SS_OK)
	fmt.Printf("listening on 127.0.0.1:%d\n", C.ss_local_port(server))
	check(C.ss_loop_run(nil) == C.SS_OK)
}
