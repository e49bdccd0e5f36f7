//! Samples in place of all allocations: each byte that is given is as likely as any other to be one.
//!
//! What is not sampled costs a subtraction when it is given and a look at a table when it is taken back. The table holds
//! the addresses that were sampled and are in use; it never blocks, and says of no address that it was sampled which was not.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use naja_system::clock::ticks;

use crate::ring;
use crate::wire::Allocator;

/// Addresses of one place in the table, a line of the processor's cache.
const WIDTH: usize = 8;
/// Places in the table; a power of two.
const PLACES: usize = 1 << 16;
const TABLE_BYTES: usize = PLACES * WIDTH * size_of::<usize>();

/// Bytes between samples, in the mean; 0 where nothing is sampled.
static MEAN: AtomicU64 = AtomicU64::new(0);
/// Where the table is.
static TABLE: AtomicUsize = AtomicUsize::new(0);

/// Whether samples are told and not all.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    MEAN.load(Ordering::Relaxed) != 0
}

/// Takes samples from now on, or, with 0, tells all. The table, 4 MiB, is only there once it is used.
pub(crate) fn turn_on(mean_bytes: u64) {
    if mean_bytes != 0 && TABLE.load(Ordering::Relaxed) == 0 {
        TABLE.store(ring::map(TABLE_BYTES) as usize, Ordering::Release);
    }
    let has_table = TABLE.load(Ordering::Relaxed) != 0;
    MEAN.store(if has_table { mean_bytes } else { 0 }, Ordering::Relaxed);
}

/// Gives the table back. Nobody is within the agent.
pub(crate) fn release() {
    MEAN.store(0, Ordering::Relaxed);
    let table = TABLE.swap(0, Ordering::Relaxed);
    if table != 0 {
        // SAFETY: it is the mapping of `turn_on`, which nobody uses any more.
        unsafe { ring::unmap(table as *mut u8, TABLE_BYTES) };
    }
}

#[inline(always)]
fn place(address: usize) -> &'static [AtomicUsize] {
    let table = TABLE.load(Ordering::Relaxed) as *const AtomicUsize;
    let place = (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & (PLACES - 1);
    // SAFETY: `turn_on` has mapped as much, of zeroes, for as long as the process lives; it is asked only when it is on.
    unsafe { std::slice::from_raw_parts(table.add(place * WIDTH), WIDTH) }
}

/// Takes note of an address that is sampled; false where there is no room, so that it must not be.
pub(crate) fn keep(allocator: Allocator, address: usize) -> bool {
    // The end of every mapping is told, since it may be taken back in parts.
    allocator == Allocator::Mmap
        || allocator == Allocator::Munmap
        || place(address)
            .iter()
            .any(|slot| slot.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed).is_ok())
}

/// Whether an address was sampled; it is forgotten.
#[inline(always)]
pub(crate) fn drop(allocator: Allocator, address: usize) -> bool {
    allocator == Allocator::Munmap
        || place(address).iter().any(|slot| {
            slot.load(Ordering::Relaxed) == address
                && slot.compare_exchange(address, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
}

/// The bytes until a thread's next sample.
pub(crate) struct Countdown {
    left: f64,
    random: u64,
}

impl Countdown {
    pub(crate) fn new(seed: u64) -> Countdown {
        let mut new =
            Countdown { left: 0.0, random: (seed ^ ticks()).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        new.left = new.gap();
        new
    }

    /// Whether a sample falls into so many bytes.
    #[inline(always)]
    pub(crate) fn is_due(&mut self, size: usize) -> bool {
        self.left -= size as f64;
        self.left < 0.0 && self.begin_anew()
    }

    #[cold]
    fn begin_anew(&mut self) -> bool {
        self.left = self.gap();
        true
    }

    /// Bytes to the next sample: exponentially distributed, so that nothing in the program can be in step with it.
    fn gap(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let uniform = ((self.random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -logarithm(uniform) * MEAN.load(Ordering::Relaxed) as f64
    }
}

/// The natural logarithm of a positive number, to six digits, without the library of mathematics: the agent needs none.
fn logarithm(number: f64) -> f64 {
    const FRACTION_BITS: u32 = 52;
    let bits = number.to_bits();
    let exponent = (bits >> FRACTION_BITS) as i64 - 1023;
    let fraction = f64::from_bits(bits & ((1 << FRACTION_BITS) - 1) | 1023 << FRACTION_BITS);
    // Between 1 and 2; nearer to 1 the series ends sooner.
    let (fraction, exponent) = if fraction > std::f64::consts::SQRT_2 {
        (fraction / 2.0, exponent + 1)
    } else {
        (fraction, exponent)
    };
    let z = (fraction - 1.0) / (fraction + 1.0);
    let square = z * z;
    let series =
        2.0 * z * (1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0))));
    series + exponent as f64 * std::f64::consts::LN_2
}
