//! The wire format of protocol buffers: canonical writing, and reading of bytes that may be hostile. Knows no message.

/// Why bytes are not the expected message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field is longer than the rest of the message.
    #[error("the message is cut short")]
    Truncated,
    /// A number of more than 64 bits, a field without a number, a group.
    #[error("the message is not in the wire format")]
    Malformed,
    /// A field has the wrong type, appears twice, or holds an impossible value.
    #[error("the field `{0}` is not valid")]
    Field(&'static str),
    /// A required field is missing.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// An unknown field in a message whose meaning it would change.
    #[error("the message has the unknown field {0}")]
    Unknown(u64),
    /// Names that are not sorted or not unique.
    #[error("the names in a directory are not sorted and unique")]
    Order,
    /// More than any honest message holds.
    #[error("the tree is too large")]
    TooLarge,
}

/// Writes fields.
#[derive(Default)]
pub(crate) struct Message(pub Vec<u8>);

impl Message {
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Writes a field of bytes even if they are empty: an element of a list, or a present message.
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Writes a singular string or bytes, but leaves out an empty one, as proto3 does.
    pub fn text(&mut self, field: u64, text: impl AsRef<[u8]>) {
        if !text.as_ref().is_empty() {
            self.bytes(field, text.as_ref());
        }
    }

    /// Writes a singular number, but leaves out 0.
    pub fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }
}

/// Returns the number of bytes that `value` takes.
pub(crate) fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// The value of one field.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes; no message read here has such a field.
    Fixed,
}

impl<'a> Value<'a> {
    pub fn number(self, name: &'static str) -> Result<u64, DecodeError> {
        match self {
            Value::Number(value) => Ok(value),
            _ => Err(DecodeError::Field(name)),
        }
    }

    pub fn flag(self, name: &'static str) -> Result<bool, DecodeError> {
        match self.number(name)? {
            value @ (0 | 1) => Ok(value == 1),
            _ => Err(DecodeError::Field(name)),
        }
    }

    pub fn bytes(self, name: &'static str) -> Result<&'a [u8], DecodeError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(DecodeError::Field(name)),
        }
    }

    pub fn text(self, name: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| DecodeError::Field(name))
    }
}

/// Sets a singular field. A second value is an error, since the canonical form has none.
pub(crate) fn set<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::Field(name)),
    }
}

/// Calls `visit` with the number and the value of each field of `message`.
pub(crate) fn each_field<'a>(
    message: &'a [u8],
    mut visit: impl FnMut(u64, Value<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => take(&mut rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut rest)?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => take(&mut rest, 4).map(|_| Value::Fixed)?,
            // Groups are no part of proto3.
            _ => return Err(DecodeError::Malformed),
        };
        match tag >> 3 {
            0 => return Err(DecodeError::Malformed),
            field => visit(field, value)?,
        }
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
    let (taken, left) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first().ok_or(DecodeError::Truncated)?;
        *rest = left;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(DecodeError::Malformed);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        for value in (0..64).flat_map(|bit| [1 << bit, (1_u64 << bit) - 1]).chain([u64::MAX]) {
            let mut message = Message::default();
            message.varint(value);
            assert_eq!(message.0.len(), varint_length(value), "{value}");
            assert_eq!(varint(&mut &message.0[..]), Ok(value));
            assert_eq!(varint(&mut &message.0[..message.0.len() - 1]), Err(DecodeError::Truncated));
        }
        assert_eq!(varint(&mut &[0xff; 10][..]), Err(DecodeError::Malformed));
    }

    #[test]
    fn fields_that_are_not_in_the_wire_format() {
        let read = |bytes: &[u8]| each_field(bytes, |_, _| Ok(()));
        assert_eq!(read(&[]), Ok(()));
        assert_eq!(read(&[8, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0x22, 1, 9]), Ok(()));
        for (what, bytes, error) in [
            ("no number", &[2_u8, 0][..], DecodeError::Malformed),
            ("a group", &[11, 12], DecodeError::Malformed),
            ("a length past the end", &[10, 5, 1], DecodeError::Truncated),
            (
                "a length without bounds",
                &[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                DecodeError::Truncated,
            ),
            ("no value", &[8], DecodeError::Truncated),
        ] {
            assert_eq!(read(bytes), Err(error), "{what}");
        }
    }
}
