//! Values of settings in words: `interval 10 s` for `{"interval_s":10}`. Keys hold structured settings as JSON, which people do not
//! read. It knows no setting.

use serde_json::Value;

/// What stands for a value that is empty.
const NOTHING: &str = "nothing";

/// Returns a value in words. One that is no list and no object of JSON is returned as it is.
pub fn in_words(value: &str) -> String {
    match structured(value) {
        Some(value) => words(&value),
        None if value.is_empty() => NOTHING.to_owned(),
        None => value.to_owned(),
    }
}

/// Returns what differs between two values, in words with the values as `quote` shows them: `interval changed from 10 s to 30 s`.
/// `None` if they have no parts to compare, or if too many differ to name them.
pub(crate) fn difference(old: &str, new: &str, quote: &dyn Fn(&str) -> String) -> Option<String> {
    let changed = match (structured(old)?, structured(new)?) {
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> =
                old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).collect();
            names.retain(|name| old.get(*name) != new.get(*name));
            let side = |side: Option<&Value>, name: &str| side.map(|value| quote(&with_unit(name, value)));
            let change = |name: &String| match (side(old.get(name), name), side(new.get(name), name)) {
                (Some(old), Some(new)) => format!("{} changed from {old} to {new}", plain(name)),
                (None, Some(new)) => format!("{} is new ({new})", plain(name)),
                (_, None) => format!("{} is gone", plain(name)),
            };
            names.into_iter().map(change).collect::<Vec<String>>()
        }
        (Value::Array(old), Value::Array(new)) => {
            let only = |here: &[Value], there: &[Value], what: &str| -> Vec<String> {
                let alone = here.iter().filter(|item| !there.contains(item));
                alone.map(|item| format!("{} {what}", quote(&item_words(item)))).collect()
            };
            [only(&new, &old, "is new"), only(&old, &new, "is gone")].concat()
        }
        _ => return None,
    };
    (1..=3).contains(&changed.len()).then(|| changed.join(", "))
}

fn structured(value: &str) -> Option<Value> {
    let is_structured = value.starts_with(['[', '{']) || value == "null";
    serde_json::from_str(value).ok().filter(|_| is_structured)
}

fn words(value: &Value) -> String {
    let parts: Vec<String> = match value {
        Value::Array(items) => return or_nothing(items.iter().map(item_words).collect::<Vec<String>>().join(" ")),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{} {}", plain(name), with_unit(name, value))).collect()
        }
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
    };
    or_nothing(parts.join(", "))
}

/// A pair of texts is a name with its value.
fn item_words(item: &Value) -> String {
    match item.as_array().map(Vec::as_slice) {
        Some([Value::String(name), Value::String(value)]) => format!("{name}={value}"),
        _ => words(item),
    }
}

/// Fields whose names end with `_s` are seconds.
fn with_unit(name: &str, value: &Value) -> String {
    if name.ends_with("_s") && value.is_number() { format!("{value} s") } else { words(value) }
}

fn plain(name: &str) -> String {
    name.strip_suffix("_s").unwrap_or(name).replace('_', " ")
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_people_can_read() {
        let health =
            r#"{"command":["/probe","http://127.0.0.1:8080/health"],"interval_s":10,"start_period_s":5,"retries":3}"#;
        for (value, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("", "nothing"),
            ("null", "nothing"),
            ("[]", "nothing"),
            ("{not JSON", "{not JSON"),
            ("12", "12"),
            (r#"["/app","serve"]"#, "/app serve"),
            (r#"[["A","1"],["B","2"]]"#, "A=1 B=2"),
            (health, "command /probe http://127.0.0.1:8080/health, interval 10 s, retries 3, start period 5 s"),
        ] {
            assert_eq!(in_words(value), expected);
        }
    }

    #[test]
    fn only_what_differs() {
        let quote = |text: &str| format!("`{text}`");
        let list = |items: &[&str]| serde_json::to_string(items).unwrap();
        for (old, new, expected) in [
            ("a", "b", None),
            (
                r#"{"interval_s":10,"retries":3}"#,
                r#"{"interval_s":30,"retries":3}"#,
                Some("interval changed from `10 s` to `30 s`"),
            ),
            (r#"{"a":"1"}"#, r#"{"a":"1","b":"2"}"#, Some("b is new (`2`)")),
            (r#"{"a":"1","b":"2"}"#, r#"{"a":"1"}"#, Some("b is gone")),
            (&list(&["80/tcp"]), &list(&["80/tcp", "90/tcp"]), Some("`90/tcp` is new")),
            (&list(&["80/tcp"]), &list(&["90/tcp"]), Some("`90/tcp` is new, `80/tcp` is gone")),
            // Another order, and too much to name.
            (&list(&["a", "b"]), &list(&["b", "a"]), None),
            (&list(&["a", "b"]), &list(&["c", "d"]), None),
            (r#"{"a":"1"}"#, "null", None),
        ] {
            assert_eq!(difference(old, new, &quote).as_deref(), expected, "{old} {new}");
        }
    }
}
