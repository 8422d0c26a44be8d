// An echo server in C#: nothing but the shared library and the header's rules.
//
//     mcs Echo.cs && mono Echo.exe [port; 0 = any, default 7000]      then:  nc 127.0.0.1 7000
//
// The library is looked for where the system keeps its libraries, and where LD_LIBRARY_PATH says.
using System;
using System.Runtime.InteropServices;
using Handle = System.IntPtr; // an integer as wide as a pointer, of which the collector thinks nothing

static class Echo
{
    delegate void Listener(Handle happened, IntPtr userData);

    const string Library = "server_socket";
    [DllImport(Library)] static extern Handle ss_new(Handle loop);
    [DllImport(Library)] static extern int ss_bind(Handle server, int port, string address);
    [DllImport(Library)] static extern int ss_listen(Handle server, int backlog);
    [DllImport(Library)] static extern int ss_local_port(Handle server);
    [DllImport(Library)] static extern int ss_retain(Handle handle);
    [DllImport(Library)] static extern int ss_release(Handle handle);
    [DllImport(Library)] static extern int ss_loop_poll(Handle loop, int timeout, IntPtr events);
    [DllImport(Library)] static extern IntPtr ss_last_error_detail();
    [DllImport(Library)] static extern int ss_add_listener(Handle target, string type, Listener listener, IntPtr userData,
        [MarshalAs(UnmanagedType.I1)] bool useCapture, int priority);
    [DllImport(Library)] static extern Handle ss_event_target(Handle happened);
    [DllImport(Library)] static extern Handle ss_event_socket(Handle happened);
    [DllImport(Library)] static extern IntPtr ss_socket_peek(Handle socket, out UIntPtr length);
    [DllImport(Library)] static extern int ss_socket_skip(Handle socket, UIntPtr length);
    [DllImport(Library)] static extern int ss_socket_write_bytes(Handle socket, IntPtr bytes, UIntPtr length);
    [DllImport(Library)] static extern int ss_socket_abort(Handle socket);

    static void Check(int status)
    {
        if (status != 0) throw new Exception(Marshal.PtrToStringAnsi(ss_last_error_detail()));
    }

    // One delegate for each type of event; these fields keep them alive. What is thrown inside waits until the library has
    // returned.
    static Exception thrown;
    static readonly Listener onData = Caught(OnData), onConnect = Caught(OnConnect);
    static readonly Listener onClose = Caught(happened => ss_release(ss_event_target(happened)));

    static Listener Caught(Action<Handle> listener)
    {
        return (happened, _) => { try { listener(happened); } catch (Exception e) { thrown = thrown ?? e; } };
    }

    static void OnData(Handle happened)
    {
        Handle socket = ss_event_target(happened);
        IntPtr bytes = ss_socket_peek(socket, out UIntPtr length); // in place: Marshal.Copy would copy it
        if (ss_socket_write_bytes(socket, bytes, length) == 0) { ss_socket_skip(socket, length); return; }
        ss_socket_abort(socket); // the peer sends, but does not read
        ss_release(socket);
    }

    static void OnConnect(Handle happened)
    {
        Handle socket = ss_event_socket(happened);
        Check(ss_retain(socket)); // else it is closed when this returns
        Check(ss_add_listener(socket, "socketData", onData, IntPtr.Zero, false, 0));
        Check(ss_add_listener(socket, "close", onClose, IntPtr.Zero, false, 0));
    }

    static void Main(string[] arguments)
    {
        Handle server = ss_new(Handle.Zero);
        Check(ss_add_listener(server, "connect", onConnect, IntPtr.Zero, false, 0));
        Check(ss_bind(server, arguments.Length > 0 ? int.Parse(arguments[0]) : 7000, "127.0.0.1"));
        Check(ss_listen(server, 0));
        Console.WriteLine("listening on 127.0.0.1:{0}", ss_local_port(server));
        for (; thrown == null; Check(ss_loop_poll(Handle.Zero, -1, IntPtr.Zero))) { }
        throw thrown;
    }
}
