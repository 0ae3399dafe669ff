//! `KnownModules`: what an analysis has found out about modules, so that each is looked at once. It looks at nothing itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_engine::NodeId;
use rondel_golang::GoSupport;

use crate::modules::Module;

/// What an analysis knows of modules.
#[derive(Default)]
pub(crate) struct KnownModules {
    /// Those that are there, by the directories that targets name.
    pub(crate) named: RefCell<BTreeMap<Option<Option<String>>, Module>>,
    /// The Go of each.
    pub(crate) goes: BTreeMap<Module, Arc<GoSupport>>,
    /// The `GoModDownload` targets, and the modules that they are of.
    pub(crate) declared_downloads: BTreeMap<NodeId, Module>,
    /// Downloads of modules for targets that name none.
    pub(crate) own_downloads: BTreeMap<Module, NodeId>,
}
