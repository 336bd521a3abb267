//! The files that installers write into `bin` of an environment: scripts of the wheel, and those of its entry points.

use super::home::Site;

/// What an entry point's script is after its first line: pip since 25.1, pip before and distlib, uv, and Poetry with
/// everything else that uses `installer`. `{m}`, `{i}`, `{f}`: module, what is imported of it, what is called.
const TEMPLATES: [&str; 5] = [
    "import sys\nfrom {m} import {i}\nif __name__ == '__main__':\n    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    \
     sys.exit({f}())\n",
    "# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom {m} import {i}\nif __name__ == '__main__':\n    \
     sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit({f}())\n",
    "# -*- coding: utf-8 -*-\nimport sys\nfrom {m} import {i}\nif __name__ == \"__main__\":\n    \
     if sys.argv[0].endswith(\"-script.pyw\"):\n        sys.argv[0] = sys.argv[0][:-11]\n    \
     elif sys.argv[0].endswith(\".exe\"):\n        sys.argv[0] = sys.argv[0][:-4]\n    sys.exit({f}())\n",
    "# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom {m} import {i}\nif __name__ == \"__main__\":\n    \
     sys.argv[0] = re.sub(r\"(-script\\.pyw|\\.exe)?$\", \"\", sys.argv[0])\n    sys.exit({f}())\n",
    "import re\nimport sys\nfrom {m} import {i}\nif __name__ == '__main__':\n    \
     sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit({f}())\n",
];

/// The first line of a script in a wheel that installers replace.
pub(super) const PLACEHOLDER: &[u8] = b"#!python";

/// An entry point for which a script is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryPoint {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) function: String,
}

/// The entry points of `entry_points.txt` that become scripts. What is not plain is left out: its script is unproven.
pub(super) fn entry_points(text: &str) -> Vec<EntryPoint> {
    let mut found = Vec::new();
    let mut wanted = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            wanted = matches!(section.trim(), "console_scripts" | "gui_scripts");
        } else if wanted && !line.starts_with(['#', ';']) {
            found.extend(entry_point(line));
        }
    }
    found
}

fn entry_point(line: &str) -> Option<EntryPoint> {
    let (name, value) = line.split_once('=')?;
    let object = value.split('[').next()?.trim();
    let (module, function) = object.split_once(':')?;
    let (name, module, function) = (name.trim(), module.trim(), function.trim());
    let dotted = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
    };
    let is_name = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
    (is_name && dotted(module) && dotted(function)).then(|| EntryPoint {
        name: name.to_owned(),
        module: module.to_owned(),
        function: function.to_owned(),
    })
}

impl EntryPoint {
    /// Whether a file is this entry point's script as an installer of this environment writes it.
    pub(super) fn is_script(&self, contents: &[u8], site: &Site) -> bool {
        let imported = self.function.split('.').next().unwrap_or_default();
        after_first_line(contents, site).is_some_and(|rest| {
            TEMPLATES.iter().any(|template| {
                let text = template.replace("{m}", &self.module).replace("{i}", imported);
                rest == text.replace("{f}", &self.function).as_bytes()
            })
        })
    }
}

/// What stands behind a first line that names the Python of the environment; `None` if it names anything else.
pub(super) fn after_first_line<'a>(contents: &'a [u8], site: &Site) -> Option<&'a [u8]> {
    let prefix = site.prefix.as_ref()?;
    let end = contents.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = contents.split_at_checked(end)?;
    let python = std::str::from_utf8(line).ok()?.strip_prefix("#!")?;
    let (directory, program) = python.rsplit_once("/bin/")?;
    let version = program.strip_prefix("python")?;
    let is_version = version.is_empty() || version == "3" || program == site.python;
    let before = directory.strip_suffix(&prefix.path_end)?;
    let is_place = before.is_empty()
        || !prefix.is_whole && {
            // Where home or the checkout lies is not known here: any plain absolute directory that is no part of a
            // running process.
            let mut parts = before.split('/');
            parts.next() == Some("")
                && !["/proc", "/dev"].iter().any(|top| before == *top || before.starts_with(&format!("{top}/")))
                && parts.all(|part| !matches!(part, "" | "." | ".."))
        };
    let plain = python.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (is_version && is_place && plain).then(|| rest.get(1..)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::home::Prefix;
    use super::*;
    use crate::lockfile::EntryId;

    fn site(is_whole: bool) -> Site {
        let directory = EntryId { root: 0, node: 0 };
        let prefix = Prefix { directory, path_end: "/app/.venv".to_owned(), is_whole };
        Site { packages: directory, python: "python3.12".to_owned(), prefix: Some(prefix) }
    }

    #[test]
    fn only_the_python_of_the_environment_is_a_first_line() {
        for (line, inside, whole) in [
            ("#!/app/.venv/bin/python\n", true, true),
            ("#!/home/x/app/.venv/bin/python3\n", true, false),
            ("#!/home/x/app/.venv/bin/python3.12\n", true, false),
            ("#!/home/x/app/.venv/bin/python3.11\n", false, false),
            ("#!/home/x/app/.venv/bin/evil\n", false, false),
            ("#!/home/x/other/bin/python\n", false, false),
            ("#!/home/../app/.venv/bin/python\n", false, false),
            ("#!/proc/self/cwd/app/.venv/bin/python\n", false, false),
            ("#!x/app/.venv/bin/python\n", false, false),
            ("#!/x/app/.venv/bin/python -x\n", false, false),
            ("#!/bin/sh /app/.venv/bin/python\n", false, false),
            ("/app/.venv/bin/python\n", false, false),
            ("#!/app/.venv/bin/python", false, false),
        ] {
            assert_eq!(after_first_line(line.as_bytes(), &site(false)).is_some(), inside, "{line}");
            assert_eq!(after_first_line(line.as_bytes(), &site(true)).is_some(), whole, "{line}");
        }
    }

    #[test]
    fn entry_points_that_are_not_plain_have_no_script() {
        let text = "[other]\nx = a:b\n[console_scripts]\n# c\none = pkg.mod:main [extra]\ntwo=a:B.run\nthree = a\n\
                    four = a:b()\nfive = a;evil:b\n../six = a:b\n";
        let names: Vec<_> = entry_points(text).into_iter().map(|point| point.name).collect();
        assert_eq!(names, ["one", "two"]);
    }
}
