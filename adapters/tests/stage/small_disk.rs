//! A disk that a test may fill.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A disk that can be filled and emptied: a small tmpfs. Where this process may not mount one, a limit
/// on the size of files (setrlimit), under which the kernel refuses the same writes.
pub enum SmallDisk {
    Mounted(TempDir),
    Limited(TempDir),
}

impl SmallDisk {
    /// One of so many MiB.
    pub fn new(mib: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mib}m"),
                "hls-relay-test",
            ])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Self::Mounted(folder);
        }
        println!("no tmpfs can be mounted here: the size of files is limited instead");
        Self::Limited(folder)
    }

    pub fn path(&self) -> PathBuf {
        match self {
            Self::Mounted(folder) | Self::Limited(folder) => folder.path().to_owned(),
        }
    }

    /// Nothing more can be written by this process.
    pub fn fill(&self, process: u32) {
        match self {
            Self::Mounted(folder) => {
                let mut filler = std::fs::File::create(folder.path().join("filler")).unwrap();
                let full = std::io::copy(&mut std::io::repeat(0), &mut filler).unwrap_err();
                assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
            }
            Self::Limited(_) => limit_file_size(process, "4096"),
        }
    }

    /// There is room again.
    pub fn empty(&self, process: u32) {
        match self {
            Self::Mounted(folder) => std::fs::remove_file(folder.path().join("filler")).unwrap(),
            Self::Limited(_) => limit_file_size(process, "unlimited"),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            let _ = Command::new("umount").arg("-l").arg(folder.path()).status();
        }
    }
}

fn limit_file_size(process: u32, bytes: &str) {
    let status = Command::new("prlimit")
        .args([
            "--pid",
            &process.to_string(),
            &format!("--fsize={bytes}:unlimited"),
        ])
        .status()
        .expect("prlimit, of the package util-linux");
    assert!(status.success());
}
