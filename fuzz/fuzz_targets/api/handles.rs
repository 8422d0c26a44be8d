// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles for calls: of objects of the model, and bad ones of all kinds.

use super::*;

#[derive(Clone, Copy, PartialEq)]
pub enum Wanted {
    Loop,
    Server,
    Socket,
    Event,
    Value,
    Timer,
    /// A server or a socket.
    Target,
    Any,
}

/// A handle for a call: an object of the model, or one that must be refused like this.
pub enum Subject {
    Good(Id),
    Bad(Handle, &'static [ss_status]),
}

/// Objects of another thread, which waits for the end of the process: loop, server, socket, event, value, timer.
pub fn others() -> [Handle; 6] {
    static OTHERS: OnceLock<[Handle; 6]> = OnceLock::new();
    *OTHERS.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let events = ss_loop_new();
            // SAFETY: a constant.
            let event = unsafe { ss_event_new(c"other".as_ptr(), false, false) };
            let value = ss_value_new(SS_VALUE_ARRAY);
            // SAFETY: a task that takes what it is given.
            let timer = unsafe { ss_timer_new(events, u32::MAX, 0, Some(nothing_to_do), null_mut(), None) };
            let (server, socket) = (ss_new(events), ss_socket_new(events));
            let all = [events.addr(), server.addr(), socket.addr(), event.addr(), value.addr(), timer.addr()];
            sender.send(all).expect("the other end waits");
            loop {
                std::thread::park();
            }
        });
        receiver.recv().expect("they are made")
    })
}

extern "C-unwind" fn nothing_to_do(_: *mut c_void) {}

pub fn fits(wanted: Wanted, id: Id) -> bool {
    match wanted {
        Wanted::Loop => matches!(id, Id::Loop(_)),
        Wanted::Server => matches!(id, Id::Server(_)),
        Wanted::Socket => matches!(id, Id::Socket(_)),
        Wanted::Event => matches!(id, Id::Event(_)),
        Wanted::Value => matches!(id, Id::Value(_)),
        Wanted::Timer => matches!(id, Id::Timer(_)),
        Wanted::Target => matches!(id, Id::Server(_) | Id::Socket(_)),
        Wanted::Any => true,
    }
}

impl Model {
    /// All that live and fit.
    pub fn living(&self, wanted: Wanted) -> Vec<(Id, Handle)> {
        let mut found = Vec::new();
        let mut add = |id: Id, life: &Life| {
            if life.alive && fits(wanted, id) {
                found.push((id, life.handle));
            }
        };
        self.loops.iter().enumerate().for_each(|(index, object)| add(Id::Loop(index), &object.life));
        self.servers.iter().enumerate().for_each(|(index, object)| add(Id::Server(index), &object.life));
        self.sockets.iter().enumerate().for_each(|(index, object)| add(Id::Socket(index), &object.life));
        self.events.iter().enumerate().for_each(|(index, object)| add(Id::Event(index), &object.life));
        self.values.iter().enumerate().for_each(|(index, life)| add(Id::Value(index), life));
        self.timers.iter().enumerate().for_each(|(index, object)| add(Id::Timer(index), &object.life));
        found
    }
}

pub fn subject(wanted: Wanted) -> Subject {
    let choice = byte();
    if choice < 232 {
        let good = with(|trial| {
            let living = trial.model.living(wanted);
            // The last ones are the most interesting.
            (!living.is_empty()).then(|| living[living.len() - 1 - choice % living.len()].0)
        });
        if let Some(id) = good {
            return Subject::Good(id);
        }
    }
    bad(wanted, choice)
}

pub fn bad(wanted: Wanted, choice: usize) -> Subject {
    let detail = byte();
    with(|trial| {
        let model = &trial.model;
        let living = model.living(Wanted::Any);
        let garbage = |handle: Handle| {
            let is_one = living.iter().any(|(_, other)| *other == handle)
                || others().contains(&handle)
                || values::is_scribes(handle);
            let handle = if is_one || (handle == 0 && wanted == Wanted::Loop) { 1 } else { handle };
            Subject::Bad(handle, &[SS_ERR_HANDLE])
        };
        let other = match wanted {
            Wanted::Loop => others()[0],
            Wanted::Server => others()[1],
            Wanted::Socket => others()[2],
            Wanted::Event => others()[3],
            Wanted::Value => others()[4],
            Wanted::Target => others()[1 + detail % 2],
            Wanted::Timer => others()[5],
            Wanted::Any => others()[detail % 6],
        };
        match choice % 6 {
            0 => garbage(0),
            1 => garbage(model.stale.iter().rev().nth(detail % model.stale.len().max(1)).copied().unwrap_or(0x55)),
            2 => Subject::Bad(other, &[SS_ERR_THREAD]),
            3 => {
                let unfit: Vec<_> = living.iter().filter(|(id, _)| !fits(wanted, *id)).collect();
                match unfit.is_empty() {
                    true => garbage(detail << 3 | 7),
                    false => Subject::Bad(unfit[detail % unfit.len()].1, &[SS_ERR_HANDLE]),
                }
            }
            4 => garbage(living[detail % living.len()].1 ^ 1 << (detail & 63)),
            _ => garbage((detail * 0x0101_0101_0101) ^ choice),
        }
    })
}

/// The object, or after `$refused` has been checked to be answered like that, nothing more for this step.
macro_rules! good {
    ($wanted:expr, |$handle:ident| $refused:expr) => {
        match subject($wanted) {
            Subject::Good(id) => id,
            Subject::Bad($handle, statuses) => {
                let $handle = std::ptr::without_provenance_mut($handle);
                let status = $refused;
                assert!(statuses.contains(&status), "{status:?} instead of {statuses:?}");
                return;
            }
        }
    };
}

pub(crate) use good;

pub fn pointer<T>(id: Id) -> *mut T {
    std::ptr::without_provenance_mut(with(|trial| trial.model.life(id).handle))
}

/// A getter's answer to a bad handle, as a status: the reason is left as the last error, the answer is nothing.
pub fn nothing(is_nothing: bool) -> ss_status {
    assert!(is_nothing);
    ss_last_status()
}
