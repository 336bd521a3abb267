//! `--environment-of`: the variables that later steps will have, as `env -0` writes them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::base::Code;
use crate::checkout::{Failure, shown};

/// Longest list: Linux gives a process 6 MiB of arguments and variables at most.
const BYTES_MAX: u64 = 8 << 20;

/// Reads the variables in a file, or in what a pipe brings.
pub(super) fn read(path: &Path) -> Result<BTreeMap<OsString, OsString>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::new(Code::Unreadable, format!("the environment in {}: {error}", shown(path))))?;
    parse(&bytes).map_err(|found| {
        let message = format!("expected the output of `env -0` in {}, found {found}", shown(path));
        Failure::new(Code::MalformedEnvironment, message).hint(
            "if a shell made it: the file that `BASH_ENV` names must end within 10 seconds and not leave the shell",
        )
    })
}

/// The variables, or what was found instead. Whoever made the list has at least one.
fn parse(bytes: &[u8]) -> Result<BTreeMap<OsString, OsString>, String> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("more than {BYTES_MAX} bytes"));
    }
    if bytes.is_empty() {
        return Err("nothing".to_owned());
    }
    let Some(records) = bytes.strip_suffix(b"\0") else { return Err("no NUL at its end".to_owned()) };
    let mut variables = BTreeMap::new();
    for (at, record) in records.split(|byte| *byte == 0).enumerate() {
        let number = at + 1;
        let name = record.iter().position(|byte| *byte == b'=').filter(|length| *length > 0);
        let Some((name, value)) = name.and_then(|length| record.split_at_checked(length)) else {
            return Err(format!("no name and `=` in record {number}"));
        };
        let value = OsStr::from_bytes(value.get(1..).unwrap_or_default()).to_owned();
        if variables.insert(OsString::from_vec(name.to_vec()), value).is_some() {
            return Err(format!("a name for the second time in record {number}"));
        }
    }
    Ok(variables)
}

/// One value for each name: where the two differ, both, with a colon between.
pub(super) fn joined(
    mut now: BTreeMap<OsString, OsString>,
    later: BTreeMap<OsString, OsString>,
) -> BTreeMap<OsString, OsString> {
    for (name, value) in later {
        let here = now.entry(name).or_default();
        if here.is_empty() {
            *here = value;
        } else if !value.is_empty() && *here != value {
            here.push(":");
            here.push(value);
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(variables: BTreeMap<OsString, OsString>) -> String {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let lines = variables.into_iter().map(|(name, value)| [text(name), text(value)].join("=") + ";");
        lines.collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_output_of_env_is_read_and_nothing_else() {
        for (bytes, read) in [
            (&b"A=1\0"[..], "A=1;"),
            (b"B=\0A=1=2\n3\0", "A=1=2\n3;B=;"),
            (b"BASH_FUNC_x%%=() {  :\n}\0_=/usr/bin/env\0", "BASH_FUNC_x%%=() {  :\n};_=/usr/bin/env;"),
            (b"P=\xff\0", "P=\u{fffd};"),
        ] {
            assert_eq!(parse(bytes).map(texts).as_deref(), Ok(read));
        }
        for (bytes, found) in [
            (&b""[..], "nothing"),
            (b"A=1", "no NUL at its end"),
            (b"A=1\nB=2\n", "no NUL at its end"),
            (b"\0", "no name and `=` in record 1"),
            (b"A=1\0\0", "no name and `=` in record 2"),
            (b"A=1\0B\0", "no name and `=` in record 2"),
            (b"=1\0", "no name and `=` in record 1"),
            (b"A=1\0B=2\0A=1\0", "a name for the second time in record 3"),
        ] {
            assert_eq!(parse(bytes), Err(found.to_owned()));
        }
        let mut long = vec![b'a'; usize::try_from(BYTES_MAX).unwrap()];
        long.extend(b"=\0");
        assert_eq!(parse(&long), Err("more than 8388608 bytes".to_owned()));
    }

    #[test]
    fn two_values_of_one_name_both_count() {
        let read = |bytes: &[u8]| parse(bytes).unwrap();
        let both = joined(read(b"PATH=/bin\0HOME=/h\0E=\0A=/a\0"), read(b"PATH=/srv:/bin\0HOME=/h\0E=/e\0A=\0N=/n\0"));
        assert_eq!(texts(both), "A=/a;E=/e;HOME=/h;N=/n;PATH=/bin:/srv:/bin;");
    }
}
