//! The members of a tar archive, one after the other: strict, streaming, each byte looked at once.

use super::error::{ArchiveError, Fault};
use super::extension::{Extension, Source};
use super::header::{BLOCK, Form, Header, OCTAL_SIZE_END, are_zeros};
use super::signature::check_first;
use super::stream::Stream;
use crate::base::{Code, Escaped};

/// One member: a file, a directory or a link, with a name that nobody has judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name as the archive has it, but for the slash at the end of a directory's.
    pub unverified_name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// Why it may not be there whatever its mode: an attribute that gives privileges.
    pub privilege: Option<String>,
    /// Where its header begins in the uncompressed archive, in bytes.
    pub offset: u64,
}

/// The type of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File {
        /// Bytes of contents, which follow.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link and its text.
    Link(Vec<u8>),
    /// One more name of a file: the name that the archive has for it.
    HardLink(Vec<u8>),
    /// A device or fifo.
    Special(&'static str),
}

/// Reads members. The contents of each file are taken before the next member.
#[derive(Debug)]
pub struct Reader<'s, 'l> {
    stream: &'s mut Stream<'l>,
    /// Bytes of contents that nobody has taken yet.
    left: u64,
    /// Zeros that fill the last block of the contents.
    padding: u64,
    ended: bool,
}

impl<'s, 'l> Reader<'s, 'l> {
    /// Reads the archive that `stream` holds from its beginning.
    pub fn new(stream: &'s mut Stream<'l>) -> Self {
        Self { stream, left: 0, padding: 0, ended: false }
    }

