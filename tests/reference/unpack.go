// Unpacks archives with Go's archive/tar: lines of stdin have an archive, a tab, and a directory. Says which it could not.
package main

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func unpack(archive, directory string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := tar.NewReader(file)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		path := filepath.Join(directory, header.Name)
		mode := header.FileInfo().Mode()
		os.MkdirAll(filepath.Dir(path), 0o755)
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg, tar.TypeRegA:
			var out *os.File
			if out, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm()|0o600); err == nil {
				_, err = io.Copy(out, reader)
				out.Close()
				os.Chmod(path, mode&(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky))
			}
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		case tar.TypeLink:
			err = os.Link(filepath.Join(directory, header.Linkname), path)
		default:
			err = fmt.Errorf("type %c", header.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		archive, directory, _ := strings.Cut(lines.Text(), "\t")
		if err := unpack(archive, directory); err != nil {
			fmt.Println(archive, err)
		}
	}
}
