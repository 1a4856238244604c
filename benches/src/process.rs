//! What the running process has used.

use std::fs;
use std::time::Duration;

/// Time that the program had a processor: on a busy machine the wall time says less.
///
/// # Errors
/// The system does not tell it.
pub fn processor() -> Result<Duration, String> {
    let path = "/proc/self/schedstat";
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let nanos = text.split(' ').next().and_then(|number| number.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| format!("{path} is not as expected"))
}

/// The most memory that the process had, in KiB.
///
/// # Errors
/// The system does not tell it.
pub fn peak_kib() -> Result<u64, String> {
    status_kib("VmHWM:")
}

/// The memory that the process has, in KiB.
///
/// # Errors
/// The system does not tell it.
pub fn memory_kib() -> Result<u64, String> {
    status_kib("VmRSS:")
}

fn status_kib(field: &str) -> Result<u64, String> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.ok_or_else(|| format!("{path} has no {field}"))
}
