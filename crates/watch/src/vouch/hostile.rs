//! What could make a watch vouch for something that a look does not find, or hold up those who ask it.

use std::fs;
use std::time::{Duration, Instant};

use super::books::Books;
use super::tests::Tree;
use super::*;

/// Asks some times; whatever is vouched for is what a look finds.
fn check(tree: &Tree) {
    for round in 0..5 {
        if let Some(answer) = tree.ask() {
            assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(&tree.look().0), "round {round}");
        }
    }
}

/// A directory gets another one's name in ways that nothing is told of: that its watch has ended was lost, or somebody has it open.
#[test]
fn a_directory_of_the_same_name() {
    let tree = Tree::new("same-name");
    let state = tree.path("state");
    let _vouching = Vouching::start(&state).unwrap();
    tree.settle();
    // Connections that say nothing keep the thread from its queue, which overflows.
    let silent: Vec<_> = (0..20).map(|_| client::connect(&state).unwrap()).collect();
    for number in 0..20_000 {
        for file in ["a/1", "a/2"] {
            fs::File::options().write(true).open(tree.path("tree").join(file)).unwrap().set_len(number % 7).unwrap();
        }
    }
    fs::remove_dir_all(tree.path("tree/b")).unwrap();
    fs::create_dir(tree.path("tree/b")).unwrap();
    drop(silent);
    tree.settle();
    fs::write(tree.path("tree/b/new"), "new").unwrap();
    check(&tree);
    tree.settle();
    // For a moment a file has the name of a watched directory, which then comes back.
    let silent = client::connect(&state).unwrap();
    fs::rename(tree.path("tree/a"), tree.path("elsewhere/a")).unwrap();
    fs::write(tree.path("tree/a"), "a file").unwrap();
    fs::remove_file(tree.path("tree/a")).unwrap();
    fs::rename(tree.path("elsewhere/a"), tree.path("tree/a")).unwrap();
    drop(silent);
    tree.settle();
    fs::write(tree.path("tree/a/new"), "new").unwrap();
    check(&tree);
}

/// `watch` ends and begins again while somebody looks. What it says of moments is not mixed up.
#[test]
fn a_moment_of_another_watch() {
    let tree = Tree::new("restart");
    let state = tree.path("state");
    for changes_at_once in [true, false] {
        let vouching = Vouching::start(&state).unwrap();
        tree.settle();
        for number in 0..200 {
            fs::write(tree.path("tree/a/1"), number.to_string()).unwrap();
            tree.ask();
        }
        let voucher = tree.voucher();
        fs::write(tree.path("tree/a/1"), "before").unwrap();
        assert_eq!(voucher.find(&[7; 32]), None);
        let (found, places) = tree.look();
        drop(vouching);
        if changes_at_once {
            fs::write(tree.path("tree/a/1"), "after it").unwrap();
        }
        let _vouching = Vouching::start(&state).unwrap();
        voucher.keep(&[7; 32], found, places);
        std::thread::sleep(Duration::from_millis(300));
        fs::write(tree.path("tree/a/2"), "later").unwrap();
        check(&tree);
    }
}

/// Two steps of one build look at the same inputs at once, and something changes in between.
#[test]
fn two_looks_under_one_key() {
    let tree = Tree::new("two");
    let _vouching = Vouching::start(&tree.path("state")).unwrap();
    tree.settle();
    fs::write(tree.path("tree/a/1"), "x").unwrap();
    let voucher = tree.voucher();
    assert_eq!(voucher.find(&[7; 32]), None, "the first step");
    let (found, places) = tree.look();
    fs::write(tree.path("tree/a/1"), "longer").unwrap();
    assert_eq!(voucher.find(&[7; 32]), None, "the second one");
    voucher.keep(&[7; 32], found, places);
    check(&tree);
}

/// A file is watched under a name that leads nowhere any more, and a keeping that came to nothing has its directory already: what is told of the
/// file is told of nobody.
#[test]
fn a_file_below_a_directory_that_was_moved() {
    let tree = Tree::new("moved");
    let mut books = Books::new().unwrap();
    let moment = |books: &mut Books| match books.find(&[1; 32]) {
        protocol::Answer::Unknown { now } => now,
        other => panic!("{other:?}"),
    };
    books.keep([1; 32], 0, Vec::new(), &tree.look().1);
    fs::rename(tree.path("tree/a"), tree.path("tree/c")).unwrap();
    moment(&mut books);
    books.keep([1; 32], 0, Vec::new(), &[tree.path("tree/c"), tree.path("tree/d")].into());
    let since = moment(&mut books);
    let (found, places) = tree.look();
    fs::hard_link(tree.path("tree/c/2"), tree.path("elsewhere/link")).unwrap();
    books.keep([1; 32], since, found, &places);
    moment(&mut books);
    // Told of it once more, it is kept.
    let since = moment(&mut books);
    books.keep([1; 32], since, b"found".to_vec(), &places);
    assert_eq!(books.find(&[1; 32]), protocol::Answer::Found(b"found".to_vec()));
}

/// What comes and goes leaves nothing behind that grows.
#[test]
fn what_is_gone_is_forgotten() {
    let tree = Tree::new("gone");
    let mut books = Books::new().unwrap();
    for number in 0..3000 {
        let (found, places) = tree.look();
        books.keep([1; 32], 0, found, &places);
        fs::remove_dir_all(tree.path("tree/b")).unwrap();
        fs::create_dir(tree.path("tree/b")).unwrap();
        fs::write(tree.path("tree/a/log"), "x").unwrap();
        books.drain();
        fs::rename(tree.path("tree/a/log"), tree.path("elsewhere").join(number.to_string())).unwrap();
    }
    let (directories, watches) = books.sizes();
    assert!(directories < 1100 && watches < 50, "{directories} {watches}");
}

/// Who sends a byte now and then holds up nobody.
#[test]
fn somebody_slow() {
    let tree = Tree::new("slow");
    let state = tree.path("state");
    let vouching = Vouching::start(&state).unwrap();
    tree.settle();
    let mut slow = client::connect(&state).unwrap();
    let thread = std::thread::spawn(move || {
        for _ in 0..30 {
            if std::io::Write::write_all(&mut slow, &[0]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    drop(vouching);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    thread.join().unwrap();
}
