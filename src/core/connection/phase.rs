// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection's life: its phases, and the one table of what leads from one to the next.
//!
//! ```text
//! Connecting ──established──► Open ◄──kept── Accepted
//!                              │
//!             ┌─closed by host─┼─────────────── peer ended, output unsent ───┐
//!             ▼                │                                             ▼
//!          Flushing ───────────┼──────────────── peer ended ────────────► LastFlush
//!             │ all sent: FIN  │                                             │ all sent
//!             ▼                ▼                                             ▼
//!          Draining ─────► the end: the descriptor is closed ◄──────────────┘
//! ```
//!
//! A connection whose socket is closed goes on by itself, to send what was written (`Flushing`, `LastFlush`) and to wait
//! until the peer has read it (`Draining`). Output that is dropped ends in a reset, always: a clean end would have the peer
//! believe that it got everything.
//!
//! An open socket whose one side has ended:
//!
//! ```text
//!                        peer ended, half-open
//!          Open ───────────────────────────────────────► Answering
//!           │ shut down                                      │ shut down
//!           ▼                                                ▼
//!     ShuttingDown ─── peer ended, half-open ──────────► LastAnswer ─── all sent ───► the end
//!           │ all sent: FIN                                  ▲
//!           ▼                                                │
//!        Hearing ───── peer ended, half-open ────────────────┘
//! ```
//!
//! Where connections are not half-open the peer's end leads out of each of them as it does out of `Open`.

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is an attempt, and not yet a connection: not connected yet, or its handshake of TLS is not done, on either side.
    Connecting,
    /// It was accepted, and the connect listeners have not returned yet. The poller does not know it.
    Accepted,
    Open,
    /// The peer has ended its side, and everything that it sent is read. Ours goes on.
    Answering,
    /// The host has ended our side. What was written before is still being sent; the peer's side goes on.
    ShuttingDown,
    /// Everything is sent, and our side has ended. The peer's goes on.
    Hearing,
    /// Both sides are to end. What was written before is still being sent, if any is unsent.
    LastAnswer,
    /// Its socket is closed. What was written is still being sent.
    Flushing,
    /// As `Flushing`, and the peer has ended its side.
    LastFlush,
    /// Everything is sent, and our side ended. What the peer still says is thrown away until it ends, too: closing with
    /// unread input would reset the connection and destroy what the peer has not read yet.
    Draining,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The attempt has succeeded.
    Established,
    /// Somebody has kept the accepted socket.
    Kept,
    /// Everything that the peer has sent is read, and it has ended its side.
    PeerEnded,
    /// As `PeerEnded`, where the connection may go on half-open: SS_OPT_HALF_OPEN.
    PeerShutDown,
    /// The connection is broken: reset, timed out by the system, no memory.
    Failed,
    /// The system has taken all output.
    AllSent,
    /// The host has ended our side.
    ShutDown,
    /// The host has closed or released the socket.
    Closed,
    /// As `Closed`, where nothing may be sent in the background: SS_OPT_LINGER is 0, or the loop ends.
    ClosedAtOnce,
    /// The host has aborted the socket.
    Aborted,
    /// It was silent, or went without progress, for too long.
    TimedOut,
    /// Its place is needed for others, or its loop ends.
    Cut,
}

/// What we owe the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing was ever written.
    Nothing,
    /// All was sent, but it is not known that the peer has read it.
    ItsReading,
    /// Output is unsent.
    Output,
}

/// What the peer sees of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Nothing,
    /// Our side ends; the peer's goes on.
    Fin,
    /// The descriptor is closed.
    Close,
    /// The connection is reset, and the descriptor closed.
    Reset,
}

/// What the host is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Connect,
    End,
    Close,
    ErrorAndClose,
}

/// What comes of a happening. Without a phase the connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub phase: Option<Phase>,
    pub wire: Wire,
    pub told: Told,
}

