//! The import table of ARCHITECTURE.md, and what each kind of room may use from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Table = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The words in backticks of a table's cell.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn table() -> Table {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, text) = text.split_once("| room | may import |").expect("the import table");
    let rows = text.lines().skip(1).skip_while(|it| it.starts_with("|---")).take_while(|it| it.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let room = words(cells[1]).pop_first().expect("a room");
        (room, words(cells[2]))
    })
    .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every source file of a room, without its comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let files = sources(&src).into_iter().filter_map(|path| {
        let inside = path.strip_prefix(&src).expect("inside");
        let first = inside.components().next()?.as_os_str().to_str()?.to_owned();
        let room = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
        let text = fs::read_to_string(&path).expect("a source");
        let code: Vec<&str> = text.lines().filter(|it| !it.trim_start().starts_with("//")).collect();
        Some((room, path, code.join("\n")))
    });
    files.filter(|(room, ..)| room != "lib" && room != "main").collect()
}

/// The names that follow a prefix such as `crate::`.
fn names_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let rests = code.match_indices(prefix).map(|(at, _)| &code[at + prefix.len()..]);
    rests
        .flat_map(|rest| match rest.strip_prefix('{') {
            // `use crate::{a::X, b::Y}`: the first name of each part.
            Some(group) => group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
            None => vec![rest],
        })
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
        .filter(|it| !it.is_empty())
        .collect()
}

#[test]
fn rooms_import_what_the_table_allows() {
    let table = table();
    let known: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert!(known.len() >= 10, "the table was not read: {known:?}");
    let mut wrong = Vec::new();
    for (room, path, code) in rooms() {
        let Some(allowed) = table.get(&room) else {
            wrong.push(format!("{} is in no room of the table", path.display()));
            continue;
        };
        for name in names_after(&code, "crate::") {
            if known.contains(name) && name != room && !allowed.contains(name) {
                wrong.push(format!("{} imports {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_of_the_table_is_there() {
    let there: BTreeSet<String> = rooms().into_iter().map(|(room, ..)| room).collect();
    let missing: Vec<String> = table().into_keys().filter(|it| !there.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn pure_rooms_are_pure_and_only_live_names_an_sdk() {
    let pure = ["model", "trust", "inventory", "findings", "journal", "plan", "rollback", "verify", "permissions"];
    let impure =
        ["tokio::", "futures::", "std::fs", "std::net", "std::process", "async fn", "Timestamp::now", "Instant::"];
    let sdks =
        ["aws_config", "aws_sdk_", "aws_smithy", "aws_sigv4", "aws_credential", "kube::", "k8s_openapi", "sqlx::"];
    let mut wrong = Vec::new();
    for (room, path, code) in rooms() {
        let uses = |list: &[&str]| list.iter().filter(|it| code.contains(**it)).map(|it| (*it).to_owned()).collect();
        let mut found: Vec<String> = Vec::new();
        if pure.contains(&room.as_str()) {
            found.extend::<Vec<String>>(uses(&impure));
        }
        if room != "live" {
            found.extend::<Vec<String>>(uses(&sdks));
        }
        if ["scan", "apply"].contains(&room.as_str()) {
            found.extend::<Vec<String>>(uses(&["tokio::", "std::fs"]));
        }
        wrong.extend(found.into_iter().map(|what| format!("{} uses {what}", path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_are_found() {
    let code = "use crate::model::Arn;\nuse crate::{trust::X, plan};\nlet x = crate::ports::Y;";
    let found: Vec<&str> = names_after(code, "crate::").into_iter().collect();
    assert_eq!(found, ["model", "plan", "ports", "trust"]);
}
