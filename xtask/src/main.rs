//! `cargo xtask`: hands over to Rondel. Another repository adopts Rondel by copying this crate.

fn main() -> std::process::ExitCode {
    rondel::main()
}