impl Phase {
    /// The table.
    #[inline]
    pub(crate) fn after(self, happening: Happening, owed: Owed) -> Transition {
        use Happening as H;
        use Phase as P;
        let cut_off = if owed == Owed::Output { Wire::Reset } else { Wire::Close };
        match (self, happening) {
            (P::Connecting, H::Established) => goes_on(P::Open, Wire::Nothing, Told::Connect),
            (P::Connecting, _) => over(Wire::Close, Told::Nothing),

            (P::Accepted, H::Kept) => goes_on(P::Open, Wire::Nothing, Told::Nothing),
            (P::Accepted | P::Open, H::PeerShutDown) => goes_on(P::Answering, Wire::Nothing, Told::End),
            (P::Accepted | P::Open, H::ShutDown) if owed == Owed::Output => {
                goes_on(P::ShuttingDown, Wire::Nothing, Told::Nothing)
            }
            (P::Accepted | P::Open, H::ShutDown) => goes_on(P::Hearing, Wire::Fin, Told::Nothing),

            (P::Answering, H::ShutDown) if owed == Owed::Output => goes_on(P::LastAnswer, Wire::Nothing, Told::Nothing),
            (P::Answering, H::ShutDown) => goes_on(P::LastAnswer, Wire::Fin, Told::Nothing),
            (P::ShuttingDown, H::AllSent) => goes_on(P::Hearing, Wire::Fin, Told::Nothing),
            (P::ShuttingDown | P::Hearing, H::PeerShutDown) => goes_on(P::LastAnswer, Wire::Nothing, Told::End),
            (P::LastAnswer, H::AllSent) => over(Wire::Close, Told::Close),

            (P::Answering | P::LastAnswer, H::Closed) => match owed {
                Owed::Output => goes_on(P::LastFlush, Wire::Nothing, Told::Nothing),
                Owed::Nothing | Owed::ItsReading => over(Wire::Close, Told::Nothing),
            },
            (P::Hearing, H::Closed) if owed == Owed::ItsReading => goes_on(P::Draining, Wire::Nothing, Told::Nothing),
            (_, H::Closed) if self.is_open() => match owed {
                Owed::Nothing => over(Wire::Close, Told::Nothing),
                Owed::ItsReading => goes_on(P::Draining, Wire::Fin, Told::Nothing),
                Owed::Output => goes_on(P::Flushing, Wire::Nothing, Told::Nothing),
            },
            (_, H::PeerEnded) if self.is_open() && owed == Owed::Output => {
                goes_on(P::LastFlush, Wire::Nothing, Told::Close)
            }
            (_, H::PeerEnded) if self.is_open() => over(Wire::Close, Told::Close),
            (_, H::Failed) if self.is_open() && owed == Owed::Output => over(Wire::Reset, Told::ErrorAndClose),
            (_, H::Failed) if self.is_open() => over(Wire::Close, Told::Close),
            (_, H::TimedOut) if self.is_open() => over(cut_off, Told::ErrorAndClose),
            (_, H::Aborted) if self.is_open() => over(Wire::Reset, Told::Nothing),
            (_, H::ClosedAtOnce | H::Cut) if self.is_open() => over(cut_off, Told::Nothing),

            (P::Flushing, H::AllSent) => goes_on(P::Draining, Wire::Fin, Told::Nothing),
            (P::Flushing, H::PeerEnded) if owed == Owed::Output => goes_on(P::LastFlush, Wire::Nothing, Told::Nothing),
            (P::LastFlush, H::AllSent) => over(Wire::Close, Told::Nothing),
            (P::Flushing | P::LastFlush, H::PeerEnded | H::Failed | H::TimedOut | H::Cut) => {
                over(cut_off, Told::Nothing)
            }
            (P::Draining, H::PeerEnded | H::Failed | H::TimedOut | H::Cut) => over(Wire::Close, Told::Nothing),

            // What cannot happen in this phase changes nothing.
            _ => goes_on(self, Wire::Nothing, Told::Nothing),
        }
    }

