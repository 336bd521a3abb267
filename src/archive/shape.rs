//! Where homes and checkouts are on the machines that write caches. Somewhere else, what was verified would be put where
//! it is not meant to be: a root `node_modules` into `usr/lib`.

/// Whether a home is expected there.
pub(super) fn is_home(place: &[&[u8]]) -> bool {
    matches!(place, [] | [b"home" | b"root"] | [b"home" | b"Users", _] | [b"github", b"home"])
}

/// Whether a checkout is expected there: at the archive's top or in a directory at it, below a home, or where CI systems
/// put it; but below nothing that belongs to the system or is hidden.
pub(super) fn is_checkout(place: &[&[u8]]) -> bool {
    let is_below = matches!(
        place,
        [] | [_] | [b"home" | b"root", ..] | [b"Users" | b"builds" | b"__w", _, _, ..] | [b"github", b"home", _, ..]
    );
    is_below && !place.iter().any(|name| is_of_system(name))
}

/// A directory of programs, or a hidden one.
fn is_of_system(name: &[u8]) -> bool {
    matches!(name, b"usr" | b"etc" | b"bin" | b"sbin" | b"lib" | b"lib32" | b"lib64" | b"libx32" | b"libexec")
        || name.starts_with(b".")
}

/// Whether people and programs see the same in these names.
pub(super) fn is_printable(place: &[&[u8]]) -> bool {
    place.iter().all(|name| std::str::from_utf8(name).is_ok_and(|name| !name.chars().any(char::is_control)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &str) -> Vec<&[u8]> {
        if place.is_empty() { Vec::new() } else { place.as_bytes().split(|byte| *byte == b'/').collect() }
    }

    #[test]
    fn homes_are_where_users_have_them() {
        for (place, expected) in [
            ("", true),
            ("home", true),
            ("root", true),
            ("home/circleci", true),
            ("Users/distiller", true),
            ("github/home", true),
            ("Users", false),
            ("home/a/b", false),
            ("github/other", false),
            ("usr/lib", false),
            ("opt", false),
            ("var/lib/jenkins", false),
        ] {
            assert_eq!(is_home(&names(place)), expected, "{place}");
        }
    }

    #[test]
    fn checkouts_are_below_homes_and_where_ci_systems_put_them() {
        for (place, expected) in [
            ("", true),
            ("checkout", true),
            ("project", true),
            ("home/circleci/project", true),
            ("home/runner/work/libfoo/libfoo", true),
            ("root/project/packages/web", true),
            ("Users/distiller/project", true),
            ("github/home/project", true),
            ("builds/group/project", true),
            ("builds/group/subgroup/project", true),
            ("__w/app/app", true),
            ("Users/distiller", false),
            ("github/workspace/x", false),
            ("builds/group", false),
            ("usr/lib", false),
            ("usr", false),
            ("lib64", false),
            ("etc", false),
            ("opt/app", false),
            (".git", false),
            ("root/.nvm/versions/node/v20/lib", false),
            ("home/ci/.npm/_npx/1", false),
            ("home/ci/lib", false),
        ] {
            assert_eq!(is_checkout(&names(place)), expected, "{place}");
        }
    }

    #[test]
    fn control_characters_are_not_printed() {
        for (place, expected) in [("home/jos\u{e9}", true), ("home/a b", true), ("a\nb", false), ("a\u{85}", false)] {
            assert_eq!(is_printable(&names(place)), expected, "{place}");
        }
        assert!(!is_printable(&[b"\xe9"]));
    }
}
