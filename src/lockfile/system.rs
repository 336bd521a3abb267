//! The system that trees are used on, as package managers name it.

/// Operating system and processor, in the words of Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// `linux`, `macos`, …
    pub os: &'static str,
    /// `x86_64`, `aarch64`, …
    pub arch: &'static str,
}

impl System {
    /// The one that this program was built for.
    #[must_use]
    pub const fn here() -> Self {
        Self { os: std::env::consts::OS, arch: std::env::consts::ARCH }
    }

    /// The operating system as Node.js names it.
    #[must_use]
    pub fn node_os(self) -> &'static str {
        match self.os {
            "macos" => "darwin",
            "windows" => "win32",
            "solaris" | "illumos" => "sunos",
            other => other,
        }
    }

    /// The processor as Node.js names it.
    #[must_use]
    pub fn node_arch(self) -> &'static str {
        match self.arch {
            "x86_64" => "x64",
            "x86" => "ia32",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        }
    }
}
