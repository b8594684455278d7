//! The program, started with a wrong environment.

use std::process::Command;

use serde_json::Value;

#[test]
fn everything_that_is_wrong_with_the_environment_is_logged_line_by_line() {
    let wrong = [
        ("PORT", "eighty"),
        ("AUTH_MODE", "disabled"),
        ("DATABASE_URL", "postgres://todo:hunter2@:bad/"),
        ("WEB_PUSH_SUBJECT", "mailto:owner@example.org"),
        ("WEB_PUSH_PUBLIC_KEY", "hunter2"),
        ("WEB_PUSH_PRIVATE_KEY", "hunter2"),
        ("WEB_PUSH_ADDRESSES", "everywhere"),
        ("WEB_PUSH_PORTS", "443"),
        ("WEBHOOK_ADDRESSES", "public"),
        ("WEBHOOK_PORTS", "443,eighty"),
        ("SMTP_HOST", "mail.example.org"),
        ("SMTP_PORT", "smtp"),
        ("SMTP_TLS", "ssl"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_PASSWORD", "hunter2"),
        ("NTFY_BASE_URL", "ftp://ntfy.example.org"),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_todo-notification")).env_clear().envs(wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(!log.contains("hunter2"), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["level"] == "ERROR"), "{log}");
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let about = [
        "PORT",
        "DATABASE_URL",
        "WEB_PUSH_PUBLIC_KEY and WEB_PUSH_PRIVATE_KEY",
        "WEB_PUSH_ADDRESSES",
        "WEBHOOK_PORTS",
        "SMTP_USERNAME and SMTP_PASSWORD",
        "SMTP_PORT",
        "SMTP_TLS",
        "SMTP_FROM",
        "NTFY_BASE_URL",
    ];
    assert_eq!(messages.len(), about.len(), "{log}");
    for (message, variables) in messages.iter().zip(about) {
        assert!(message.starts_with(variables), "{message}");
    }
}
