// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does with sockets and servers, and what each call must answer.

use std::ptr::null_mut;

use server_socket::simulate;
use server_socket::*;

use super::life::{Life, Phase, check, fill};
use std::time::Duration;

use super::world::{Draining, World, begin_timer, milliseconds, owe, serve, trace};
use support::*;

impl World {
    pub fn host_reads(&mut self, number: usize) {
        let way = self.random.below(4);
        let wanted = self.size(self.mood.message * 2);
        let life = &mut self.lives[number];
        let socket = life.handle();
        let available = life.count_unread(0) as usize;
        let bytes = match way {
            0 => socket.read(wanted),
            1 => {
                let mut bytes = socket.peek();
                assert_eq!(bytes.len(), available);
                bytes.truncate(wanted);
                either_way(socket.skip(bytes.len()));
                bytes
            }
            2 => {
                let mut length = 0;
                let start = unsafe { ss_socket_take(socket.0, &mut length) };
                if length > 0 { unsafe { std::slice::from_raw_parts(start, length) }.to_vec() } else { Vec::new() }
            }
            _ => {
                let mut bytes = vec![0; wanted];
                let status = socket.read_bytes(&mut bytes);
                assert_eq!(status == SS_OK, available >= wanted, "{life:?}");
                if status == SS_OK { bytes } else { Vec::new() }
            }
        };
        check(&bytes, number * 2, life.read);
        life.read += bytes.len() as u64;
        life.unread -= bytes.len() as u64;
        life.reads_on();
        self.relief = simulate::clock();
        trace!(self, "life {number}: host reads {} of {available}", bytes.len());
    }

    pub fn host_writes(&mut self, number: usize) {
        let length = if self.random.below(50) == 0 { self.lives[number].limits.write.saturating_add(1) } else { 0 };
        let length = if length > 0 && length < 1 << 20 { length } else { self.size(self.mood.message) };
        let life = &mut self.lives[number];
        let socket = life.handle();
        let before = socket.pending();
        let bytes = fill(number * 2 + 1, life.written, length);
        let status = match self.random.below(3) {
            0 => {
                let (head, body) = bytes.split_at(bytes.len() / 3);
                let parts = [head, body].map(|part| ss_bytes { bytes: part.as_ptr().cast(), length: part.len() });
                unsafe { ss_socket_write_vector(socket.0, parts.as_ptr(), parts.len()) }
            }
            _ => socket.write(&bytes),
        };
        let expected = match () {
            () if !life.is_connected() || life.shut => SS_ERR_IO,
            () if length > life.limits.write => SS_ERR_RANGE,
            () if before + length > life.limits.write => SS_ERR_FULL,
            () => SS_OK,
        };
        assert_eq!(status, expected, "{life:?}: writing {length} bytes behind {before}");
        if status == SS_OK {
            life.written += length as u64;
            assert!(socket.pending() <= life.limits.write, "{life:?}: more is pending than may be");
        }
        trace!(self, "life {number}: host writes {length} behind {before}: {status:?}");
    }

    pub fn host_pauses(&mut self, number: usize, paused: bool) {
        let life = &mut self.lives[number];
        let status = if paused { ss_socket_pause(life.socket) } else { ss_socket_resume(life.socket) };
        assert_eq!(status == SS_OK, life.is_connected(), "{life:?}: pause {paused}: {status:?}");
        if status == SS_OK {
            life.paused = paused;
            life.was_paused |= paused;
            life.reads_on();
        }
        trace!(self, "life {number}: host pauses: {paused}");
    }

    pub fn host_sets_timeout(&mut self, number: usize) {
        let timeout = [0, 1, 500, 20_000][self.random.below(4)];
        let life = &mut self.lives[number];
        (life.timeout, life.clocks_set) = (timeout, simulate::clock());
        if timeout > 0 {
            life.shortest_timeout = life.shortest_timeout.min(timeout);
        }
        ok(ss_socket_set_timeout(self.lives[number].socket, timeout));
        trace!(self, "life {number}: timeout {timeout}");
    }

    pub fn host_closes(&mut self, number: usize) {
        let life = &mut self.lives[number];
        let had_something = life.is_connected() || life.phase == Phase::Connecting || life.unread > 0;
        let status = life.handle().close();
        assert_eq!(status == SS_OK, had_something, "{life:?}: close: {status:?}");
        trace!(self, "life {number}: host closes");
        if status == SS_OK {
            self.has_closed(number, Phase::Closed);
            self.let_go(number);
        }
    }

    pub fn host_shuts_down(&mut self, number: usize) {
        let life = &mut self.lives[number];
        let status = life.handle().shutdown();
        assert_eq!(status == SS_OK, life.is_connected(), "{life:?}: shutdown: {status:?}");
        life.shut |= status == SS_OK;
        trace!(self, "life {number}: host ends our side: {status:?}");
    }

