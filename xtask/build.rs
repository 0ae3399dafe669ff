//! Links `cargo xtask` to be loaded at a fixed address, as Go links its programs. Otherwise the loader adjusts 150,000
//! addresses at each start, which is half of the time of `cargo xtask --version`.

#[allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "cargo talks to build scripts by these")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let cfg = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // Elsewhere programs have to be like that, or another option says it.
    if cfg("OS") == "linux" && cfg("ENV") == "gnu" && !cfg("FEATURE").contains("crt-static") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
