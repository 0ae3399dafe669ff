//! The addresses that are held for services of one run, each for one of them.

use rondel_buildfile::{HeldAddress, TargetName};
use rondel_engine::UserError;
use rondel_supervise::Proxies;

use crate::analyzer::{Analyzed, Analyzer};

/// Returns what holds the address of a target, for a Rondel that exchanges services. Two targets at once can't have the same.
pub(crate) fn kept(
    analyzer: &mut Analyzer<'_>,
    name: &TargetName,
    proxy: Option<&HeldAddress>,
) -> Analyzed<Option<Proxies>> {
    let address = proxy.map(HeldAddress::address);
    let kept = analyzer.request.kept_for(address);
    if let (Some(address), true) = (address, kept.is_some())
        && let Some(other) = analyzer.held_addresses.insert(address, name.clone()).filter(|other| other != name)
    {
        return Err(UserError::input(format!("`{name}` and `{other}` both have the proxy `{address}`"))
            .hint("watch one of them, or give one another address"));
    }
    Ok(kept)
}
