// SPDX-License-Identifier: MIT OR Apache-2.0
//! Session tickets, sealed with a secret of the host's: whoever has the same secret can open them.

use std::fmt;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// How long a ticket is good, in seconds.
const LIFETIME: u32 = 12 * 60 * 60;
/// The shortest secret.
pub(super) const SHORTEST: usize = 32;
const NAME: usize = 16;

/// What is made of a secret of the host's. The secret itself is not kept.
#[derive(Clone)]
pub(super) struct Secret(Prk);

impl Secret {
    pub(super) fn new(secret: &[u8]) -> Self {
        Secret(Salt::new(HKDF_SHA256, b"server_socket tickets").extract(secret))
    }

    /// `policy` goes into the key: a ticket is opened only by who asks the same of clients, and trusts the same to sign them.
    fn expand<const N: usize>(&self, purpose: &[u8], policy: &[u8]) -> Option<Zeroizing<[u8; N]>> {
        struct Length(usize);
        impl ring::hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let mut out = Zeroizing::new([0; N]);
        self.0.expand(&[purpose, policy], Length(N)).ok()?.fill(&mut *out).ok()?;
        Some(out)
    }
}

struct Key {
    name: [u8; NAME],
    key: LessSafeKey,
}

impl Key {
    fn new(secret: &Secret, policy: &[u8]) -> Option<Key> {
        let name = *secret.expand(b"name", policy)?;
        let key = UnboundKey::new(&AES_256_GCM, &*secret.expand::<32>(b"key", policy)?).ok()?;
        Some(Key { name, key: LessSafeKey::new(key) })
    }
}

/// Seals with the first secret, and opens with each.
pub(super) struct Tickets {
    keys: Vec<Key>,
    random: SystemRandom,
}

impl Tickets {
    pub(super) fn shared(secrets: &[Secret], policy: &[u8]) -> Arc<dyn ProducesTickets> {
        let keys = secrets.iter().filter_map(|secret| Key::new(secret, policy)).collect();
        Arc::new(Tickets { keys, random: SystemRandom::new() })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tickets")
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys.is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let Key { name, key } = self.keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed).ok()?;
        Some([&name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let Key { key, .. } = self.keys.iter().find(|key| key.name == *name)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    #[test]
    fn who_has_the_secret_opens_a_ticket_and_nobody_else() {
        let (first, second) = (Secret::new(&[1; 32]), Secret::new(&[2; 32]));
        let ticket = Tickets::shared(slice::from_ref(&first), b"0").encrypt(b"session").unwrap();
        let opened = |secrets: &[Secret], policy: &[u8]| Tickets::shared(secrets, policy).decrypt(&ticket);
        assert_eq!(opened(slice::from_ref(&first), b"0").as_deref(), Some(&b"session"[..]));
        assert_eq!(opened(&[second.clone(), first.clone()], b"0").as_deref(), Some(&b"session"[..]));
        assert_eq!(opened(&[second], b"0"), None);
        assert_eq!(opened(slice::from_ref(&first), b"2"), None);
        for changed in 0..ticket.len() {
            let mut ticket = ticket.clone();
            ticket[changed] ^= 1;
            assert_eq!(Tickets::shared(slice::from_ref(&first), b"0").decrypt(&ticket), None, "byte {changed}");
        }
        assert_eq!(Tickets::shared(&[first], b"0").decrypt(b"short"), None);
    }
}
