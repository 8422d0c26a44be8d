// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps on one object of a thread, whatever loop it is on: references, user data, listeners, values.

use std::ffi::{CStr, CString, c_void};

use super::{Thread, no_object, no_target};
use crate::core::connection::Notes;
use crate::core::event_loop::Loop;
use crate::core::events::listeners::{List, Registration, Removed};
use crate::core::events::types::meant_by;
use crate::core::events::{Detail, Event, EventType};
use crate::core::host::{Callback, Function, UserData};
use crate::core::known;
use crate::core::socket::SocketRef;
use crate::error::{Failure, Result};
use crate::handle::{self, Key, Kind};
use crate::inject;
use crate::log::{self, Level};

/// A listener that is to be added.
pub(crate) struct NewListener<'a> {
    pub kind: &'a CStr,
    pub callback: Callback,
    pub destroy: Option<Function>,
    pub capture: bool,
    pub priority: i32,
}

impl Thread {
    /// Whether a host's handle is one of a living object.
    pub(crate) fn check(&mut self, key: Key) -> Result<()> {
        match key.kind() {
            Some(Kind::Loop) => self.event_loop(key).map(|_| ()),
            Some(Kind::Server) => self.server(key).map(|_| ()),
            Some(Kind::Socket) => self.socket(key).map(|_| ()),
            Some(Kind::Event) => self.events.find(key).map(|_| ()),
            Some(Kind::Value) => self.values.node(key).map(|_| ()),
            Some(Kind::Timer) => self.timer(key).map(|_| ()),
            Some(Kind::Tls) => self.tls(key).map(|_| ()),
            _ => Err(no_object(key)),
        }
    }

