//! Environment markers (PEP 508), as far as they can be told without running Python: each is true, false or unknown.

use crate::lockfile::System;

/// What is known of the environment that packages are installed into.
#[derive(Debug)]
pub(super) struct Environment<'e> {
    pub(super) system: System,
    /// `3.12`, where the directory says it.
    pub(super) python: Option<(u64, u64)>,
    /// The extras that are asked for; `None` for all.
    pub(super) extras: Option<&'e [String]>,
}

impl Environment<'_> {
    /// Whether a marker is surely true.
    pub(super) fn holds(&self, marker: &str) -> bool {
        let tokens = tokens(marker);
        let mut reader = Reader { tokens: &tokens, at: 0, environment: self, depth: 0 };
        let value = reader.any();
        value == Some(Told::Yes) && reader.at == tokens.len()
    }

    /// A variable's value: `None` for one that is not known here.
    fn value(&self, name: &str) -> Option<&'static str> {
        let is_linux = self.system.os == "linux";
        match name {
            "os_name" => (self.system.os != "windows").then_some("posix"),
            "sys_platform" => match self.system.os {
                "linux" => Some("linux"),
                "macos" => Some("darwin"),
                _ => None,
            },
            "platform_system" => match self.system.os {
                "linux" => Some("Linux"),
                "macos" => Some("Darwin"),
                _ => None,
            },
            "platform_machine" if !is_linux && self.system.arch == "aarch64" => Some("arm64"),
            "platform_machine" => Some(self.system.arch),
            // Other implementations have directories of other names.
            "platform_python_implementation" => Some("CPython"),
            "implementation_name" => Some("cpython"),
            _ => None,
        }
    }

    /// `variable operator 'text'`.
    fn compare(&self, variable: &str, operator: &str, text: &str) -> Option<bool> {
        if variable == "extra" {
            let asked = self.extras.is_none_or(|extras| extras.iter().any(|extra| extra == text));
            return match operator {
                "==" => Some(asked),
                "!=" => Some(!asked),
                _ => None,
            };
        }
        if matches!(variable, "python_version" | "python_full_version") {
            return self.compare_python(variable == "python_full_version", operator, text);
        }
        let value = self.value(variable)?;
        match operator {
            "==" => Some(value == text),
            "!=" => Some(value != text),
            "in" => Some(text.contains(value)),
            "not in" => Some(!text.contains(value)),
            _ => None,
        }
    }

    /// Compares with a version of Python, of which two numbers are known. `None` where a third would decide.
    fn compare_python(&self, is_full: bool, operator: &str, text: &str) -> Option<bool> {
        let own = self.python?;
        let (text, is_prefix) = text.strip_suffix(".*").map_or((text, false), |text| (text, true));
        let numbers: Option<Vec<u64>> = text.split('.').map(|number| number.parse().ok()).collect();
        let numbers = numbers?;
        let other = (*numbers.first()?, numbers.get(1).copied());
        if is_prefix {
            let same = own.0 == other.0 && other.1.is_none_or(|minor| own.1 == minor) && numbers.len() <= 2;
            return match operator {
                "==" => Some(same),
                "!=" => Some(!same),
                _ => None,
            };
        }
        let order = own.cmp(&(other.0, other.1.unwrap_or(0)));
        let rest_is_zero = numbers.iter().skip(2).all(|number| *number == 0);
        if order.is_eq() && (is_full || !rest_is_zero) {
            // 3.12.x against 3.12 or 3.12.4: only what holds for each x.
            return match operator {
                ">=" if rest_is_zero => Some(true),
                "<" if rest_is_zero => Some(false),
                _ => None,
            };
        }
        match operator {
            "==" | "===" => Some(order.is_eq()),
            "!=" => Some(order.is_ne()),
            "<" => Some(order.is_lt()),
            "<=" => Some(order.is_le()),
            ">" => Some(order.is_gt()),
            ">=" => Some(order.is_ge()),
            _ => None,
        }
    }
}

/// What is known of a marker, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    No,
    Unknown,
}

/// Levels of parentheses.
const DEPTH_MAX: usize = 32;

#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Text(&'t str),
    Sign(&'t str),
}

