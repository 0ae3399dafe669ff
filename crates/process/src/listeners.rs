//! Who listens at a port of this machine, for people.
#![allow(clippy::disallowed_methods, reason = "only files of `/proc` are read")]

use std::fmt;

/// A program that listens at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its number.
    pub pid: u32,
    /// Its name, as the system has it.
    pub name: String,
}

impl Listener {
    /// Returns true if it has the name of the running program.
    pub fn is_same_program(&self) -> bool {
        // The kernel keeps the first 15 bytes.
        let own = std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.as_encoded_bytes().to_owned()));
        own.is_some_and(|own| own.iter().take(15).eq(self.name.as_bytes().iter().take(15)))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` (process {})", self.name.escape_debug(), self.pid)
    }
}

/// Returns a program that listens at the TCP port; `None` if there is none, or the system does not tell.
#[cfg(target_os = "linux")]
pub fn listener_at(port: u16) -> Option<Listener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<String> = tables.iter().flat_map(|table| listening_sockets(table, port)).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = numbers.find(|pid| holds_one(*pid, &sockets))?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Listener { pid, name: name.trim().to_owned() })
}

/// Returns `socket:[…]` of each socket that listens at the port, see proc_net(5).
#[cfg(target_os = "linux")]
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    /// The state of a socket that listens.
    const LISTENS: &str = "0A";
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, ..] = words.as_slice() else { return None };
        let (_, digits) = local.rsplit_once(':')?;
        let is_wanted = *state == LISTENS && u16::from_str_radix(digits, 16) == Ok(port);
        words.get(9).filter(|_| is_wanted).map(|inode| format!("socket:[{inode}]"))
    };
    text.lines().skip(1).filter_map(socket).collect()
}

#[cfg(target_os = "linux")]
fn holds_one(pid: u32, sockets: &[String]) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)))
}

/// Returns what `lsof` says.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn listener_at(port: u16) -> Option<Listener> {
    let arguments = ["-nP".to_owned(), format!("-iTCP:{port}"), "-sTCP:LISTEN".to_owned(), "-Fpc".to_owned()];
    let line = crate::CommandLine::new("/usr/sbin/lsof", "/").arguments(arguments);
    let captured = crate::capture(&line, &crate::Cancellation::new()).ok()?;
    let text = String::from_utf8_lossy(&captured.stdout).into_owned();
    let field = |letter: char| text.lines().find_map(|line| line.strip_prefix(letter).map(str::to_owned));
    Some(Listener { pid: field('p')?.parse().ok()?, name: field('c')? })
}

/// Returns nothing: this system is not asked.
#[cfg(not(unix))]
pub fn listener_at(_port: u16) -> Option<Listener> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn who_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_at(port).unwrap().pid, std::process::id());
        drop(listener);
        assert_eq!(listener_at(port), None);
    }
}
