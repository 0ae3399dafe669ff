//! Packages of a release: installed, upgraded and removed by the real `dpkg` and `rpm`, and the same bytes elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use expect_test::{Expect, expect};

use crate::base_image::{BaseImage, Form, write_layout};
use crate::space::{TestSpace, repository};

const DEB: &str = "small_1.0.0_amd64.deb";
const RPM: &str = "small-1.0.0-1.x86_64.rpm";

/// The small module with the release of docs/packages.md, but without the gate: tests of its own hold that.
fn release() -> TestSpace {
    let space = TestSpace::small();
    let page = fs::read_to_string(repository().join("docs/packages.md")).unwrap();
    let example = page.split("```ron\n").nth(1).unwrap().split("```").next().unwrap();
    let example = example.replace("created: Epoch,", "created: Epoch, gate: Off,");
    space.replace("build.ron", "        \"image\": Image(", &format!("{example}\n        \"image\": Image("));
    space.replace("build.ron", "\"v1\"", "\"v1.0.0\"");
    space.write("deploy/small.conf", "port = 80\n");
    space.write(
        "deploy/small.service",
        "[Unit]\nDescription=Small\n\n[Service]\nExecStart=/usr/bin/small\nUser=small\n",
    );
    space.write("web/index.html", "page\n");
    std::os::unix::fs::symlink("index.html", space.root().join("web/start.html")).unwrap();
    space.write("deploy/postinst", "#!/bin/sh\nset -e\necho \"postinst $1\" >>/var/log/small.log\n");
    space
}

/// Builds the packages of this machine's platform; returns a path beside the workspace with a copy of one.
fn built(space: &TestSpace, name: &str, copy: &str) -> PathBuf {
    space.ok(&["release", "--platform", "linux/amd64"]);
    let copy = space.beside(copy);
    fs::copy(space.root().join("dist/release").join(name), &copy).unwrap();
    copy
}

