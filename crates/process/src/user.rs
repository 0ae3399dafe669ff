//! The user that this process acts as.

/// Returns the number of the effective user.
#[cfg(unix)]
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns a number that stands for every user.
#[cfg(not(unix))]
pub fn effective_user() -> u32 {
    0
}
