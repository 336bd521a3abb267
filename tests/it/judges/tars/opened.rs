//! What `verify --archive` asks of the system, as strace tells it: it opens the archive and the setup, and changes
//! nothing.

use std::fs;

use super::super::{judge, text};
use crate::archives::sample::{Form, Layout};
use crate::archives::stage::Stage;
use crate::harness::Run;

/// Calls that open, and calls that change names.
const OPENING: &str = "open,openat,openat2";
const CHANGING: &str = "creat,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,\
     chmod,fchmod,fchmodat,chown,fchown,fchownat,truncate,ftruncate,utimensat";

/// The lines that strace writes while an archive is verified, and the exit status.
fn traced(stage: &Stage, archive: &[u8]) -> (String, Option<i32>) {
    let (file, trace) = (stage.file(archive), stage.project.outside("archives/trace"));
    let plain = stage.project.command();
    let mut command = judge("strace");
    command.args(["-f", "-qq", "-e", &format!("trace={OPENING},{CHANGING}"), "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(["verify", "--gate", "any", "--format", "json", "--archive"]).arg(&file);
    command.current_dir(stage.project.root()).env_clear().env("HOME", stage.project.home());
    let run = Run::of(command.output().unwrap());
    (fs::read_to_string(trace).unwrap(), run.code)
}

#[test]
fn an_archive_is_verified_without_opening_anything_else() {
    let stage = Stage::new();
    let mut draft = stage.sample.draft(Layout::Plain, Form::Gnu, false);
    let honest = draft.tar.bytes();
    draft.refill("deps/tool", "evil\n");
    let canaries = [stage.project.path("deps"), stage.project.home()];
    for (archive, exit) in [(honest, 0), (draft.tar.bytes(), 11)] {
        let (trace, code) = traced(&stage, &archive);
        assert_eq!(code, Some(exit), "{trace}");
        assert!(trace.contains("archives/archive\""), "{trace}");
        for line in trace.lines() {
            let opens = OPENING.split(',').any(|call| line.contains(&format!(" {call}(")));
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag));
            assert!(opens && !writes, "{line}");
            let is_of_tree = ["\"deps\"", "\"store\"", ".cacheseal", "canary"].iter().any(|name| line.contains(name));
            assert!(!is_of_tree && !canaries.iter().any(|path| line.contains(text(path))), "{line}");
        }
        stage.assert_untouched("traced");
    }
}
