//! `cargo xtask`: hands over to Rondel. Another repository gets a crate of its own from `init`: this one takes its settings
//! from the workspace.

fn main() -> std::process::ExitCode {
    rondel::main()
}
