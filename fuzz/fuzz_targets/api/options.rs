// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of servers and sockets.

use super::*;

/// (option, value, whether it fits)
pub const VALUES: [(usize, i64, bool); 25] = [
    (1, 0, true),
    (1, 1, true),
    (1, 2, false),
    (2, 1, true),
    (3, 1, true),
    (4, 0, true),
    (4, 1, true),
    (4, 2, true),
    (4, -1, false),
    (5, 1, true),
    (5, 10, true),
    (5, 5000, true),
    (5, 0, false),
    (6, 1, true),
    (6, 1000, true),
    (6, 64 << 20, true),
    (7, 0, true),
    (8, u32::MAX as i64, true),
    (9, 60, true),
    (9, 32_768, false),
    (10, 100, true),
    (10, 0, false),
    (14, 1, true),
    (14, 50_000, true),
    (14, 0, false),
];

const NEWER_VALUES: [(usize, i64, bool); 18] = [
    (11, 0, true),
    (11, 1, true),
    (11, 1, true),
    (11, 2, false),
    (12, 0, true),
    (12, 1, true),
    (12, 1_000_000, true),
    (12, -1, false),
    (15, 1, true),
    (15, 1000, true),
    (15, 256 << 20, true),
    (15, 0, false),
    (13, 13, true),
    (13, 11, false),
    (16, 2, true),
    (16, 3, false),
    (17, 0, true),
    (17, -1, false),
];

pub fn option() {
    set_option(VALUES[byte() % VALUES.len()]);
}

pub fn newer_option() {
    set_option(NEWER_VALUES[byte() % NEWER_VALUES.len()]);
}

fn set_option((option, value, fits): (usize, i64, bool)) {
    let id = good!(Wanted::Target, |handle| {
        let mut got = -77;
        // SAFETY: `got` is ours.
        let status = unsafe { ss_get_option(handle, 1, &mut got) };
        assert_eq!(got, -77);
        assert_eq!(ss_set_option(handle, 1, 1), status);
        status
    });
    let handle = pointer(id);
    for unknown in [0, 18, 99, -1] {
        assert_eq!(ss_set_option(handle, unknown, 1), SS_ERR_ARGUMENT);
    }
    let of_servers = (2..=4).contains(&option) || option == LINGER_BYTES || option == UNREAD_LIMIT;
    let expected = with(|trial| {
        let before_bind = option == 2 || option == 3;
        match id {
            Id::Socket(_) if of_servers => return SS_ERR_ARGUMENT,
            Id::Server(index) if before_bind && trial.model.servers[index].state != ServerState::Fresh => {
                return SS_ERR_IO;
            }
            _ if !fits => return SS_ERR_RANGE,
            _ => {}
        }
        let options = match id {
            Id::Server(index) => &mut trial.model.servers[index].options,
            Id::Socket(index) => &mut trial.model.sockets[index].options,
            _ => unreachable!(),
        };
        options[option] = value;
        if let Id::Socket(index) = id {
            trial.model.sockets[index].note_half_open();
        }
        if option == LINGER_BYTES {
            trial.model.bound_farewells();
        }
        SS_OK
    });
    assert_eq!(ss_set_option(handle, option as i32, value), expected, "option {option}, {value}");
    let mut got = -77;
    // SAFETY: `got` is ours.
    let status = unsafe { ss_get_option(handle, option as i32, &mut got) };
    with(|trial| match id {
        Id::Socket(_) if of_servers => assert_eq!((status, got), (SS_ERR_ARGUMENT, -77)),
        Id::Socket(index) => assert_eq!((status, got), (SS_OK, trial.model.sockets[index].options[option])),
        Id::Server(index) => assert_eq!((status, got), (SS_OK, trial.model.servers[index].options[option])),
        _ => unreachable!(),
    });
}
