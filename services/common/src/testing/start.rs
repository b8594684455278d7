//! Programs that are started with a wrong environment.

use std::process::Command;

use serde_json::Value;

/// What a program says of an environment with which it ends: a line for each mistake, all of them errors, and nothing beside.
/// `secret` stands in none of them.
pub fn mistakes_at_start(program: &str, environment: &[(&str, &str)], secret: &str) -> Vec<String> {
    let mut command = Command::new(program);
    let output = command.env_clear().envs(environment.iter().copied()).output().expect("the program can be started");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let log = String::from_utf8(output.stdout).expect("a log is text");
    assert!(!log.contains(secret), "{log}");
    let read = |line: &str| -> String {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(line["level"], "ERROR", "{log}");
        line["message"].as_str().expect("a line has a message").to_owned()
    };
    log.lines().map(read).collect()
}
