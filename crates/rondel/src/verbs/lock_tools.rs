//! The part of `lock` that pins commands of other modules: `Tool("import/path@v1.2.3")`.

use std::collections::BTreeMap;

use rondel_buildfile::{LockFile, LockedTool};
use rondel_golang::{GoSupport, PublishedTool};

use crate::exit::Failure;
use crate::session::Session;
use crate::ui::{Working, print_line};
use crate::verbs::lock_bases::failure;

/// Pins the tools of all targets. Existing pins are kept, unless `moves` is set. Pins that no target needs are removed.
pub(super) fn lock_tools(
    session: &Session<'_>,
    moves: bool,
    go: &dyn Fn() -> Result<GoSupport, Failure>,
    working: &Working,
    lock: &mut LockFile,
) -> Result<(), Failure> {
    let mut pinned: BTreeMap<String, LockedTool> = BTreeMap::new();
    let mut support = None;
    for name in session.file.published_tools() {
        let tool = PublishedTool::parse(name).expect("it has a version");
        let former = session.lock.tools.get(name);
        if let Some(former) = former.filter(|_| !moves) {
            print_line(&format!("{:>12} {name}", "Unchanged"));
            pinned.insert(name.to_owned(), former.clone());
            continue;
        }
        if support.is_none() {
            support = Some(go()?);
        }
        let go = support.as_ref().expect("made above");
        working.on(name);
        let found = go.look_up_tool(tool, &|_, _| true).map_err(failure)?;
        let found = LockedTool { module: found.module, sum: found.sum };
        match former {
            Some(former) if *former == found => print_line(&format!("{:>12} {name}", "Unchanged")),
            Some(former) => {
                print_line(&format!("{:>12} {name}", "Moved"));
                print_line(&format!("  old: {} {}", former.module, former.sum));
                print_line(&format!("  new: {} {}", found.module, found.sum));
            }
            None => print_line(&format!("{:>12} {name}: {} {}", "Pinned", found.module, found.sum)),
        }
        pinned.insert(name.to_owned(), found);
    }
    for name in session.lock.tools.keys().filter(|name| !pinned.contains_key(*name)) {
        print_line(&format!("{:>12} {name}: no target needs it", "Removed"));
    }
    lock.tools = pinned;
    Ok(())
}
