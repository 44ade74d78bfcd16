//! The pair of dumps whose process wrote down what it did in between.

use std::path::Path;

use serde_json::Value;

use crate::support::{run, shared_or_skip, unpacked_path};

struct Pair {
    report: Value,
    before: Value,
    after: Value,
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(hex) => u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap(),
        other => other.as_u64().unwrap(),
    }
}

fn pair(before: &str, after: &str, options: &[&str]) -> Option<Pair> {
    let folder = shared_or_skip("scenarios")?;
    let path = |name: &str| unpacked_path(&folder.join(name)).to_string_lossy().into_owned();
    let (a, b) = (path(before), path(after));
    let mut args = vec!["diff", &a, &b, "-f", "json"];
    args.extend(options);
    let output = run(args);
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    crate::schema::check("diff", &output.stdout);
    let truth = |name: &str| truth(&folder, name);
    Some(Pair {
        report: serde_json::from_str(&output.stdout).unwrap(),
        before: truth("x64-leak-before.truth.json"),
        after: truth("x64-leak-after.truth.json"),
    })
}

fn truth(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

impl Pair {
    /// What the process made between the dumps, of one kind and label.
    fn made<'p>(&'p self, kind: &'p str, label: &'p str) -> impl Iterator<Item = &'p Value> + 'p {
        let known = |item: &Value| {
            let items = self.before["items"].as_array().unwrap();
            items.iter().any(|old| old["id"] == item["id"])
        };
        let items = self.after["items"].as_array().unwrap().iter();
        items.filter(move |item| item["kind"] == kind && item["label"] == label && !known(item))
    }

    /// The region rows with this change that begin at an address.
    fn row(&self, change: &str, base: u64) -> &Value {
        let rows = self.report["regions"].as_array().unwrap();
        let wanted = |row: &&Value| row["change"] == change && number(&row["base"]) == base;
        rows.iter().find(wanted).unwrap_or_else(|| panic!("nothing {change} at {base:#x}"))
    }

    fn owner(&self, kind: &str, owner: &str) -> &Value {
        let rows = self.report["owners"].as_array().unwrap();
        let wanted = |row: &&Value| row["kind"] == kind && row["owner"] == owner;
        rows.iter().find(wanted).unwrap_or_else(|| panic!("no {kind} of {owner}"))
    }

    fn count(&self, what: &str) -> &Value {
        let counts = self.report["counts"].as_array().unwrap();
        &counts.iter().find(|count| count["what"] == what).unwrap()["values"]
    }
}

const DUMPS: [(&str, &str); 2] = [
    ("x64-leak-before.info.dmp", "x64-leak-after.info.dmp"),
    ("x64-leak-before.rw.dmp.zst", "x64-leak-after.rw.dmp.zst"),
];

#[test]
fn sums_by_type_are_those_of_the_process() {
    for (before, after) in DUMPS {
        let Some(pair) = pair(before, after, &[]) else { return };
        assert_eq!(pair.report["run"]["same"], true);
        for row in pair.report["types"].as_array().unwrap() {
            let name = row["type"].as_str().unwrap();
            for (place, truth) in [&pair.before, &pair.after].into_iter().enumerate() {
                let (value, truth) = (&row["values"][place], &truth["totals"][name]);
                assert_eq!(value["committed"], truth["commit"], "{name} in {place}");
                let all = number(&truth["commit"]) + number(&truth["reserve"]);
                assert_eq!(number(&value["size"]), all, "{name} in {place}");
            }
        }
        let private = &pair.report["types"][0];
        assert_eq!(private["values"][0]["committed"], 7_630_848);
        assert_eq!(private["values"][1]["committed"], 67_268_608);
        assert_eq!(private["committed"], 67_268_608 - 7_630_848);
        assert_eq!(pair.report["audit"]["owners"], serde_json::json!([]));
        assert_eq!(pair.report["audit"]["regions"], serde_json::json!([]));
    }
}