    pub fn host_aborts(&mut self, number: usize) {
        let life = &mut self.lives[number];
        let had_something = life.is_connected() || life.phase == Phase::Connecting;
        let status = life.handle().abort();
        assert_eq!(status == SS_OK, had_something, "{life:?}: abort: {status:?}");
        trace!(self, "life {number}: host aborts");
        if status == SS_OK {
            self.has_closed(number, Phase::Aborted);
            self.let_go(number);
        }
    }

    /// A connection or an attempt has ended, and whoever listens knows. What the library holds goes with it.
    pub fn let_go(&mut self, number: usize) {
        let life = &mut self.lives[number];
        let over = !life.is_open() && life.phase != Phase::Connecting;
        if life.by_library && over {
            life.kept = false;
        }
    }

    /// The socket is the library's alone from now on.
    pub fn host_releases(&mut self, number: usize) {
        let life = &mut self.lives[number];
        if life.by_library {
            assert_eq!(release(life.socket), SS_ERR_HANDLE, "{life:?}: a reference that is the library's");
            return;
        }
        life.kept = false;
        trace!(self, "life {number}: host releases");
        ok(ss_release(self.lives[number].socket.cast()));
        self.has_closed(number, Phase::Closed);
    }

    pub fn has_closed(&mut self, number: usize, phase: Phase) {
        let life = &mut self.lives[number];
        match life.phase {
            Phase::Open if life.error.is_some() => {
                // Between the error and its close event the connection is over already.
                life.close(Phase::Ended);
            }
            Phase::Open => life.close(phase),
            Phase::Connecting => life.close(Phase::Failed),
            _ => {}
        }
        life.unread = 0;
        self.relief = simulate::clock();
    }

    pub fn host_sets_option(&mut self, number: usize) {
        if !self.mood.has_limits {
            return;
        }
        let (choice, size, clocks) = (self.random.below(8), self.size(self.mood.message * 4), self.mood.has_clocks);
        let time = [0, 1, 50, 1_000, 30_000][self.random.below(5)];
        let life = &mut self.lives[number];
        let (option, value) = match choice {
            0 => {
                life.limits.read = size;
                (SS_OPT_READ_LIMIT, size as i64)
            }
            1 => {
                life.limits.write = size;
                (SS_OPT_WRITE_LIMIT, size as i64)
            }
            2 => {
                life.limits.linger = time;
                (SS_OPT_LINGER, time.into())
            }
            3 if clocks => {
                life.limits.idle = time;
                life.clocks_set = simulate::clock();
                life.shortest_idle = [life.shortest_idle, (time > 0).then_some(time)].into_iter().flatten().min();
                (SS_OPT_IDLE_TIMEOUT, time.into())
            }
            4 if clocks => {
                life.limits.keep_alive = time / 1_000;
                (SS_OPT_KEEP_ALIVE, (time / 1_000).into())
            }
            5 if clocks => {
                // A rate that is asked for: then it is not silence alone that counts.
                life.has_rate = true;
                (SS_OPT_IDLE_BYTES, size as i64)
            }
            6 => {
                let half_open = time > 0;
                life.set_half_open(half_open);
                (SS_OPT_HALF_OPEN, half_open.into())
            }
            7 if clocks => {
                life.limits.read_time = time;
                life.clocks_set = simulate::clock();
                life.reads_on();
                life.shortest_read = [life.shortest_read, (time > 0).then_some(time)].into_iter().flatten().min();
                (SS_OPT_READ_TIMEOUT, time.into())
            }
            _ => return,
        };
        ok(ss_set_option(life.socket.cast(), option, value));
        trace!(self, "life {number}: option {option} is {value}");
    }

    /// Another server takes the place of the one that is there, whose connections go on.
    fn host_changes_server(&mut self) {
        match self.random.below(4) {
            0 => ok(ss_release(self.server.cast())),
            1 => {
                ok(ss_close(self.server));
                ok(ss_release(self.server.cast()));
            }
            _ => self.host_drains(),
        }
        self.server = serve(self.events, self.defaults);
        self.port = ss_local_port(self.server) as u16;
        self.server_number += 1;
        (self.accepted, self.refused, self.errors) = (0, 0, 0);
        (self.server_paused, self.max_connections, self.linger_bytes) = (false, 0, 256 << 20);
        trace!(self, "server {}", self.server_number);
    }

    /// The server ends in its time, and another one takes its place.
    fn host_drains(&mut self) {
        let (server, number) = (self.server, self.server_number);
        let deadline = self.set_deadline(server, number);
        self.draining.push(Draining { server, number, port: self.port, deadline });
    }

