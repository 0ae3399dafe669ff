//! Links `cargo xtask` for one place in memory, as Go links its programs. One that may be loaded anywhere has its 150,000
//! addresses written anew at each start, which takes longer than all else that `cargo xtask --version` does.

#[allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "cargo talks to build scripts by these")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let cfg = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // Elsewhere programs have to be like that, or another option says it.
    if cfg("OS") == "linux" && cfg("ENV") == "gnu" && !cfg("FEATURE").contains("crt-static") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