/// Runs a script; returns what it prints, if it succeeds.
fn shell(script: &str) -> String {
    let output = Command::new("unshare").args(["--mount", "sh", "-euc", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Compares what a script prints on a copy of this machine, where it can write everywhere, with what is expected.
/// `files` are in `/packages` there.
fn on_a_copy_of_this_machine(space: &TestSpace, files: &[&PathBuf], script: &str, expected: Expect) {
    let directory = space.beside("machine");
    fs::create_dir_all(&directory).unwrap();
    fs::write(space.beside("script"), script).unwrap();
    let copies: String = files.iter().map(|file| format!("cp {} root/packages/; ", file.display())).collect();
    let text = shell(&format!(
        "mount -t tmpfs tmpfs {0}; cd {0}; mkdir upper work root\n\
         mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root\n\
         mkdir root/packages; {copies} cp {1} root/packages/script\n\
         DEBIAN_FRONTEND=noninteractive LC_ALL=C exec chroot root sh -eu /packages/script",
        directory.display(),
        space.beside("script").display(),
    ));
    expected.assert_eq(&text);
}

#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
#[cfg_attr(not(has_mount), ignore = "no right to mount")]
#[cfg_attr(not(has_dpkg), ignore = "no dpkg with adduser")]
fn a_deb_is_installed_upgraded_and_removed() {
    let space = release();
    let first = built(&space, DEB, "first.deb");
    space.replace("build.ron", "v1.0.0", "v2.0.0-rc.1");
    space.write("deploy/small.conf", "port = 81\n");
    let second = built(&space, "small_2.0.0~rc.1_amd64.deb", "second.deb");
    let script = r#"
        state() { dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' small; }
        # A systemd that only says what it is told.
        mkdir -p /run/systemd/system
        printf '#!/bin/sh\necho "systemctl $*" >>/var/log/small.log\n' >/usr/local/bin/systemctl
        chmod 755 /usr/local/bin/systemctl
        dpkg -i /packages/first.deb >/dev/null 2>&1; state; small
        stat -c '%n %A %U:%G' /usr/bin/small /etc/small/small.conf /var/lib/small /usr/lib/systemd/system/small.service
        dpkg -L small | sed -n '/share/p'; cat /usr/share/small/start.html /usr/share/man/man1/small.1
        dpkg --verify small; dpkg-query -W -f '${Conffiles}\n' small | sed 's/ [0-9a-f]*$//'
        echo 'port = 90' >/etc/small/small.conf
        dpkg --force-confold -i /packages/second.deb >/dev/null 2>&1; state; small
        cat /etc/small/small.conf /etc/small/small.conf.dpkg-dist
        dpkg -r small >/dev/null 2>&1; state; ls /etc/small
        dpkg -P small >/dev/null 2>&1; ls -d /etc/small /usr/bin/small 2>&1 || :
        cat /var/log/small.log
    "#;
    on_a_copy_of_this_machine(
        &space,
        &[&first, &second],
        script,
        expect![[r#"
            small 1.0.0 installed
            v1.0.0 hello

            /usr/bin/small -rwxr-xr-x root:root
            /etc/small/small.conf -rw-r----- root:small
            /var/lib/small drwxr-x--- small:small
            /usr/lib/systemd/system/small.service -rw-r--r-- root:root
            /usr/share
            /usr/share/man
            /usr/share/man/man1
            /usr/share/man/man1/small.1
            /usr/share/small
            /usr/share/small/index.html
            /usr/share/small/start.html
            page
            .TH small 1
             /etc/small/small.conf
            small 2.0.0~rc.1 installed
            v2.0.0-rc.1 hello

            port = 90
            port = 81
            small 2.0.0~rc.1 config-files
            small.conf
            small.conf.dpkg-dist
            ls: cannot access '/etc/small': No such file or directory
            ls: cannot access '/usr/bin/small': No such file or directory
            systemctl daemon-reload
            postinst configure
            systemctl daemon-reload
            systemctl daemon-reload
            systemctl try-restart small.service
            postinst configure
            systemctl disable --now small.service
            systemctl daemon-reload
            systemctl daemon-reload
        "#]],
    );
}

/// In an empty root with a shell, so that nothing of Debian's `rpm` package matters.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
#[cfg_attr(not(has_rpm), ignore = "no rpm, as root")]
fn an_rpm_is_installed_upgraded_and_removed() {
    let space = release();
    let first = built(&space, RPM, "first.rpm");
    space.replace("build.ron", "v1.0.0", "v2.0.0-rc.1");
    space.write("deploy/small.conf", "port = 81\n");
    let second = built(&space, "small-2.0.0~rc.1-1.x86_64.rpm", "second.rpm");
    let script = format!(
        r#"
        R={root}; mkdir -p $R/bin $R/dev $R/etc $R/run/systemd/system $R/var/log; cp /bin/busybox $R/bin; cd $R
        for name in sh cat; do ln -s busybox bin/$name; done
        echo 'root:x:0:0::/:/bin/sh' >etc/passwd; echo 'root:x:0:' >etc/group
        : >dev/null
        # What makes users, in a root that has no package of them; and a systemd that only says what it is told.
        printf '#!/bin/sh\nexit 2\n' >bin/getent
        printf '#!/bin/sh\necho small:x:777: >>/etc/group\n' >bin/groupadd
        printf '#!/bin/sh\necho small:x:778:777::/:/bin/sh >>/etc/passwd\n' >bin/useradd
        printf '#!/bin/sh\necho "systemctl $*" >>/var/log/small.log\n' >bin/systemctl
        chmod 755 bin/*
        r() {{ rpm --root $R "$@" 2>&1 | grep -v 'Alien\|know what you' || :; }}
        r --initdb
        r -K {first} | sed 's/.*: //'
        r -qp --conflicts --obsoletes --recommends --scripts {first}
        r -i --nodeps {first}; r -q small; chroot $R /usr/bin/small
        stat -c '%n %A %u:%g' usr/bin/small etc/small/small.conf var/lib/small usr/lib/systemd/system/small.service
        r -V --nodeps small; r -qc small
        echo 'port = 90' >etc/small/small.conf
        r -U --nodeps {second}; r -q small; chroot $R /usr/bin/small
        cat etc/small/small.conf etc/small/small.conf.rpmnew
        r -e --nodeps small; r -q small; ls etc/small; ls -d usr/bin/small usr/share/small 2>/dev/null || :
        cat var/log/small.log
        "#,
        root = space.beside("root").display(),
        first = first.display(),
        second = second.display(),
    );
    expect![[r#"
        digests OK
        preinstall scriptlet (using /bin/sh):
        getent group small >/dev/null || groupadd -r small
        getent passwd small >/dev/null || useradd -r -g small small

        postinstall scriptlet (using /bin/sh):
        if [ -d /run/systemd/system ]; then
            systemctl daemon-reload || :
            if [ "$1" -gt 1 ]; then systemctl try-restart small.service || :; fi
        fi

        preuninstall scriptlet (using /bin/sh):
        if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
            systemctl disable --now small.service || :
        fi

        postuninstall scriptlet (using /bin/sh):
        if [ -d /run/systemd/system ]; then
            systemctl daemon-reload || :
        fi

        small-1.0.0-1.x86_64
        v1.0.0 hello

        usr/bin/small -rwxr-xr-x 0:0
        etc/small/small.conf -rw-r----- 0:777
        var/lib/small drwxr-x--- 778:777
        usr/lib/systemd/system/small.service -rw-r--r-- 0:0
        /etc/small/small.conf
        warning: /etc/small/small.conf created as /etc/small/small.conf.rpmnew
        small-2.0.0~rc.1-1.x86_64
        v2.0.0-rc.1 hello

        port = 90
        port = 81
        warning: /etc/small/small.conf saved as /etc/small/small.conf.rpmsave
        package small is not installed
        small.conf.rpmnew
        small.conf.rpmsave
        systemctl daemon-reload
        systemctl daemon-reload
        systemctl try-restart small.service
        systemctl daemon-reload
        systemctl disable --now small.service
        systemctl daemon-reload
    "#]]
    .assert_eq(&shell(&script).replace(&space.beside("").display().to_string(), "[BESIDE]/"));
}

/// The bill of an image on a base names what the real `rpm` says is installed there.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
#[cfg_attr(not(has_rpm), ignore = "no rpm, as root")]
fn a_bill_has_the_packages_that_rpm_installed() {
    let space = release();
    let package = built(&space, RPM, "small.rpm");
    let root = space.beside("root").display().to_string();
    let rpm = format!("rpm --root {root} --dbpath /var/lib/rpm");
    let script = format!(
        "mkdir {root}; {rpm} --initdb; {rpm} -i --nodeps --noscripts {} 2>/dev/null
         {rpm} -qa --qf 'pkg:rpm/fedora/%{{NAME}}@%{{VERSION}}-%{{RELEASE}}?arch=%{{ARCH}}&distro=fedora-41\n'",
        package.display()
    );
    let installed = shell(&script);
    assert_eq!(installed, "pkg:rpm/fedora/small@1.0.0-1?arch=x86_64&distro=fedora-41\n");
    let mut layer = tar::Builder::new(Vec::new());
    layer.append_dir_all("var/lib/rpm", space.beside("root/var/lib/rpm")).unwrap();
    fs::write(space.beside("os-release"), "ID=fedora\nVERSION_ID=41\n").unwrap();
    layer.append_path_with_name(space.beside("os-release"), "usr/lib/os-release").unwrap();
    let base = BaseImage {
        platform: "linux/amd64",
        config: serde_json::json!({}),
        layers: vec![(layer.into_inner().unwrap(), Form::Gzip)],
        is_docker: false,
    };
    write_layout(&space.root().join("base"), &[base]);
    space.replace(
        "build.ron",
        "        \"image\": Image(",
        "        \"based\": Image(base: Layout(\"base\"), sbom: true, platforms: [\"linux/amd64\"]),\n        \"image\": Image(",
    );
    space.ok(&["based"]);
    let bill = space.read("dist/based.sbom/linux_amd64.spdx.json");
    assert!(bill.contains(&format!("\"{}\"", installed.trim())), "{bill}");
}

/// Packages have bills of materials, as archives have them.
#[test]
fn bills_of_packages() {
    let space = release();
    space.replace("build.ron", "created: Epoch,", "created: Epoch, sbom: [Spdx, CycloneDx],");
    space.ok(&["release"]);
    let sums = space.read("dist/release/small_1.0.0_checksums.txt");
    let listed = space.read("dist/release/artifacts.json");
    for name in [DEB, RPM, "small_1.0.0_arm64.deb", "small_1.0.0_linux_amd64.tar.gz"] {
        let digest = rondel_cas::Digest::of_file(&space.root().join("dist/release").join(name)).unwrap().hex();
        for (form, word) in [("spdx", "checksumValue"), ("cdx", "content")] {
            let bill = format!("{name}.{form}.json");
            assert!(
                sums.contains(&format!("  {bill}\n")) && listed.contains(&format!("\"name\": \"{bill}\"")),
                "{bill}"
            );
            let text = space.read(&format!("dist/release/{bill}"));
            assert!(text.contains(&format!("\"{word}\": \"{digest}\"")), "{bill}: {text}");
            assert!(text.contains("\"example.com/small\""), "{bill}: {text}");
        }
    }
    assert!(space.ran(&["release"]).is_empty());
    // The same without the field: what nothing makes any more goes.
    space.replace("build.ron", " sbom: [Spdx, CycloneDx],", "");
    space.ok(&["release"]);
    assert!(space.exists(&format!("dist/release/{DEB}")) && !space.exists(&format!("dist/release/{DEB}.spdx.json")));
}

/// What `verify`, the gate and `cache audit` say of two packages that differ.
#[test]
fn the_file_that_differs_is_named() {
    let space = release();
    let names = [DEB, RPM];
    space.ok(&["release", "--platform", "linux/amd64"]);
    let made = |name: &str| space.root().join("dist/release").join(name);
    for name in names {
        fs::copy(made(name), space.beside(name)).unwrap();
    }
    let differences = || {
        names.map(|name| {
            let found = rondel_diff::diff_files(&space.beside(name), &made(name), &rondel_diff::Traces::default());
            let found = found.unwrap().unwrap();
            format!("{}: {}\n", found.place.join(", "), found.what.join("; "))
        })
    };
    space.write("deploy/small.conf", "port = 81\n");
    space.ok(&["release", "--platform", "linux/amd64"]);
    expect![[r#"
        entry data.tar.gz, entry ./etc/small/small.conf, line 1: `port = 80` and `port = 81`
        payload, entry ./etc/small/small.conf, line 1: `port = 80` and `port = 81`
    "#]]
    .assert_eq(&differences().concat());
    space.write("deploy/small.conf", "port = 80\n");
    let text = space.read("build.ron").replace("Serves small things", "Serves");
    space.write("build.ron", &text);
    space.ok(&["release", "--platform", "linux/amd64"]);
    expect![[r#"
        entry control.tar.gz, entry ./control, line 10: `Description: Serves small things` and `Description: Serves`
        header, tag 1004 (summary): `Serves small things` and `Serves`
    "#]]
    .assert_eq(&differences().concat());
}

/// Elsewhere, from nothing, all packages are the same bytes; here each is kept by its own key.
#[test]
fn packages_are_kept_and_the_same_elsewhere() {
    let space = release();
    space.ok(&["release"]);
    let digests = |space: &TestSpace| {
        let read = fs::read_dir(space.root().join("dist/release")).unwrap().flatten();
        let digest = |path: PathBuf| rondel_cas::Digest::of_file(&path).unwrap().hex();
        read.map(|entry| (entry.file_name().into_string().unwrap(), digest(entry.path()))).collect::<BTreeMap<_, _>>()
    };
    let before = digests(&space);
    let names: Vec<&str> = before.keys().map(String::as_str).filter(|name| name.starts_with("small")).collect();
    assert_eq!(
        names,
        [
            "small-1.0.0-1.aarch64.rpm",
            RPM,
            "small_1.0.0_amd64.deb",
            "small_1.0.0_arm64.deb",
            "small_1.0.0_checksums.txt",
            "small_1.0.0_linux_amd64.tar.gz",
            "small_1.0.0_linux_arm64.tar.gz"
        ]
    );
    let listed = space.read("dist/release/artifacts.json");
    let sums = space.read("dist/release/small_1.0.0_checksums.txt");
    for name in names.iter().filter(|name| name.ends_with(".deb") || name.ends_with(".rpm")) {
        assert!(listed.contains(&format!("\"name\": \"{name}\"")), "{listed}");
        assert!(sums.contains(&format!("{}  {name}\n", before[*name])), "{sums}");
    }
    assert!(space.ran(&["release"]).is_empty());
    // Restored, not made again.
    space.remove("dist/release");
    assert!(space.ran(&["release"]).is_empty());
    assert_eq!(digests(&space), before);
    // Only what a file is in.
    space.append("deploy/postinst", "exit 0\n");
    let ran = space.ran(&["release"]);
    let steps: Vec<&str> = ran.keys().map(String::as_str).collect();
    assert_eq!(steps, ["release", "release: checksums", "release: deb (linux/amd64)", "release: deb (linux/arm64)"]);
    let other = release();
    other.append("deploy/postinst", "exit 0\n");
    other.ok(&["release"]);
    assert_eq!(digests(&other), digests(&space));
}

/// What no format takes is refused before anything is built, at its place.
#[test]
fn values_that_are_no_package() {
    for (from, to, words) in [
        ("\"adduser\", ", "\"adduser\\nEssential: yes\", ", "`depends` has `adduser\\nEssential: yes`"),
        ("\"v1.0.0\"", "\"main\"", "`main` is no semantic version"),
        ("\"/var/lib/small\": Dir", "\"/var/../small\": Dir", "`/var/../small` is not an absolute path of a file"),
        (
            "A Person <person@example.org>",
            "A Person",
            "the maintainer `A Person` is not like `Name <name@example.org>`",
        ),
        ("\"deploy/small.service\"", "\"deploy/small.conf\"", "`small.conf` is no name of a systemd unit"),
    ] {
        let space = release();
        let text = space.read("build.ron");
        space.write("build.ron", &text.replace(from, to));
        space.run(&["release"]).fails(2, &[words]);
        assert!(!space.exists("dist"), "{words}");
    }
    // What shows in the tree only.
    let space = release();
    space.remove("deploy/small.conf");
    space.run(&["release"]).fails(2, &["`deploy/small.conf`"]);
    let space = release();
    space.replace("build.ron", "\"/var/lib/small\": Dir", "\"/usr/bin/small\": Dir");
    space.run(&["release"]).fails(2, &["two files of the package are installed as `/usr/bin/small`"]);
}
