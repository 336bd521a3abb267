//! A tar writer that writes what it is told: each field of each header can be set to any bytes, and only what is not
//! set otherwise is made right.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// Where a field begins and ends in a header (POSIX.1-1988, `ustar`).
#[derive(Clone, Copy)]
pub(crate) struct Field(usize, usize);

impl Field {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.0..self.1
    }
}

pub(crate) const NAME: Field = Field(0, 100);
pub(crate) const MODE: Field = Field(100, 108);
pub(crate) const UID: Field = Field(108, 116);
pub(crate) const GID: Field = Field(116, 124);
pub(crate) const SIZE: Field = Field(124, 136);
pub(crate) const MTIME: Field = Field(136, 148);
pub(crate) const CHECKSUM: Field = Field(148, 156);
pub(crate) const FLAG: Field = Field(156, 157);
pub(crate) const LINK: Field = Field(157, 257);
pub(crate) const MAGIC: Field = Field(257, 263);
pub(crate) const VERSION: Field = Field(263, 265);
pub(crate) const UNAME: Field = Field(265, 297);
pub(crate) const GNAME: Field = Field(297, 329);
pub(crate) const MAJOR: Field = Field(329, 337);
pub(crate) const MINOR: Field = Field(337, 345);
pub(crate) const PREFIX: Field = Field(345, 500);
pub(crate) const PAD: Field = Field(500, 512);

/// A header block and the bytes that follow it, up to the next header.
#[derive(Clone)]
pub(crate) struct Item {
    /// What tests call it; the name of the member before the layout of the archive was put in front.
    pub(crate) label: String,
    header: [u8; BLOCK],
    /// Whether the checksum was set by hand and stays so.
    summed: bool,
    /// The contents, before they are padded.
    pub(crate) data: Vec<u8>,
    /// What fills the last block.
    pub(crate) padding: u8,
}

impl Item {
    /// A ustar header with usual values in all fields.
    pub(crate) fn new(name: impl AsRef<[u8]>, flag: u8) -> Self {
        let name = name.as_ref();
        let label = String::from_utf8_lossy(name).into_owned();
        let item = Self { label, header: [0; BLOCK], summed: false, data: Vec::new(), padding: 0 };
        let item = item.with(NAME, name).number(MODE, 0o644).number(UID, 1001).number(GID, 1002).number(SIZE, 0);
        let item = item.number(MTIME, 1_700_000_000).with(FLAG, [flag]).with(MAGIC, b"ustar\0").with(VERSION, b"00");
        item.with(UNAME, "circleci").with(GNAME, "circleci").number(MAJOR, 0).number(MINOR, 0)
    }

    /// The same in the form of GNU tar.
    pub(crate) fn gnu(self) -> Self {
        self.with(MAGIC, b"ustar ").with(VERSION, b" \0").with(MAJOR, "").with(MINOR, "")
    }

    /// The same as before POSIX: a header that ends with the name of the link.
    pub(crate) fn v7(self) -> Self {
        let item = [MAGIC, VERSION, UNAME, GNAME, MAJOR, MINOR].iter().fold(self, |item, field| item.with(*field, ""));
        let flag = item.get(FLAG)[0];
        item.with(FLAG, [if flag == b'0' { 0 } else { flag }])
    }

    /// Puts `bytes` at the start of a field and NULs behind them.
    #[must_use]
    pub(crate) fn with(mut self, field: Field, bytes: impl AsRef<[u8]>) -> Self {
        self.set(field, bytes);
        self
    }

    pub(crate) fn set(&mut self, field: Field, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let place = &mut self.header[field.range()];
        assert!(bytes.len() <= place.len(), "{} bytes do not fit in {}", bytes.len(), place.len());
        place.fill(0);
        place[..bytes.len()].copy_from_slice(bytes);
        self.summed |= field.0 == CHECKSUM.0;
    }

    /// Octal digits that fill a field, and a NUL.
    #[must_use]
    pub(crate) fn number(self, field: Field, value: u64) -> Self {
        let width = field.1 - field.0 - 1;
        self.with(field, format!("{value:0width$o}"))
    }

    /// A number as GNU tar writes one that octal digits cannot hold: big-endian, the first bit set.
    #[must_use]
    pub(crate) fn base256(self, field: Field, value: u128) -> Self {
        let width = field.1 - field.0;
        let mut bytes = vec![0; width];
        for (place, byte) in bytes.iter_mut().rev().zip(value.to_le_bytes()) {
            *place = byte;
        }
        bytes[0] |= 0x80;
        self.with(field, bytes)
    }

