//! Letting go of manifests.

use std::io;
use std::thread::{Builder, JoinHandle};

use super::Manifest;

/// Entries of a manifest that is worth a thread.
const ENTRIES_MIN: u64 = 10_000;

impl Manifest {
    /// Frees its memory, that of a large one in a thread that nobody waits for. With hundreds of thousands of entries that
    /// takes as long as reading thousands of files, and is often the last thing that a program does.
    pub fn free_aside(self) {
        if self.totals.entries < ENTRIES_MIN {
            return;
        }
        // Where there is no thread to be had, the closure is dropped, and the manifest with it.
        let _: io::Result<JoinHandle<()>> = Builder::new().spawn(move || drop(self));
    }
}
