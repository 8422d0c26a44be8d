// An echo server in Java, 22 or newer: nothing but the shared library and the header's rules.
//
//     java --enable-native-access=ALL-UNNAMED Echo.java [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
//
// The library is looked for where SERVER_SOCKET_LIB says, else where the system keeps its libraries.
import static java.lang.foreign.ValueLayout.*;
import java.lang.foreign.*;
import java.lang.invoke.*;

class Echo {
    static final Arena ARENA = Arena.global(); // what lies in it, the listeners too, is never freed
    static final String NAME = System.getenv().getOrDefault("SERVER_SOCKET_LIB", System.mapLibraryName("server_socket"));
    static final SymbolLookup LIBRARY = SymbolLookup.libraryLookup(NAME, ARENA);
    static final OfLong HANDLE = JAVA_LONG, SIZE = JAVA_LONG; // a handle is an integer as wide as a pointer, and no ADDRESS
    static final MethodHandle CREATE = find("new", HANDLE, HANDLE), BIND = find("bind", JAVA_INT, HANDLE, JAVA_INT, ADDRESS),
        LISTEN = find("listen", JAVA_INT, HANDLE, JAVA_INT), LOCAL_PORT = find("local_port", JAVA_INT, HANDLE),
        POLL = find("loop_poll", JAVA_INT, HANDLE, JAVA_INT, ADDRESS), DETAIL = find("last_error_detail", ADDRESS),
        ADD = find("add_listener", JAVA_INT, HANDLE, ADDRESS, ADDRESS, ADDRESS, JAVA_BOOLEAN, JAVA_INT),
        TARGET = find("event_target", HANDLE, HANDLE), SOCKET = find("event_socket", HANDLE, HANDLE),
        KEEP = find("socket_keep", JAVA_INT, HANDLE), TAKE = find("socket_take", ADDRESS, HANDLE, ADDRESS),
        WRITE = find("socket_write_bytes", JAVA_INT, HANDLE, ADDRESS, SIZE), ABORT = find("socket_abort", JAVA_INT, HANDLE);
    static final MemorySegment NULL = MemorySegment.NULL, LENGTH = ARENA.allocate(SIZE), DATA = ARENA.allocateFrom("socketData");
    static MemorySegment onData; // one function for each type of event
    static Throwable thrown; // in a listener: it waits until the library has returned

    static MethodHandle find(String name, MemoryLayout result, MemoryLayout... parameters) {
        var signature = FunctionDescriptor.of(result, parameters);
        return Linker.nativeLinker().downcallHandle(LIBRARY.find("ss_" + name).orElseThrow(), signature);
    }

    static MemorySegment listener(String name) throws Throwable {
        var java = MethodHandles.lookup();
        var method = java.findStatic(Echo.class, name, MethodType.methodType(void.class, long.class, MemorySegment.class));
        var keep = java.findStaticSetter(Echo.class, "thrown", Throwable.class);
        method = MethodHandles.catchException(method, Throwable.class, keep);
        return Linker.nativeLinker().upcallStub(method, FunctionDescriptor.ofVoid(HANDLE, ADDRESS), ARENA);
    }

    static void check(int status) throws Throwable {
        if (status != 0) throw new Exception(((MemorySegment) DETAIL.invokeExact()).reinterpret(Long.MAX_VALUE).getString(0));
    }

    static void onData(long event, MemorySegment userData) throws Throwable {
        long socket = (long) TARGET.invokeExact(event);
        var bytes = (MemorySegment) TAKE.invokeExact(socket, LENGTH); // in place: reinterpret(...).toArray(...) would copy it
        if ((int) WRITE.invokeExact(socket, bytes, LENGTH.get(SIZE, 0)) != 0)
            check((int) ABORT.invokeExact(socket)); // the peer sends, but does not read
    }

    static void onConnect(long event, MemorySegment userData) throws Throwable {
        long socket = (long) SOCKET.invokeExact(event);
        check((int) KEEP.invokeExact(socket)); // until its connection ends; else it is closed when this returns
        check((int) ADD.invokeExact(socket, DATA, onData, NULL, false, 0));
    }

    public static void main(String[] arguments) throws Throwable {
        onData = listener("onData");
        long server = (long) CREATE.invokeExact(0L);
        check((int) ADD.invokeExact(server, ARENA.allocateFrom("connect"), listener("onConnect"), NULL, false, 0));
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 7000;
        check((int) BIND.invokeExact(server, port, ARENA.allocateFrom("127.0.0.1")));
        check((int) LISTEN.invokeExact(server, 0));
        System.out.println("listening on 127.0.0.1:" + (int) LOCAL_PORT.invokeExact(server));
        while (thrown == null) check((int) POLL.invokeExact(0L, -1, NULL));
        throw thrown;
    }
}
