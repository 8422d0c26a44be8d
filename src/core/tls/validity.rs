// SPDX-License-Identifier: MIT OR Apache-2.0
//! From when to when a certificate is valid, and whether it is its own issuer. webpki looks at that in chains alone, and not at a
//! certificate that is trusted as it is.

const SEQUENCE: u8 = 0x30;

/// The parts of a certificate that are looked at here.
struct Parts<'a> {
    issuer: &'a [u8],
    times: &'a [u8],
    subject: &'a [u8],
}

fn parts(certificate: &[u8]) -> Option<Parts<'_>> {
    const INTEGER: u8 = 0x02;
    const VERSION: u8 = 0xa0;
    let (_, whole, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = element(whole).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    let mut next = |tag| {
        let (_, content, behind) = element(rest).filter(|(found, ..)| *found == tag)?;
        rest = behind;
        Some(content)
    };
    // The serial number and the algorithm come first.
    next(INTEGER)?;
    next(SEQUENCE)?;
    Some(Parts { issuer: next(SEQUENCE)?, times: next(SEQUENCE)?, subject: next(SEQUENCE)? })
}

/// The first and the last second, since 1970; `None`: it cannot be read.
pub(super) fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let (first_tag, first, rest) = element(parts(certificate)?.times)?;
    let (last_tag, last, _) = element(rest)?;
    Some((seconds(first_tag, first)?, seconds(last_tag, last)?))
}

/// Whether it says that it was issued by itself.
pub(super) fn is_self_issued(certificate: &[u8]) -> bool {
    parts(certificate).is_some_and(|parts| parts.issuer == parts.subject)
}

/// The first element of DER: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A UTCTime or a GeneralizedTime, which end in Z.
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0_i64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    };
    let (year, rest) = match tag {
        0x17 => {
            let year = number(digits.get(..2)?)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        0x18 => (number(digits.get(..4)?)?, digits.get(4..)?),
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let parts: Vec<i64> = rest.chunks(2).map(number).collect::<Option<_>>()?;
    let [month @ 1..=12, day @ 1..=31, hour @ ..=23, minute @ ..=59, second @ ..=60] = parts[..] else { return None };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 in the Gregorian calendar. Years begin in March here, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        assert_eq!(seconds(0x17, b"700101000000Z"), Some(0));
        assert_eq!(seconds(0x17, b"240229123456Z"), Some(1_709_210_096));
        assert_eq!(seconds(0x18, b"20991231235959Z"), Some(4_102_444_799));
        assert_eq!(seconds(0x18, b"2099123123595Z"), None);
        assert_eq!(seconds(0x17, b"70010100000aZ"), None);
        assert_eq!(seconds(0x17, b"701301000000Z"), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        for bytes in [&b""[..], b"0", b"0\x80", b"0\x82\xff\xff", b"0\x020\x00"] {
            assert_eq!(of(bytes), None);
        }
    }
}
