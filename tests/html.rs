//! The page of `report`, without a browser: well-formed, escaped, the same
//! bytes every time, under the policy that it carries, and small.
//! tests/browser opens pages in one.

mod support;

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use dumpmap::synth::{DumpBuilder, Module, Name, PAGE_READWRITE, Region};
use sha2::{Digest, Sha256};
use support::run;

const FULL: &str = "fixtures/scenarios/x86-exhausted.info.dmp";
const HOSTILE: &str = "fixtures/hostile-names.dmp";

fn page(dump: &str) -> String {
    let output = run(["report", dump]);
    assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""), "{dump}");
    output.stdout
}

fn fixtures() -> Vec<String> {
    let folder = |path: &str| fs::read_dir(path).expect("a folder of fixtures");
    let entries = folder("fixtures").chain(folder("fixtures/scenarios"));
    let names = entries.map(|entry| entry.unwrap().path().to_string_lossy().into_owned());
    let mut dumps: Vec<String> = names.filter(|name| name.ends_with(".dmp")).collect();
    dumps.sort();
    dumps
}

/// What is between two marks, and what follows.
fn between<'t>(text: &'t str, from: &str, to: &str) -> (&'t str, &'t str) {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to}"))
}

/// The page without style, data and script, whose contents are no markup.
fn markup(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    for (open, close) in
        [("<style>", "</style>"), ("id=\"data\">", "</script>"), ("\"module\">", "</script>")]
    {
        let (before, after) = rest.split_once(open).unwrap_or_else(|| panic!("no {open}"));
        let (_, after) = after.split_once(close).unwrap_or_else(|| panic!("no {close}"));
        out.push_str(before);
        out.push_str(open);
        out.push_str(close);
        rest = after;
    }
    out + rest
}

#[test]
fn every_page_is_well_formed() {
    const VOID: [&str; 3] = ["meta", "link", "br"];
    for dump in fixtures() {
        let text = markup(&page(&dump));
        assert!(text.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{dump}");
        let mut open: Vec<&str> = Vec::new();
        let mut ids: Vec<&str> = Vec::new();
        let mut rest = text.strip_prefix("<!DOCTYPE html>").unwrap();
        while let Some((before, after)) = rest.split_once('<') {
            assert!(!before.contains('>'), "{dump}: a bare > in {before}");
            let (tag, after) = after.split_once('>').expect("a tag ends");
            assert_eq!(tag.matches('"').count() % 2, 0, "{dump}: <{tag}>");
            assert!(!tag.contains('<'), "{dump}: <{tag}>");
            assert!(!tag.contains(" on") && !tag.contains(" style="), "{dump}: <{tag}>");
            if let Some((_, id)) = tag.split_once(" id=\"") {
                ids.push(id.split('"').next().unwrap());
            }
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{dump}: </{name}>"),
                None if tag.ends_with('/') => {}
                None => {
                    let name = tag.split([' ', '\n']).next().unwrap();
                    if !VOID.contains(&name) {
                        open.push(name);
                    }
                }
            }
            rest = after;
        }
        assert!(open.is_empty(), "{dump}: {open:?} stay open");
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{dump}: an id twice");
    }
}

#[test]
fn nothing_of_a_dump_becomes_markup() {
    let text = markup(&page(HOSTILE));
    for bad in ["<img", "<script>", "<b>gone", "-->", "\u{1b}", "\u{202e}", "\r"] {
        assert!(!text.contains(bad), "{bad:?}");
    }
    assert!(text.contains("--&gt;&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u{1b}[0m"));
    assert!(text.contains("<h1>script&gt;&lt;img src=x onerror=alert(1)&gt;.dll"));
}

/// The data: its documents, and the bytes of the columns.
fn data(page: &str) -> (serde_json::Value, Vec<u8>) {
    let (text, _) = between(page, "id=\"data\">", "</script>");
    let packed = BASE64.decode(text.replace('\n', "").as_bytes()).expect("base64");
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib(&packed).expect("zlib");
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let json = serde_json::from_slice(&bytes[4..4 + length]).expect("JSON");
    (json, bytes[4 + length..].to_vec())
}

#[test]
fn the_data_are_the_documents_of_the_commands() {
    for dump in fixtures() {
        let (json, columns) = data(&page(&dump));
        let of = |command: &str, args: &[&str]| -> serde_json::Value {
            let args =
                [command, dump.as_str(), "-f", "json"].into_iter().chain(args.iter().copied());
            serde_json::from_str(&run(args).stdout).unwrap()
        };
        if !dump.contains("hostile") {
            assert_eq!(json["page"]["summary"], of("summary", &[]), "{dump}");
            assert_eq!(json["page"]["crash"], of("crash", &[]), "{dump}");
            assert_eq!(json["page"]["stacks"], of("stacks", &[])["stacks"], "{dump}");
            assert_eq!(json["page"]["heaps"], of("heaps", &["--sizes"]), "{dump}");
            assert_eq!(json["page"]["images"], of("images", &[]), "{dump}");
        }
        let lengths = json["regions"]["columns"].as_array().unwrap();
        let sum: u64 = lengths.iter().map(|column| column[1].as_u64().unwrap()).sum();
        assert_eq!(sum, columns.len() as u64, "{dump}");
        let rows = run(["regions", dump.as_str(), "-f", "jsonl"]).stdout.lines().count();
        assert_eq!(json["regions"]["count"], rows, "{dump}");
    }
}

