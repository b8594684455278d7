//! Panics in the log, without what users wrote: the message of one over a text that is cut in the middle of a character quotes
//! the text.

use std::any::Any;

/// Has each panic logged as one line of the log, in place of what the standard library prints.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, words = words(panic.payload()), "a mistake in the program: it panicked");
    }));
}

/// What the program's source says. What was put together while it ran may have anything in it.
fn words(cause: &dyn Any) -> &'static str {
    cause.downcast_ref::<&'static str>().copied().unwrap_or("left out, as it may quote what a user wrote")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_over_a_users_text_does_not_quote_it() {
        let text = String::from("dentist: é");
        let cause = catch_unwind(|| text.split_at(text.len() - 1).0.len()).unwrap_err();
        assert!(cause.downcast_ref::<String>().is_some_and(|message| message.contains("dentist")));
        assert!(!words(cause.as_ref()).contains("dentist"));
    }

    #[test]
    fn a_panic_in_the_programs_own_words_says_them() {
        let cause = catch_unwind(|| panic!("there is always one")).unwrap_err();
        assert_eq!(words(cause.as_ref()), "there is always one");
    }
}
