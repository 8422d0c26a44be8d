// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers, and the clients that come to them.

use super::*;

pub fn bind() {
    const ADDRESSES: [(Option<&CStr>, bool); 8] = [
        (Some(c"127.0.0.1"), true),
        (Some(c"127.0.0.1"), true),
        (None, true),
        (Some(c""), true),
        (Some(c"0.0.0.0"), true),
        (Some(c"localhost"), false),
        (Some(c"127.0.0.01"), false),
        (Some(c"[::1]"), false),
    ];
    let choice = byte();
    let (address, well_formed) = ADDRESSES[choice & 7];
    let port = [0, 0, 0, 0, 0, 0, -1, 65_536][choice >> 5];
    let address = address.map_or(null(), CStr::as_ptr);
    // SAFETY: constants.
    let call = |handle: *mut ss_server| unsafe { ss_bind(handle, port, address) };
    let id = good!(Wanted::Server, |handle| unsafe { ss_bind(handle, 0, null()) });
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| match (port, well_formed, trial.model.servers[index].state) {
        (-1 | 65_536, _, _) => SS_ERR_RANGE,
        (_, false, _) => SS_ERR_ARGUMENT,
        (_, _, ServerState::Fresh) => SS_OK,
        _ => SS_ERR_IO,
    });
    assert_eq!(call(pointer(id)), expected);
    if expected == SS_OK {
        let port = ss_local_port(pointer(id));
        assert!(port > 0);
        with(|trial| {
            let server = &mut trial.model.servers[index];
            (server.state, server.port) = (ServerState::Bound, port);
        });
    }
    check_server(index);
}

pub fn listen() {
    let backlog = [0, 0, 100, 1, i32::MAX, 3, -1, i32::MIN][byte() % 8];
    let id = good!(Wanted::Server, |handle| ss_listen(handle, backlog));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let server = &mut trial.model.servers[index];
        match server.state {
            _ if server.draining => SS_ERR_IO,
            ServerState::Closed => SS_ERR_IO,
            _ if backlog < 0 => SS_ERR_RANGE,
            ServerState::Fresh => SS_ERR_IO,
            _ => {
                // Where the queue is full the kernel lets clients wait, and so would we.
                server.backlog = if backlog == 0 { 8 } else { backlog.min(8) as usize };
                server.state = ServerState::Listening;
                SS_OK
            }
        }
    });
    assert_eq!(ss_listen(pointer(id), backlog), expected);
    check_server(index);
}

pub fn close_server() {
    let id = good!(Wanted::Server, |handle| ss_close(handle));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| trial.model.servers[index].may_be_open());
    let status = ss_close(pointer(id));
    assert!(expected.contains(&status), "{status:?} instead of {expected:?}");
    if status == SS_OK {
        with(|trial| {
            let server = &mut trial.model.servers[index];
            server.close();
            (server.draining, server.evicts) = (false, false);
        });
    }
    check_server(index);
}

pub fn drain() {
    let timeout = [0, 1_000_000, 1_000_000, u32::MAX][byte() & 3];
    let id = good!(Wanted::Server, |handle| ss_drain(handle, timeout));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| trial.model.servers[index].may_be_open());
    let status = ss_drain(pointer(id), timeout);
    assert!(expected.contains(&status), "{status:?} instead of {expected:?}");
    if status == SS_OK {
        with(|trial| {
            let server = &mut trial.model.servers[index];
            (server.draining, server.paused, server.evicts) = (true, false, false);
            server.may_lose_waiting |= !server.dispatcher.hears(CONNECT);
            if timeout == 0 {
                trial.model.be_overdue(index);
            }
        });
    }
    check_server(index);
}

impl Server {
    /// What closing it may come to. It may have drained, and nobody have heard of that.
    fn may_be_open(&mut self) -> &'static [ss_status] {
        self.look();
        match (self.is_bound(), self.draining) {
            (true, _) => &[SS_OK],
            (false, true) => &[SS_OK, SS_ERR_ERROR],
            (false, false) => &[SS_ERR_ERROR],
        }
    }
}

