//! The Python recipes of docs/scan.md run over Parquet that `scan` wrote, and
//! Python reads the same rows from it as from the JSON.
#![cfg(feature = "parquet")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{run, skip};

/// A Python that has the packages, or `None` and why not. `DUMPMAP_PYTHON`
/// names another than `python3`.
fn python() -> Option<PathBuf> {
    let python: PathBuf =
        std::env::var_os("DUMPMAP_PYTHON").unwrap_or_else(|| "python3".into()).into();
    let import = "import duckdb, pandas, polars, pyarrow";
    let found = Command::new(&python).args(["-c", import]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip("the recipes of docs/scan.md need Python with duckdb, pandas, polars and pyarrow");
    None
}

/// The rows of the fixtures, as Parquet with all lists and as JSON lines.
fn scanned(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("recipes-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for (format, place) in [("parquet", "rows.parquet"), ("jsonl", "rows.jsonl")] {
        let place = folder.join(place);
        let args =
            ["scan", fixtures.to_str().unwrap(), "-f", format, "-o", place.to_str().unwrap()];
        let with = ["--with", "regions,findings,threads,modules", "--depth", "headers", "--hash"];
        let output = run(args.into_iter().chain(with));
        assert_eq!(output.status, Some(0), "{}", output.stderr);
    }
    folder
}

fn runs(python: &Path, folder: &Path, code: &str) -> String {
    let output = Command::new(python).arg("-c").arg(code).current_dir(folder).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{code}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn recipes_run() {
    let Some(python) = python() else { return };
    let folder = scanned("run");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scan.md");
    let page = fs::read_to_string(page).unwrap().replace("\r\n", "\n");
    let recipes: Vec<&str> =
        page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(recipes.len() >= 5, "{}", recipes.len());
    for recipe in recipes {
        let answer = runs(&python, &folder, recipe);
        assert!(answer.lines().count() > 1, "{recipe}\n{answer}");
    }
    let _ = fs::remove_dir_all(folder);
}

/// Every cell of every row, by the names of both forms, and the lists.
#[test]
fn parquet_holds_what_the_json_says() {
    let Some(python) = python() else { return };
    let folder = scanned("cells");
    let names: Vec<String> = dumpmap::report::scan::COLUMNS
        .iter()
        .map(|column| format!("({:?}, {:?})", column.name, column.parquet))
        .collect();
    let code = format!(
        r#"
import json, pyarrow.parquet
names = [{}]
lists = {{"regions": "regions", "findings": "findings", "thread_list": "threads", "module_list": "modules"}}
inside = {{"size": "size_bytes", "captured": "captured_bytes", "stack_size": "stack_size_bytes",
          "stack_committed": "stack_committed_bytes", "stack_used": "stack_used_bytes"}}
table = pyarrow.parquet.read_table("rows.parquet")
assert not any("uint" in str(field.type) for field in table.schema), table.schema
rows = table.to_pylist()
lines = [json.loads(line) for line in open("rows.jsonl", encoding="utf-8")]
assert len(rows) == len(lines) > 30, (len(rows), len(lines))

def signed(text):
    number = int(text, 16)
    return number - 2**64 if number >= 2**63 else number

def same(cell, value, name):
    if isinstance(value, str) and value.startswith("0x") and isinstance(cell, int):
        value = signed(value)
    if name == "time" and value is not None:
        cell = cell.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert cell == value, (name, cell, value)

cells = 0
for row, line in zip(rows, lines):
    for name, column in names:
        same(row[column], line[name], name)
        cells += 1
    for name, column in lists.items():
        if line["status"] == "error":
            assert row[column] is None
            continue
        assert len(row[column]) == len(line[name]), (line["path"], name)
        for item, object in zip(row[column], line[name]):
            for key, value in object.items():
                same(item[inside.get(key, key)], value, key)
                cells += 1
print(cells)
"#,
        names.join(", ")
    );
    let cells: u64 = runs(&python, &folder, &code).trim().parse().unwrap();
    assert!(cells > 10_000, "{cells}");
    let _ = fs::remove_dir_all(folder);
}
