//! Keys that somebody presses while something goes on. Without a terminal there are none.
//!
//! The keyboard is read only while somebody asks for a key, and only in the foreground: below a build, and behind a shell that has
//! taken the terminal back, it is others' own.

#[cfg(unix)]
use std::cell::RefCell;

/// The keyboard, without waiting for the end of a line and without showing what is typed, until this is dropped.
pub(crate) struct Keys {
    /// The modes before, while they are changed.
    #[cfg(unix)]
    former: RefCell<Option<rustix::termios::Termios>>,
}

impl Keys {
    /// Listens to the keyboard, if standard input is one.
    #[cfg(unix)]
    pub fn open() -> Option<Keys> {
        rustix::termios::tcgetattr(std::io::stdin()).ok()?;
        Some(Keys { former: RefCell::new(None) })
    }

    /// There are none on this system.
    #[cfg(not(unix))]
    pub fn open() -> Option<Keys> {
        None
    }

    /// Returns a key that was pressed since.
    #[cfg(unix)]
    pub fn next(&self) -> Option<char> {
        self.listen()?;
        let mut key = [0];
        // It returns at once.
        (rustix::io::read(std::io::stdin(), &mut key) == Ok(1)).then(|| char::from(key[0]))
    }

    /// There are none on this system.
    #[cfg(not(unix))]
    pub fn next(&self) -> Option<char> {
        None
    }

    /// Sets the modes of the terminal, unless they are set: a shell sets its own while this is stopped. `None` in the background: there
    /// the terminal stops a program that changes it.
    #[cfg(unix)]
    fn listen(&self) -> Option<()> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
        if !is_in_foreground() {
            return None;
        }
        let present = tcgetattr(std::io::stdin()).ok()?;
        let unwanted = LocalModes::ICANON | LocalModes::ECHO;
        if present.local_modes.intersects(unwanted) {
            let mut modes = present.clone();
            // Ctrl-C stays a signal.
            modes.local_modes.remove(unwanted);
            modes.special_codes[SpecialCodeIndex::VMIN] = 0;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).ok()?;
            rondel_process::keep_terminal_modes(&present);
            *self.former.borrow_mut() = Some(present);
        }
        Some(())
    }
}

#[cfg(unix)]
fn is_in_foreground() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(unix)]
impl Drop for Keys {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(former) = self.former.take()
            && is_in_foreground()
        {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &former);
        }
    }
}
