//! The memory of this process, and the disk space of its database.

use std::path::Path;

use serde::Serialize;

/// Memory of this process, in KiB, from Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Memory now: `VmRSS`.
    pub resident_kib: u64,
    /// The most memory since the load began: `VmHWM`.
    pub peak_kib: u64,
}

/// Memory now; none if there is no `/proc`.
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

/// Resets the peak, so that one size does not show in the next. If that is not allowed, the peak is the whole run's.
pub(crate) fn forget_peak() {
    // `man 5 proc` says under /proc/pid/clear_refs: 5 resets `VmHWM`.
    let _ = std::fs::write("/proc/self/clear_refs", "5\n");
}

/// Bytes of the files in a directory: the database, with the log that it has not merged yet.
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
