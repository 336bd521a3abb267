//! The names in a directory.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

/// The names in a directory and their types as far as the directory tells, without `.` and `..`.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    entries: Vec<Entry>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    /// The first eight bytes of the name as a number, which has their order: most names differ in them.
    head: u64,
    /// Where in the text the name is.
    start: usize,
    end: usize,
    file_type: FileType,
}

fn head(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = name.len().min(bytes.len());
    if let (Some(to), Some(from)) = (bytes.get_mut(..len), name.get(..len)) {
        to.copy_from_slice(from);
    }
    u64::from_be_bytes(bytes)
}

/// Space for the kernel's records; larger brings no fewer calls for real directories.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BUFFER_BYTES: usize = 32 << 10;

impl Names {
    /// Replaces the names by those in `directory`, in the order that it gives them.
    pub(super) fn read(&mut self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        self.text.clear();
        self.entries.clear();
        self.read_records(directory)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn read_records(&mut self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.reserve(BUFFER_BYTES);
        let mut records = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
        let result = loop {
            match records.next() {
                None => break Ok(()),
                Some(Ok(record)) => self.push(record.file_name().to_bytes(), record.file_type()),
                Some(Err(Errno::INTR)) => {}
                Some(Err(error)) => break Err(error),
            }
        };
        self.buffer = buffer;
        result
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn read_records(&mut self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut records = rustix::fs::Dir::read_from(directory)?;
        while let Some(record) = records.read() {
            let record = record?;
            self.push(record.file_name().to_bytes(), record.file_type());
        }
        Ok(())
    }

    fn push(&mut self, name: &[u8], file_type: FileType) {
        if name != b"." && name != b".." {
            let start = self.text.len();
            self.text.extend_from_slice(name);
            self.entries.push(Entry { head: head(name), start, end: self.text.len(), file_type });
        }
    }

    /// Sorts by the bytes of the names.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        let rest = |entry: &Entry| text.get(entry.start..entry.end);
        self.entries.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| rest(a).cmp(&rest(b))));
    }

    /// The names with their types.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], FileType)> {
        self.entries.iter().map(|entry| self.name(entry))
    }

    /// Some of the names with their types.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = (&[u8], FileType)> {
        range.filter_map(|index| self.get(index))
    }

    /// One of the names with its type.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], FileType)> {
        self.entries.get(index).map(|entry| self.name(entry))
    }

    #[expect(clippy::indexing_slicing, reason = "entries are made with their text; a panic is a refusal")]
    fn name(&self, entry: &Entry) -> (&[u8], FileType) {
        (&self.text[entry.start..entry.end], entry.file_type)
    }

    /// Moves the names out. What was needed to read them stays for the next directory.
    pub(super) fn take(&mut self) -> Self {
        Self {
            text: std::mem::take(&mut self.text),
            entries: std::mem::take(&mut self.entries),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            buffer: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
