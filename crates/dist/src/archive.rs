//! Archives of files: tar with gzip, and zip. The same files always give the same bytes, on any number of cores.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use rondel_cas::RelativePath;
use rondel_oci::{Compression, LayerEntry, LayerSource, write_tar};

use crate::archive_file::ArchiveFile;
use crate::zip::ZipWriter;

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveForm {
    /// A tar (ustar, with pax records where names need them), compressed with gzip.
    TarGz,
    /// A zip without extra fields.
    Zip,
}

impl ArchiveForm {
    /// Returns the identity of what shapes the bytes, for keys.
    pub fn codec(self) -> String {
        let gzip = Compression::Gzip.codec();
        match self {
            ArchiveForm::TarGz => format!("tar-1 {gzip}"),
            ArchiveForm::Zip => format!("zip-1 {gzip}"),
        }
    }

    /// Writes the files, in the order of their paths. All have the time `modified_s`, in seconds since 1970; a zip begins in
    /// 1980, counts two seconds at a time, and holds UTC.
    pub fn write(
        self,
        files: &BTreeMap<RelativePath, ArchiveFile>,
        modified_s: u64,
        destination: &mut File,
        threads: usize,
    ) -> io::Result<()> {
        match self {
            ArchiveForm::TarGz => {
                let entry =
                    |file: &ArchiveFile| LayerEntry::file(LayerSource::File(file.source.clone()), file.executable);
                let entries = files.iter().map(|(path, file)| (path.clone(), entry(file))).collect();
                write_tar(&entries, modified_s, destination, Compression::Gzip, threads).map(drop)
            }
            ArchiveForm::Zip => {
                let mut zip = ZipWriter::new(destination, modified_s, threads);
                for (path, file) in files {
                    zip.add(path, file)?;
                }
                zip.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};
    use std::path::PathBuf;

    use rondel_cas::Digest;

    use super::*;

    struct Space(PathBuf);

    impl Drop for Space {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn space(name: &str) -> (Space, BTreeMap<RelativePath, ArchiveFile>) {
        let place = std::env::temp_dir().join(format!("rondel-dist-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let long = "0123456789abcdef".repeat(80_000);
        let mut files = BTreeMap::new();
        for (index, (path, text, executable)) in
            [("x_1/LICENSE", "free", false), ("x_1/x", long.as_str(), true), ("x_1/a/ß.txt", "", false)]
                .iter()
                .enumerate()
        {
            let source = place.join(index.to_string());
            std::fs::write(&source, text).unwrap();
            files.insert(RelativePath::new(path).unwrap(), ArchiveFile { source, executable: *executable });
        }
        (Space(place), files)
    }

    fn written(
        form: ArchiveForm,
        space: &Space,
        files: &BTreeMap<RelativePath, ArchiveFile>,
        threads: usize,
    ) -> Vec<u8> {
        let path = space.0.join(format!("archive-{threads}"));
        let mut file = File::options().create(true).truncate(true).read(true).write(true).open(path).unwrap();
        form.write(files, 1_700_000_001, &mut file, threads).unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_same_bytes_on_any_number_of_cores() {
        let (space, files) = space("same");
        for (form, expected) in [
            (
                ArchiveForm::TarGz,
                expect_test::expect!["5ec0b0dc8d4d859c811a0cd9d82421d12b445567ad5105f84e9046202abfd9f0/3345"],
            ),
            (
                ArchiveForm::Zip,
                expect_test::expect!["1715cce3d86ff83fd6baa4b475b2fdcbaba16a860c6eebf6c234e17b45f6f9e3/3468"],
            ),
        ] {
            let one = written(form, &space, &files, 1);
            assert!(one == written(form, &space, &files, 4));
            expected.assert_eq(&Digest::of(&one).to_string());
        }
    }

    #[test]
    fn another_reader_of_tars() {
        let (space, files) = space("tar");
        let bytes = written(ArchiveForm::TarGz, &space, &files, 2);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let mut seen = Vec::new();
        for entry in tar.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            seen.push((path, header.mode().unwrap(), header.mtime().unwrap(), header.size().unwrap()));
        }
        let expected = |path: &str, mode, size| (path.to_owned(), mode, 1_700_000_001, size);
        assert_eq!(
            seen,
            [expected("x_1/LICENSE", 0o644, 4), expected("x_1/a/ß.txt", 0o644, 0), expected("x_1/x", 0o755, 1_280_000)]
        );
    }
}
