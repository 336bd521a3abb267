//! Yarn: `yarn.lock` of Yarn classic, its offline mirror, its cache, and its `node_modules`.

mod classic;
mod places;
mod unpacked;

pub use classic::{ClassicLock, Package};

use super::{Ecosystem, Locked, LockfileError, LockfileText, Plan};

/// The ecosystem of `yarn.lock`.
#[derive(Debug)]
pub struct Yarn;

/// All its lockfiles of one cache.
#[derive(Debug)]
struct Locks(Vec<ClassicLock>);

impl Ecosystem for Yarn {
    fn name(&self) -> &'static str {
        "Yarn"
    }

    fn reads(&self, file_name: &str) -> bool {
        file_name == "yarn.lock"
    }

    fn read(&self, files: &[LockfileText<'_>]) -> Result<Box<dyn Locked>, LockfileError> {
        let locks: Result<_, _> = files.iter().map(read_one).collect();
        Ok(Box::new(Locks(locks?)))
    }
}

fn read_one(file: &LockfileText<'_>) -> Result<ClassicLock, LockfileError> {
    if let Some((line, _)) = (1..).zip(file.text.lines()).find(|(_, line)| *line == "__metadata:") {
        return Err(file.unsupported(line, "expected yarn lockfile v1, found one of Yarn 2 or later"));
    }
    ClassicLock::read(file)
}

impl Locked for Locks {
    fn packages(&self) -> usize {
        self.0.iter().map(|lock| lock.packages().len()).sum()
    }

    fn plan<'a>(&'a self, plan: &mut Plan<'a>) {
        places::plan(&self.0, plan);
    }
}