    /// It is a connection, and belongs to an open socket.
    fn is_open(self) -> bool {
        use Phase::{Accepted, Answering, Hearing, LastAnswer, Open, ShuttingDown};
        matches!(self, Accepted | Open | Answering | ShuttingDown | Hearing | LastAnswer)
    }

    /// The host has ended our side, or is about to: nothing more can be written.
    pub(crate) fn is_shut(self) -> bool {
        matches!(self, Phase::ShuttingDown | Phase::Hearing | Phase::LastAnswer)
    }

    /// Something follows when everything is sent, and its socket is open.
    pub(crate) fn ends_when_sent(self) -> bool {
        matches!(self, Phase::ShuttingDown | Phase::LastAnswer)
    }

    /// The peer has ended its side, and nothing more can come.
    pub(crate) fn is_deaf(self) -> bool {
        matches!(self, Phase::Answering | Phase::LastAnswer)
    }

    /// Its socket is closed, and it goes on without it.
    pub(crate) fn lingers(self) -> bool {
        matches!(self, Phase::Flushing | Phase::LastFlush | Phase::Draining)
    }
}

fn goes_on(phase: Phase, wire: Wire, told: Told) -> Transition {
    Transition { phase: Some(phase), wire, told }
}

fn over(wire: Wire, told: Told) -> Transition {
    Transition { phase: None, wire, told }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 10] = [
        Phase::Connecting,
        Phase::Accepted,
        Phase::Open,
        Phase::Answering,
        Phase::ShuttingDown,
        Phase::Hearing,
        Phase::LastAnswer,
        Phase::Flushing,
        Phase::LastFlush,
        Phase::Draining,
    ];
    const HAPPENINGS: [Happening; 12] = [
        Happening::Established,
        Happening::Kept,
        Happening::PeerEnded,
        Happening::PeerShutDown,
        Happening::Failed,
        Happening::AllSent,
        Happening::ShutDown,
        Happening::Closed,
        Happening::ClosedAtOnce,
        Happening::Aborted,
        Happening::TimedOut,
        Happening::Cut,
    ];
    const OWED: [Owed; 3] = [Owed::Nothing, Owed::ItsReading, Owed::Output];

    fn every_transition() -> impl Iterator<Item = (Phase, Happening, Owed, Transition)> {
        PHASES.into_iter().flat_map(|phase| {
            HAPPENINGS.into_iter().flat_map(move |happening| {
                OWED.into_iter().map(move |owed| (phase, happening, owed, phase.after(happening, owed)))
            })
        })
    }

    /// The table as it stands in the documents.
    fn table() -> String {
        let mut rows = String::from(
            "| phase | what happens | owed to the peer | next phase | the peer sees | the host is told |\n",
        );
        rows += "|---|---|---|---|---|---|\n";
        for phase in PHASES {
            for happening in HAPPENINGS {
                let outcomes = OWED.map(|owed| phase.after(happening, owed));
                let changes = |outcome: &Transition| {
                    outcome.phase != Some(phase) || outcome.wire != Wire::Nothing || outcome.told != Told::Nothing
                };
                let alike = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
                for (owed, outcome) in OWED.iter().zip(outcomes).filter(|(_, outcome)| changes(outcome)) {
                    let owed = if alike { "anything".into() } else { format!("{owed:?}") };
                    let next = outcome.phase.map_or("the end".into(), |phase| format!("{phase:?}"));
                    let (wire, told) = (outcome.wire, outcome.told);
                    rows += &format!("| {phase:?} | {happening:?} | {owed} | {next} | {wire:?} | {told:?} |\n");
                    if alike {
                        break;
                    }
                }
            }
        }
        rows
    }

    #[test]
    fn the_documents_have_this_table() {
        let documented = include_str!("../../../docs/CONNECTION.md");
        if std::env::var_os("SS_WRITE_DOCUMENTS").is_some() {
            let (before, _) = documented.split_once("| phase | what happens |").expect("it has a table");
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONNECTION.md");
            std::fs::write(path, before.to_owned() + &table()).expect("it can be written");
            return;
        }
        assert!(documented.ends_with(&table()), "SS_WRITE_DOCUMENTS=1 cargo test --lib the_documents writes it anew");
    }

    #[test]
    fn output_that_is_dropped_ends_in_a_reset() {
        for (phase, happening, owed, transition) in every_transition() {
            // An attempt has no output yet, and one that drains has sent all of it.
            let may_owe = !matches!(phase, Phase::Connecting | Phase::Draining);
            if transition.phase.is_none() && owed == Owed::Output && may_owe {
                let ends_when_sent = matches!(phase, Phase::LastFlush | Phase::LastAnswer);
                let sent = ends_when_sent && happening == Happening::AllSent;
                assert!(sent || transition.wire == Wire::Reset, "{phase:?} {happening:?}");
            }
        }
    }

    #[test]
    fn a_life_ends_by_closing_the_descriptor_and_only_then() {
        for (phase, happening, owed, transition) in every_transition() {
            let closes = matches!(transition.wire, Wire::Close | Wire::Reset);
            assert_eq!(closes, transition.phase.is_none(), "{phase:?} {happening:?} {owed:?}");
        }
    }

    #[test]
    fn the_host_hears_of_an_end_once_and_never_of_one_that_it_made() {
        for (phase, happening, owed, transition) in every_transition() {
            let ends = matches!(transition.told, Told::Close | Told::ErrorAndClose);
            if ends {
                assert!(!phase.lingers() && phase != Phase::Connecting, "{phase:?} {happening:?} {owed:?}");
                assert!(transition.phase.is_none_or(Phase::lingers));
            }
            if matches!(happening, Happening::Closed | Happening::ClosedAtOnce | Happening::Aborted | Happening::Cut) {
                assert_eq!(transition.told, Told::Nothing, "{phase:?} {happening:?} {owed:?}");
            }
        }
    }

    #[test]
    fn our_side_ends_once_and_never_before_its_output() {
        for (phase, happening, owed, transition) in every_transition() {
            if transition.wire == Wire::Fin {
                let ended = matches!(phase, Phase::Hearing | Phase::LastAnswer | Phase::Draining);
                assert!(!ended, "{phase:?} {happening:?} {owed:?}: a second FIN");
                assert!(owed != Owed::Output || happening == Happening::AllSent, "{phase:?} {happening:?}");
            }
        }
    }

    #[test]
    fn a_half_open_connection_hears_of_its_peers_end_once_and_closes_when_both_have_ended() {
        for phase in PHASES.into_iter().filter(|phase| phase.is_open()) {
            for owed in OWED {
                let ended = phase.after(Happening::PeerShutDown, owed);
                let told = if phase.is_deaf() { Told::Nothing } else { Told::End };
                assert_eq!((ended.told, ended.phase.map(Phase::is_deaf)), (told, Some(true)), "{phase:?} {owed:?}");
                let shut = phase.after(Happening::ShutDown, owed);
                assert_eq!(
                    (shut.told, shut.phase.map(Phase::is_shut)),
                    (Told::Nothing, Some(true)),
                    "{phase:?} {owed:?}"
                );
            }
        }
        let last = Phase::LastAnswer.after(Happening::AllSent, Owed::ItsReading);
        assert_eq!((last.phase, last.told), (None, Told::Close));
    }

    #[test]
    fn every_phase_can_be_cut_and_timed_out() {
        for phase in PHASES {
            for happening in [Happening::Cut, Happening::TimedOut] {
                for owed in OWED {
                    assert_eq!(phase.after(happening, owed).phase, None, "{phase:?} {happening:?}");
                }
            }
        }
    }
}
