//! `LinkWay`: what decides where a symbolic link leads. A link on the way that is set elsewhere and back, or a file that
//! appears where a link led to nothing and goes again, leaves no other trace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fingerprint::Fingerprint;

/// More links than this in a row are an error to the system (Linux: `ELOOP`).
const LINKS_MAX: usize = 40;

/// The way from a link to its target.
#[derive(Default)]
pub struct LinkWay {
    /// The link itself, and those that it leads to.
    pub links: Vec<Fingerprint>,
    /// Where each of them leads, there or not.
    pub places: Vec<PathBuf>,
    /// If there is no target: the nearest directory above the place where it would be.
    pub missing_in: Option<(PathBuf, Fingerprint)>,
}

impl LinkWay {
    /// Follows the link at `path`; of anything else the way is empty. What can't be read is left out.
    pub fn of(path: &Path) -> LinkWay {
        let mut way = LinkWay::default();
        let mut place = path.to_owned();
        for _ in 0..LINKS_MAX {
            match fs::symlink_metadata(&place) {
                Ok(metadata) if metadata.is_symlink() => {
                    way.links.push(Fingerprint::of(&metadata));
                    let Ok(target) = fs::read_link(&place) else { break };
                    place = place.parent().unwrap_or(Path::new("/")).join(target);
                    way.places.push(place.clone());
                }
                Ok(_) => break,
                Err(_) => {
                    let looked_at = |path: &Path| Some((path.to_owned(), Fingerprint::of(&fs::metadata(path).ok()?)));
                    way.missing_in = place.ancestors().skip(1).find_map(looked_at);
                    break;
                }
            }
        }
        way
    }

    /// Returns the last change of a link on the way, in nanoseconds since 1970.
    pub fn newest_ns(&self) -> i128 {
        let missing_in = self.missing_in.iter().map(|(_, fingerprint)| fingerprint);
        self.links.iter().chain(missing_in).map(Fingerprint::ctime_ns).max().unwrap_or(0)
    }

    /// Returns a number that changes with the links.
    pub fn stat_digest(&self) -> u64 {
        self.links.iter().fold(0, |sum: u64, link| sum.wrapping_add(link.stat_digest()))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn sum(path: &Path) -> (u64, Option<(PathBuf, Fingerprint)>) {
        let way = LinkWay::of(path);
        (way.stat_digest(), way.missing_in)
    }

    #[test]
    fn what_was_put_back_still_shows() {
        let root = std::env::temp_dir().join(format!("rondel-link-way-{}", std::process::id()));
        fs::create_dir_all(root.join("lib")).unwrap();
        let (link, middle, missing) = (root.join("link"), root.join("middle"), root.join("missing"));
        fs::write(root.join("lib/a"), "").unwrap();
        symlink("middle", &link).unwrap();
        symlink("lib/a", &middle).unwrap();
        symlink("lib/deep/b", &missing).unwrap();
        let (before, nothing) = (sum(&link), sum(&missing));
        assert_eq!((&before, &nothing), (&sum(&link), &sum(&missing)));
        assert_eq!(nothing.1.as_ref().map(|(path, _)| path), Some(&root.join("lib")));
        assert_eq!(LinkWay::of(&link).links.len(), 2);
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::remove_file(&middle).unwrap();
        symlink("lib/b", &middle).unwrap();
        fs::remove_file(&middle).unwrap();
        symlink("lib/a", &middle).unwrap();
        fs::create_dir(root.join("lib/deep")).unwrap();
        fs::remove_dir(root.join("lib/deep")).unwrap();
        assert_ne!(before.0, sum(&link).0);
        assert_ne!(nothing.1, sum(&missing).1);
        symlink("circle", root.join("circle")).unwrap();
        assert_eq!(LinkWay::of(&root.join("circle")).links.len(), LINKS_MAX);
        let _ = fs::remove_dir_all(root);
    }
}