pub fn pause_server() {
    let paused = byte() & 1 == 0;
    let call = |handle| if paused { ss_pause(handle) } else { ss_resume(handle) };
    let id = good!(Wanted::Server, |handle| call(handle));
    let Id::Server(index) = id else { unreachable!() };
    let expected = with(|trial| {
        let server = &mut trial.model.servers[index];
        server.look();
        match server.state {
            ServerState::Closed => SS_ERR_IO,
            _ => {
                server.paused = paused;
                SS_OK
            }
        }
    });
    assert_eq!(call(pointer(id)), expected);
}

pub fn look_at_server() {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..Default::default() };
    let id = good!(Wanted::Server, |handle| {
        assert!(!ss_bound(handle) && !ss_listening(handle) && ss_local_port(handle) == 0);
        assert!(ss_local_address(handle).is_null());
        // SAFETY: `stats` is ours.
        unsafe { ss_server_stats(handle, &mut stats) }
    });
    let Id::Server(index) = id else { unreachable!() };
    check_server(index);
}

pub fn check_server(index: usize) {
    let handle: *mut ss_server = pointer(Id::Server(index));
    let (state, port, accepted, open, path) = with(|trial| {
        trial.model.servers[index].look();
        let server = &trial.model.servers[index];
        let is_its = |socket: &&Socket| socket.server == Some(index) && socket.is_connected();
        let open = trial.model.sockets.iter().filter(is_its).count() as u64;
        (server.state, server.port, server.accepted, open, server.path.clone())
    });
    let bound = matches!(state, ServerState::Bound | ServerState::Listening);
    assert_eq!(ss_bound(handle), bound);
    assert_eq!(ss_listening(handle), state == ServerState::Listening);
    assert_eq!(ss_local_port(handle), port);
    let address = ss_local_address(handle);
    assert_eq!(address.is_null(), !bound);
    if let Some(path) = &path {
        // SAFETY: it is bound.
        assert_eq!(unsafe { CStr::from_ptr(address) }, path.as_c_str());
    }
    let stats = stats(handle);
    assert_eq!((stats.accepted, stats.open), (accepted, open));
    assert!(stats.open + stats.lingering <= accepted && stats.open + stats.refused <= accepted);
    assert_eq!(stats.accept_deferred, 0);
    if path.is_none() {
        // Whoever has it may go on with it: the file of a path is left then.
        check_descriptor(handle.cast(), bound);
    }
    assert_eq!(ss_object_kind(handle.cast()), SS_KIND_SERVER);
}

pub fn stats(server: *mut ss_server) -> ss_stats {
    let mut stats = ss_stats { size: size_of::<ss_stats>(), ..Default::default() };
    // SAFETY: `stats` is ours.
    assert_eq!(unsafe { ss_server_stats(server, &mut stats) }, SS_OK);
    stats
}

pub fn check_descriptor(handle: *mut c_void, expected: bool) {
    let mut fd = -77;
    // SAFETY: `fd` is ours.
    let status = unsafe { ss_native_handle(handle, &mut fd) };
    assert_eq!((status, fd >= 0), if expected { (SS_OK, true) } else { (SS_ERR_IO, false) });
}

/// A client comes to a server, unless it would have to wait for room in the queue.
pub fn client() {
    let choice = byte();
    let Some((index, port, path)) = with(|trial| {
        let listening: Vec<(usize, i32, Option<std::ffi::CString>)> = trial
            .model
            .servers
            .iter()
            .enumerate()
            .filter(|(_, server)| server.life.alive && !server.draining && server.state == ServerState::Listening)
            .filter(|(_, server)| server.waiting.len() < server.backlog)
            .map(|(index, server)| (index, server.port, server.path.clone()))
            .collect();
        (!listening.is_empty() && trial.peers < 40).then(|| listening[choice % listening.len()].clone())
    }) else {
        return;
    };
    let narrow = choice & 0x80 != 0 && path.is_none();
    let stream = match &path {
        Some(path) => Stream::Unix(ends::connect_to(path.to_str().expect("plain text"))),
        None => Stream::Tcp(common::connect(port as u16, narrow)),
    };
    with(|trial| {
        trial.peers += 1;
        let peer = Peer { narrow, ..Peer::new(stream, trial.peers) };
        trial.model.servers[index].waiting.push_back(peer);
    });
}
