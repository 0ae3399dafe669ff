//! The JSON Schema of build.ron, made from the declarations.

use serde_json::{Map, Value, json};

use crate::file::BuildFile;
use crate::kinds::{KINDS, KindEntry};
use crate::record::Record;
use crate::shape::{Default, Field, Shape};
use crate::target::{Common, Limits};

/// Explanation of how JSON describes RON.
const MAPPING: &str = "The schema describes build.ron, which is RON, as JSON. A struct `(a: b)` is the object \
    {\"a\": b}. A named call with fields, `GoBuild(a: b)`, is {\"GoBuild\": {\"a\": b}}. A call with one value, \
    `Env(\"A\")`, is {\"Env\": \"A\"}; with several, `Env(\"A\", \"b\")`, it is {\"Env\": [\"A\", \"b\"]}. A bare word, \
    `Static`, is the string \"Static\". Lists, maps with keys in quotes, strings, numbers and booleans are the same in \
    both.";

/// Returns the JSON Schema (draft 2020-12) of the whole file. It is the same text each time.
pub fn json_schema() -> String {
    let mut schema = Schema { definitions: Map::new() };
    let mut file = schema.object(&BuildFile::fields());
    let kinds: Vec<Value> = KINDS.iter().map(|kind| schema.kind(kind)).collect();
    schema.definitions.insert("kind".to_owned(), json!({"description": "One target.", "oneOf": kinds}));
    file["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    file["title"] = json!("build.ron");
    file["description"] = json!(MAPPING);
    file["$defs"] = Value::Object(schema.definitions);
    format!("{file:#}\n")
}

/// Returns all fields of a kind.
fn fields_of(kind: &KindEntry) -> Vec<Field> {
    let mut fields = Common::fields();
    if kind.has_steps {
        fields.extend(Limits::fields());
    }
    fields.extend((kind.fields)());
    fields
}

/// The definitions so far.
struct Schema {
    definitions: Map<String, Value>,
}

impl Schema {
    /// Returns a reference to the definition of `kind`: an object with its word as the only key.
    fn kind(&mut self, kind: &KindEntry) -> Value {
        let mut fields = fields_of(kind);
        let mut body = self.object(&fields);
        if let Some(alone) = kind.alone {
            let value = self.alone(kind, alone);
            fields.retain(|field| field.name != alone);
            let rest = self.object(&fields);
            let both = json!({"type": "array", "prefixItems": [value, rest], "items": false, "minItems": 2});
            body = json!({"anyOf": [value, both, body]});
        }
        let mut schema = json!({"type": "object", "required": [kind.word], "additionalProperties": false});
        schema["description"] = json!((kind.doc)());
        schema["properties"] = json!({ kind.word: body });
        self.definitions.insert(kind.word.to_owned(), schema);
        reference(kind.word)
    }

    /// Returns an object with any fields of `kind`.
    fn defaults(&mut self, kind: &KindEntry) -> Value {
        let mut object = self.object(&fields_of(kind));
        if let Some(object) = object.as_object_mut() {
            object.remove("required");
        }
        object
    }

    fn alone(&mut self, kind: &KindEntry, name: &str) -> Value {
        let fields = (kind.fields)();
        fields.iter().find(|field| field.name == name).map_or(Value::Null, |field| self.shape(&field.shape))
    }

    fn object(&mut self, fields: &[Field]) -> Value {
        let mut properties = Map::new();
        for field in fields {
            let mut property = self.shape(&field.shape);
            // Also next to `$ref`: the draft allows it, and editors show it.
            property["description"] = json!(field.doc);
            if let Some(default) = field.default.as_ref().and_then(default_value) {
                property["default"] = default;
            }
            properties.insert(field.name.to_owned(), property);
        }
        let required: Vec<&str> =
            fields.iter().filter(|field| field.default.is_none()).map(|field| field.name).collect();
        let mut object = json!({"type": "object", "additionalProperties": false, "properties": properties});
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Boolean => json!({"type": "boolean"}),
            Shape::Integer { min, max: u64::MAX } => json!({"type": "integer", "minimum": min}),
            Shape::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Shape::String { pattern: "", .. } => json!({"type": "string"}),
            Shape::String { pattern, .. } => json!({"type": "string", "pattern": pattern}),
            Shape::Strings(words) | Shape::Words(words) => json!({"enum": words}),
            Shape::Call { name, arguments, required } => {
                let forms = self.forms(arguments, *required);
                called(name, forms)
            }
            Shape::CallWith { name, arguments, required, fields } => {
                let mut forms = self.forms(arguments, *required);
                let items: Vec<Value> = arguments.iter().map(|argument| self.shape(argument)).collect();
                let options = self.object(fields);
                for count in *required..=items.len() {
                    let all: Vec<&Value> = items[..count].iter().chain([&options]).collect();
                    let least = all.len();
                    forms.push(json!({"type": "array", "prefixItems": all, "items": false, "minItems": least}));
                }
                called(name, forms)
            }
            Shape::Record { name, doc, fields } => {
                let object = self.object(fields);
                let schema = json!({
                    "type": "object", "description": doc, "required": [name], "additionalProperties": false,
                    "properties": { *name: object },
                });
                self.definitions.insert((*name).to_owned(), schema);
                reference(name)
            }
            Shape::Fields { name, doc, fields } => {
                let mut object = self.object(fields);
                object["description"] = json!(doc);
                self.definitions.insert((*name).to_owned(), object);
                reference(name)
            }
            Shape::List { of, is_non_empty, .. } => {
                let mut list = json!({"type": "array", "items": self.shape(of)});
                if *is_non_empty {
                    list["minItems"] = json!(1);
                }
                list
            }
            Shape::Map { key_pattern, of, .. } => {
                let mut map = json!({"type": "object", "additionalProperties": self.shape(of)});
                if !key_pattern.is_empty() {
                    map["propertyNames"] = json!({"pattern": key_pattern});
                }
                map
            }
            Shape::OneOf(shapes) => {
                let shapes: Vec<Value> = shapes.iter().map(|shape| self.shape(shape)).collect();
                json!({"anyOf": shapes})
            }
            Shape::Named { name, doc, shape } => {
                let name = name.replace(' ', "_");
                let mut schema = self.shape(shape);
                schema["description"] = json!(doc);
                self.definitions.insert(name.clone(), schema);
                reference(&name)
            }
            Shape::Kind => reference("kind"),
            Shape::DefaultsOfKinds => {
                let kinds = KINDS.iter().map(|kind| (kind.word.to_owned(), self.defaults(kind)));
                let properties: Map<String, Value> = kinds.collect();
                json!({"type": "object", "additionalProperties": false, "properties": properties})
            }
        }
    }

    /// Returns the forms of a call's arguments: one stands by itself; several are a list.
    fn forms(&mut self, arguments: &[Shape], required: usize) -> Vec<Value> {
        let items: Vec<Value> = arguments.iter().map(|argument| self.shape(argument)).collect();
        let mut forms: Vec<Value> = items.first().filter(|_| required == 1).cloned().into_iter().collect();
        if items.len() > 1 {
            let least = required.max(2);
            forms.push(json!({"type": "array", "prefixItems": items, "items": false, "minItems": least}));
        }
        forms
    }
}

/// Describes a call with arguments in any of these forms.
fn called(name: &str, mut forms: Vec<Value>) -> Value {
    let value = if forms.len() == 1 { forms.remove(0) } else { json!({"anyOf": forms}) };
    json!({"type": "object", "required": [name], "additionalProperties": false, "properties": { name: value }})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn default_value(default: &Default) -> Option<Value> {
    match default {
        Default::None => None,
        Default::Boolean(value) => Some(json!(value)),
        Default::Number(value) => Some(json!(value)),
        Default::String(value) => Some(json!(value)),
        Default::Word(value) => Some(json!(value)),
        Default::EmptyList => Some(json!([])),
        Default::EmptyMap => Some(json!({})),
    }
}
