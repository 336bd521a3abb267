//! Patterns for the names of caches, refs and jobs.

use std::fmt;

use crate::base::Escaped;

/// A pattern that matches whole names: `*` is any run of characters other than `/`, `**` any run at all,
/// everything else is itself. Matching takes time linear in the name for a given pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(u8),
    Star,
    DoubleStar,
}

/// Why a text is not a [`Glob`]. Signs that other tools give a meaning are refused, so that nobody believes
/// they have it here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// No text.
    #[error("expected a pattern, found an empty string")]
    Empty,
    /// A sign of other pattern languages.
    #[error("expected no sign other than `*` and `**`, found `{found}` in `{}`", Escaped(.pattern.as_bytes()))]
    Sign {
        /// The sign.
        found: char,
        /// The whole pattern.
        pattern: String,
    },
    /// Three stars or more.
    #[error("expected `*` or `**`, found three stars in `{}`", Escaped(.0.as_bytes()))]
    Stars(String),
    /// A control character or an invisible one.
    #[error("expected printable characters, found `{}`", Escaped(.0.as_bytes()))]
    Character(String),
}

impl Glob {
    /// Reads a pattern.
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        let negation = pattern.chars().next().filter(|first| *first == '!');
        let sign = pattern.chars().find(|character| "?[]{}\\".contains(*character));
        if let Some(found) = negation.or(sign) {
            return Err(GlobError::Sign { found, pattern: pattern.to_owned() });
        }
        if Escaped(pattern.as_bytes()).to_string() != pattern {
            return Err(GlobError::Character(pattern.to_owned()));
        }
        if pattern.contains("***") {
            return Err(GlobError::Stars(pattern.to_owned()));
        }
        Ok(Self { pattern: pattern.to_owned(), tokens: tokens(pattern) })
    }

    /// `*`: any name without a slash, so any cache.
    pub(super) fn any_name() -> Self {
        Self { pattern: "*".to_owned(), tokens: vec![Token::Star] }
    }

    /// Whether the pattern matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matches_bytes(name.as_bytes())
    }

    /// The same for a name that may not be text.
    #[must_use]
    pub fn matches_bytes(&self, name: &[u8]) -> bool {
        // All places in the pattern at once: `reached[i]` says that the first `i` tokens match what was read.
        let mut reached = vec![false; self.tokens.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        self.skip_stars(&mut reached);
        let mut next = reached.clone();
        for &byte in name {
            next.fill(false);
            for (at, token) in self.tokens.iter().enumerate() {
                let after = match token {
                    Token::Literal(literal) if *literal == byte => at + 1,
                    Token::Star if byte != b'/' => at,
                    Token::DoubleStar => at,
                    Token::Literal(_) | Token::Star => continue,
                };
                if let (Some(true), Some(slot)) = (reached.get(at), next.get_mut(after)) {
                    *slot = true;
                }
            }
            self.skip_stars(&mut next);
            std::mem::swap(&mut reached, &mut next);
        }
        reached.last() == Some(&true)
    }

    /// Stars also match nothing.
    fn skip_stars(&self, reached: &mut [bool]) {
        let mut before = false;
        for (at, slot) in reached.iter_mut().enumerate() {
            *slot |= before;
            before = *slot && matches!(self.tokens.get(at), Some(Token::Star | Token::DoubleStar));
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for byte in pattern.bytes() {
        match (byte, tokens.last()) {
            (b'*', Some(Token::Star)) => {
                tokens.pop();
                tokens.push(Token::DoubleStar);
            }
            (b'*', _) => tokens.push(Token::Star),
            (literal, _) => tokens.push(Token::Literal(literal)),
        }
    }
    tokens
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, tried in every way.
    fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=name.len()).any(|run| matches_slowly(rest, &name[run..])),
            [b'*', rest @ ..] => (0..=name.len())
                .take_while(|run| !name[..*run].contains(&b'/'))
                .any(|run| matches_slowly(rest, &name[run..])),
            [literal, rest @ ..] => name.first() == Some(literal) && matches_slowly(rest, &name[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn matching_is_as_defined(pattern in "[ab/*]{1,7}", name in "[ab/]{0,8}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                prop_assert_eq!(glob.matches(&name), matches_slowly(pattern.as_bytes(), name.as_bytes()));
            }
        }

        #[test]
        fn nothing_panics(pattern: String, name: String) {
            if let Ok(glob) = Glob::parse(&pattern) {
                prop_assert!(glob.matches(&name) || pattern != "**");
                prop_assert_eq!(glob.to_string(), pattern);
            }
        }
    }

    #[test]
    fn stars_and_slashes() {
        for (pattern, name, expected) in [
            ("cargo", "cargo", true),
            ("cargo", "cargo2", false),
            ("cargo", "Cargo", false),
            ("*", "anything", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("npm-*", "npm-", true),
            ("npm-*", "pnpm-x", false),
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/a/b", false),
            ("refs/heads/**", "refs/heads/a/b", true),
            ("refs/heads/main", "refs/heads/main/", false),
            ("refs/heads/release-*", "refs/heads/release-1.2", true),
            ("**/main", "main", false),
            ("a**/b*c", "a/x/b-c", true),
            ("*.x", "caf\u{e9}.x", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn other_languages_are_refused() {
        let sign = |found, pattern: &str| GlobError::Sign { found, pattern: pattern.to_owned() };
        for (pattern, error) in [
            ("", GlobError::Empty),
            ("a?", sign('?', "a?")),
            ("[ab]", sign('[', "[ab]")),
            ("a]", sign(']', "a]")),
            ("{a,b}", sign('{', "{a,b}")),
            ("a}", sign('}', "a}")),
            ("a\\*", sign('\\', "a\\*")),
            ("!refs/heads/main", sign('!', "!refs/heads/main")),
            ("a***b", GlobError::Stars("a***b".to_owned())),
            ("a\nb", GlobError::Character("a\nb".to_owned())),
            ("a\u{200b}b", GlobError::Character("a\u{200b}b".to_owned())),
        ] {
            assert_eq!(Glob::parse(pattern), Err(error));
        }
        assert!(Glob::parse("a!b").is_ok());
    }

    #[test]
    fn many_stars_over_a_long_name_end_soon() {
        let glob = Glob::parse(&"*a**b".repeat(64)).unwrap();
        assert!(!glob.matches(&"b".repeat(100_000)));
    }
}
