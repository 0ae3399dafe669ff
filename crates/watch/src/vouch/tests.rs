//! A finding is given back exactly as long as a look would find the same.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::*;

/// Directories of a tree: on a file system in memory if there is one, since not every other one is known for its notifications.
pub(super) struct Tree(PathBuf);

impl Tree {
    pub fn new(name: &str) -> Tree {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let root = base.join(format!("rondel-vouch-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for directory in ["state", "tree/a", "tree/b", "elsewhere"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["a/1", "a/2", "b/1", "top"] {
            fs::write(root.join("tree").join(file), file).unwrap();
        }
        Tree(root)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub fn voucher(&self) -> Voucher {
        Voucher::at(&self.path("state")).expect("somebody answers")
    }

    /// Looks at everything, as whoever asks would: names, kinds, permissions, contents. Also returns the directories.
    pub fn look(&self) -> (Vec<u8>, BTreeSet<PathBuf>) {
        let (mut found, mut open, mut places) = (BTreeSet::new(), vec![self.path("tree")], BTreeSet::new());
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap().flatten() {
                let metadata = entry.metadata().unwrap();
                let what = if metadata.is_dir() { "directory".to_owned() } else { times(&metadata) };
                found.insert(format!("{} {:o} {what}", entry.path().display(), metadata.mode()));
                if metadata.is_dir() {
                    open.push(entry.path());
                }
            }
            places.insert(directory);
        }
        let text = found.into_iter().collect::<Vec<String>>().join("\n");
        (text.into_bytes(), places)
    }

    /// Asks, and tells what a look has found if there was no answer.
    pub fn ask(&self) -> Option<Vec<u8>> {
        let voucher = self.voucher();
        let answer = voucher.find(&[7; 32]);
        if answer.is_none() {
            let (found, places) = self.look();
            voucher.keep(&[7; 32], found, places);
        }
        answer
    }

    /// Asks until there is an answer.
    pub fn settle(&self) {
        for _ in 0..200 {
            if self.ask().is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("nothing is vouched for");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Size, number and times: contents that changed show in them.
fn times(metadata: &fs::Metadata) -> String {
    format!(
        "{} {} {}.{:09} {}.{:09}",
        metadata.len(),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// One edit, of the kinds that editors, git and builds make.
fn edit(tree: &Tree, random: &mut Random) {
    let file = |random: &mut Random| {
        tree.path(&format!("tree/{}/{}", ["a", "b", "c"][random.below(3) as usize], random.below(4)))
    };
    let (one, other) = (file(random), file(random));
    let number = random.below(1000).to_string();
    // Much of it fails, since something else is there or nothing: that is no edit then.
    let _ = match random.below(14) {
        0 | 1 => fs::write(&one, number),
        2 => fs::rename(&one, &other),
        3 => fs::write(tree.path("elsewhere/new"), number).and_then(|()| fs::rename(tree.path("elsewhere/new"), &one)),
        4 => fs::remove_file(&one),
        5 => fs::set_permissions(&one, fs::Permissions::from_mode(0o600 | random.below(0o200) as u32)),
        6 => fs::hard_link(&one, tree.path("elsewhere/link")),
        7 => fs::write(tree.path("elsewhere/link"), number),
        8 => fs::remove_file(tree.path("elsewhere/link")),
        9 => fs::create_dir_all(tree.path("tree/c")),
        10 => fs::remove_dir_all(tree.path("tree/c")),
        11 => fs::rename(tree.path("tree/a"), tree.path("tree/c")),
        12 => fs::rename(tree.path("tree/c"), tree.path("tree/a")),
        _ => fs::File::options().write(true).open(&one).and_then(|file| file.set_len(random.below(9))),
    };
    let _ = fs::create_dir_all(tree.path("tree/a"));
}

/// A directory that takes another one's path is another one, at once and after that.
#[test]
fn a_directory_that_takes_the_place_of_another() {
    let tree = Tree::new("exchanged");
    let _vouching = Vouching::start(&tree.path("state")).unwrap();
    fs::create_dir_all(tree.path("tree/a/deep")).unwrap();
    fs::write(tree.path("tree/a/deep/1"), "1").unwrap();
    tree.settle();
    let held = fs::File::options().read(true).open(tree.path("tree/b")).unwrap();
    let exchanges: [&dyn Fn(); 4] = [
        &|| {
            fs::rename(tree.path("tree/a"), tree.path("elsewhere/a")).unwrap();
            fs::create_dir_all(tree.path("tree/a/deep")).unwrap();
        },
        &|| {
            fs::rename(tree.path("tree/a/deep"), tree.path("elsewhere/deep")).unwrap();
            fs::rename(tree.path("elsewhere/a/deep"), tree.path("tree/a/deep")).unwrap();
        },
        // Somebody is in it, so its watch goes on.
        &|| {
            fs::remove_dir_all(tree.path("tree/b")).unwrap();
            fs::create_dir_all(tree.path("tree/b")).unwrap();
        },
        // One above all that is watched below.
        &|| {
            fs::rename(tree.path("tree"), tree.path("elsewhere/tree")).unwrap();
            fs::create_dir_all(tree.path("tree/a/deep")).unwrap();
            fs::create_dir_all(tree.path("tree/b")).unwrap();
        },
    ];
    for (number, exchange) in exchanges.into_iter().enumerate() {
        exchange();
        assert!(tree.ask().is_none(), "{number}");
        tree.settle();
        for name in ["tree/a/deep/new", "tree/b/new"] {
            fs::write(tree.path(name), number.to_string()).unwrap();
            assert!(tree.ask().is_none(), "{number}: {name}");
            tree.settle();
        }
    }
    drop(held);
}

/// Ten thousand edits, each followed by a question, with nothing in between at times, and storms that no queue holds.
#[test]
fn what_is_vouched_for_is_what_a_look_finds() {
    let tree = Tree::new("edits");
    let _vouching = Vouching::start(&tree.path("state")).expect("the system has what it needs");
    let (mut random, mut vouched) = (Random(0x2545_F491_4F6C_DD1D), 0);
    for number in 0..10_000 {
        if random.below(3) > 0 {
            edit(&tree, &mut random);
        }
        if number % 2500 == 1250 {
            for _ in 0..20_000 {
                edit(&tree, &mut random);
            }
        }
        if let Some(answer) = tree.ask() {
            assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(&tree.look().0), "edit {number}");
            vouched += 1;
        }
    }
    assert!(vouched > 500, "{vouched}");
}

#[test]
fn opened_files_are_looked_at_and_mapped_ones_not_vouched_for() {
    let tree = Tree::new("opened");
    // Of younger files it is not believed that they look the same.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let _vouching = Vouching::start(&tree.path("state")).unwrap();
    tree.settle();
    // Whoever reads changes nothing.
    fs::File::options().read(true).open(tree.path("tree/a/1")).unwrap();
    fs::read_dir(tree.path("tree/a")).unwrap().for_each(drop);
    assert!(tree.ask().is_some());
    // Open for writing, nothing written: until something is.
    let file = fs::File::options().append(true).open(tree.path("tree/a/1")).unwrap();
    assert!(tree.ask().is_some());
    std::io::Write::write_all(&mut &file, b"more").unwrap();
    assert!(tree.ask().is_none());
    // As long as somebody could write through a mapping, everybody looks.
    for _ in 0..5 {
        assert!(tree.ask().is_none());
    }
    drop(file);
    tree.settle();
    // A file with another name, under which it is written: nothing is told of that, and it is seen.
    fs::hard_link(tree.path("tree/a/2"), tree.path("elsewhere/two")).unwrap();
    tree.settle();
    fs::write(tree.path("elsewhere/two"), "other").unwrap();
    assert!(tree.ask().is_none());
    tree.settle();
}

#[test]
fn only_one_answers_and_only_to_its_like() {
    let tree = Tree::new("one");
    let state = tree.path("state");
    assert!(Voucher::at(&state).is_none());
    let vouching = Vouching::start(&state).unwrap();
    assert!(Vouching::start(&state).is_none());
    tree.settle();
    // Another view of the files, and nonsense.
    let mut other = client::connect(&state).unwrap();
    protocol::Question::Find { key: [7; 32] }.send(View([0; 4]), &mut other).unwrap();
    assert!(protocol::Answer::receive(&mut other).is_err());
    let mut nonsense = client::connect(&state).unwrap();
    let _ = std::io::Write::write_all(&mut nonsense, &[0xFF; 4096]);
    assert!(protocol::Answer::receive(&mut nonsense).is_err());
    assert!(tree.ask().is_some(), "it goes on");
    drop(vouching);
    assert!(Voucher::at(&state).is_none() && fs::read_dir(&state).unwrap().next().is_none());
    // What a killed one has left is no obstacle, and answers nobody.
    drop(std::os::unix::net::UnixListener::bind(state.join(SOCKET)).unwrap());
    assert_eq!(tree.voucher().find(&[7; 32]), None);
    let vouching = Vouching::start(&state).unwrap();
    tree.settle();
    drop(vouching);
}
