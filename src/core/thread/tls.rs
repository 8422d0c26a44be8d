// SPDX-License-Identifier: MIT OR Apache-2.0
//! What makes connections secure belongs to a thread, and to no loop of it.

use super::{Thread, no_target};
use crate::core::tls::{IS_SUPPORTED, Tls};
use crate::error::{Failure, Result};
use crate::handle::{Key, Kind};
use crate::inject;

impl Thread {
    pub(crate) fn new_tls(&mut self) -> Result<Key> {
        inject::point();
        self.tls.insert(Tls::new()?)
    }

    pub(crate) fn tls(&mut self, key: Key) -> Result<&mut Tls> {
        self.tls.find_mut(key)
    }

    /// What a server or a socket is to be secured with from now on; `None`: it is to be plain.
    pub(crate) fn set_tls(&mut self, object: Key, tls: Option<Key>, name: Option<&str>) -> Result<()> {
        match object.kind() {
            Some(Kind::Server | Kind::Socket) => self.check(object)?,
            _ => return Err(no_target(object)),
        }
        let context = match tls {
            Some(tls) if IS_SUPPORTED => Some(self.tls(tls)?.context.clone()),
            Some(_) => return Err(Failure::without_tls()),
            None => None,
        };
        match object.kind() {
            Some(Kind::Server) => self.server(object)?.set_tls(context),
            _ => self.socket(object)?.set_tls(context, name),
        }
    }

    /// The host has given back its last reference.
    pub(super) fn destroy_tls(&mut self, key: Key) {
        if let Some(tls) = self.tls.remove(key) {
            self.due.add(tls.user.into_destructor());
        }
    }

    pub(super) fn destroy_all_tls(&mut self) {
        let keys: Vec<Key> = self.tls.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.destroy_tls(key);
        }
    }
}
