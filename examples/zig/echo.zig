// An echo server in Zig: the shared library, and what Zig makes of its header.
//
//     zig translate-c -lc .../server_socket.h > ss.zig
//     zig build-exe --dep ss -Mroot=echo.zig -Mss=ss.zig -lc -lserver_socket --name echo
//     ./echo [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
//
// -L... says where the library is if the system does not know. C's own functions do here for those of Zig's library, which are
// others in each version of it.
const ss = @import("ss");

extern fn printf(format: [*:0]const u8, ...) c_int;
extern fn fflush(file: ?*anyopaque) c_int;
extern fn atoi(text: [*:0]const u8) c_int;
extern fn exit(status: c_int) noreturn;

fn check(status: ss.ss_status) void {
    if (status == ss.SS_OK) return;
    _ = printf("%s\n", ss.ss_last_error_detail());
    exit(1);
}

fn onData(event: ?*ss.ss_event, _: ?*anyopaque) callconv(.c) void {
    const socket: ?*ss.ss_socket = @ptrCast(ss.ss_event_target(event));
    var length: usize = 0;
    const bytes = ss.ss_socket_take(socket, &length); // in place
    if (ss.ss_socket_write_bytes(socket, bytes, length) != ss.SS_OK) {
        check(ss.ss_socket_abort(socket)); // the peer sends, but does not read
    }
}

fn onConnect(event: ?*ss.ss_event, _: ?*anyopaque) callconv(.c) void {
    const socket = ss.ss_event_socket(event);
    check(ss.ss_socket_keep(socket)); // until its connection ends; else it is closed when this returns
    check(ss.ss_add_listener(socket, ss.SS_EVENT_SOCKET_DATA, onData, null, false, 0));
}

pub export fn main(count: c_int, arguments: [*]const [*:0]const u8) c_int {
    const server = ss.ss_new(null);
    check(ss.ss_add_listener(server, ss.SS_EVENT_CONNECT, onConnect, null, false, 0));
    check(ss.ss_bind(server, if (count > 1) atoi(arguments[1]) else 7000, "127.0.0.1"));
    check(ss.ss_listen(server, 0));
    _ = printf("listening on 127.0.0.1:%d\n", ss.ss_local_port(server));
    _ = fflush(null);
    check(ss.ss_loop_run(null));
    return 0;
}
