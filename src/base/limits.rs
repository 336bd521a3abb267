//! Caps on everything that an attacker can make large. Each number says why it is that number.

/// Limits of one run. Passed in, never read from a global.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// `seal.json`, bytes. An honest one is under 20 KiB; 1 MiB leaves room for 64 signatures and bindings.
    pub envelope_bytes_max: u64,
    /// Signatures looked at in one envelope. A threshold is a handful; more is an attempt to burn time.
    pub signatures_max: usize,
    /// Nesting of JSON. Envelope and statement need six levels.
    pub json_depth_max: usize,
    /// One manifest, bytes. A million entries with paths of 150 bytes need 270 MB.
    pub manifest_bytes_max: u64,
    /// Entries of one root. The largest real cache measured has 120,000; a million must pass.
    pub entries_max: u64,
    /// A path below its root, bytes. `PATH_MAX` is 4,096, but `openat` reaches deeper and package managers do go over it.
    pub path_bytes_max: usize,
    /// Nested directories. Real trees stay under 60; 3,000 must pass.
    pub depth_max: usize,
    /// A symlink's text, bytes: Linux's own `PATH_MAX`.
    pub link_bytes_max: usize,
    /// Policy, key and other small files of ours, bytes.
    pub setup_bytes_max: u64,
    /// A lockfile, bytes. The largest seen in the wild are some 10 MiB.
    pub lockfile_bytes_max: u64,
    /// A package archive in a cache, bytes. The largest in public registries have some 2 GiB.
    pub package_bytes_max: u64,
    /// What an archive may expand to while no trusted seal says how large it is, bytes.
    pub archive_bytes_max: u64,
    /// Bytes that an archive may expand to, whatever its ratio, while no trusted seal says how large it is.
    pub expansion_free_bytes: u64,
    /// Bytes for each compressed byte beyond that. Real caches stay under 10; gzip reaches 1,032, Zstandard 30,000.
    pub expansion_ratio_max: u64,
    /// Zeros after the end of an archive, bytes: the largest record that tar programs write by themselves is 1 MiB.
    pub archive_padding_bytes_max: u64,
    /// The data of one PAX or GNU extension header, bytes: a path, a link, and some attributes.
    pub extension_bytes_max: u64,
    /// A manifest that comes before any trusted `seal.json`, bytes: room for some 400,000 entries.
    pub unverified_manifest_bytes_max: u64,
    /// Memory for what an archive holds before a trusted seal, bytes: room for some 500,000 entries with usual names.
    pub waiting_bytes_max: u64,
    /// Refusals kept for each code; all are counted.
    pub refusals_max: usize,
}

impl Limits {
    /// The limits that the command line uses.
    pub const STANDARD: Self = Self {
        envelope_bytes_max: 1 << 20,
        signatures_max: 64,
        json_depth_max: 32,
        manifest_bytes_max: 1 << 30,
        entries_max: 4_000_000,
        path_bytes_max: 65_535,
        depth_max: 4_096,
        link_bytes_max: 4_096,
        setup_bytes_max: 1 << 20,
        lockfile_bytes_max: 128 << 20,
        package_bytes_max: 4 << 30,
        archive_bytes_max: 1 << 40,
        expansion_free_bytes: 64 << 20,
        expansion_ratio_max: 200,
        archive_padding_bytes_max: 1 << 20,
        extension_bytes_max: 1 << 20,
        unverified_manifest_bytes_max: 64 << 20,
        waiting_bytes_max: 176 << 20,
        refusals_max: 1_000,
    };
}
