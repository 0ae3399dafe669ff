//! Capabilities of Linux: what a file gives to a process without root (capabilities(7)).

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;
use crate::{Diagnostic, suggest};

/// Names in the order of their numbers (linux/capability.h).
const NAMES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A capability, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(u8);

impl Capability {
    /// Returns the bits of several.
    pub fn bits(all: &[Capability]) -> u64 {
        all.iter().fold(0, |bits, capability| bits | 1 << capability.0)
    }
}

impl FieldType for Capability {
    const PLURAL: &'static str = "capabilities";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Capability> {
        let text = reader.string(value, "a capability like \"cap_net_bind_service\"")?;
        let small = text.value.to_ascii_lowercase();
        let name = small.strip_prefix("cap_").unwrap_or(&small);
        if let Some(number) = NAMES.iter().position(|other| *other == name) {
            return Some(Capability(u8::try_from(number).expect("a short list")));
        }
        let message = format!("`{}` is not a capability of Linux", text.value.escape_debug());
        let near = suggest(name, NAMES.iter().copied());
        reader.report(Diagnostic::new(text.span, message).hint(match near {
            Some(near) => format!("did you mean `cap_{near}`?"),
            None => "write a name of capabilities(7), \"cap_net_bind_service\"".to_owned(),
        }));
        None
    }

    fn shape() -> Shape {
        Shape::string("capability", "^([Cc][Aa][Pp]_)?[A-Za-z_]+$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the kernel's header.
    #[test]
    fn numbers() {
        let number = |name: &str| NAMES.iter().position(|other| *other == name);
        for (name, expected) in [
            ("chown", 0),
            ("setpcap", 8),
            ("net_bind_service", 10),
            ("net_raw", 13),
            ("sys_admin", 21),
            ("mknod", 27),
            ("setfcap", 31),
            ("mac_override", 32),
            ("audit_read", 37),
            ("checkpoint_restore", 40),
        ] {
            assert_eq!(number(name), Some(expected), "{name}");
        }
        assert_eq!(Capability::bits(&[Capability(10), Capability(0), Capability(40)]), 1 << 40 | 1 << 10 | 1);
    }
}