#[test]
fn leaked_allocations_and_views() {
    for (before, after) in DUMPS {
        let Some(pair) = pair(before, after, &[]) else { return };
        let leaked: Vec<&Value> = pair.made("private", "leak-va-256k").collect();
        assert_eq!(leaked.len(), 20);
        for item in leaked {
            let row = pair.row("new", number(&item["base"]));
            assert_eq!((&row["size"], &row["committed"]), (&item["size"], &item["size"]));
            assert_eq!(
                (&row["kind_after"], &row["kind_before"]),
                (&"private".into(), &Value::Null)
            );
            assert_eq!(row["protect_after"], "PAGE_READWRITE");
        }
        let family = pair.owner("private", "256 KiB allocations, Read/Write");
        assert_eq!((&family["count"], &family["committed"]), (&20.into(), &(20 << 18).into()));

        let views: Vec<&Value> = pair.made("mapping", "leak-view-1m").collect();
        assert_eq!(views.len(), 3);
        for item in views {
            let row = pair.row("new", number(&item["base"]));
            assert_eq!((&row["size"], &row["kind_after"]), (&item["size"], &"mapped".into()));
        }
        let mapped = &pair.report["kinds"];
        let mapped = mapped.as_array().unwrap().iter().find(|row| row["kind"] == "mapped");
        assert_eq!(
            (&mapped.unwrap()["size"], &mapped.unwrap()["count"]),
            (&(3 << 20).into(), &3.into())
        );
    }
}

#[test]
fn threads_and_their_stacks() {
    for (before, after) in DUMPS {
        let Some(pair) = pair(before, after, &[]) else { return };
        let threads = |truth: &Value| truth["threads"].as_array().unwrap().clone();
        let (old, new) = (threads(&pair.before), threads(&pair.after));
        assert_eq!(pair.count("threads"), &serde_json::json!([old.len(), new.len()]));
        assert_eq!((old.len(), new.len()), (2, 42));
        for truth in [&pair.before, &pair.after].into_iter().enumerate() {
            let handles = &truth.1["dumps"][0]["handles"];
            assert_eq!(&pair.count("handles")[truth.0], handles);
        }
        let mut born = 0;
        for thread in new.iter().filter(|thread| old.iter().all(|of| of["tid"] != thread["tid"])) {
            let row = pair.row("new", number(&thread["dealloc_stack"]));
            let size = number(&thread["stack_base"]) - number(&thread["dealloc_stack"]);
            assert_eq!((number(&row["size"]), &row["kind_after"]), (size, &"stack".into()));
            let owner = row["owner_after"].as_str().unwrap();
            let (id, name) = (&thread["tid"], thread["name"].as_str().unwrap());
            assert_eq!(owner, format!("stack of thread {id} ({name})"));
            born += 1;
        }
        assert_eq!(born, 40);
        let start = number(&new[2]["start"]) - number(&pair.after["modules"][0]["base"]);
        let owner = format!("threads leaked-thread-# at scenario-x64.exe+{start:#x}");
        assert_eq!(pair.owner("stack", &owner)["count"], 40);
    }
}

#[test]
fn commit_release_protection_and_images() {
    for (before, after) in DUMPS {
        let Some(pair) = pair(before, after, &[]) else { return };
        let grown = pair.made("sub", "grows: later commit").next().unwrap();
        let row = pair.row("committed", number(&grown["base"]));
        assert_eq!((&row["size"], &row["committed"]), (&grown["size"], &grown["size"]));
        assert_eq!(
            (&row["state_before"], &row["state_after"]),
            (&"reserve".into(), &"commit".into())
        );
        assert_eq!((number(&grown["size"]), &row["kind_after"]), (4 << 20, &"private".into()));
        let whole = pair.before["items"].as_array().unwrap();
        let whole = whole.iter().find(|item| item["label"] == "grows-in-place-8m").unwrap();
        assert_eq!(number(&row["allocation_after"]), number(&whole["base"]));

        let released = pair.before["items"].as_array().unwrap();
        let released = released.iter().find(|item| item["label"] == "released-later-3m").unwrap();
        let row = pair.row("gone", number(&released["base"]));
        assert_eq!((&row["size"], number(&row["size"])), (&released["size"], 3 << 20));
        assert_eq!(row["kind_after"], Value::Null);

        let changed = &pair.after["notes"]["protect_changed"];
        let row = pair.row("protection", number(&changed["base"]));
        assert_eq!((&changed["from"], &changed["to"]), (&"0x4".into(), &"0x20".into()));
        assert_eq!(row["protect_before"], "PAGE_READWRITE");
        assert_eq!(row["protect_after"], "PAGE_EXECUTE_READ");
        assert_eq!((&row["size"], &row["committed"]), (&65536.into(), &0.into()));

        let images = &pair.report["images"];
        let loaded = pair.made("image", "plug_d").next().unwrap();
        assert_eq!(images["loaded"].as_array().unwrap().len(), 1);
        assert_eq!(images["loaded"][0]["name"], "plug_d-x64.dll");
        assert_eq!(images["loaded"][0]["size"], loaded["size"]);
        assert_eq!(number(&images["loaded"][0]["base"]), number(&loaded["base"]));
        assert_eq!(loaded["size"], 352_256);
        let unloaded = &pair.after["unloaded_modules"][0];
        assert_eq!(images["unloaded"].as_array().unwrap().len(), 1);
        assert_eq!(images["unloaded"][0]["name"], unloaded["name"]);
        assert_eq!(
            (&images["unloaded"][0]["size"], &unloaded["size"]),
            (&221_184.into(), &221_184.into())
        );
        assert_eq!(
            number(&images["unloaded"][0]["base"]),
            number(&pair.before["notes"]["plug_b_before"])
        );
        assert_eq!(pair.row("gone", number(&unloaded["base"]))["size"], unloaded["size"]);
        let kept = |name: &str| images[name].as_array().unwrap().is_empty();
        assert!(kept("moved") && kept("rebuilt"));
    }
}

