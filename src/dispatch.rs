//! Dispatching: the walk along a target's listeners, with no borrow alive while one of them runs.

use crate::error::Result;
use crate::event::Detail;
use crate::foreign::EventWord;
use crate::handle::Key;
use crate::names::EventType;
use crate::objects::{Dispatch, Then, run_due, step, with};

/// `dispatchEvent` of an event that the host holds. Returns AIR's result: false if its default was prevented.
pub(crate) fn dispatch_event(target: Key, event: Option<Key>) -> Result<bool> {
    let (dispatch, unheard) = with(|objects| objects.begin_redispatch(target, event))?;
    Ok(dispatch.map_or(unheard, run))
}

/// Dispatches an event of the library's own. Returns whether anybody heard it.
pub(crate) fn announce(target: Key, kind: EventType, detail: Detail) -> bool {
    step(|objects| objects.begin_announcement(target, kind, detail)).map(run).is_some()
}

/// Calls one listener after the other.
pub(crate) fn run(mut dispatch: Dispatch) -> bool {
    let word = dispatch.event.bits() as EventWord;
    loop {
        dispatch.next.call(word);
        match step(|objects| objects.go_on(&mut dispatch)) {
            Then::Listener(next) => dispatch.next = next,
            Then::Over { not_prevented, something_is_due } => {
                if something_is_due {
                    run_due();
                }
                return not_prevented;
            }
        }
    }
}
