//! Keys that somebody presses while something goes on. Without a terminal there are none.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};

/// The keyboard, without waiting for the end of a line and without showing what is typed, until this is dropped.
pub(crate) struct Keys {
    pressed: Receiver<u8>,
    #[cfg(unix)]
    former: rustix::termios::Termios,
}

impl Keys {
    /// Listens to the keyboard, if standard input is one.
    #[cfg(unix)]
    pub fn open() -> Option<Keys> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let former = tcgetattr(std::io::stdin()).ok()?;
        let mut modes = former.clone();
        // Ctrl-C stays a signal.
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).ok()?;
        let (sender, pressed) = channel();
        std::thread::spawn(move || {
            let mut key = [0];
            while let Ok(1) = std::io::stdin().read(&mut key) {
                if sender.send(key[0]).is_err() {
                    return;
                }
            }
        });
        Some(Keys { pressed, former })
    }

    /// There are none on this system.
    #[cfg(not(unix))]
    pub fn open() -> Option<Keys> {
        None
    }

    /// Returns a key that was pressed since.
    pub fn next(&self) -> Option<char> {
        self.pressed.try_recv().ok().map(char::from)
    }
}

#[cfg(unix)]
impl Drop for Keys {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.former);
    }
}