#[test]
fn strings_in_the_data_steer_nothing() {
    let (json, _) = data(&page(HOSTILE));
    let text = json.to_string();
    assert!(text.contains("</script><img src=x onerror="), "as text it is there");
    let danger = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(danger) && !text.contains("\\u001b") && !text.contains("\\n"));
}

#[test]
fn the_policy_names_style_and_script() {
    let text = page(FULL);
    let (policy, _) = between(&text, "Content-Security-Policy\" content=\"", "\"");
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text.as_bytes())));
    let (style, _) = between(&text, "<style>", "</style>");
    let (script, rest) = between(&text, "<script type=\"module\">", "</script>");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("style-src {}; ", hash(style))), "{policy}");
    assert!(policy.contains(&format!("script-src {}; ", hash(script))), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(rest, "\n</body>\n</html>\n");
    // Hashes are of what a browser sees: it turns CR LF into LF.
    assert!(!text.contains('\r'));
    for address in ["http://", "https://", "//cdn", "@import", "url("] {
        assert!(!style.contains(address) && !script.contains(address), "{address}");
    }
}

#[test]
fn the_same_dump_gives_the_same_bytes() {
    for dump in [FULL, HOSTILE, "fixtures/windows-x64.dmp", "fixtures/scenarios/lx-python3.dmp"] {
        assert!(page(dump) == page(dump), "{dump}");
    }
}

#[test]
fn twelve_bytes_a_region() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html-size");
    fs::create_dir_all(&scratch).unwrap();
    let size = |regions: u64| {
        let path = scratch.join(format!("{regions}.dmp"));
        fs::write(&path, many(regions)).unwrap();
        page(&path.to_string_lossy()).len() as u64
    };
    let fixed = size(3);
    for regions in [1_000, 20_000] {
        let more = size(regions) - fixed;
        assert!(more <= 12 * regions, "{regions}: {} bytes a region", more / regions);
    }
}

/// Allocations of sizes without a pattern, committed or reserved, every 40th an
/// image, some of those listed; free memory between them.
fn many(regions: u64) -> Vec<u8> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut at, mut list) = (0x1_0000_u64, Vec::new());
    let mut builder = DumpBuilder::windows_x64();
    while (list.len() as u64) < regions {
        let size = (next(200) + 1) * 0x1000;
        let end = (at + size).next_multiple_of(0x1_0000) + next(4) * 0x1_0000;
        match next(40) {
            0..=19 => list.push(Region::reserve(at, size)),
            20..=38 => list.push(Region::commit(at, size, PAGE_READWRITE)),
            _ => {
                list.push(Region::image(at, size, PAGE_READWRITE, at));
                if list.len() % 2 == 0 {
                    let name = format!(r"C:\Program Files\App\module{}.dll", list.len());
                    let size = u32::try_from(size).unwrap();
                    builder = builder.module(Module::new(Name::from(name.as_str()), at, size));
                }
            }
        }
        list.push(Region::free(at + size, end - at - size));
        at = end;
    }
    list.retain(|region| region.size > 0);
    builder.regions(list).build()
}

#[test]
fn where_a_page_goes() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html-output");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).unwrap();
    let path = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let expected = page(FULL);
    let done = run(["report", FULL, "-o", &path("a.html")]);
    assert_eq!((done.status, done.stdout.as_str()), (Some(0), ""));
    assert!(fs::read_to_string(path("a.html")).unwrap() == expected);
    assert!(run(["report", FULL, "-o", "-"]).stdout == expected);
    assert!(run(["report", FULL, "-f", "html"]).stdout == expected);

    let refused = |args: &[&str], what: &str| {
        let output = run(["report"].iter().chain(args));
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(output.stderr.contains(what), "{args:?}: {}", output.stderr);
    };
    refused(&[FULL, "-f", "json"], "--format json is not supported; use html");
    refused(&[FULL, "-o", &path("no/where.html")], "cannot write the file");
    refused(&[FULL, "-o", &path("")], "is a folder");
    refused(&[FULL, "-o", FULL], "is the input");
    refused(&["fixtures/README.md"], "not a minidump");
    refused(&["no.dmp"], "cannot read the file");
    let left: Vec<_> = fs::read_dir(&scratch).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn redaction_reaches_the_page() {
    let name = r"C:\Users\Ann Lee\app.exe";
    let dump = DumpBuilder::windows_x64()
        .regions([Region::image(0x3_0000, 0x1000, PAGE_READWRITE, 0x3_0000)])
        .module(Module::new(name, 0x3_0000, 0x1000))
        .build();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html-redacted.dmp");
    fs::write(&path, dump).unwrap();
    let path = path.to_string_lossy();
    let shown =
        |text: &str| text.contains("Ann Lee") || data(text).0.to_string().contains("Ann Lee");
    assert!(shown(&page(&path)));
    assert!(!shown(&run(["report", &path, "--redact"]).stdout));
}

