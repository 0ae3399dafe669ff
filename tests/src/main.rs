//! The program that the end-to-end tests run: Rondel, as `cargo xtask` is.

fn main() -> std::process::ExitCode {
    rondel::main()
}
