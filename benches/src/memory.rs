//! How much memory this process has, and how much room its database takes on the disk.

use std::path::Path;

use serde::Serialize;

/// Memory of this process, in KiB, as Linux tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What is in memory now: `VmRSS`.
    pub resident_kib: u64,
    /// The most that was since the load began: `VmHWM`.
    pub peak_kib: u64,
}

/// What there is now; none where no `/proc` tells.
pub(crate) fn now() -> Option<Memory> {
    read(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn read(status: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory { resident_kib: field("VmRSS")?, peak_kib: field("VmHWM")? })
}

/// Begins the peak anew, so that one size does not show in the next. Where that is not allowed, it stays the process's.
pub(crate) fn forget_peak() {
    // What `man 5 proc` has under /proc/pid/clear_refs: 5 resets VmHWM.
    let _ = std::fs::write("/proc/self/clear_refs", "5\n");
}

/// Bytes of the files in a directory: the database, and what it has not merged into its file yet.
pub(crate) fn bytes_in(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_read() {
        let status = "Name:\tbench\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nThreads:\t3\n";
        assert_eq!(read(status), Some(Memory { resident_kib: 1_024, peak_kib: 2_048 }));
        assert_eq!(read("Name:\tbench\n"), None);
    }
}