#[test]
fn many_dumps_have_one_page() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html-many");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(scratch.join("in/a & 'b'")).unwrap();
    let path = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    fs::copy(FULL, path("in/full.dmp")).unwrap();
    fs::copy(HOSTILE, path("in/a & 'b'/hostile.dmp")).unwrap();
    fs::write(path("in/notes.txt"), "no dump").unwrap();
    let done = run(["report", &path("in"), "--pages", "-o", &path("all.html")]);
    assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""));
    let text = fs::read_to_string(path("all.html")).unwrap();
    for bad in ["<img", "a & 'b'", "\u{202e}", "</script><"] {
        assert!(!between(&text, "</style>", "<script type").0.contains(bad), "{bad:?}");
    }
    assert!(text.contains(&format!("a &amp; &#39;b&#39;{}hostile.dmp", std::path::MAIN_SEPARATOR)));
    // Every link leads to a page, and each page is the one of its dump.
    let links: Vec<&str> = text.split("<a href=\"").skip(1).collect();
    let links: Vec<&str> = links.iter().filter_map(|rest| rest.split('"').next()).collect();
    let pages: Vec<&str> = links.into_iter().filter(|link| !link.starts_with('#')).collect();
    assert_eq!(pages.len(), 2);
    for link in pages {
        let there = fs::read_to_string(scratch.join(link)).unwrap();
        let dump = if link.contains("full") { "in/full.dmp" } else { "in/a & 'b'/hostile.dmp" };
        assert!(there == page(&path(dump)), "{link}");
    }
    // A page takes the place of an older one, as a whole: who has the older one
    // open keeps it.
    let made = || fs::read_dir(path("all-pages")).unwrap().map(|entry| entry.unwrap().path());
    let older = made().next().unwrap();
    fs::write(&older, "older").unwrap();
    fs::hard_link(&older, path("older.html")).unwrap();
    let again = run(["report", &path("in"), "--pages", "-o", &path("all.html")]);
    assert_eq!(again.status, Some(0));
    assert!(fs::read_to_string(path("all.html")).unwrap() == text, "the same bytes");
    assert_eq!(fs::read_to_string(path("older.html")).unwrap(), "older");
    assert!(fs::read_to_string(&older).unwrap().starts_with("<!"));
    assert_eq!(made().count(), 2, "{:?}", made().collect::<Vec<_>>());

    // One pattern is as many dumps as it matches, each once.
    let rows = |pattern: &str| {
        let matched = run(["report", &path(pattern), "-o", &path("some.html")]);
        assert_eq!((matched.status, matched.stderr.as_str()), (Some(0), ""), "{pattern}");
        fs::read_to_string(path("some.html")).unwrap().matches("<th scope=\"row\">").count()
    };
    assert_eq!((rows("in/full.*"), rows("in/*.d*"), rows("in/**/*.dmp")), (1, 1, 2));

    fs::write(path("in/bad.dmp"), "bad").unwrap();
    let partly = run(["report", &path("in"), "-o", &path("all.html")]);
    assert_eq!(partly.status, Some(2));
    assert!(fs::read_to_string(path("all.html")).unwrap().contains("could not be read: not a"));
    fs::create_dir(path("empty")).unwrap();
    let refused = |args: &[&str], what: &str| {
        let output = run(["report"].iter().chain(args));
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(output.stderr.contains(what), "{args:?}: {}", output.stderr);
    };
    refused(&[&path("empty"), "-o", &path("x.html")], "no dump found");
    refused(&[&path("in"), "--pages"], "--pages needs a file");
    refused(&["--diff", FULL], "two dumps or more");
    refused(&["--diff", FULL, "no.dmp"], "no.dmp: cannot read the file");
    refused(&["--diff", "--pages", FULL, FULL], "cannot be used with");
    refused(&[], "required");
}

#[test]
fn growth_has_a_page() {
    let output = run(["report", "--diff", FULL, FULL]);
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    let (policy, _) = between(&output.stdout, "Content-Security-Policy\" content=\"", "\"");
    let (script, _) = between(&output.stdout, "<script type=\"module\">", "</script>");
    let hash = BASE64.encode(&Sha256::digest(script.as_bytes()));
    assert!(policy.contains(&hash), "{policy}");
    assert!(output.stdout.contains("What grew: x86-exhausted.info.dmp → x86-exhausted.info.dmp"));
    let hostile = run(["report", "--diff", HOSTILE, HOSTILE]).stdout;
    let (body, _) = between(&hostile, "</style>", "<script type");
    assert!(!body.contains("<img") && !body.contains('\u{202e}'));
}
