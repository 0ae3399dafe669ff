//! scrypt (RFC 7914): the key that a password stands for. Its memory has a bound, whatever the parameters say.

use scrypt::Params;
use serde::Deserialize;

use crate::KeyError;

/// Parameters as a key names them.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Parameters {
    #[serde(rename = "N")]
    cost: u64,
    r: u64,
    p: u64,
}

/// As much memory as four keys of cosign's take (N = 65536, r = 8).
const MEMORY_MAX: u64 = 256 * 1024 * 1024;

/// As many mixed blocks as four keys of cosign's take.
const WORK_MAX: u64 = 4 * 65536 * 8;

/// Returns a key of 32 bytes.
pub(super) fn derive(parameters: Parameters, password: &[u8], salt: &[u8]) -> Result<[u8; 32], KeyError> {
    let Parameters { cost, r, p } = parameters;
    if cost < 2 || !cost.is_power_of_two() {
        return Err(KeyError::Parameters("the cost of scrypt is no power of two"));
    }
    if r == 0 || p == 0 {
        return Err(KeyError::Parameters("scrypt without blocks"));
    }
    let size = 128_u64.checked_mul(r).filter(|size| size.checked_mul(p).is_some_and(|all| all <= MEMORY_MAX));
    let memory = size.and_then(|size| size.checked_mul(cost)).filter(|memory| *memory <= MEMORY_MAX);
    let work = cost.checked_mul(r).and_then(|work| work.checked_mul(p)).filter(|work| *work <= WORK_MAX);
    let (Some(_), Some(_), Some(_)) = (size, memory, work) else {
        return Err(KeyError::Parameters("scrypt with more memory or time than any key of cosign's"));
    };
    let logarithm = u8::try_from(cost.ilog2()).ok();
    let parameters = logarithm.zip(u32::try_from(r).ok().zip(u32::try_from(p).ok()));
    let parameters = parameters.and_then(|(logarithm, (r, p))| Params::new(logarithm, r, p).ok());
    let parameters = parameters.ok_or(KeyError::Parameters("scrypt with numbers that do not belong together"))?;
    let mut key = [0; 32];
    scrypt::scrypt(password, salt, &parameters, &mut key).expect("a key of 32 bytes");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(cost: u64, r: u64, p: u64, password: &str, salt: &str) -> Result<String, KeyError> {
        let key = derive(Parameters { cost, r, p }, password.as_bytes(), salt.as_bytes())?;
        Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The first half of the vectors of RFC 7914, section 12.
    #[test]
    fn keys_are_those_of_the_standard() {
        let cases = [
            (16, 1, 1, "", "", "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"),
            (1024, 8, 16, "password", "NaCl", "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"),
            (
                16384,
                8,
                1,
                "pleaseletmein",
                "SodiumChloride",
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
            ),
        ];
        for (cost, r, p, password, salt, expected) in cases {
            assert_eq!(derived(cost, r, p, password, salt).unwrap(), expected);
        }
    }

    #[test]
    fn parameters_that_eat_the_machine_are_refused() {
        for (cost, r, p) in [
            (1 << 40, 8, 1),
            (65536, 1 << 40, 1),
            (65536, 8, 1 << 40),
            (65536, 8, 100),
            (2, 1 << 22, 1),
            (2, 1, 1 << 22),
            (u64::MAX, u64::MAX, u64::MAX),
            (0, 8, 1),
            (1, 8, 1),
            (65535, 8, 1),
            (65536, 0, 1),
            (65536, 8, 0),
        ] {
            assert!(matches!(derived(cost, r, p, "x", "y"), Err(KeyError::Parameters(_))), "{cost} {r} {p}");
        }
    }
}
