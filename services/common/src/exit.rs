//! How a service ends.

use std::{error::Error, iter, ops::Deref, process::ExitCode};

use crate::config::ConfigError;

/// The exit code of a service. What kept it from running is logged as everything else is: each mistake in its environment by a line of
/// its own.
pub fn code(result: Result<(), impl Deref<Target = dyn Error + Send + Sync>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    for line in lines(&*error) {
        tracing::error!("{line}");
    }
    ExitCode::FAILURE
}

fn lines(error: &(dyn Error + 'static)) -> Vec<String> {
    let causes = || iter::successors(Some(error), |&error| error.source());
    if let Some(ConfigError(mistakes)) = causes().find_map(|cause| cause.downcast_ref()) {
        return mistakes.clone();
    }
    let mut line = String::new();
    for words in causes().map(ToString::to_string) {
        // Some say their cause themselves.
        if !line.contains(&words) {
            line.push_str(if line.is_empty() { "" } else { ": " });
            line.push_str(&words);
        }
    }
    vec![line]
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("the page cannot be read")]
        Silent(#[source] io::Error),
        #[error("the port cannot be had: {0}")]
        Telling(#[source] io::Error),
        #[error("it cannot start")]
        Config(#[source] ConfigError),
    }

    #[test]
    fn each_mistake_has_a_line_and_each_cause_is_told_once() {
        let cause = || io::Error::other("no such file");
        assert_eq!(lines(&Outer::Silent(cause())), ["the page cannot be read: no such file"]);
        assert_eq!(lines(&Outer::Telling(cause())), ["the port cannot be had: no such file"]);
        let mistakes = ["PORT is wrong".to_owned(), "AUTH_MODE is wrong".to_owned()];
        assert_eq!(lines(&Outer::Config(ConfigError(mistakes.to_vec()))), mistakes);
    }
}
