use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::synth::DumpBuilder;

/// So many dumps in one file each, the time stamp of each its number.
fn dumps(name: &str, count: u32) -> Vec<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("dumpmap-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    (0..count)
        .map(|number| {
            let mut bytes = DumpBuilder::windows_x64().build();
            bytes[20..24].copy_from_slice(&number.to_le_bytes());
            let path = folder.join(format!("{number:04}"));
            std::fs::write(&path, bytes).unwrap();
            path
        })
        .collect()
}

fn time(analysis: Result<&Analysis<'_>>) -> Option<u32> {
    analysis.ok().map(|analysis| analysis.dump.header.time)
}

fn collected<R>(rows: Rows<R>) -> Vec<R> {
    rows.map(|outcome| match outcome {
        Outcome::Row(row) => row,
        Outcome::PassedOver(reason) => panic!("{reason:?}"),
    })
    .collect()
}

#[test]
fn rows_keep_the_order_of_inputs() {
    let paths = dumps("order", 300);
    for (workers, waiting) in [(1, 1), (2, 1), (3, 2), (8, 7), (4, 1024)] {
        let options = Options { workers, waiting, ..Options::default() };
        let inputs = paths.clone().into_iter().map(Input::named);
        let rows = rows(inputs, &options, |_, analysis| {
            let time = time(analysis);
            // Every tenth takes its time.
            if time.is_some_and(|time| time % 10 == 0) {
                std::thread::sleep(Duration::from_millis(1));
            }
            time
        });
        let expected: Vec<_> = (0..300).map(Some).collect();
        assert_eq!(collected(rows.unwrap()), expected, "{workers} workers, {waiting} waiting");
    }
    let _ = std::fs::remove_dir_all(paths[0].parent().unwrap());
}

#[test]
fn a_panic_is_the_error_of_one_dump() {
    let paths = dumps("panic", 40);
    let options = Options { workers: 2, ..Options::default() };
    let inputs = paths.clone().into_iter().map(Input::named);
    let rows = rows(inputs, &options, |_, analysis| match analysis {
        Ok(analysis) if analysis.dump.header.time == 17 => panic!("one of the tests"),
        Ok(analysis) => Ok(analysis.dump.header.time),
        Err(error) => Err(error.to_string()),
    });
    let rows = collected(rows.unwrap());
    let internal = Err("internal error: please report it with this dump".to_owned());
    assert_eq!(rows.len(), 40);
    assert_eq!((&rows[16], &rows[17], &rows[18]), (&Ok(16), &internal, &Ok(18)));
    let _ = std::fs::remove_dir_all(paths[0].parent().unwrap());
}

#[test]
fn who_stops_reading_ends_the_run() {
    let begun = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&begun);
    let options = Options { workers: 2, waiting: 4, ..Options::default() };
    let endless = std::iter::repeat_with(|| Input::named("no such file"));
    let mut rows = rows(endless, &options, move |_, _| counter.fetch_add(1, Ordering::Relaxed));
    assert!(rows.as_mut().unwrap().next().is_some());
    drop(rows);
    let after = begun.load(Ordering::Relaxed);
    assert!(after < 1_000, "{after}");
    assert_eq!(begun.load(Ordering::Relaxed), after);
}

#[test]
fn a_run_that_is_told_to_stop_finishes_what_it_began() {
    let options = Options { workers: 2, ..Options::default() };
    let stop = Arc::clone(&options.stop);
    let endless = std::iter::repeat_with(|| Input::named("no such file"));
    let rows = rows(endless, &options, |_, analysis| analysis.is_err()).unwrap();
    let mut count = 0;
    for outcome in rows {
        assert!(matches!(outcome, Outcome::Row(true)));
        count += 1;
        if count == 100 {
            stop.store(true, Ordering::Relaxed);
        }
    }
    assert!(count >= 100);
}
