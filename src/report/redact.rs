//! Takes names of people and machines out of text: what follows `\Users\`,
//! `/Users/`, `/home/` and `\Documents and Settings\`, and the host and share
//! of UNC paths. Works on free text too; where a name's end cannot be told it
//! takes away too much, never too little.

use std::borrow::Cow;

const USER: &str = "<user>";
const HOST: &str = "<host>";
const SHARE: &str = "<share>";

/// Folders whose children are named after people.
const HOMES: [&str; 3] = ["users", "home", "documents and settings"];

/// Children of those folders that name nobody.
const NOBODY: [&str; 5] = ["public", "default", "default user", "all users", "shared"];

/// `text` without such names.
pub fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '/']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '/']) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let after = tail.trim_start_matches(['\\', '/']);
        let slashes = &tail[..tail.len() - after.len()];
        out.push_str(slashes);
        rest = if begins_unc(&out, slashes) {
            let after = replace(after, HOST, &mut out);
            share(after, &mut out)
        } else {
            home(after, &mut out)
        };
    }
    out.push_str(rest);
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// Whether the slashes at the end of `out` begin a UNC path: two backslashes
/// that follow no part of a path, or the device that UNC paths go through.
fn begins_unc(out: &str, slashes: &str) -> bool {
    let before = out.trim_end_matches(['\\', '/']);
    let lower = before.get(before.len().saturating_sub(11)..).unwrap_or(before).to_lowercase();
    if lower.ends_with("\\device\\mup") || lower.ends_with("?\\unc") {
        return true;
    }
    let drive = before.ends_with(':') && {
        let mut letters = before.chars().rev().skip(1);
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && !letters.next().is_some_and(char::is_alphanumeric)
    };
    let placeholder = [USER, HOST, SHARE].iter().any(|name| before.ends_with(name));
    let opens = |c: char| c.is_whitespace() || "\"'`=:([{,;|<>".contains(c);
    let alone = before.is_empty() || (before.ends_with(opens) && !drive && !placeholder);
    slashes == "\\\\" && alone
}

/// Replaces the part of a path at the start of `text`; gives what follows.
/// `\\?\` and `\\.\` name no host.
fn replace<'t>(text: &'t str, placeholder: &str, out: &mut String) -> &'t str {
    let end = part_end(text);
    let (part, rest) = text.split_at(end);
    match part {
        "" | "?" | "." => out.push_str(part),
        _ => out.push_str(placeholder),
    }
    rest
}

fn share<'t>(text: &'t str, out: &mut String) -> &'t str {
    if out.ends_with(HOST) && text.starts_with(['\\', '/']) {
        let after = text.trim_start_matches(['\\', '/']);
        out.push_str(&text[..text.len() - after.len()]);
        return replace(after, SHARE, out);
    }
    text
}

/// Copies a folder of people and hides the name below it; copies nothing when
/// `text` does not begin with one.
fn home<'t>(text: &'t str, out: &mut String) -> &'t str {
    let folder = HOMES.iter().find(|home| {
        let prefix = text.get(..home.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(home))
            && text[home.len()..].starts_with(['\\', '/'])
    });
    let Some(folder) = folder else { return text };
    let after = text[folder.len()..].trim_start_matches(['\\', '/']);
    out.push_str(&text[..text.len() - after.len()]);
    let name = &after[..part_end(after)];
    if NOBODY.iter().any(|nobody| name.eq_ignore_ascii_case(nobody)) {
        out.push_str(name);
        return &after[name.len()..];
    }
    replace(after, USER, out)
}

/// Where a part of a path ends: at a separator, or at a character that no
/// file name has. Blanks do not end it: user names have them.
fn part_end(text: &str) -> usize {
    let ends = |c: char| "\\/\"'<>|*?:;\n\r\t".contains(c);
    match text.as_bytes().first() {
        Some(b'?' | b'.') if text.get(1..).is_some_and(|rest| rest.starts_with(['\\', '/'])) => 1,
        _ => text.find(ends).unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_and_machines_go() {
        let cases = [
            (r"C:\Users\Ann Lee\app\a.exe", r"C:\Users\<user>\app\a.exe"),
            (r"c:\USERS\bob", r"c:\USERS\<user>"),
            (
                r"\Device\HarddiskVolume3\Users\bob\x.dll",
                r"\Device\HarddiskVolume3\Users\<user>\x.dll",
            ),
            (r"C:\Documents and Settings\bob\x", r"C:\Documents and Settings\<user>\x"),
            (r"C:\\Users\\bob\\x", r"C:\\Users\\<user>\\x"),
            ("/home/bob/.cache/lib.so", "/home/<user>/.cache/lib.so"),
            ("/Users/bob/Library", "/Users/<user>/Library"),
            (r"\\server\team$\x.dll", r"\\<host>\<share>\x.dll"),
            (r"\\?\UNC\server\share\x", r"\\?\UNC\<host>\<share>\x"),
            (r"\??\UNC\server\share\x", r"\??\UNC\<host>\<share>\x"),
            (r"\Device\Mup\server\share\x", r"\Device\Mup\<host>\<share>\x"),
            (r"\\?\C:\Users\bob\x", r"\\?\C:\Users\<user>\x"),
            (r"<p>\\srv\out</p>", r"<p>\\<host>\<share></p>"),
            (r"from:\\srv\out", r"from:\\<host>\<share>"),
            (r#"-o "\\srv\out" -i /home/a/b"#, r#"-o "\\<host>\<share>" -i /home/<user>/b"#),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn other_text_stays_borrowed() {
        for text in [
            r"C:\Windows\System32\ntdll.dll",
            r"C:\Users\Public\x.dll",
            "/usr/lib/libc.so.6",
            "no path",
            r"C:\\Windows\\x",
            r"C:\\Program Files (x86)\\x",
            r"\\.\pipe\x",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
