//! Memory that packages are unpacked into: in large pages, taken once, and handed on while it is warm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// A large page. Memory is taken in multiples of it.
const PAGE: usize = 2 << 20;

/// What all threads together may hold. Whoever gets nothing reads its package as a stream.
const HELD_MAX: usize = 256 << 20;

/// The memory that nobody uses at the moment, what was used last at the end, and the length of all there is.
#[derive(Debug, Default)]
struct Pool {
    free: Vec<MmapMut>,
    held: usize,
}

/// Memory that all threads of one proof share.
#[derive(Debug, Clone, Default)]
pub struct ScratchPool(Arc<Mutex<Pool>>);

impl ScratchPool {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory for one package, given back when it is dropped.
pub(super) struct Scratch {
    memory: Option<MmapMut>,
    pool: ScratchPool,
}

impl Scratch {
    /// Memory of `of` for `length` bytes; nothing if too much is held already.
    pub(super) fn take(of: &ScratchPool, length: usize) -> Option<Self> {
        let length = length.max(1).checked_next_multiple_of(PAGE)?;
        let mut pool = of.lock();
        if let Some(at) = pool.free.iter().rposition(|memory| memory.len() >= length) {
            return Some(Self { memory: Some(pool.free.remove(at)), pool: of.clone() });
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
        Some(Self { memory: Some(memory), pool: of.clone() })
    }

    /// The first `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Option<&mut [u8]> {
        self.memory.as_mut()?.get_mut(..length)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.lock().free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_as_long_as_it_must_be_and_not_endless() {
        let pool = ScratchPool::default();
        let mut one = Scratch::take(&pool, PAGE + 1).unwrap();
        assert_eq!(one.bytes(PAGE + 1).unwrap().len(), PAGE + 1);
        assert!(Scratch::take(&pool, HELD_MAX + 1).is_none());
        assert!(Scratch::take(&pool, usize::MAX).is_none());
        let all: Vec<_> = (0..1_000).map_while(|_| Scratch::take(&pool, 32 << 20)).collect();
        assert!((1..=8).contains(&all.len()), "{}", all.len());
    }
}
