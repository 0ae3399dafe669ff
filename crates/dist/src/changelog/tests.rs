//! Tests of the text: groups, plain subjects, and messages of strangers.

use super::*;

fn commit(number: u8, message: &str) -> Commit {
    Commit { hash: format!("{number:02x}").repeat(20), author: "Ada <i>".to_owned(), message: message.to_owned() }
}

fn style() -> ChangelogStyle {
    let group = |title: &str, types: &[&str]| (title.to_owned(), types.iter().map(|kind| (*kind).to_owned()).collect());
    ChangelogStyle {
        title: "1.2.3".to_owned(),
        groups: vec![
            group("Breaking changes", &["!"]),
            group("Features", &["feat"]),
            group("Fixes", &["fix"]),
            group("Others", &["*"]),
        ],
        leave_out: ["chore", "ci", "docs", "test"].map(str::to_owned).to_vec(),
        commit_url: None,
        issue_url: None,
        authors: false,
    }
}

#[test]
fn groups_of_conventional_commits() {
    let commits = [
        commit(
            1,
            "feat(api)!: drop v1 (#12)\n\nLong text.\n\nBREAKING CHANGE: v1 is gone,\nuse v2 (#11)\nSigned-off-by: x\n",
        ),
        commit(2, "Feat: greet (#7)"),
        commit(3, "fix(cli): no panic on #9, see a#4 and #5x"),
        commit(4, "chore: tidy"),
        commit(5, "chore: other names\n\nBREAKING-CHANGE: all names"),
        commit(6, "Update the readme"),
        commit(7, "perf: faster"),
        commit(8, "docs(readme): words"),
        commit(9, "fix: : odd"),
        commit(10, "fix(a(b)): brackets"),
        commit(11, "\n"),
    ];
    let links = ChangelogStyle {
        commit_url: Some("https://example.com/x/commit/{hash}".to_owned()),
        issue_url: Some("https://example.com/x/issues/{number}".to_owned()),
        authors: true,
        ..style()
    };
    let text = changelog(&commits, false, &links);
    let of = |number: u8| {
        let hash = commit(number, "").hash;
        format!("([{}](https://example.com/x/commit/{hash}), Ada &lt;i&gt;)", &hash[..7])
    };
    let expected = format!(
        "## 1.2.3\n\n### Breaking changes\n\n\
         - **api:** drop v1 ([#12](https://example.com/x/issues/12)) {}\n  v1 is gone, use v2 ([#11](https://example.com/x/issues/11))\n\
         - other names {}\n  all names\n\n\
         ### Features\n\n- greet ([#7](https://example.com/x/issues/7)) {}\n\n\
         ### Fixes\n\n- **cli:** no panic on [#9](https://example.com/x/issues/9), see a#4 and #5x {}\n- : odd {}\n\n\
         ### Others\n\n- Update the readme {}\n- faster {}\n- fix(a(b)): brackets {}\n- (no message) {}\n",
        of(1),
        of(5),
        of(2),
        of(3),
        of(9),
        of(6),
        of(7),
        of(10),
        of(11)
    );
    assert_eq!(text, expected);
}

#[test]
fn plain_subjects_and_nothing() {
    let commits = [commit(1, "feat: a\n\nmore"), commit(2, "chore: b")];
    let plain = ChangelogStyle { groups: Vec::new(), ..style() };
    assert_eq!(
        changelog(&commits, true, &plain),
        "## 1.2.3\n\n- feat: a\n- chore: b\n\nOnly the last 2 commits are listed.\n"
    );
    assert_eq!(changelog(&commits[1..], false, &style()), "## 1.2.3\n\nNo changes to tell of.\n");
    assert_eq!(changelog(&[], false, &plain), "## 1.2.3\n\nNo changes to tell of.\n");
    // Without a group for the others, they are not listed; what breaks something has its type's group then.
    let few = ChangelogStyle { groups: style().groups[1..2].to_vec(), ..style() };
    let breaking = [commit(1, "feat!: a\n\nBREAKING CHANGE: b"), commit(2, "fix: c")];
    assert_eq!(changelog(&breaking, false, &few), "## 1.2.3\n\n### Features\n\n- a\n");
}

#[test]
fn a_message_writes_no_more_than_its_line() {
    let long = "x".repeat(1000);
    for (subject, line) in [
        ("[a](http://evil) <img src=x> &lt;", r"\[a\](http:&#8203;//evil) &lt;img src=x&gt; &amp;lt;"),
        (
            "@team look at a@b.example, www.evil.example",
            "@&#8203;team look at a@&#8203;b.example, www&#8203;.evil.example",
        ),
        ("a\u{1b}[31m b\u{202e}c\td\u{0}\u{2028}e\u{200b}", r"a\[31m bc d e"),
        ("- x", r"\- x"),
        ("+ x", r"\+ x"),
        ("===", r"\==="),
        ("12. x", r"12\. x"),
        ("1) x", r"1\) x"),
        ("# x #1", r"\# x #1"),
        ("> x", "&gt; x"),
        // It would be a picture.
        ("x!#2", "x!#2"),
        ("```", r"\`\`\`"),
        ("~~~ *a* _b_ |c| $d$", r"\~\~\~ \*a\* \_b\_ \|c\| \$d\$"),
        (r"\[a](b)", r"\\\[a\](b)"),
        (long.as_str(), &format!("{}…", "x".repeat(300))),
    ] {
        let plain = ChangelogStyle { groups: Vec::new(), ..style() };
        assert_eq!(changelog(&[commit(1, subject)], false, &plain), format!("## 1.2.3\n\n- {line}\n"), "{subject:?}");
        let linked = ChangelogStyle { issue_url: Some("https://e.example/{number}".to_owned()), ..plain };
        let line = line.replace(" #1", " [#1](https://e.example/1)");
        assert_eq!(changelog(&[commit(1, subject)], false, &linked), format!("## 1.2.3\n\n- {line}\n"), "{subject:?}");
    }
    // A hash that is none, a scope and a title.
    let hostile = Commit { hash: "12](x) ab".to_owned(), ..commit(1, "feat(<b>\r): x\ry") };
    let linked = ChangelogStyle {
        title: "1\n# 2".to_owned(),
        commit_url: Some("https://e.example/{hash}".to_owned()),
        ..style()
    };
    let expected = "## 1 \\# 2\n\n### Features\n\n- **&lt;b&gt;:** x y ([12ab](https://e.example/12ab))\n";
    assert_eq!(changelog(&[hostile], false, &linked), expected);
}
