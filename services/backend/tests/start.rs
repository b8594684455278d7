//! The program, started with a wrong environment.

use std::process::Command;

use serde_json::Value;

#[test]
fn everything_that_is_wrong_with_the_environment_is_logged_line_by_line() {
    let wrong = [("PORT", "eighty"), ("DATABASE_URL", "postgres://todo:hunter2@:bad/"), ("REMINDER_MODE", "precisely")];
    let output = Command::new(env!("CARGO_BIN_EXE_todo-backend")).env_clear().envs(wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(!log.contains("hunter2"), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["level"] == "ERROR"), "{log}");
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 4, "{log}");
    for (message, variable) in messages.iter().zip(["PORT", "AUTH_MODE", "DATABASE_URL", "REMINDER_MODE"]) {
        assert!(message.starts_with(variable), "{message}");
    }
}
