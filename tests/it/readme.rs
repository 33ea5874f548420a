//! The README says what the program does: its blocks are held against the program itself.

use irsa_migrate::cli::exit::Exit;
use irsa_migrate::plan::{Settings, plan};
use irsa_migrate::sim;

use crate::cli::Home;
use crate::cycle::scan;

const README: &str = include_str!("../../README.md");

/// The fenced blocks, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = README.split("\n```").skip(1).step_by(2);
    fenced.map(|it| it.split_once('\n').expect("a block of lines")).collect()
}

#[test]
fn what_it_shows_of_the_demo_is_what_the_demo_prints() {
    let demo = Home::new().run(&["demo"]).stdout;
    let is_output = |(language, text): &&(&str, &str)| {
        // What a person types, and what `rehearse` prints, is not the demo's.
        let typed = ["cargo ", "irsa-migrate ", "Rehearsal"];
        language.is_empty() && !typed.iter().any(|it| text.starts_with(it))
    };
    let blocks = blocks();
    let shown: Vec<&(&str, &str)> = blocks.iter().filter(is_output).collect();
    assert_eq!(shown.len(), 4, "its head, a role, ServiceAccounts, what is held: {shown:?}");
    for (_, text) in shown {
        for paragraph in text.split("\n\n") {
            assert!(demo.contains(paragraph), "the demo does not print this any more:\n{paragraph}");
        }
    }
}

#[test]
fn what_it_shows_of_a_rehearsal_is_what_one_of_the_demos_fleet_says() {
    let home = Home::new();
    let inventory = scan(&sim::fleet());
    home.write("inventory.json", inventory.to_bytes().expect("bytes"));
    let plan = plan(&inventory, &Settings::default()).expect("a plan");
    home.write("plan.json", plan.to_bytes().expect("bytes"));
    let report = home.run(&["rehearse", "plan.json", "--without-faults"]).stdout;
    let blocks = blocks();
    let (_, text) = blocks.iter().find(|(_, text)| text.starts_with("Rehearsal")).expect("a rehearsal");
    for paragraph in text.trim_end_matches("\n...").split("\n\n") {
        assert!(report.contains(paragraph), "a rehearsal does not say this any more:\n{paragraph}\n{report}");
    }
}

#[test]
fn each_command_of_it_can_be_typed() {
    let blocks = blocks();
    let lines = blocks.iter().flat_map(|(_, text)| text.lines());
    let commands: Vec<&str> = lines.filter_map(|it| it.strip_prefix("irsa-migrate ")).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        // Whatever cannot be read in front of it is an error before any help is given.
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let seen = Home::new().run(&args);
        assert_eq!(seen.code, Some(0), "{}", seen.whole());
    }
}

#[test]
fn its_settings_can_be_read() {
    let blocks = blocks();
    let (_, text) = blocks.iter().find(|(language, _)| *language == "toml").expect("settings");
    let settings = Settings::parse(text).expect("settings");
    assert!(settings.waves.len() == 3 && settings.windows.len() == 1 && settings.waivers.len() == 1);
}

#[test]
fn its_exit_codes_are_those_of_the_program() {
    let rows = README.lines().filter_map(|it| it.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    let all = [
        Exit::Done,
        Exit::Unexpected,
        Exit::Usage,
        Exit::ChangesPending,
        Exit::Held,
        Exit::BrokenPromise,
        Exit::Refused,
        Exit::Incomplete,
        Exit::Stuck,
        Exit::Paused,
        Exit::Locked,
        Exit::Denied,
    ];
    assert_eq!(rows.collect::<Vec<u8>>(), all.map(|it| it as u8));
}
