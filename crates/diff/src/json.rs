//! Two JSON texts: the path of the first value that differs.

use serde_json::Value;

use crate::Difference;

/// Returns the first difference; `None` if the values are the same (their texts may not be).
pub(crate) fn compare(first: &Value, second: &Value) -> Option<Difference> {
    match (first, second) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            names.into_iter().find_map(|name| match (one.get(name), other.get(name)) {
                (Some(one), Some(other)) => compare(one, other).map(|inside| inside.within(name)),
                (one, _) => {
                    let which = if one.is_some() { "first" } else { "second" };
                    Some(Difference::new(format!("`{name}` is in the {which} only")))
                }
            })
        }
        (Value::Array(one), Value::Array(other)) => {
            let inside = one.iter().zip(other).enumerate();
            let inside = inside.filter_map(|(index, (one, other))| {
                compare(one, other).map(|difference| difference.within(index.to_string()))
            });
            inside.into_iter().next().or_else(|| {
                (one.len() != other.len())
                    .then(|| Difference::new(format!("{} and {} elements", one.len(), other.len())))
            })
        }
        _ => (first != second).then(|| Difference::new(format!("{first} and {second}"))),
    }
}
