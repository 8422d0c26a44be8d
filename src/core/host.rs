// SPDX-License-Identifier: MIT OR Apache-2.0
//! Functions of the host that the core holds, and what is due to the host: destructors, messages for the log.
//!
//! Nothing here calls the host. The core says by a [`HostCall`] what is to be called next, and `driver` calls it.

use std::collections::VecDeque;
use std::ffi::c_void;

use crate::handle::Key;
use crate::log::{self, Level};

/// A function of the host with its user data: runs once and is consumed.
#[must_use = "a destructor that is dropped unrun leaks the host's data"]
pub(crate) struct Call {
    function: Function,
    data: *mut c_void,
}

/// A destructor, or a task. What it throws passes through the library.
pub(crate) type Function = unsafe extern "C-unwind" fn(*mut c_void);

// SAFETY: the pointer is only ever handed back to the host, which was told on which thread that happens.
unsafe impl Send for Call {}

impl Call {
    pub(crate) fn new(function: Function, data: *mut c_void) -> Self {
        Call { function, data }
    }

    pub(crate) fn run(self) {
        // SAFETY: the host gave the pair for exactly this call.
        unsafe { (self.function)(self.data) }
    }
}

/// The first argument of a listener, as it crosses the border.
pub(crate) type EventPointer = *mut c_void;
pub(crate) type ListenerFunction = unsafe extern "C-unwind" fn(EventPointer, *mut c_void);

/// A listener's identity: the function and the user data.
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    pub function: ListenerFunction,
    pub data: *mut c_void,
}

impl Callback {
    pub(crate) fn same(&self, other: &Callback) -> bool {
        std::ptr::fn_addr_eq(self.function, other.function) && self.data == other.data
    }

    #[inline]
    pub(crate) fn call(self, event: EventPointer) {
        // SAFETY: the host registered the pair to be called like this until it is removed, and it is still registered.
        unsafe { (self.function)(event, self.data) }
    }
}

/// The user data that the host attached to an object, with what is to become of it.
pub(crate) struct UserData {
    pub data: *mut c_void,
    pub destroy: Option<Function>,
}

impl UserData {
    pub(crate) const NONE: UserData = UserData { data: std::ptr::null_mut(), destroy: None };

    /// The call that is due when the user data is given up.
    pub(crate) fn into_destructor(self) -> Option<Call> {
        self.destroy.map(|function| Call::new(function, self.data))
    }
}

/// What is to be called next.
pub(crate) enum HostCall {
    /// A task, the cancellation of one, or a destructor.
    Function(Call),
    Log(Level, String),
}

/// Where the core says what is to be called next: a listener, mostly.
pub(crate) struct NextCall {
    callback: Option<Callback>,
    event: EventPointer,
    other: Option<HostCall>,
}

impl NextCall {
    pub(crate) const NONE: NextCall = NextCall { callback: None, event: std::ptr::null_mut(), other: None };

    #[inline]
    pub(crate) fn set_listener(&mut self, callback: Callback, event: Key) {
        self.callback = Some(callback);
        self.event = std::ptr::without_provenance_mut(event.bits());
    }

    #[cold]
    pub(crate) fn set(&mut self, call: HostCall) {
        (self.callback, self.other) = (None, Some(call));
    }

    /// The listener that is to be called, and its event.
    #[inline]
    pub(crate) fn listener(&self) -> Option<(Callback, EventPointer)> {
        self.callback.map(|callback| (callback, self.event))
    }

    /// What else is to be called.
    #[cold]
    pub(crate) fn take_other(&mut self) -> Option<HostCall> {
        self.other.take()
    }
}

/// What is due to the host.
#[derive(Default)]
pub(crate) struct Due {
    /// Destructors and cancellations: they run when no listener is running.
    calls: VecDeque<Call>,
    /// Messages for the log, to be handed over when nothing is borrowed.
    messages: VecDeque<(Level, String)>,
    /// How many dispatches are under way, one inside the other.
    pub depth: u32,
    /// One of the calls is being run. Those that become due meanwhile follow it.
    pub running: bool,
}

impl Due {
    pub(crate) const fn new() -> Self {
        Due { calls: VecDeque::new(), messages: VecDeque::new(), depth: 0, running: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, call: Option<Call>) {
        if let Some(call) = call {
            self.calls.push_back(call);
        }
    }

    /// Has a message logged, if anybody reads the log.
    pub(crate) fn log(&mut self, level: Level, message: impl FnOnce() -> String) {
        if log::is_set() {
            self.messages.push_back((level, message()));
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.messages.is_empty()
    }

    /// The next call that may be made now.
    #[cold]
    pub(crate) fn next(&mut self) -> Option<HostCall> {
        if let Some((level, message)) = self.messages.pop_front() {
            return Some(HostCall::Log(level, message));
        }
        if self.depth > 0 || self.running {
            return None;
        }
        self.calls.pop_front().map(HostCall::Function)
    }
}
