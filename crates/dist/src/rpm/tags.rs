//! Numbers of tags (rpmtag.h), of dependency flags (rpmds.h) and of file flags (rpmfiles.h).

pub(super) const SIGNATURE_SHA256: u32 = 273;
pub(super) const SIGNATURE_SIZE: u32 = 1000;
pub(super) const SIGNATURE_PAYLOAD_SIZE: u32 = 1007;

pub(super) const LOCALES: u32 = 100;
pub(super) const NAME: u32 = 1000;
pub(super) const VERSION: u32 = 1001;
pub(super) const RELEASE: u32 = 1002;
pub(super) const SUMMARY: u32 = 1004;
pub(super) const DESCRIPTION: u32 = 1005;
pub(super) const BUILD_TIME: u32 = 1006;
pub(super) const SIZE: u32 = 1009;
pub(super) const LICENSE: u32 = 1014;
pub(super) const PACKAGER: u32 = 1015;
pub(super) const GROUP: u32 = 1016;
pub(super) const URL: u32 = 1020;
pub(super) const OS: u32 = 1021;
pub(super) const ARCH: u32 = 1022;
/// Texts of `%pre`, `%post`, `%preun`, `%postun`, and the programs that run them.
pub(super) const SCRIPTS: [(u32, u32); 4] = [(1023, 1085), (1024, 1086), (1025, 1087), (1026, 1088)];
pub(super) const FILE_SIZES: u32 = 1028;
pub(super) const FILE_MODES: u32 = 1030;
pub(super) const FILE_RDEVS: u32 = 1033;
pub(super) const FILE_TIMES: u32 = 1034;
pub(super) const FILE_DIGESTS: u32 = 1035;
pub(super) const FILE_LINKS: u32 = 1036;
pub(super) const FILE_FLAGS: u32 = 1037;
pub(super) const FILE_USERS: u32 = 1039;
pub(super) const FILE_GROUPS: u32 = 1040;
pub(super) const SOURCE_RPM: u32 = 1044;
pub(super) const FILE_VERIFY_FLAGS: u32 = 1045;
pub(super) const FILE_DEVICES: u32 = 1095;
pub(super) const FILE_INODES: u32 = 1096;
pub(super) const FILE_LANGUAGES: u32 = 1097;
pub(super) const DIRECTORY_INDEXES: u32 = 1116;
pub(super) const BASE_NAMES: u32 = 1117;
pub(super) const DIRECTORY_NAMES: u32 = 1118;
pub(super) const PAYLOAD_FORMAT: u32 = 1124;
pub(super) const PAYLOAD_COMPRESSOR: u32 = 1125;
pub(super) const PAYLOAD_FLAGS: u32 = 1126;
pub(super) const FILE_DIGEST_ALGORITHM: u32 = 5011;
pub(super) const ENCODING: u32 = 5062;
pub(super) const PAYLOAD_DIGEST: u32 = 5092;
pub(super) const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
pub(super) const PAYLOAD_DIGEST_PLAIN: u32 = 5097;

/// Names, versions and flags of relations.
pub(super) const PROVIDES: [u32; 3] = [1047, 1113, 1112];
pub(super) const REQUIRES: [u32; 3] = [1049, 1050, 1048];
pub(super) const CONFLICTS: [u32; 3] = [1054, 1055, 1053];
pub(super) const OBSOLETES: [u32; 3] = [1090, 1115, 1114];
pub(super) const RECOMMENDS: [u32; 3] = [5046, 5047, 5048];

pub(super) const LESS: u32 = 1 << 1;
pub(super) const GREATER: u32 = 1 << 2;
pub(super) const EQUAL: u32 = 1 << 3;
/// Programs of scripts: interpreter, and for `%pre`, `%post`, `%preun`, `%postun`.
pub(super) const INTERPRETER: u32 = 1 << 8;
pub(super) const OF_SCRIPT: [u32; 4] = [1 << 9, 1 << 10, 1 << 11, 1 << 12];
/// A feature of rpm itself.
pub(super) const RPMLIB: u32 = 1 << 24;
pub(super) const CONFIG: u32 = 1 << 28;

pub(super) const FILE_CONFIG: u32 = 1;
pub(super) const FILE_NO_REPLACE: u32 = 1 << 4;

/// SHA-256, by the numbers of OpenPGP.
pub(super) const SHA256: u32 = 8;
