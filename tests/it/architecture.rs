//! What keeps the house in order. Each check is a function over text, tried on samples that it must report, then
//! on the repository itself.

mod attacks;
mod documents;
mod imports;
mod keys;
mod layout;
mod paths;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository: its path below the top, with slashes, and its bytes.
struct SourceFile {
    path: String,
    bytes: Vec<u8>,
}

impl SourceFile {
    fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    /// The bytes as text; what is not UTF-8 is of no concern to any check.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

/// Every file of the repository, build outputs and git's own left out, in the order of their paths.
fn repository() -> Vec<SourceFile> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(top.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !is_output(&path) {
                pending.push(path);
            } else if kind.is_file() && entry.file_name() != ".git" {
                let bytes = fs::read(entry.path()).unwrap();
                files.push(SourceFile { path: path.to_str().unwrap().to_owned(), bytes });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the repository was not found");
    files
}

/// The directories that `.gitignore` names, and git's own.
fn is_output(path: &Path) -> bool {
    let ignored = [".git", "target", ".cacheseal", "tests/fuzz/target", "tests/fuzz/corpus", "tests/fuzz/artifacts"];
    ignored.iter().any(|ignored| path == Path::new(ignored))
}

/// Fails with all offences, one a line.
#[track_caller]
fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}
