//! `Seal`: keys of values that nobody may read or guess from a key.
//!
//! A plain digest of a short password can be found by trying. So the digest covers a random number of this workspace too.
//! It lies in `.rondel`, readable by its owner alone: who can read it can read the file with the values as well. A sealed
//! value is another one in each workspace, so results are not shared among them.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;

use rondel_cas::{Digest, TemporaryFile, read_at_most};

/// Number of random bytes.
const LENGTH: usize = 32;
/// Name of the file in `.rondel`.
const NAME: &str = "seal";

/// The random number of a workspace.
#[derive(Clone)]
pub struct Seal([u8; LENGTH]);

impl Seal {
    /// Returns the number of the workspace with this state directory. A new one if there is none yet, which is then not
    /// stored: nothing that it sealed is known, so that everything sealed runs.
    pub fn of(state: &Path) -> Seal {
        read(state).unwrap_or_else(Seal::new)
    }

    /// Makes sure that the workspace has a number. The directory is there, and checked.
    pub fn make(state: &Path) -> io::Result<()> {
        if read(state).is_some() {
            return Ok(());
        }
        let scratch = state.join("tmp");
        fs::create_dir_all(&scratch)?;
        let mut file = TemporaryFile::private_in(&scratch)?;
        io::Write::write_all(file.file(), &Seal::new().0)?;
        file.persist(&state.join(NAME))
    }

    fn new() -> Seal {
        // The standard library's door to the system's random numbers.
        let mut bytes = [0; LENGTH];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
        }
        Seal(bytes)
    }

    /// Returns what stands for the value of a variable in keys.
    pub fn value(&self, name: &str, value: &str) -> String {
        let bytes = [&self.0[..], &(name.len() as u64).to_le_bytes(), name.as_bytes(), value.as_bytes()].concat();
        // Without its size, which would tell the length of the value.
        Digest::of(&bytes).hex()
    }
}

fn read(state: &Path) -> Option<Seal> {
    read_at_most(&state.join(NAME), LENGTH as u64).ok()?.try_into().ok().map(Seal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_one_number_for_its_owner() {
        let state = std::env::temp_dir().join(format!("rondel-seal-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        let of = |name: &str, value: &str| Seal::of(&state).value(name, value);
        assert_ne!(of("A", "x"), of("A", "x"), "nothing is kept before it is made");
        Seal::make(&state).unwrap();
        let first = of("A", "x");
        Seal::make(&state).unwrap();
        assert_eq!(of("A", "x"), first);
        for (name, value) in [("A", "y"), ("B", "x"), ("Ax", "")] {
            assert_ne!(of(name, value), first);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(state.join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(state.join(NAME), "torn").unwrap();
        Seal::make(&state).unwrap();
        assert_ne!(of("A", "x"), first);
        assert_eq!(of("A", "x"), of("A", "x"));
        let _ = fs::remove_dir_all(&state);
    }
}
