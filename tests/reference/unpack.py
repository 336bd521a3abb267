"""Unpacks archives with Python's tarfile: lines of stdin have an archive, a tab, and a directory. Says which it could not."""

import sys
import tarfile

for line in sys.stdin:
    archive, directory = line.rstrip('\n').split('\t')
    try:
        with tarfile.open(archive, 'r:', encoding='utf-8', errors='surrogateescape') as tar:
            tar.extractall(directory)
    except Exception as error:
        print(archive, error)
