//! Memory that packages are unpacked into: in large pages, taken once, and handed on while it is warm.

use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// A large page. Memory is taken in multiples of it.
const PAGE: usize = 2 << 20;

/// What all threads together may hold. Whoever gets nothing reads its package as a stream.
const HELD_MAX: usize = 256 << 20;

/// The memory that nobody uses at the moment, what was used last at the end, and the length of all there is.
struct Pool {
    free: Vec<MmapMut>,
    held: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), held: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory for one package, given back when it is dropped.
pub(super) struct Scratch(Option<MmapMut>);

impl Scratch {
    /// Memory for `length` bytes; nothing if too much is held already.
    pub(super) fn take(length: usize) -> Option<Self> {
        let length = length.max(1).checked_next_multiple_of(PAGE)?;
        let mut pool = pool();
        if let Some(at) = pool.free.iter().rposition(|memory| memory.len() >= length) {
            return Some(Self(Some(pool.free.remove(at))));
        }
        // What lies about and is too small makes room.
        while pool.held.checked_add(length)? > HELD_MAX {
            let freed = pool.free.pop()?;
            pool.held = pool.held.saturating_sub(freed.len());
        }
        let memory = MmapMut::map_anon(length).ok()?;
        pool.held += length;
        drop(pool);
        // Where there are no large pages, small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Some(Self(Some(memory)))
    }

    /// The first `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Option<&mut [u8]> {
        self.0.as_mut()?.get_mut(..length)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(memory) = self.0.take() {
            pool().free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_as_long_as_it_must_be_and_not_endless() {
        let mut one = Scratch::take(PAGE + 1).unwrap();
        assert_eq!(one.bytes(PAGE + 1).unwrap().len(), PAGE + 1);
        assert!(Scratch::take(HELD_MAX + 1).is_none());
        assert!(Scratch::take(usize::MAX).is_none());
        let all: Vec<_> = (0..1_000).map_while(|_| Scratch::take(32 << 20)).collect();
        assert!((1..=8).contains(&all.len()), "{}", all.len());
    }
}
