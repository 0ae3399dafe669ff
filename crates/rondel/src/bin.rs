//! The `rondel` binary: the same program as `cargo xtask`, without cargo's start-up.

fn main() -> std::process::ExitCode {
    rondel::main()
}
