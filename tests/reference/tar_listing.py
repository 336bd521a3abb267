"""What Python's tarfile reads from the archives of a directory.

usage: tar_listing.py DIRECTORY

For each file of DIRECTORY, in the order of their names, one line: its name, a tab, and a JSON list of members, each
[name, type, size, executable, target, SHA-256 of the contents], bytes in hexadecimal; or a JSON string that says why
it could not be read.
"""

import hashlib
import json
import os
import sys
import tarfile

TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "directory",
}


def text(name):
    return os.fsencode(name).hex()


def members(path):
    found = []
    # With `r:`, nothing is guessed from contents; level 2 makes every problem an error.
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape", errorlevel=2) as archive:
        for member in archive:
            kind = TYPES.get(member.type, f"type {member.type!r}")
            digest = ""
            if kind == "file":
                digest = hashlib.sha256(archive.extractfile(member).read()).hexdigest()
            is_link = kind in ("hard link", "symlink")
            target = text(member.linkname) if is_link else ""
            size = member.size if kind == "file" else 0
            name = text(member.name.removesuffix("/") if kind == "directory" else member.name)
            found.append([name, kind, size, bool(member.mode & 0o100), target, digest])
    return found


def main():
    directory = sys.argv[1]
    for name in sorted(os.listdir(directory)):
        try:
            listing = members(os.path.join(directory, name))
        except Exception as error:  # whatever the reason, it was not read
            listing = f"{type(error).__name__}: {error}"
        print(name, json.dumps(listing), sep="\t")


main()
