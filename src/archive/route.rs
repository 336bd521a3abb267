//! The way down to a directory: members come one directory after the other, and the next one mostly shares it.

use std::ops::Range;

/// A directory, and what is known of each one on the way down to it.
#[derive(Debug)]
pub struct Route<T> {
    directory: Vec<u8>,
    top: T,
    /// Where in `directory` each name ends that was stepped into, and what is known of what it names.
    steps: Vec<(usize, T)>,
}

impl<T> Route<T> {
    /// At the top, of which `top` is known.
    pub fn new(top: T) -> Self {
        Self { directory: Vec::new(), top, steps: Vec::new() }
    }

    /// Goes back to the last directory that is on the way to `directory` too.
    pub fn turn_to(&mut self, directory: &[u8]) {
        if self.directory == directory {
            return;
        }
        let common = self.directory.iter().zip(directory).take_while(|(one, other)| one == other).count();
        let is_shared = |end| end <= common && matches!(directory.get(end), None | Some(b'/'));
        while self.steps.pop_if(|(end, _)| !is_shared(*end)).is_some() {}
        self.directory.clear();
        self.directory.extend_from_slice(directory);
    }

    /// Where in the directory the next name stands that was not stepped into; `None` at its end.
    #[must_use]
    pub fn next_name(&self) -> Option<Range<usize>> {
        let start = self.steps.last().map_or(0, |(end, _)| end + 1);
        let rest = self.directory.get(start..).filter(|rest| !rest.is_empty())?;
        let len = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        Some(start..start + len)
    }

    /// Steps into the next name, which ends at `end`.
    pub fn step(&mut self, end: usize, into: T) {
        self.steps.push((end, into));
    }

    /// What is known of the directory that was stepped into last.
    pub fn here(&mut self) -> &mut T {
        match self.steps.last_mut() {
            Some((_, here)) => here,
            None => &mut self.top,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps that are left to go to `directory`, after which each name is known by itself.
    fn steps(route: &mut Route<String>, directory: &str) -> Vec<String> {
        route.turn_to(directory.as_bytes());
        let mut names = Vec::new();
        while let Some(name) = route.next_name() {
            names.push(directory[name.clone()].to_owned());
            route.step(name.end, directory[name].to_owned());
        }
        names
    }

    #[test]
    fn only_what_is_not_shared_is_stepped_into() {
        let mut route = Route::new(String::new());
        for (directory, expected, here) in [
            ("", &[][..], ""),
            ("a/b/c", &["a", "b", "c"], "c"),
            ("a/b/c", &[], "c"),
            ("a/b", &[], "b"),
            ("a/b/d", &["d"], "d"),
            ("a/b/de/f", &["de", "f"], "f"),
            ("a/b/d", &["d"], "d"),
            ("a/bc", &["bc"], "bc"),
            ("a/b", &["b"], "b"),
            ("", &[], ""),
            ("ab", &["ab"], "ab"),
            ("a", &["a"], "a"),
        ] {
            assert_eq!(steps(&mut route, directory), expected, "{directory}");
            assert_eq!(route.here(), here, "{directory}");
        }
    }

    #[test]
    fn a_way_that_was_left_half_done_is_taken_up_where_it_was_left() {
        let mut route = Route::new(0);
        for _ in 0..2 {
            route.turn_to(b"a/b/c");
            assert_eq!(route.next_name().map(|name| name.end), Some(1));
        }
        route.step(1, 1);
        route.turn_to(b"a/b/c");
        assert_eq!((route.next_name(), *route.here()), (Some(2..3), 1));
        route.turn_to(b"a/b");
        assert_eq!((route.next_name(), *route.here()), (Some(2..3), 1));
        route.turn_to(b"b");
        assert_eq!((route.next_name(), *route.here()), (Some(0..1), 0));
    }
}