    #[must_use]
    pub(crate) fn mode(self, mode: u64) -> Self {
        self.number(MODE, mode)
    }

    /// The bytes that follow, whatever the header says of them.
    #[must_use]
    pub(crate) fn followed_by(mut self, data: impl AsRef<[u8]>) -> Self {
        data.as_ref().clone_into(&mut self.data);
        self
    }

    /// Contents, and their length in the header.
    #[must_use]
    pub(crate) fn holding(self, data: impl AsRef<[u8]>) -> Self {
        let length = data.as_ref().len().try_into().unwrap();
        self.number(SIZE, length).followed_by(data)
    }

    pub(crate) fn get(&self, field: Field) -> &[u8] {
        &self.header[field.range()]
    }

    /// The header as written: with the right checksum, unless it was set by hand.
    pub(crate) fn block(&self) -> [u8; BLOCK] {
        let mut block = self.header;
        if !self.summed {
            fix_checksum(&mut block);
        }
        block
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.block());
        out.extend_from_slice(&self.data);
        out.resize(out.len().next_multiple_of(BLOCK), self.padding);
    }
}

/// Sums the bytes of a header as if its checksum were spaces, and writes the sum as every tar does.
pub(crate) fn fix_checksum(block: &mut [u8]) {
    block[CHECKSUM.range()].fill(b' ');
    let sum: u32 = block[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM.range()].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub(crate) fn file(name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Item {
    Item::new(name, b'0').holding(contents)
}

pub(crate) fn dir(name: impl AsRef<[u8]>) -> Item {
    Item::new(name, b'5').mode(0o755)
}

pub(crate) fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Item {
    Item::new(name, b'2').mode(0o777).with(LINK, target)
}

pub(crate) fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Item {
    Item::new(name, b'1').with(LINK, target)
}

/// A member of any type, without contents.
pub(crate) fn typed(name: impl AsRef<[u8]>, flag: u8) -> Item {
    Item::new(name, flag)
}

/// One record of a PAX header, its length right.
pub(crate) fn record(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = [b" ", key.as_ref(), b"=", value.as_ref(), b"\n"].concat();
    let mut length = rest.len();
    // The length counts its own digits.
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

/// A PAX header for the next member, with well-formed records.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Item {
    pax_raw(records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<_>>())
}

/// A PAX header with these very bytes as its data.
pub(crate) fn pax_raw(data: impl AsRef<[u8]>) -> Item {
    Item::new("PaxHeaders/member", b'x').holding(data)
}

/// A PAX header for all members that follow.
pub(crate) fn global(records: &[(&str, &[u8])]) -> Item {
    pax(records).with(NAME, "PaxHeaders/global").with(FLAG, b"g")
}

/// The next member's long name (`L`) or long link (`K`), as GNU tar writes them.
pub(crate) fn gnu_long(flag: u8, value: impl AsRef<[u8]>) -> Item {
    gnu_long_raw(flag, [value.as_ref(), b"\0"].concat())
}

/// The same with these very bytes as its data.
pub(crate) fn gnu_long_raw(flag: u8, data: impl AsRef<[u8]>) -> Item {
    let item = Item::new("././@LongLink", flag).gnu().number(MODE, 0).number(UID, 0).number(GID, 0);
    item.number(MTIME, 0).with(UNAME, "root").with(GNAME, "root").holding(data)
}

/// Members in their order, and what comes after them.
#[derive(Clone)]
pub(crate) struct Tar {
    pub(crate) items: Vec<Item>,
    /// Two zero blocks, and zeros up to the usual record of ten thousand bytes; short here.
    pub(crate) end: Vec<u8>,
}

impl Tar {
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self { items, end: vec![0; 2 * BLOCK] }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.without_end();
        out.extend_from_slice(&self.end);
        out
    }

    /// The members alone.
    pub(crate) fn without_end(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for item in &self.items {
            item.write(&mut out);
        }
        out
    }
}

/// One small archive of its own, for what follows another.
pub(crate) fn evil_tar() -> Vec<u8> {
    Tar::new(vec![file("deps/evil", "evil\n")]).bytes()
}
