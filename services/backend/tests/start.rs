//! The program, started with a wrong environment.

use todo_common::testing::mistakes_at_start;

#[test]
fn everything_that_is_wrong_with_the_environment_is_logged_line_by_line() {
    let wrong = [("PORT", "eighty"), ("DATABASE_URL", "postgres://todo:hunter2@:bad/"), ("REMINDER_MODE", "precisely")];
    let messages = mistakes_at_start(env!("CARGO_BIN_EXE_todo-backend"), &wrong, "hunter2");
    assert_eq!(messages.len(), 4, "{messages:?}");
    for (message, variable) in messages.iter().zip(["PORT", "AUTH_MODE", "DATABASE_URL", "REMINDER_MODE"]) {
        assert!(message.starts_with(variable), "{message}");
    }
}
