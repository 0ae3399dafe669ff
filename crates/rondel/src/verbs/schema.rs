//! `schema`: the JSON Schema of build.ron, for editors and other tools. Made from the declarations of the kinds.

use rondel_buildfile::json_schema;

use crate::cli::option::options;
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

options! {
    /// No options.
    struct Options {}
}

/// Prints the schema. It needs no build.ron.
pub(crate) struct Schema;

impl Verb for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "the JSON Schema of build.ron, for tools";
    const EXAMPLE: &'static str = "schema";
    type Options = Options;

    fn run(_: Result<Session<'_>, Failure>, _: &Call<'_, Options>) -> Result<Exit, Failure> {
        print_data(&json_schema());
        Ok(Exit::Done)
    }
}
