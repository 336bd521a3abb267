//! Letting go of manifests.

use std::io;
use std::thread::{Builder, JoinHandle};

use super::Manifest;

impl Manifest {
    /// Frees its memory in a thread that nobody waits for. With hundreds of thousands of entries that takes as long as
    /// reading thousands of files, and is often the last thing that a program does.
    pub fn free_aside(self) {
        // Where there is no thread to be had, the closure is dropped, and the manifest with it.
        let _: io::Result<JoinHandle<()>> = Builder::new().spawn(move || drop(self));
    }
}