    /// Bytes of the uncompressed archive read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.stream.offset()
    }

    /// Lets the archive expand to `bytes` whatever its ratio: something that is trusted says that it is so large.
    pub fn set_bound(&mut self, bytes: u64) {
        self.stream.set_bound(bytes);
    }

    /// The next member; `None` when the archive has ended as it must.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        self.contents(|_| Ok(()))?;
        let mut extension = Extension::default();
        let mut after_extension = false;
        loop {
            let offset = self.offset();
            let Some(header) = self.header(offset)? else {
                if after_extension {
                    let fault = malformed("a member after an extension header", "the end of the archive");
                    return Err(fault.at(offset));
                }
                self.end()?;
                return Ok(None);
            };
            let is_extension = self.extend(&header, &mut extension).map_err(|error| error.at(offset))?;
            after_extension = is_extension;
            if !is_extension {
                let member = member(header, extension, offset).map_err(|fault| fault.at(offset))?;
                self.check_lengths(&member).map_err(|fault| fault.at(offset))?;
                if let MemberKind::File { size } = member.kind {
                    self.expect_contents(size);
                }
                return Ok(Some(member));
            }
        }
    }

    /// Names and targets are kept, and told of where they are refused: each only if it may be as long as it is.
    fn check_lengths(&self, member: &Member) -> Result<(), Fault> {
        let limits = self.stream.limits();
        let check = |text: &[u8], max, expected| match text.len() {
            len if len > max => Err(Fault::new(Code::PathTooLong, expected, format!("one of {len} bytes"))),
            _ => Ok(()),
        };
        // A name may begin with `./`.
        check(&member.unverified_name, limits.path_bytes_max + 2, "a path within the limit")?;
        match &member.kind {
            MemberKind::Link(text) => check(text, limits.link_bytes_max, "the text of a link within the limit"),
            MemberKind::HardLink(name) => check(name, limits.path_bytes_max + 2, "a path within the limit"),
            _ => Ok(()),
        }
    }

    /// Gives the contents of the current member to `take`, in pieces, as far as nobody has taken them.
    pub fn contents(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>) -> Result<(), ArchiveError> {
        while self.left > 0 {
            let piece = self.stream.fill()?;
            let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
            if len == 0 {
                return Err(truncated("the contents of a member").at(self.offset()));
            }
            take(&piece[..len])?;
            self.stream.consume(len);
            self.left -= len as u64;
        }
        self.skip_padding()
    }

    fn expect_contents(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn skip_padding(&mut self) -> Result<(), ArchiveError> {
        while self.padding > 0 {
            let piece = self.stream.fill()?;
            let len = usize::try_from(self.padding).unwrap_or(usize::MAX).min(piece.len());
            let piece = &piece[..len];
            if len == 0 {
                return Err(truncated("the last block of a member").at(self.offset()));
            }
            if !are_zeros(piece) {
                let fault = Fault::new(Code::MalformedHeader, "zeros to the end of a block", "other bytes");
                return Err(fault.at(self.offset()));
            }
            self.stream.consume(len);
            self.padding -= len as u64;
        }
        Ok(())
    }

    /// The next block; `None` where the archive ends before it.
    #[expect(clippy::indexing_slicing, reason = "no more than the rest of the block is taken; a panic is a refusal")]
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            let piece = self.stream.fill()?;
            let len = piece.len().min(BLOCK - have);
            if len == 0 {
                break;
            }
            block[have..have + len].copy_from_slice(&piece[..len]);
            self.stream.consume(len);
            have += len;
        }
        match have {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(truncated("a block of 512 bytes").at(self.offset())),
        }
    }

    /// The next header; `None` at a block of zeros.
    fn header(&mut self, offset: u64) -> Result<Option<Header>, ArchiveError> {
        let no_archive = |found: &str| {
            Fault::new(Code::NotAnArchive, "a tar archive, plain or in gzip or Zstandard", found).at(offset)
        };
        let block = match self.block() {
            Ok(Some(block)) => block,
            Ok(None) if offset == 0 => return Err(no_archive("nothing")),
            Ok(None) => return Err(missing_end("the end of the file").at(offset)),
            Err(ArchiveError::Refused { code: Code::TruncatedArchive, .. }) if offset == 0 => {
                return Err(no_archive("less than one block"));
            }
            Err(error) => return Err(error),
        };
        let parsed = match Header::parse(&block) {
            Err(_) if offset == 0 && !Header::is_likely(&block) => return Err(no_archive("something else")),
            parsed => parsed.map_err(|fault| fault.at(offset))?,
        };
        if let Some(header) = parsed.as_ref().filter(|_| offset == 0) {
            check_first(&block, header).map_err(|fault| fault.at(offset))?;
        }
        Ok(parsed)
    }

    /// Reads what an extension header holds. `false` if `header` is that of a member.
    fn extend(&mut self, header: &Header, extension: &mut Extension) -> Result<bool, ExtendError> {
        match header.type_flag {
            b'g' if header.form == Form::Ustar => {
                let data = self.extension_data(header)?;
                extension.pass_global(&data)?;
                Ok(true)
            }
            b'x' if header.form == Form::Ustar => {
                let data = self.extension_data(header)?;
                extension.add_pax(&data)?;
                Ok(true)
            }
            flag @ (b'L' | b'K') if header.form == Form::Gnu => {
                let data = self.extension_data(header)?;
                extension.add_gnu(&data, flag == b'K')?;
                Ok(true)
            }
            b'g' | b'x' | b'L' | b'K' => {
                Err(malformed("PAX records under ustar, long names under GNU", "the other way round").into())
            }
            _ => Ok(false),
        }
    }

    fn extension_data(&mut self, header: &Header) -> Result<Vec<u8>, ExtendError> {
        let max = self.stream.limits().extension_bytes_max;
        if header.size > max {
            let found = format!("{} bytes", header.size);
            return Err(Fault::new(Code::ExtensionTooLarge, "an extension header of 1 MiB at most", found).into());
        }
        let mut data = Vec::new();
        self.expect_contents(header.size);
        self.contents(|piece| {
            data.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(data)
    }

    /// After the first block of zeros: a second one, and then nothing but some more.
    fn end(&mut self) -> Result<(), ArchiveError> {
        let offset = self.offset();
        match self.block()? {
            Some(block) if are_zeros(&block) => {}
            Some(_) => return Err(missing_end("one block of zeros, then more").at(offset)),
            None => return Err(missing_end("one block of zeros").at(offset)),
        }
        let end = self.offset();
        let max = self.stream.limits().archive_padding_bytes_max;
        loop {
            let len = {
                let piece = self.stream.fill()?;
                if let Some(at) = piece.iter().position(|byte| *byte != 0) {
                    let fault =
                        Fault::new(Code::TrailingData, "only zeros after the end of the archive", "other bytes");
                    return Err(fault.at(self.offset() + at as u64));
                }
                piece.len()
            };
            if len == 0 {
                break;
            }
            self.stream.consume(len);
            if self.offset() - end > max {
                let fault = Fault::new(Code::ExpansionLimit, "1 MiB of zeros after the end at most", "more");
                return Err(fault.at(end));
            }
        }
        if !self.offset().is_multiple_of(BLOCK as u64) {
            return Err(truncated("a block of 512 bytes").at(self.offset()));
        }
        self.ended = true;
        Ok(())
    }
}

/// What is wrong with an extension, or the end of the reading within it.
enum ExtendError {
    Fault(Fault),
    Error(ArchiveError),
}

impl From<Fault> for ExtendError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ArchiveError> for ExtendError {
    fn from(error: ArchiveError) -> Self {
        Self::Error(error)
    }
}

impl ExtendError {
    fn at(self, offset: u64) -> ArchiveError {
        match self {
            Self::Fault(fault) => fault.at(offset),
            Self::Error(error) => error,
        }
    }
}

fn truncated(expected: &'static str) -> Fault {
    Fault::new(Code::TruncatedArchive, expected, "the end of the archive")
}

fn missing_end(found: &str) -> Fault {
    Fault::new(Code::MissingEnd, "two blocks of zeros at the end", found)
}

fn malformed(expected: &'static str, found: &str) -> Fault {
    Fault::new(Code::MalformedExtension, expected, found)
}

fn ambiguous(expected: &'static str, found: impl Into<String>) -> Fault {
    Fault::new(Code::AmbiguousHeader, expected, found)
}

/// Brings a header and what preceded it together.
fn member(header: Header, mut extension: Extension, offset: u64) -> Result<Member, Fault> {
    let source_fits = match extension.source {
        None => true,
        Some(Source::Pax) => header.form == Form::Ustar,
        Some(Source::Gnu) => header.form == Form::Gnu,
    };
    if !source_fits {
        return Err(ambiguous("a member in the format of its extension", "one in another format"));
    }
    // Where the header has none, bsdtar does not take the long one.
    if extension.source == Some(Source::Gnu) && extension.link.is_some() && header.link.is_empty() {
        return Err(ambiguous("the beginning of a long target in the header", "none"));
    }
    let privilege = extension.privilege(header.mode, header.type_flag == b'5');
    let size = size(&header, extension.size)?;
    let has_link = !header.link.is_empty() || extension.link.is_some();
    let name = extension.path.unwrap_or(header.name);
    let link = extension.link.unwrap_or(header.link);
    let kind = kind(header.type_flag, size, link)?;
    if has_link && !matches!(kind, MemberKind::Link(_) | MemberKind::HardLink(_)) {
        return Err(ambiguous("a link's target for links only", "one for another member"));
    }
    let unverified_name = match (&kind, name.strip_suffix(b"/")) {
        (_, None) => name,
        (MemberKind::Directory, Some(stripped)) => stripped.to_vec(),
        (_, Some(_)) => {
            return Err(ambiguous("a slash at the end of directories only", format!("`{}`", Escaped(&name))));
        }
    };
    Ok(Member { unverified_name, kind, mode: header.mode, privilege, offset })
}

/// The size on which header and PAX records agree: records are for what octal digits cannot tell.
fn size(header: &Header, pax: Option<u64>) -> Result<u64, Fault> {
    match pax {
        None => Ok(header.size),
        Some(size) if size == header.size => Ok(size),
        // What does not fit in the header, writers leave at zero there.
        Some(size) if header.size == 0 && size >= OCTAL_SIZE_END => Ok(size),
        Some(size) => {
            Err(ambiguous("one size", format!("{} in the header and {size} in the PAX records", header.size)))
        }
    }
}

fn kind(type_flag: u8, size: u64, link: Vec<u8>) -> Result<MemberKind, Fault> {
    let kind = match type_flag {
        b'0' | 0 => return Ok(MemberKind::File { size }),
        b'1' => MemberKind::HardLink(link),
        b'2' => MemberKind::Link(link),
        b'3' => MemberKind::Special("a character device"),
        b'4' => MemberKind::Special("a block device"),
        b'5' => MemberKind::Directory,
        b'6' => MemberKind::Special("a fifo"),
        other => {
            let found = format!("one of type `{}`", Escaped(&[other]));
            return Err(Fault::new(Code::UnsupportedMember, "a file, directory or link", found));
        }
    };
    if size > 0 {
        return Err(ambiguous("contents for files only", format!("{size} bytes for another member")));
    }
    Ok(kind)
}
