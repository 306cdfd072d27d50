use super::*;
use crate::logs::place::Stream;
use std::path::Path;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("rclusterd-sink-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn plan(&self, change: impl FnOnce(&mut Plan)) -> Arc<Plan> {
        let path = self.0.join("deep/app.log");
        let mut plan = Plan {
            family: vec![path.clone()],
            path,
            home: self.0.clone(),
            max_size: 0,
            retain: 10,
            max_total: 0,
            rotate: None,
            compress: false,
        };
        change(&mut plan);
        Arc::new(plan)
    }

    fn all(&self) -> Vec<String> {
        let log = self.0.join("deep/app.log");
        let files = archive::list(&log).into_iter().map(|archive| archive.path()).chain([log]);
        files.map(|file| fs::read_to_string(file).unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SOURCE: Source = Source { pid: 7, instance: 0, stream: Stream::Out };

fn write(sink: &mut Sink, text: &str, at: i64) {
    sink.write(text.as_bytes(), &[Mark { end: text.len(), at }], SOURCE);
}

fn sink(plan: &Arc<Plan>) -> Sink {
    Sink::new(Arc::clone(plan), Compressor::default())
}

#[test]
fn a_file_that_has_grown_is_set_aside_at_the_end_of_a_line() {
    let folder = Folder::new("grown");
    let mut sink = sink(&folder.plan(|plan| plan.max_size = 10));
    write(&mut sink, "one two\nthree\nfour\na line that is longer\nfive six\n", 1);
    write(&mut sink, "x\n", 2);
    assert_eq!(
        folder.all(),
        ["one two\n", "three\n", "four\n", "a line that is longer\n", "five six\n", "x\n"][..].iter().fold(
            Vec::<String>::new(),
            |mut files, line| {
                match files.last_mut() {
                    Some(last) if last.len() + line.len() <= 10 => last.push_str(line),
                    _ => files.push((*line).to_owned()),
                }
                files
            }
        )
    );
}

#[test]
fn positions_go_on_from_file_to_file() {
    let folder = Folder::new("positions");
    let plan = folder.plan(|plan| plan.max_size = 10);
    let mut first = sink(&plan);
    write(&mut first, "one two\n", 1);
    write(&mut first, "three\n", 2);
    // Another writer of the same file goes on.
    let mut second = sink(&plan);
    write(&mut second, "four six\n", 3);
    let heads: Vec<_> = archive::list(&plan.path)
        .iter()
        .map(|archive| archive.margin(&plan.home))
        .chain([margin::path_of(&plan.path, &plan.home)])
        .map(|path| margin::head(&File::open(path).unwrap()).unwrap())
        .map(|head| (head.base, head.end))
        .collect();
    assert_eq!(heads, [(0, Some(8)), (8, Some(14)), (14, None)]);
}

#[test]
fn what_is_moved_away_emptied_or_deleted_is_noticed() {
    let folder = Folder::new("moved");
    let plan = folder.plan(|_| {});
    let mut sink = sink(&plan);
    write(&mut sink, "one\n", 1);
    fs::rename(&plan.path, plan.path.with_extension("old")).unwrap();
    write(&mut sink, "two\n", 2);
    assert_eq!(fs::read_to_string(plan.path.with_extension("old")).unwrap(), "one\n");
    assert_eq!(folder.all(), ["two\n"]);
    fs::write(&plan.path, "").unwrap();
    write(&mut sink, "three\n", 3);
    assert_eq!(folder.all(), ["three\n"]);
    fs::remove_dir_all(folder.0.join("deep")).unwrap();
    write(&mut sink, "four\n", 4);
    assert_eq!(folder.all(), ["four\n"]);
    sink.flush().unwrap();
    write(&mut sink, "five\n", 5);
    assert_eq!(folder.all(), ["five\n"]);
}

#[test]
fn what_was_emptied_begins_anew_behind_what_it_was_and_not_next_to_it() {
    let folder = Folder::new("emptied");
    let plan = folder.plan(|_| {});
    let mut sink = sink(&plan);
    // Where the file stands, and when its lines were read.
    let margin = || {
        let file = File::open(margin::path_of(&plan.path, &plan.home)).unwrap();
        let times = (0..margin::count(&file)).filter_map(|index| margin::record(&file, index)).map(|record| record.at);
        (margin::head(&file).unwrap().base, times.collect::<Vec<_>>())
    };
    write(&mut sink, "one\n", 1000);
    write(&mut sink, "two\n", 2000);
    assert_eq!(margin(), (0, vec![1000, 2000]));
    File::options().write(true).open(&plan.path).unwrap().set_len(0).unwrap();
    write(&mut sink, "three\n", 3000);
    assert_eq!(margin(), (9, vec![3000]));
    sink.flush().unwrap();
    write(&mut sink, "four\n", 4000);
    assert_eq!(margin(), (16, vec![4000]));
    assert_eq!(folder.all(), ["four\n"]);
}

#[test]
fn each_hour_has_its_file() {
    let folder = Folder::new("hours");
    let plan = folder.plan(|plan| plan.rotate = Some(Rotate::Hourly));
    let mut sink = sink(&plan);
    let now = now();
    write(&mut sink, "one\n", now);
    write(&mut sink, "two\n", now);
    write(&mut sink, "three\n", now + 3_600_000);
    assert_eq!(folder.all(), ["one\ntwo\n", "three\n"]);
    // Nothing is set aside where there is nothing.
    let mut emptied = Sink::new(Arc::clone(&plan), Compressor::default());
    emptied.flush().unwrap();
    write(&mut emptied, "three\n", now + 3_600_000);
    assert_eq!(folder.all(), ["one\ntwo\n", "three\n"]);
    // What was written yesterday is set aside when somebody opens it today.
    let file = File::options().append(true).open(&plan.path).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(86_400)).unwrap();
    let mut next = Sink::new(Arc::clone(&plan), Compressor::default());
    write(&mut next, "four\n", now);
    assert_eq!(folder.all(), ["one\ntwo\n", "three\n", "four\n"]);
}

#[test]
fn periods_end_where_clocks_say_so() {
    let end = |rotate, time: &str| {
        let time: Zoned = time.parse().unwrap();
        let end = end_of_period(rotate, &time).unwrap();
        jiff::Timestamp::from_millisecond(end).unwrap().to_zoned(time.time_zone().clone()).to_string()
    };
    let time = "2026-03-04T15:06:07+02:30[+02:30]";
    assert_eq!(end(Rotate::Hourly, time), "2026-03-04T16:00:00+02:30[+02:30]");
    assert_eq!(end(Rotate::Daily, time), "2026-03-05T00:00:00+02:30[+02:30]");
    assert_eq!(end(Rotate::Weekly, time), "2026-03-09T00:00:00+02:30[+02:30]");
}

#[test]
fn a_log_that_cannot_be_written_loses_lines_and_says_how_many() {
    let folder = Folder::new("lost");
    let plan = folder.plan(|_| {});
    // A folder in its place.
    fs::create_dir_all(&plan.path).unwrap();
    let mut sink = sink(&plan);
    write(&mut sink, "one\ntwo\n", 1);
    write(&mut sink, "three\n", 2);
    fs::remove_dir(&plan.path).unwrap();
    write(&mut sink, "four\n", 3);
    let all = folder.all().concat();
    assert!(all.starts_with("[rcluster] 3 lines were lost: ") && all.ends_with(")\nfour\n"), "{all}");
}

#[test]
fn a_device_is_written_and_never_set_aside() {
    let folder = Folder::new("device");
    let plan = folder.plan(|plan| {
        plan.path = Path::new("/dev/full").to_owned();
        plan.max_size = 4;
    });
    let mut sink = sink(&plan);
    write(&mut sink, "one\ntwo\nthree\n", 1);
    assert!(sink.lost.as_ref().is_some_and(|(count, why)| *count == 3 && why.contains("No space left")));
}