    /// How many objects of a kind there are, of events how many the host holds. It walks the tables, and costs nothing else.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        let of_loops = |count: fn(&Loop) -> usize| self.loops.iter().map(|event_loop| count(event_loop)).sum();
        match kind {
            Kind::Loop => self.loops.len(),
            Kind::Server => of_loops(|event_loop| event_loop.servers.iter().count()),
            Kind::Socket => of_loops(Loop::count_sockets),
            Kind::Timer => of_loops(|event_loop| event_loop.timers.iter().count()),
            Kind::Event => self.events.count_held(),
            Kind::Value => self.values.count(),
            Kind::Tls => self.tls.iter().count(),
            Kind::Connection => 0,
        }
    }

    pub(crate) fn retain(&mut self, key: Key) -> Result<()> {
        inject::point();
        match key.kind() {
            Some(Kind::Loop) => self.event_loop(key)?.life.retain(),
            Some(Kind::Server) => self.server(key)?.server.life.retain(),
            Some(Kind::Socket) => self.socket(key)?.socket.life.retain(),
            Some(Kind::Event) => self.events.retain(key),
            Some(Kind::Value) => self.values.life(key)?.retain(),
            Some(Kind::Timer) => self.timer(key)?.timer.life.retain(),
            Some(Kind::Tls) => self.tls(key)?.life.retain(),
            _ => Err(no_object(key)),
        }
    }

    pub(crate) fn release(&mut self, key: Key, place: usize) -> Result<()> {
        match key.kind() {
            Some(Kind::Loop) => {
                self.end_lost_frames(place);
                let event_loop = self.event_loop(key)?;
                event_loop.interrupt();
                if event_loop.life.release()? {
                    self.end_loop(key);
                }
            }
            Some(Kind::Server | Kind::Socket) => {
                let place = self.place(|event_loop| event_loop.owns(key));
                let place = place.ok_or_else(|| no_target(key))?;
                let event_loop = &mut self.loops[place];
                if event_loop.life(key)?.release()? {
                    event_loop.lose(key, &mut self.events, &mut self.due);
                }
            }
            Some(Kind::Event) => self.events.release(key, &mut self.due)?,
            Some(Kind::Value) => {
                if self.values.life(key)?.release()? {
                    self.values.destroy(key, &mut self.due);
                }
            }
            Some(Kind::Timer) => {
                if self.timer(key)?.timer.life.release()? {
                    let found = self.recent;
                    self.loops[found].destroy_timer(key, &mut self.due);
                }
            }
            Some(Kind::Tls) => {
                if self.tls(key)?.life.release()? {
                    self.destroy_tls(key);
                }
            }
            _ => return Err(no_object(key)),
        }
        Ok(())
    }

    /// The host ends the connection or attempt of a socket that the library may keep.
    pub(crate) fn end_socket(&mut self, key: Key, end: impl FnOnce(&mut SocketRef<'_>) -> Result<()>) -> Result<()> {
        let place = self.place(|event_loop| event_loop.sockets.owns(key));
        let event_loop = &mut self.loops[place.ok_or_else(|| handle::explain(key, &[Kind::Socket]))?];
        end(&mut event_loop.socket(key)?)?;
        event_loop.let_go(key, &mut self.events, &mut self.due);
        Ok(())
    }

    pub(crate) fn set_user(&mut self, key: Key, user: UserData) -> Result<()> {
        let old = match key.kind() {
            Some(Kind::Loop) => std::mem::replace(&mut self.event_loop(key)?.user, user),
            Some(Kind::Server) => std::mem::replace(&mut self.server(key)?.server.user, user),
            Some(Kind::Socket) => std::mem::replace(&mut self.socket(key)?.socket.make_cold()?.user, user),
            Some(Kind::Event) => std::mem::replace(&mut self.events.find_mut(key)?.make_rare()?.user, user),
            Some(Kind::Value) => std::mem::replace(self.values.user(key)?, user),
            Some(Kind::Timer) => std::mem::replace(&mut self.timer(key)?.timer.user, user),
            Some(Kind::Tls) => std::mem::replace(&mut self.tls(key)?.user, user),
            _ => return Err(no_object(key)),
        };
        self.due.add(old.into_destructor());
        Ok(())
    }

    pub(crate) fn user_data(&mut self, key: Key) -> Result<*mut c_void> {
        Ok(match key.kind() {
            Some(Kind::Loop) => self.event_loop(key)?.user.data,
            Some(Kind::Server) => self.server(key)?.server.user.data,
            Some(Kind::Socket) => self.socket(key)?.socket.user(),
            Some(Kind::Event) => {
                self.events.find(key)?.rare.as_ref().map_or(std::ptr::null_mut(), |rare| rare.user.data)
            }
            Some(Kind::Value) => self.values.user(key)?.data,
            Some(Kind::Timer) => self.timer(key)?.timer.user.data,
            Some(Kind::Tls) => self.tls(key)?.user.data,
            _ => return Err(no_object(key)),
        })
    }

    pub(crate) fn native_handle(&mut self, key: Key) -> Result<i64> {
        let handle = match key.kind() {
            Some(Kind::Server) => self.server(key)?.server.native_handle(),
            Some(Kind::Socket) => self.socket(key)?.native_handle(),
            _ => return Err(no_target(key)),
        };
        handle.into_iter().for_each(known::note);
        handle.ok_or_else(|| Failure::invalid_socket().because("it has no descriptor until it is bound or connected"))
    }

    /// A server takes over a descriptor of the host.
    pub(crate) fn adopt(&mut self, server: Key, descriptor: i64, listening: bool) -> Result<()> {
        inject::point();
        self.server(server)?.server.check_fresh()?;
        self.check_not_held(descriptor)?;
        self.server(server)?.adopt(descriptor, listening)?;
        known::note(descriptor);
        Ok(())
    }

    /// A socket takes over a connection of the host.
    pub(crate) fn adopt_connection(&mut self, socket: Key, descriptor: i64) -> Result<()> {
        inject::point();
        self.socket(socket)?.check_unconnected()?;
        self.check_not_held(descriptor)?;
        self.socket(socket)?.adopt(descriptor)?;
        known::note(descriptor);
        Ok(())
    }

    /// What the library has already it must not take over again: it would be closed twice.
    fn check_not_held(&self, descriptor: i64) -> Result<()> {
        match known::is_ours(descriptor) || self.loops.iter().any(|event_loop| event_loop.holds(descriptor)) {
            true => Err(Failure::invalid_parameter()
                .because(format!("descriptor {descriptor} is that of a server or a socket already; dup it first"))),
            false => Ok(()),
        }
    }

    /// The target of an event, if it is still there.
    #[inline]
    pub(crate) fn target_of(&mut self, event: Key) -> Result<Option<Key>> {
        let event = self.events.find(event)?;
        let Some(target) = event.target else { return Ok(None) };
        // While the event is dispatched its target is pinned.
        if event.is_being_dispatched() || self.lives(target) {
            return Ok(Some(target));
        }
        Ok(None)
    }

    /// What an event that tells of an end or an error has to say to people; `None` for others.
    pub(crate) fn event_detail(&mut self, key: Key) -> Result<Option<&CStr>> {
        let event = self.events.find(key)?;
        let Some((cause, os_error)) = event.cause() else { return Ok(None) };
        if event.rare.as_ref().is_none_or(|rare| rare.told.is_none()) {
            let (target, dispatched) = (event.target, event.is_being_dispatched());
            let socket = target.filter(|target| target.kind() == Some(Kind::Socket));
            let text = match socket.and_then(|socket| self.socket(socket).ok()) {
                Some(socket) => socket.socket.explain(cause, os_error, dispatched),
                None => cause.describe(None::<&str>, os_error),
            };
            let told = CString::new(text).unwrap_or_default();
            self.events.find_mut(key)?.make_rare()?.told = Some(told);
        }
        Ok(self.events.find(key)?.rare.as_ref().and_then(|rare| rare.told.as_deref()))
    }

    /// Whether an object that was remembered, a target say, is still there.
    pub(crate) fn lives(&self, key: Key) -> bool {
        self.loops.iter().any(|event_loop| event_loop.lives(key))
    }
}

