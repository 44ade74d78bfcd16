//! The rules of `junit-10.xsd`, by which Jenkins takes or refuses a file, element by element:
//! <https://github.com/jenkinsci/xunit-plugin>. Stricter where a reader is: counts are numbers.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What an element may hold.
struct Rule {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    children: &'static [&'static str],
    has_text: bool,
}

const COUNTS: [&str; 4] = ["tests", "failures", "errors", "skipped"];

const RULES: [Rule; 6] = [
    Rule {
        name: "testsuites",
        required: &[],
        optional: &["name", "time", "tests", "failures", "errors"],
        children: &["testsuite"],
        has_text: false,
    },
    Rule {
        name: "testsuite",
        required: &["name", "tests", "failures", "errors"],
        optional: &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        children: &["testsuite", "properties", "testcase", "system-out", "system-err"],
        has_text: false,
    },
    Rule {
        name: "testcase",
        required: &["name"],
        optional: &["time", "classname", "group"],
        children: &["skipped", "error", "failure", "system-out", "system-err"],
        has_text: false,
    },
    result("failure"),
    result("error"),
    result("skipped"),
];

const fn result(name: &'static str) -> Rule {
    Rule { name, required: &[], optional: &["type", "message"], children: &[], has_text: true }
}

/// What the document breaks, one line each; empty when it is as the schema says.
pub(crate) fn broken(text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut open: Vec<&'static Rule> = Vec::new();
    let mut roots = 0;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    loop {
        match reader.read_event() {
            Err(error) => {
                broken.push(format!("not well formed: {error}"));
                return broken;
            }
            Ok(Event::Eof) => break,
            Ok(Event::Start(element)) => {
                let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
                let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
                    broken.push(format!("no element <{name}>"));
                    return broken;
                };
                match open.last() {
                    None if !["testsuites", "testsuite"].contains(&rule.name) => {
                        broken.push(format!("<{name}> is no root"));
                    }
                    None => roots += 1,
                    Some(parent) if !parent.children.contains(&rule.name) => {
                        broken.push(format!("<{name}> in <{}>", parent.name));
                    }
                    Some(_) => {}
                }
                attributes(rule, &element, &mut broken);
                open.push(rule);
            }
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(Event::Text(text)) => {
                let blank = text.iter().all(u8::is_ascii_whitespace);
                if !blank && !open.last().is_some_and(|rule| rule.has_text) {
                    broken.push("text outside a result".to_owned());
                }
            }
            Ok(Event::Decl(_)) => {}
            Ok(other) => broken.push(format!("{other:?}")),
        }
    }
    if roots != 1 || !open.is_empty() {
        broken.push(format!("{roots} roots, {} elements not closed", open.len()));
    }
    broken
}

fn attributes(rule: &Rule, element: &BytesStart<'_>, broken: &mut Vec<String>) {
    let mut seen = Vec::new();
    for attribute in element.attributes() {
        // Says so of one that is there twice, too.
        let attribute = match attribute {
            Ok(attribute) => attribute,
            Err(error) => return broken.push(format!("<{}>: {error}", rule.name)),
        };
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value = String::from_utf8_lossy(&attribute.value).into_owned();
        if !rule.required.contains(&name.as_str()) && !rule.optional.contains(&name.as_str()) {
            broken.push(format!("<{}> has no attribute {name}", rule.name));
        }
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if COUNTS.contains(&name.as_str()) && !is_number {
            broken.push(format!("<{}> {name}=\"{value}\" is no number", rule.name));
        }
        // SUREFIRE_TIME, without its commas.
        if name == "time" && value.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.') {
            broken.push(format!("<{}> time=\"{value}\" is no time", rule.name));
        }
        seen.push(name);
    }
    for name in rule.required.iter().filter(|name| !seen.iter().any(|seen| seen == *name)) {
        broken.push(format!("<{}> lacks {name}", rule.name));
    }
}