/// The parts of a marker; a part that is none ends them with a sign that nothing takes.
fn tokens(marker: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = marker.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if matches!(first, '"' | '\'') {
            let inner = rest.get(1..).unwrap_or_default();
            let Some((text, after)) = inner.split_once(first) else { return vec![Token::Sign("?")] };
            (Token::Text(text), after)
        } else if matches!(first, '(' | ')') {
            let (sign, after) = rest.split_at(1);
            (Token::Sign(sign), after)
        } else {
            let is_sign = |c: char| "<>=!~".contains(c);
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let end = if is_sign(first) { rest.find(|c| !is_sign(c)) } else { rest.find(|c| !is_word(c)) };
            let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
            if part.is_empty() {
                return vec![Token::Sign("?")];
            }
            (if is_sign(first) { Token::Sign(part) } else { Token::Word(part) }, after)
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Goes through a marker. `None` is one that cannot be read.
struct Reader<'r> {
    tokens: &'r [Token<'r>],
    at: usize,
    environment: &'r Environment<'r>,
    depth: usize,
}

impl<'r> Reader<'r> {
    fn next(&mut self) -> Option<&'r Token<'r>> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.tokens.get(self.at) == Some(&Token::Word(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn any(&mut self) -> Option<Told> {
        let mut value = self.all()?;
        while self.takes("or") {
            let other = self.all()?;
            value = match (value, other) {
                (Told::Yes, _) | (_, Told::Yes) => Told::Yes,
                (Told::No, Told::No) => Told::No,
                _ => Told::Unknown,
            };
        }
        Some(value)
    }

    fn all(&mut self) -> Option<Told> {
        let mut value = self.one()?;
        while self.takes("and") {
            let other = self.one()?;
            value = match (value, other) {
                (Told::No, _) | (_, Told::No) => Told::No,
                (Told::Yes, Told::Yes) => Told::Yes,
                _ => Told::Unknown,
            };
        }
        Some(value)
    }

    fn one(&mut self) -> Option<Told> {
        let left = self.next()?;
        if *left == Token::Sign("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return None;
            }
            let value = self.any()?;
            self.depth -= 1;
            return (*self.next()? == Token::Sign(")")).then_some(value);
        }
        let operator = match self.next()? {
            Token::Sign(sign) => *sign,
            Token::Word("in") => "in",
            Token::Word("not") if self.takes("in") => "not in",
            _ => return None,
        };
        let value = match (left, self.next()?) {
            (Token::Word(variable), Token::Text(text)) => self.environment.compare(variable, operator, text),
            // Turned round, only equality says the same.
            (Token::Text(text), Token::Word(variable)) if matches!(operator, "==" | "!=") => {
                self.environment.compare(variable, operator, text)
            }
            (Token::Text(_), Token::Word(_)) => None,
            _ => return None,
        };
        Some(value.map_or(Told::Unknown, |value| if value { Told::Yes } else { Told::No }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_hold_only_where_they_surely_do() {
        let extras = ["http".to_owned()];
        let system = System { os: "linux", arch: "x86_64" };
        let environment = Environment { system, python: Some((3, 12)), extras: Some(&extras) };
        let rows = [
            ("sys_platform == 'linux'", true),
            ("sys_platform == \"win32\"", false),
            ("'linux' == sys_platform", true),
            ("sys_platform != 'win32' and platform_machine in 'x86_64 AMD64'", true),
            ("os_name == 'nt' or platform_system == 'Linux'", true),
            ("(os_name == 'nt' or os_name == 'posix') and python_version >= '3.8'", true),
            ("python_version < '3.11'", false),
            ("python_version >= '3.12'", true),
            ("python_version > '3.9'", true),
            ("python_version == '3.*'", true),
            ("python_version == '3.11.*'", false),
            ("python_full_version >= '3.12'", true),
            ("python_full_version >= '3.12.1'", false),
            ("python_full_version < '3.12.1'", false),
            ("python_full_version < '3.13.1'", true),
            ("platform_python_implementation != 'PyPy'", true),
            ("extra == 'http'", true),
            ("extra == 'other'", false),
            ("platform_release == '1'", false),
            ("platform_release == '1' or sys_platform == 'linux'", true),
            ("platform_release == '1' and sys_platform == 'linux'", false),
            ("sys_platform ~= 'linux'", false),
            ("sys_platform == 'linux", false),
            ("sys_platform == 'linux' 'x'", false),
            ("sys_platform ==", false),
            ("", false),
            ("é == 'x'", false),
        ];
        for (marker, expected) in rows {
            assert_eq!(environment.holds(marker), expected, "{marker}");
        }
        let unknown = Environment { python: None, extras: None, ..environment };
        assert!(!unknown.holds("python_version >= '3'") && unknown.holds("extra == 'other'"));
        assert!(!unknown.holds(&"(".repeat(100_000)));
    }
}
