//! Parts of bytes that may be too short, and numbers of either byte order in them.

/// Maximum number of rows, whether or not they hold a package.
const PACKAGES_MAX: usize = 100_000;

/// The order of the bytes of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Most significant first.
    Big,
    /// Least significant first.
    Little,
}

impl Order {
    /// Returns the number of four bytes at a place.
    pub fn u32(self, bytes: &[u8], at: usize) -> Result<u32, String> {
        let four: [u8; 4] = part(bytes, at, 4)?.try_into().map_err(|_| short())?;
        Ok(if self == Order::Big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// Returns the number of two bytes at a place.
    pub fn u16(self, bytes: &[u8], at: usize) -> Result<usize, String> {
        let two: [u8; 2] = part(bytes, at, 2)?.try_into().map_err(|_| short())?;
        Ok(usize::from(if self == Order::Big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }))
    }

    /// Returns a number of four bytes that is a place or a length.
    pub fn size(self, bytes: &[u8], at: usize) -> Result<usize, String> {
        usize::try_from(self.u32(bytes, at)?).map_err(|_| short())
    }
}

/// Returns `length` bytes at a place.
pub(super) fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], String> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or_else(short)
}

fn short() -> String {
    "the database is damaged: something in it lies outside of it".to_owned()
}

/// What may still be taken: a file has no more packages than a distribution, and no more bytes of them than it has itself.
pub(super) struct Budget {
    bytes: usize,
    packages: usize,
}

impl Budget {
    /// Returns the budget of a file of some bytes.
    pub fn of(bytes: usize) -> Budget {
        Budget { bytes, packages: PACKAGES_MAX }
    }

    /// Counts a row of so many bytes, whether or not it holds a package.
    pub fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or("the database is damaged: its packages are larger than the file")?;
        let left = self.packages.checked_sub(1);
        self.packages = left.ok_or_else(|| format!("more than {PACKAGES_MAX} packages"))?;
        Ok(())
    }
}
