// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix: the process around us. Forks are watched, and threads of ours take no signals.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(0);
static FORKED: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn fork_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

#[inline]
pub(crate) fn has_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// The process has forked.
pub(crate) fn note_fork(in_child: bool) {
    EPOCH.fetch_add(in_child.into(), Ordering::Relaxed);
    FORKED.store(true, Ordering::Relaxed);
}

/// Has functions called around each fork, on the thread that forks. They must only touch atomics, what is that thread's own,
/// and locks that it takes in the first of them.
pub(crate) fn watch_forks(prepare: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: they are there as long as the library is. Should it fail for want of memory, forks go unnoticed.
    unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) };
}

/// Has a function called when the process exits, by the thread that has it exit, where the system does not end that thread's own
/// variables then.
pub(crate) fn at_exit(_function: extern "C" fn()) {
    #[cfg(any(target_env = "musl", target_os = "netbsd", target_os = "openbsd"))]
    // SAFETY: it is there as long as the library is. Should it fail for want of memory, the process ends without it.
    unsafe {
        libc::atexit(_function)
    };
}

/// Has a function called when the library is loaded, before anybody can call it.
macro_rules! at_load {
    ($function:path) => {
        const _: () = {
            // SAFETY: the loader calls what it finds there, once, and it takes nothing.
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
            static AT_LOAD: extern "C" fn() = $function;
        };
    };
}
pub(crate) use at_load;

/// Makes a thread that takes none of the host's signals: it inherits the mask. Faults stay what they are, since one that is
/// blocked ends the process without the handler that the host may have for it.
pub(crate) fn without_signals<T>(make: impl FnOnce() -> T) -> T {
    const FAULTS: [c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
    let (mut blocked, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the sets are filled before they are read, and this changes nothing but the mask of the calling thread.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let made = make();
    // SAFETY: as above; the mask is the one that was there before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    made
}
