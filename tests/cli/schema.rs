//! As much of JSON Schema as the files in `schema/` use.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Checks a document of a command against its schema.
pub(crate) fn check(command: &str, document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{command}.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let document: Value = serde_json::from_str(document)
        .unwrap_or_else(|error| panic!("{command}: {error}: {document}"));
    if let Err(what) = meets(&document, &schema, &schema, "") {
        panic!("{command}: {what}");
    }
}

fn meets(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema.get("$ref") {
        let name = name.as_str().unwrap().trim_start_matches("#/$defs/");
        return meets(value, &root["$defs"][name], root, at);
    }
    if let Some(choices) = schema.get("anyOf") {
        let failed = |choice| meets(value, choice, root, at).err();
        let errors: Option<Vec<String>> = choices.as_array().unwrap().iter().map(failed).collect();
        return errors.map_or(Ok(()), |errors| Err(errors.join(" or ")));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{at}: {value} is not {}", schema["const"]));
    }
    if let Some(words) = schema.get("enum")
        && !words.as_array().unwrap().contains(value)
    {
        return Err(format!("{at}: {value} is none of {words}"));
    }
    if let Some(types) = schema.get("type") {
        let fits = match types {
            Value::Array(types) => types.iter().any(|name| is(value, name)),
            name => is(value, name),
        };
        if !fits {
            return Err(format!("{at}: {value} is no {types}"));
        }
    }
    if schema.get("pattern").is_some() {
        address(value.as_str().unwrap_or("")).ok_or_else(|| format!("{at}: {value}"))?;
    }
    if let Some(items) = schema.get("items") {
        for (place, item) in value.as_array().unwrap().iter().enumerate() {
            meets(item, items, root, &format!("{at}[{place}]"))?;
        }
    }
    object(value, schema, root, at)
}

fn object(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap();
        object.get(name).ok_or_else(|| format!("{at} lacks {name}"))?;
    }
    let Some(properties) = schema.get("properties") else { return Ok(()) };
    for (name, value) in object {
        let schema =
            properties.get(name).ok_or_else(|| format!("{at}: {name} is not described"))?;
        meets(value, schema, root, &format!("{at}.{name}"))?;
    }
    Ok(())
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the schema has the type {other}"),
    }
}

/// The one pattern there is.
fn address(text: &str) -> Option<()> {
    let digits = text.strip_prefix("0x")?;
    let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex && (8..=16).contains(&digits.len())).then_some(())
}
