//! The few things that the store asks of a disk.
//!
//! One small interface, so that a test can put a disk underneath that fails at the n-th call. Files are written once
//! and never changed; only [`Disk::replace`] and [`Disk::point`] put something new under a name that exists, and both
//! do so in one step that a crash cannot split.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileTypeExt;

use camino::{Utf8Path, Utf8PathBuf};

/// A place for files. Paths are whole; folders are made as needed.
pub trait Disk: Debug + Send + Sync {
    /// Reads a whole file.
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>>;

    /// Opens a file to read it from its beginning to its end.
    fn open(&self, path: &Utf8Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(io::Cursor::new(self.read(path)?)))
    }

    /// Starts a file that must not exist yet.
    fn create(&self, path: &Utf8Path) -> io::Result<Box<dyn NewFile>>;

    /// Makes the content of a file, or the names in a folder, last through a power cut.
    fn sync(&self, path: &Utf8Path) -> io::Result<()>;

    /// Puts `bytes` under a name that may exist: whoever reads it sees the old content or the new.
    fn replace(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives the file at `from` a second name, which must not exist yet.
    fn link(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()>;

    /// Makes `path` a symbolic link to `target`, in place of what it was: readers see the old target or the new.
    fn point(&self, path: &Utf8Path, target: &Utf8Path) -> io::Result<()>;

    /// Moves a folder to a name that does not exist yet.
    fn rename_folder(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()>;

    /// Removes a file, or a folder with all that is in it.
    fn remove(&self, path: &Utf8Path) -> io::Result<()>;

    /// Writes a whole file that must not exist yet.
    fn write(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(path)?;
        file.write_all(bytes)?;
        file.finish()
    }
}

/// A file that is being written.
pub trait NewFile: Write + Send {
    /// Makes the content last through a power cut. Its name lasts once its folder has been synced.
    fn finish(&mut self) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn open(&self, path: &Utf8Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }

    fn create(&self, path: &Utf8Path) -> io::Result<Box<dyn NewFile>> {
        make_parent(path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(LocalFile(BufWriter::with_capacity(1 << 20, file))))
    }

    fn sync(&self, path: &Utf8Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
        make_parent(path)?;
        let beside = beside(path);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written.and_then(|()| self.sync(parent(path)))
    }

    fn link(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        make_parent(to)?;
        match fs::hard_link(from, to) {
            // Some disks have no hard links; a copy costs space but is as good to read.
            Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                fs::copy(from, to).and_then(|_| File::open(to)?.sync_all())
            }
            other => other,
        }
    }

    fn point(&self, path: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
        make_parent(path)?;
        let beside = beside(path);
        std::os::unix::fs::symlink(target, &beside)?;
        let renamed = fs::rename(&beside, path);
        if renamed.is_err() {
            let _ = fs::remove_file(&beside);
        }
        renamed.and_then(|()| self.sync(parent(path)))
    }

    fn rename_folder(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        make_parent(to)?;
        fs::rename(from, to).and_then(|()| self.sync(parent(to)))
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }
}

/// Returns what stands under a name if it is no plain file, in words; nothing if it is one, or nothing is there.
///
/// To put a file under such a name would destroy it: a link or a device is not written to but replaced. To read one may
/// never end.
#[must_use]
pub fn other_than_a_file(path: &Utf8Path) -> Option<&'static str> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some("a link")
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

struct LocalFile(BufWriter<File>);

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl NewFile for LocalFile {
    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.0.get_ref().sync_all()
    }
}

fn parent(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(Utf8Path::new("."))
}

/// Makes the folder of `path`, and every new folder's name last.
fn make_parent(path: &Utf8Path) -> io::Result<()> {
    let folder = parent(path);
    if folder.exists() {
        return Ok(());
    }
    let deepest_known = folder.ancestors().find(|folder| folder.exists()).map(Utf8Path::to_path_buf);
    fs::create_dir_all(folder)?;
    for made in folder.ancestors() {
        File::open(parent(made))?.sync_all()?;
        if deepest_known.as_deref() == made.parent() {
            break;
        }
    }
    Ok(())
}

/// Returns a name in the same folder that nothing else uses.
fn beside(path: &Utf8Path) -> Utf8PathBuf {
    let name = path.file_name().unwrap_or("file");
    path.with_file_name(format!(".{name}.{}", uuid::Uuid::now_v7().simple()))
}
