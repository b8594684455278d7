//! The program, started with a wrong environment.

use todo_common::testing::mistakes_at_start;

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
    let messages = mistakes_at_start(env!("CARGO_BIN_EXE_todo-notification"), &wrong, "hunter2");
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
    assert_eq!(messages.len(), about.len(), "{messages:?}");
    for (message, variables) in messages.iter().zip(about) {
        assert!(message.starts_with(variables), "{message}");
    }
}