    fn set_deadline(&mut self, server: *mut ss_server, number: usize) -> Duration {
        let time = [0, 5_000, 600_000, 600_000][self.random.below(4)];
        ok(ss_drain(server, time));
        let deadline = simulate::clock() + milliseconds(time.into());
        self.set_deadlines(number, Some(deadline));
        trace!(self, "server {number} drains until {deadline:?}");
        deadline
    }

    fn set_deadlines(&mut self, server: usize, deadline: Option<Duration>) {
        for life in self.lives.iter_mut().filter(|life| life.is_of(server)) {
            life.deadline = deadline;
        }
    }

    /// A server that drains gets another time, or is closed.
    fn host_turns_to_draining(&mut self) {
        let chosen = self.random.below(self.draining.len().max(1));
        let Some(Draining { server, number, deadline, .. }) = self.draining.get(chosen).copied() else { return };
        if simulate::clock() >= deadline {
            return;
        }
        if self.chance(70) {
            self.draining[chosen].deadline = self.set_deadline(server, number);
            return;
        }
        if self.chance(50) {
            ok(ss_close(server));
        }
        ok(ss_release(server.cast()));
        self.draining.remove(chosen);
        self.set_deadlines(number, None);
        trace!(self, "server {number} drains no more");
    }

    /// The server is as full as it may be when it goes on, and then a place is free.
    fn host_makes_place(&mut self) {
        let open = self.figures().open;
        let is_its = |life: &&Life| life.kept && life.is_connected() && life.is_of(self.server_number);
        let Some(number) = self.lives.iter().find(is_its).map(|life| life.number) else { return };
        (self.max_connections, self.server_paused) = (open, false);
        ok(ss_set_option(self.server.cast(), SS_OPT_MAX_CONNECTIONS, open as i64));
        ok(ss_resume(self.server));
        trace!(self, "max connections: {open}, and one goes");
        self.host_aborts(number);
    }

    pub fn host_sets_server(&mut self) {
        match self.random.below(8) {
            6 => self.host_turns_to_draining(),
            7 if self.mood.has_limits => {
                let bytes = if self.chance(50) { 256 << 20 } else { self.size(self.mood.message * 16) };
                self.unread_limits.insert(self.server_number, bytes as u64);
                self.relief = simulate::clock();
                ok(ss_set_option(self.server.cast(), SS_OPT_UNREAD_LIMIT, bytes as i64));
                trace!(self, "unread bytes: {bytes}");
            }
            0 => {
                self.server_paused = self.chance(30);
                ok(if self.server_paused { ss_pause(self.server) } else { ss_resume(self.server) });
                trace!(self, "server paused: {}", self.server_paused);
            }
            1 if self.mood.has_limits => {
                self.max_connections = if self.chance(50) { 0 } else { self.size(self.mood.population) as u64 };
                ok(ss_set_option(self.server.cast(), SS_OPT_MAX_CONNECTIONS, self.max_connections as i64));
                trace!(self, "max connections: {}", self.max_connections);
            }
            2 if self.mood.has_limits => {
                let bytes = if self.chance(50) { 256 << 20 } else { self.size(self.mood.message * 8) };
                self.linger_bytes = bytes as u64;
                ok(ss_set_option(self.server.cast(), SS_OPT_LINGER_BYTES, bytes as i64));
                trace!(self, "linger bytes: {bytes}");
            }
            3 if self.chance(10) => self.host_changes_server(),
            5 if self.mood.has_limits && self.chance(50) => self.host_makes_place(),
            4 => {
                let task = owe();
                ok(unsafe { ss_loop_post(self.events, Some(task), null_mut(), Some(task)) });
            }
            5 => {
                let (delay, again) = (self.random.below(3000) as u32, self.random.below(3) as u32);
                let period = if self.chance(50) { 1 + self.random.below(200) as u32 } else { 0 };
                begin_timer(self.events, delay, again, period);
                trace!(self, "timer: {delay} ms, {again} more, every {period}");
            }
            _ => {}
        }
    }

    /// Nothing keeps anybody from being accepted any more.
    pub fn host_sets_server_free(&mut self) {
        (self.server_paused, self.max_connections) = (false, 0);
        ok(ss_resume(self.server));
        ok(ss_set_option(self.server.cast(), SS_OPT_MAX_CONNECTIONS, 0));
    }

    pub fn figures(&self) -> ss_stats {
        let mut stats = ss_stats { size: size_of::<ss_stats>(), ..ss_stats::default() };
        ok(unsafe { ss_server_stats(self.server, &mut stats) });
        stats
    }
}
