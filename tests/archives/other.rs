// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody else's library in Rust, which panics and catches it.

/// 0 + 1 + ... below n; 1 more if n is no number to be divided by.
#[unsafe(no_mangle)]
pub extern "C" fn other_sum(n: u32) -> u64 {
    std::panic::set_hook(Box::new(|_| ()));
    let numbers: Vec<u64> = (0..u64::from(n)).collect();
    let divided = std::panic::catch_unwind(|| numbers.len() / n as usize);
    numbers.iter().sum::<u64>() + u64::from(divided.is_err())
}
