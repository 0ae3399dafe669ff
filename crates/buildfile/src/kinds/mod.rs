//! The list of kinds: one line a kind, from which all code that handles every kind is made.

use crate::reader::{Fields, Reader};
use crate::record::{Declaration, Record};
use crate::shape::{Field, paragraph};
use crate::{Group, Kind};

mod command;

pub use command::CommandFields;
pub use push::{DESTINATION_HINT, destination};

/// Calls the macro `$callback` with all kinds, as `module: Type,`. The module is the file of the kind, here and in the
/// crate that runs targets. The type is the struct of its fields, and the variant of `TargetKind`.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            go_mod_download: GoModDownload,
            go_build: GoBuild,
            go_test: GoTest,
            go_vet: GoVet,
            go_fmt: GoFmt,
            go_mod_tidy: GoModTidy,
            go_generate: GoGenerate,
            go_vulncheck: GoVulncheck,
            go_lint: GoLint,
            image: Image,
            docker_build: DockerBuild,
            push: Push,
            release: Release,
            docker_run: DockerRun,
            process: Process,
            compose_up: ComposeUp,
            compose_down: ComposeDown,
            template: TemplateFile,
            resolve: Resolve,
            exec: Exec,
            shell: Shell,
            clean: Clean,
            group: TargetGroup,
        }
    };
}

/// A kind, before a target of it is read.
pub(crate) struct KindEntry {
    /// The word in build.ron.
    pub word: &'static str,
    /// Its meaning.
    pub doc: fn() -> String,
    /// Section of its targets in the list.
    pub group: Group,
    /// The field whose name may be left out if it is the only one.
    pub alone: Option<&'static str>,
    /// False if it has no step of its own.
    pub has_steps: bool,
    /// Its own fields.
    pub fields: fn() -> Vec<Field>,
    /// Reads its own fields.
    pub read: fn(&mut Reader<'_>, &mut Fields<'_>) -> Option<TargetKind>,
}

impl KindEntry {
    fn of<K: Kind + Declaration>(
        has_steps: bool,
        read: fn(&mut Reader<'_>, &mut Fields<'_>) -> Option<TargetKind>,
    ) -> KindEntry {
        let doc = || paragraph(K::DOC);
        let alone = K::ALONE.first().copied();
        KindEntry { word: K::WORD, doc, group: K::GROUP, alone, has_steps, fields: K::fields, read }
    }
}

macro_rules! declare {
    ($($module:ident: $kind:ident,)*) => {
        $(mod $module;)*
        $(pub use $module::$kind;)*

        /// The kind of a target, with its fields.
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a file has tens of targets, not thousands")]
        pub enum TargetKind {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                $kind($kind),
            )*
        }

        impl TargetKind {
            /// Returns the kind's interface.
            pub fn kind(&self) -> &dyn Kind {
                match self {
                    $(TargetKind::$kind(kind) => kind,)*
                }
            }
        }

        /// All kinds, in the order of the list.
        pub(crate) static KINDS: std::sync::LazyLock<Vec<KindEntry>> = std::sync::LazyLock::new(|| {
            vec![
                $(KindEntry::of::<$kind>(<$kind as Kind>::has_steps(), |reader, fields| {
                    <$kind as Record>::read(reader, fields).map(TargetKind::$kind)
                }),)*
            ]
        });
    };
}

for_each_kind!(declare);

impl TargetKind {
    /// Returns the word in build.ron.
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }
}
