//! Functions of the host that the core holds and calls: listeners, destructors, tasks. This is the border's
//! way out, and the only place where the core runs code that is not ours.
//!
//! Nothing here may be called while the thread's objects are borrowed: the host's code comes back in.

use std::ffi::c_void;

/// A function of the host with its user data: runs once and is consumed.
#[must_use = "a destructor that is dropped unrun leaks the host's data"]
pub(crate) struct Call {
    function: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
}

// SAFETY: the word is only ever handed back to the host, which was told on which thread that happens.
unsafe impl Send for Call {}

impl Call {
    pub(crate) fn new(function: unsafe extern "C" fn(*mut c_void), data: *mut c_void) -> Self {
        Call { function, data }
    }

    pub(crate) fn run(self) {
        // SAFETY: the host gave the pair for exactly this call, and promised that it does not unwind.
        unsafe { (self.function)(self.data) }
    }
}

/// The first argument of a listener, as it crosses the border.
pub(crate) type EventWord = *mut c_void;
pub(crate) type ListenerFunction = unsafe extern "C" fn(EventWord, *mut c_void);

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

    pub(crate) fn call(self, event: EventWord) {
        // SAFETY: the host registered the pair to be called like this until it is removed, and it is still
        // registered; it promised that it does not unwind.
        unsafe { (self.function)(event, self.data) }
    }
}

/// A word that the host attached to an object, with what is to become of it.
pub(crate) struct UserData {
    pub data: *mut c_void,
    pub destroy: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl UserData {
    pub(crate) const NONE: UserData = UserData { data: std::ptr::null_mut(), destroy: None };

    /// The call that is due when the word is given up.
    pub(crate) fn into_destructor(self) -> Option<Call> {
        self.destroy.map(|function| Call::new(function, self.data))
    }
}
