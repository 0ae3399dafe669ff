//! Documents about images: what they wait for, and what is refused before anything runs.

use expect_test::expect;

use super::Space;
use super::refusals::refused;

fn push(attach: &str) -> String {
    format!(
        r#""image": Image(base: Static, entrypoint: ["/x"]), "push": Push(image: "image", to: ["r.example/a:1"], attach: [{attach}]),
        "sbom": Shell("x", inputs: ["*.go"], outputs: ["sbom.json"]), "two": Shell("x", inputs: ["*.go"], outputs: ["a", "b"]),"#
    )
}

#[test]
fn a_push_waits_for_its_documents() {
    Space::new().graph(
        &push(
            r#"Attachment(type: "application/spdx+json", file: Output("sbom")), Attachment(type: "a/b", file: File("go.mod"), platform: "linux/arm64")"#,
        ),
        &["push"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            sbom, streamed
            push; from: image, sbom
            asked for: push
        "#]],
    );
}

/// The image writes what a push attaches, also if its own fields do not say so.
#[test]
fn a_push_attaches_documents_of_its_image() {
    let targets = r#""server": GoBuild(packages: ["."]),
        "image": Image(base: Static, files: {"/x": Output("server")}),
        "push": Push(image: "image", to: ["r.example/a:1"], sbom: [Spdx, CycloneDx], provenance: true),"#;
    Space::new().graph(targets, &["push"], expect![[r#"
        image: layer base, hidden
        go modules, hidden
        server (linux/amd64) as `server`; on a miss: go modules
        image: layer outputs (linux/amd64), hidden; from: server (linux/amd64)
        image, streamed; from: image: layer base, image: layer outputs (linux/amd64)
        image: docker; from: image
        server: bill (linux/amd64), hidden; from: server (linux/amd64)
        image: sbom (linux/amd64), hidden; from: image, server: bill (linux/amd64)
        image: provenance, hidden; from: image, image: layer base, server (linux/amd64), image: layer outputs (linux/amd64), server: bill (linux/amd64)
        push; from: image, image: sbom (linux/amd64), image: provenance
        asked for: push
    "#]]);
}

/// All that is attached is signed by one step, and the push waits for it.
#[test]
#[cfg(feature = "signing")]
fn a_push_waits_for_its_signatures() {
    let space = Space::new();
    space.write("cosign.pub", include_str!("../../../signatures/src/fixtures/cosign.pub"));
    let targets = r#""image": Image(base: Static, entrypoint: ["/x"], provenance: true),
        "push": Push(image: "image", to: ["r.example/a:1", "r.example/b:1"], sbom: true,
            sign: Sign(key: KeyFile("cosign.key"), public_key: "cosign.pub")),"#;
    space.graph(
        targets,
        &["push"],
        expect![[r#"
        image: layer base, hidden
        image, streamed; from: image: layer base
        image: docker; from: image
        image: sbom (linux/amd64), hidden; from: image
        image: provenance, hidden; from: image, image: layer base
        push: signatures, hidden; from: image, image: sbom (linux/amd64)
        push; from: image, image: sbom (linux/amd64), push: signatures
        asked for: push
    "#]],
    );
}

#[test]
fn documents_that_can_not_be() {
    let space = Space::new();
    space.write("sbom.json", "");
    let check = |attach: &str, expected| refused(&space, &push(attach), "push", expected);
    check(
        r#"Attachment(type: "a/b", file: File("go.mod"), platform: "linux/riscv64")"#,
        expect![[r#"
        input: `image` is not made for linux/riscv64
        at: "linux/riscv64"
        hint: it is for linux/amd64, linux/arm64"#]],
    );
    check(
        r#"Attachment(type: "a/b", file: File("sbom.json"))"#,
        expect![[r#"
        input: `sbom.json` is made by `sbom`, and `File` is for files of the tree
        at: "sbom.json"
        hint: write `Output("sbom")`, which then runs first"#]],
    );
    check(
        r#"Attachment(type: "a/b", file: Output("two"))"#,
        expect![[r#"
        input: `two` has 2 outputs, and none is named
        at: Output("two")
        hint: write `Output("two", "a")` or `Output("two", "b")`"#]],
    );
    check(
        r#"Attachment(type: "a/b", file: Output("push"))"#,
        expect![[r#"
        input: expected a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs), found `push` (`Push`)
        at: Output("push")"#]],
    );
}

#[test]
fn fields_that_can_not_be() {
    let space = Space::new();
    let check = |attach: &str, expected| refused(&space, &push(attach), "push", expected);
    check(
        r#"Attachment(type: "spdx", file: File("go.mod"))"#,
        expect![[r#"
        input: `spdx` is no media type
        at: "spdx"
        hint: write "application/spdx+json", for example"#]],
    );
    check(
        r#"Attachment(type: "application/vnd.oci.image.manifest.v1+json", file: File("go.mod"))"#,
        expect![[r#"
            input: `application/vnd.oci.image.manifest.v1+json` is the type of an image, not of a document
            at: "application/vnd.oci.image.manifest.v1+json"
            hint: name what the file itself is"#]],
    );
    check(
        r#"Attachment(type: "a/b", file: "go.mod")"#,
        expect![[r#"
        input: expected `File("path")` or `Output("target")`, found `"go.mod"`
        at: "go.mod""#]],
    );
    check(
        r#"Attachment(type: "a/b", file: File("../x"))"#,
        expect![[r#"
        input: `../x` leaves the root
        at: "../x"
        hint: paths are relative to `root`"#]],
    );
    check(
        r#"Attachment(type: "a/b", file: File("go.mod"), name: "a/b")"#,
        expect![[r#"
        input: `a/b` can't be the name of a document
        at: "a/b"
        hint: it has letters, digits, `_`, `.`, `-` and `+`, a letter or digit first, and at most 128 of them"#]],
    );
    check(
        r#"Attachment(file: File("go.mod"))"#,
        expect![[r#"
        input: `Attachment` needs the field `type`
        at: Attachment"#]],
    );
    check(
        r#"File("go.mod")"#,
        expect![[r#"
        input: expected `Attachment(type: "application/spdx+json", file: File("sbom.spdx.json"))`, found `File("go.mod")`
        at: File("go.mod")"#]],
    );
}
