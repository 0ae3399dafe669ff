//! The directory with which globs begin: results of `Resolve` are relative to it.

/// Returns the directory with which all globs begin, as its parts. A glob that takes away has none.
pub(crate) fn literal_directory<'g>(globs: impl IntoIterator<Item = &'g str>) -> Vec<String> {
    let mut common: Option<Vec<String>> = None;
    for glob in globs.into_iter().filter(|glob| !glob.starts_with('!')) {
        let parts: Vec<&str> = glob.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let directories = parts.split_last().map_or(&[][..], |(_, directories)| directories);
        let is_plain = |part: &&&str| !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
        let plain: Vec<String> = directories.iter().take_while(is_plain).map(|part| (*part).to_owned()).collect();
        common = Some(match common {
            None => plain,
            Some(common) => {
                common.into_iter().zip(plain).take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
            }
        });
    }
    common.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_globs() {
        for (globs, expected) in [
            (&["deploy/**/*.yaml"][..], "deploy"),
            (&["deploy/a.yaml"], "deploy"),
            (&["./deploy//base/*.yaml", "deploy/prod/*.yaml", "!deploy/x"], "deploy"),
            (&["a.yaml"], ""),
            (&["deploy/*.yaml", "compose.yaml"], ""),
            (&["de*/x/a.yaml"], ""),
            (&["**"], ""),
        ] {
            assert_eq!(literal_directory(globs.iter().copied()).join("/"), expected, "{globs:?}");
        }
    }
}