// ---- Listeners ------------------------------------------------------------------------------------------------------

impl Thread {
    /// `new` makes the rest of the registration, once it is known that there is such a target.
    pub(crate) fn add_listener<'a>(
        &mut self,
        target: Key,
        new: impl FnOnce() -> Result<NewListener<'a>>,
    ) -> Result<()> {
        inject::point();
        let place = self.place(|event_loop| event_loop.owns(target)).ok_or_else(|| no_target(target))?;
        let event_loop = &mut self.loops[place];
        let listeners = event_loop.listeners_mut(target)?;
        let NewListener { kind, callback, destroy, capture, priority } = new()?;
        let kind = self.events.types.acquire(kind)?;
        let new = Registration { kind, callback, destroy, capture, priority };
        let outcome = listeners.add(&new, self.no_listeners.get_or_insert_with(List::empty));
        if matches!(outcome, Ok(true)) {
            event_loop.listeners_changed(target, kind);
            if log::is_set() {
                self.hint_at_type(target, kind);
            }
        } else {
            self.events.types.release(kind);
        }
        outcome.map(|_| ())
    }

    /// A listener was added for a type that nothing here ever dispatches, perhaps.
    #[cold]
    fn hint_at_type(&mut self, target: Key, kind: EventType) {
        let on_server = target.kind() == Some(Kind::Server);
        let name = self.events.types.name(kind);
        if kind.built_in().is_some() {
            let of_sockets = [EventType::SOCKET_DATA, EventType::OUTPUT_PROGRESS, EventType::IO_ERROR].contains(&kind);
            if on_server && of_sockets && self.hints.first_time(Notes::SOCKETS_TYPE) {
                self.due.log(Level::Hint, || {
                    format!(
                        "a listener was added for {name:?} on a server, which never dispatches it: add it to the sockets, in the \
                         server's connect listener (ss_event_socket)"
                    )
                });
            }
        } else if let Some((meant, air)) = meant_by(name.to_bytes()) {
            if self.hints.first_time(Notes::meant(meant)) {
                self.due.log(Level::Hint, || {
                    format!(
                        "a listener was added for {name:?}, which the library never dispatches; AIR's type is {air:?}. \
                         If you dispatch it yourself, with ss_dispatch_event, all is well"
                    )
                });
            }
        }
    }

    pub(crate) fn remove_listener(
        &mut self,
        target: Key,
        kind: &CStr,
        callback: &Callback,
        capture: bool,
    ) -> Result<()> {
        inject::point();
        self.loop_of(target)?.listeners(target)?;
        let Some(kind) = self.events.types.find(kind) else { return Ok(()) };
        let event_loop = self.loop_of(target)?;
        if let Removed::Gone(destructor) = event_loop.listeners_mut(target)?.remove(kind, callback, capture)? {
            event_loop.listeners_changed(target, kind);
            self.events.types.release(kind);
            self.due.add(destructor);
        }
        Ok(())
    }

    pub(crate) fn has_listener(&mut self, target: Key, kind: &CStr) -> Result<bool> {
        let known = self.events.types.find(kind);
        let listeners = self.loop_of(target)?.listeners(target)?;
        Ok(known.is_some_and(|kind| listeners.has(kind)))
    }

    pub(crate) fn new_event(&mut self, kind: &CStr, bubbles: bool, cancelable: bool) -> Result<Key> {
        let kind = self.events.types.acquire(kind)?;
        self.events.add(Event { bubbles, cancelable, ..Event::new(kind, Detail::Plain) })
    }
}

// ---- Objects of AMF --------------------------------------------------------------------------------------------------

impl Thread {
    /// `readObject()`: all of it or, if it has not arrived yet or is no good, nothing.
    pub(crate) fn read_object(&mut self, key: Key) -> Result<Key> {
        inject::point();
        let (graph, length) = self.socket(key)?.look_at_object()?;
        let value = self.values.add(graph)?;
        self.socket(key)?.consume(length);
        Ok(value)
    }

    /// `writeObject()`: all of it or nothing.
    pub(crate) fn write_object(&mut self, key: Key, value: Key) -> Result<()> {
        inject::point();
        let Some(place) = self.place(|event_loop| event_loop.sockets.owns(key)) else {
            return Err(handle::explain(key, &[Kind::Socket]));
        };
        let mut socket = self.loops[place].socket(key)?;
        socket.connection()?;
        let (graph, node) = self.values.graph(value)?;
        socket.write_object(graph, node)
    }
}
