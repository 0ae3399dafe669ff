//! Names of images in build.ron. A value after the colon that is no part of a tag is an error that offers `slug`.

use rondel_buildfile::{Filter, Part, Template, Text, TextSource};
use rondel_engine::UserError;

use crate::variables::Variables;

/// Returns the name of an image. Its form is not checked, but for the values after the colon.
pub(crate) fn tag_text(text: &Text, variables: &Variables<'_>) -> Result<String, UserError> {
    if let TextSource::Template(template) = &text.source {
        check_tag(template, variables).map_err(|error| error.at(text.span))?;
    }
    variables.text(text).map_err(|error| error.at(text.span))
}

/// Refuses a variable after the colon whose value no tag can have.
fn check_tag(template: &Template, variables: &Variables<'_>) -> Result<(), UserError> {
    for part in behind_colon(template) {
        let Part::Variable(used) = part else { continue };
        let value = variables.used(used)?;
        let wrong = value.chars().find(|character| !character.is_ascii_alphanumeric() && !"_.-".contains(*character));
        let Some(wrong) = wrong else { continue };
        let mut slug = used.clone();
        slug.filters.push(Filter::Slug);
        let message = format!("`{used}` is `{}`, and a tag has no `{}`", value.escape_debug(), wrong.escape_debug());
        let error = UserError::input(message);
        return Err(match variables.used(&slug)?.as_str() {
            "" => error.hint("letters, digits, `_`, `.` and `-` can be in a tag"),
            tag => error.hint(format!("write `{slug}`, which gives `{tag}`")),
        });
    }
    Ok(())
}

/// Returns the parts behind the colon of the tag: no `/` is written after it, as after the colon of a port.
fn behind_colon(template: &Template) -> &[Part] {
    for (index, part) in template.parts.iter().enumerate().rev() {
        let Part::Literal(text) = part else { continue };
        match (text.rfind(':'), text.rfind('/')) {
            (Some(colon), slash) if slash.is_none_or(|slash| slash < colon) => return &template.parts[index + 1..],
            (None, None) => {}
            _ => break,
        }
    }
    &[]
}

/// Returns the error of a name that is none. Where it has a `/` after the colon, it offers `slug`.
pub(crate) fn wrong_tag(name: &str, message: String) -> UserError {
    let error = UserError::input(message);
    let is_port =
        |text: &str| text.split('/').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match name.split_once(':') {
        Some((_, tag)) if tag.contains('/') && !is_port(tag) => {
            error.hint("a tag has no `/`; for a variable after the colon write `{name|slug}`")
        }
        _ => error,
    }
}