/// Bytes that are in use in one walk and free in the other.
fn only_in(one: &Value, other: &Value) -> u64 {
    let used = |truth: &Value| -> Vec<(u64, u64)> {
        let walk = truth["walk"].as_array().unwrap().iter();
        let used = walk.filter(|row| row["state"] != "free");
        used.map(|row| (number(&row["base"]), number(&row["base"]) + number(&row["size"])))
            .collect()
    };
    let (one, other) = (used(one), used(other));
    let size = |ranges: &[(u64, u64)]| -> u64 { ranges.iter().map(|(a, b)| b - a).sum() };
    let both = one.iter().map(|(a, b)| -> u64 {
        other.iter().map(|(c, d)| b.min(d).saturating_sub(*a.max(c))).sum()
    });
    size(&one) - both.sum::<u64>()
}

#[test]
fn what_came_and_went_is_what_virtual_query_said() {
    for (before, after) in DUMPS {
        let Some(pair) = pair(before, after, &[]) else { return };
        let tally = |change: &str| {
            let changes = pair.report["changes"].as_array().unwrap();
            changes.iter().find(|row| row["change"] == change).map_or(0, |row| number(&row["size"]))
        };
        assert_eq!(tally("new"), only_in(&pair.after, &pair.before));
        assert_eq!(tally("gone"), only_in(&pair.before, &pair.after));
    }
}

#[test]
fn the_leaking_heap_is_named_where_it_can_be() {
    let Some(pair) = pair(DUMPS[1].0, DUMPS[1].1, &[]) else { return };
    let leaky = pair.before["items"].as_array().unwrap();
    let leaky = leaky.iter().find(|item| item["label"] == "leaky").unwrap();
    let owner = format!("at {}", leaky["base"].as_str().unwrap());
    let rows = pair.report["owners"].as_array().unwrap();
    let row = rows.iter().find(|row| row["owner"].as_str().unwrap().ends_with(&owner)).unwrap();
    // 5,000 blocks of 1,000 bytes and one of 2 MiB.
    assert!(row["committed"].as_i64().unwrap() >= 5_000_000 + (2 << 20), "{row}");
}

#[test]
fn as_two_runs_the_families_say_the_same() {
    let Some(pair) = pair(DUMPS[0].0, DUMPS[0].1, &["--other-run"]) else { return };
    assert_eq!(pair.report["run"]["same"], false);
    assert_eq!(pair.report["run"]["decided_by"], "option");
    assert_eq!(pair.owner("private", "256 KiB allocations, Read/Write")["count"], 20);
    assert_eq!(pair.owner("image", "plug_d-x64.dll")["size"], 352_256);
    assert_eq!(pair.owner("image", "plug_b-x64.dll")["size"], -221_184);
    assert_eq!(pair.report["audit"]["regions"], Value::Null);
    let conclusion = pair.report["conclusion"][0].as_str().unwrap();
    assert!(conclusion.contains("20 more 256 KiB allocations"), "{conclusion}");
}

#[test]
fn the_conclusion_has_the_numbers_of_the_process() {
    let Some(pair) = pair(DUMPS[0].0, DUMPS[0].1, &[]) else { return };
    let sentences = pair.report["conclusion"].as_array().unwrap();
    let first = sentences[0].as_str().unwrap();
    let committed = |truth: &Value| -> u64 {
        ["image", "mapped", "private"].map(|of| number(&truth["totals"][of]["commit"])).iter().sum()
    };
    let grown = committed(&pair.after) - committed(&pair.before);
    assert_eq!(pair.report["total"]["committed"].as_u64(), Some(grown));
    let human = dumpmap::size::human(grown);
    assert!(first.starts_with(&format!("committed memory grew by {human} (")), "{first}");
    assert!(sentences[1].as_str().unwrap().starts_with("threads 2 → 42; handles 17 → 99"));
}
