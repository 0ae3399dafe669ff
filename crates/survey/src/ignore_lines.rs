//! Lines of `.gitignore` and `.dockerignore` for what Rondel and Cargo make.

use crate::Survey;

/// Returns the `.gitignore` with the lines that it lacks; nothing if it has all. `.rondel/` ignores itself in git.
pub fn git_ignore(former: Option<&str>, survey: &Survey, has_cargo: bool) -> Option<String> {
    let mut lines = Vec::new();
    if has_cargo {
        lines.push("/target/".to_owned());
    }
    if survey.has_dist {
        // What else is in it is the repository's.
        lines.extend(survey.outputs().into_iter().map(|target| format!("/dist/{target}/")));
    } else {
        lines.push("/dist/".to_owned());
    }
    extended(former, &lines)
}

/// Returns the `.dockerignore` with the lines that it lacks; nothing if it has all, or if there is no Dockerfile.
pub fn docker_ignore(former: Option<&str>, survey: &Survey) -> Option<String> {
    // Where everything is left out first, these are.
    let leaves_out_all = former.unwrap_or_default().lines().any(|line| matches!(line.trim(), "*" | "**"));
    if !survey.uses_docker || leaves_out_all {
        return None;
    }
    let mut lines = vec!["/target/".to_owned(), "/.rondel/".to_owned()];
    if !survey.has_dist && !survey.container.copies_dist {
        lines.push("/dist/".to_owned());
    }
    extended(former, &lines)
}

fn extended(former: Option<&str>, lines: &[String]) -> Option<String> {
    let mut text = former.unwrap_or_default().to_owned();
    let has = |line: &str| {
        let bare = |line: &str| line.trim().trim_matches('/').to_owned();
        former.unwrap_or_default().lines().any(|other| bare(other) == bare(line))
    };
    let missing: Vec<&String> = lines.iter().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return None;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text.push_str(line);
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_once() {
        let lines = ["/target/".to_owned(), "/dist/".to_owned()];
        assert_eq!(extended(None, &lines).as_deref(), Some("/target/\n/dist/\n"));
        assert_eq!(extended(Some("*.o\ntarget"), &lines).as_deref(), Some("*.o\ntarget\n/dist/\n"));
        assert_eq!(extended(Some("dist/\n/target\n"), &lines), None);
    }
}
