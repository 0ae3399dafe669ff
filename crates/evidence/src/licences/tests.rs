//! Tests of the matcher with texts of real modules, and with texts that differ from them in one word.

use super::*;

const MIT: &str = include_str!("texts/MIT.txt");

/// A text of a licence without the marks of patterns: the first of each choice, no name of a holder.
fn plain(pattern: &str) -> String {
    let mut text = String::new();
    let mut open: Vec<bool> = Vec::new();
    let mut in_braces = false;
    for character in pattern.chars() {
        match character {
            '[' => open.push(true),
            ']' => drop(open.pop()),
            '|' => *open.last_mut().unwrap() = false,
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ if in_braces || open.contains(&false) => {}
            _ => text.push(character),
        }
    }
    text
}

fn licence(text: &str) -> Option<String> {
    licence_of_text(text.as_bytes())
}

#[test]
fn each_text_is_its_own_licence() {
    for (id, text) in [
        ("MIT", MIT),
        ("BSD-2-Clause", include_str!("texts/BSD-2-Clause.txt")),
        ("BSD-3-Clause", include_str!("texts/BSD-3-Clause.txt")),
        ("ISC", include_str!("texts/ISC.txt")),
        ("0BSD", include_str!("texts/0BSD.txt")),
        ("Zlib", include_str!("texts/Zlib.txt")),
        ("BSL-1.0", include_str!("texts/BSL-1.0.txt")),
        ("Unlicense", include_str!("texts/Unlicense.txt")),
        ("Apache-2.0", include_str!("texts/Apache-2.0-notice.txt")),
    ] {
        let text = plain(text);
        assert_eq!(licence(&text).as_deref(), Some(id), "{text}");
        assert_eq!(licence(&format!("The {id} of ours\n{text}")), None, "no title");
        let with_notice =
            format!("Copyright (c) 2014-2020 Jane Doe <jane@example.com>\nAll rights reserved.\n\n{text}");
        assert_eq!(licence(&with_notice).as_deref(), Some(id));
    }
}

/// Each word of a text counts: without it, or with another one, the licence is not known, or is another one.
#[test]
fn a_changed_word_is_no_guess() {
    for (id, text) in [
        ("MIT", MIT),
        ("BSD-3-Clause", include_str!("texts/BSD-3-Clause.txt")),
        ("BSD-2-Clause", include_str!("texts/BSD-2-Clause.txt")),
        ("Zlib", include_str!("texts/Zlib.txt")),
    ] {
        let text = plain(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        // Words of the places where a holder may have any name.
        let of_holders = ["the", "its", "and", "contributors", "copyright", "holders", "of"];
        for (index, word) in words.iter().enumerate() {
            let letters: String = word.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            let with = |other: &str| {
                let mut changed = words.clone();
                changed[index] = other;
                licence(&changed.join(" "))
            };
            assert_eq!(with("not").filter(|_| letters != "not"), None, "{id}: {word} at {index}");
            let found = with("frobnicate");
            assert!(found.is_none() || of_holders.contains(&letters.as_str()), "{id}: {word} -> {found:?}");
            let mut more = words.clone();
            more.insert(index, "commercial");
            assert_eq!(licence(&more.join(" ")), None, "{id}: before {word}");
        }
    }
}

#[test]
fn more_than_a_licence_is_unknown() {
    let mit = plain(MIT);
    for more in [
        "The Software may not be used for evil.",
        "Copyright (c) 2020 X. Commercial use is prohibited.",
        "Commons Clause",
        "(c) only for use in schools",
        "Some files have other licenses: see third_party.",
    ] {
        assert_eq!(licence(&format!("{more}\n\n{mit}")), None, "{more}");
        assert_eq!(licence(&format!("{mit}\n{more}\n")), None, "{more}");
    }
    assert_eq!(licence(""), None);
    assert_eq!(licence("MIT"), None, "a name is no text");
    assert_eq!(licence_of_text(&[0xff; 10]), None);
    assert_eq!(licence(&mit.repeat(1000)), None, "too long");
    assert_eq!(licence(&"permission is hereby granted ".repeat(5000)), None);
}

#[test]
fn several_files() {
    let (mit, isc) = (plain(MIT), plain(include_str!("texts/ISC.txt")));
    let all = |texts: &[&str]| licence_of_files(texts.iter().map(|text| text.as_bytes()));
    assert_eq!(all(&[]), None);
    assert_eq!(all(&[&mit, &isc]).as_deref(), Some("ISC AND MIT"));
    assert_eq!(all(&[&mit, &mit]).as_deref(), Some("MIT"));
    assert_eq!(all(&[&mit, "something else"]), None);
}

#[test]
fn names_of_files() {
    for name in [
        "LICENSE",
        "license.txt",
        "LICENCE.md",
        "COPYING",
        "COPYING.LESSER",
        "LICENSE-MIT",
        "UNLICENSE",
        "LICENSE.libyaml",
    ] {
        assert!(is_licence_file(name), "{name}");
    }
    for name in ["NOTICE", "license.go", "licenses", "README", "LICENSE.docs", "license_test.go", "copyright"] {
        assert!(!is_licence_file(name), "{name}");
    }
}

/// The texts of modules as they are: those of the sample and of the projects of docs/projects.md, and some that say more
/// than their licence.
#[test]
fn texts_of_modules() {
    let cases = include_str!("cases.txt").split("=== ").skip(1);
    let mut count = 0;
    for (head, text) in cases.filter_map(|case| case.split_once('\n')) {
        let (file, wanted) = head.split_once('\t').unwrap();
        let found = licence_of_text(text.as_bytes());
        assert_eq!(found.as_deref().unwrap_or("unknown"), wanted, "{file}");
        count += 1;
    }
    assert_eq!(count, 26);
}
