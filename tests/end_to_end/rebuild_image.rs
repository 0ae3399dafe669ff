//! `rebuild` of images in registries: the index and the documents about it. The registries are real ones on loopback.

use std::path::Path;

use expect_test::expect;

use crate::base_image::Registry;
use crate::push::crane;
use crate::rebuild::{cloned, git, tagged_with, told};
use crate::space::TestSpace;

/// A tagged commit whose image is in a registry.
pub fn pushed(registry: &Registry) -> TestSpace {
    let targets = r#""image": Image(base: Static, files: {"/app/small": Output("server"), "/own": File("LICENSE")}),
        "push": Push(image: "image", to: ["ADDRESS/team/app:{version}"], sbom: true, provenance: true),
        "deploy""#;
    let space = tagged_with(&|text| text.replace("\"deploy\"", &targets.replace("ADDRESS", &registry.address)));
    space.ok(&["push"]);
    space
}

fn rebuilt(registry: &Registry) {
    let space = pushed(registry);
    let name = format!("{}/team/app:1.2.3", registry.address);
    let other = cloned(&space);
    let run = other.run(&["rebuild", &name]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // Also a line without indentation: `expect!` takes away what all lines have.
    let shown =
        |text: &str| format!("told:\n{}", told(&text.replace(&registry.address, "HOST"), Path::new("/nowhere")));
    expect![[r#"
        told:
          Rebuilding image of the commit COMMIT, in other surroundings and from an empty cache
               Taken channel = `none`, of the provenance
           Identical HOST/team/app:1.2.3: [DIGEST]
           Identical image.provenance.json: [DIGEST]
           Identical linux_amd64.spdx.json of linux/amd64: [DIGEST]
           Differing …
             Rebuilt in [T]: 3 of 3 are what `image` makes of the commit COMMIT
    "#]]
    .assert_eq(&shown(&run.stderr));
    // The image of a platform by its digest has no provenance of its own.
    let manifest = crane(&["digest", "--platform", "linux/amd64", &name]);
    let of_platform = format!("{}/team/app@{manifest}", registry.address);
    other.run(&["rebuild", &of_platform]).fails(2, &["has no provenance that Rondel has written"]);
    other.run(&["rebuild", &format!("{}/team/app:2", registry.address)]).fails(3, &["team/app:2"]);

    // Other sources: the layer of the registry is fetched, and the file in it named.
    other.write("LICENSE", "other\n");
    other.run(&["rebuild", &name]).fails(2, &["`LICENSE` differs from the commit"]);
    git(&other.root(), &["commit", "-q", "-a", "-m", "second"]);
    git(&other.root(), &["tag", "-f", "v1.2.3"]);
    let run = other.run(&["rebuild", &name, "--other-sources"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    expect![[r#"
        told:
          Rebuilding image, in other surroundings and from an empty cache
               Taken channel = `none`, of the provenance
           Different HOST/team/app:1.2.3: linux/amd64, layer 1 (files of image), entry own, line 1
                       `free` and `other`
           Different image.provenance.json: predicate, buildDefinition, internalParameters, steps, image
                       "[DIGEST]" and "[DIGEST]"
           Different linux_amd64.spdx.json of linux/amd64: documentNamespace
                       "https://spdx.org/spdxdocs/image-[DIGEST]" and "https://spdx.org/spdxdocs/image-[DIGEST]"
           Differing …
             Rebuilt in [T]: 3 of 3 are not what `image` makes of these sources, whose commit is not proven
    "#]]
    .assert_eq(&shown(&run.stderr));
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn an_image_is_rebuilt() {
    let place = TestSpace::empty();
    rebuilt(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
fn an_image_is_rebuilt_where_the_registry_lists_documents() {
    let place = TestSpace::empty();
    rebuilt(&Registry::with_referrers(&place.beside("registry")));
}
