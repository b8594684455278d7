//! The tasks that a person was shown, and which of them a sentence means. Pure.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use todo_common::tasks::Due;
use uuid::Uuid;

use super::command::Target;

/// What chat needs to know of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Shown {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) due_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(crate) due_date: Option<NaiveDate>,
}

impl Shown {
    fn due(&self) -> Option<Due> {
        self.due_at.map(Due::At).or_else(|| self.due_date.map(Due::On))
    }

    /// `[x] buy milk (Thu 26 Nov 09:00)`
    pub(crate) fn line(&self, zone: Tz) -> String {
        let done = if self.status == "completed" { "[x]" } else { "[ ]" };
        match self.due() {
            Some(due) => format!("{done} {} ({})", self.title, words_for(due, zone)),
            None => format!("{done} {}", self.title),
        }
    }
}

/// `Thu 26 Nov 2026 09:00`, in the person's zone.
pub(crate) fn words_for(due: Due, zone: Tz) -> String {
    match due {
        Due::On(day) => day.format("%a %-d %b %Y").to_string(),
        Due::At(moment) => moment.with_timezone(&zone).format("%a %-d %b %Y %H:%M %Z").to_string(),
    }
}

/// The task that is meant, if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This one.
    One(Shown),
    /// None is like that.
    None,
    /// Several are; the person has to say which.
    Several(Vec<Shown>),
}

/// Which of `tasks` is meant. A number counts them.
pub(crate) fn choose(tasks: &[Shown], target: &Target) -> Choice {
    let one = |task: Option<&Shown>| task.cloned().map_or(Choice::None, Choice::One);
    match target {
        Target::Id(id) => one(tasks.iter().find(|task| task.id == *id)),
        Target::Number(number) => one(tasks.get(number.wrapping_sub(1))),
        Target::Title(words) => by_title(tasks, &words.to_lowercase()),
    }
}

/// The task with exactly this title, else those whose title has all the words.
fn by_title(tasks: &[Shown], wanted: &str) -> Choice {
    let like = |fits: &dyn Fn(&str) -> bool| -> Vec<Shown> {
        tasks.iter().filter(|task| fits(&task.title.to_lowercase())).cloned().collect()
    };
    let exact = like(&|title| title == wanted);
    let found = if exact.is_empty() {
        like(&|title| wanted.split_whitespace().all(|word| title.contains(word)))
    } else {
        exact
    };
    match found.as_slice() {
        [] => Choice::None,
        [one] => Choice::One(one.clone()),
        _ => Choice::Several(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u128, title: &str) -> Shown {
        Shown { id: Uuid::from_u128(number), title: title.into(), status: "open".into(), due_at: None, due_date: None }
    }

    #[test]
    fn a_title_is_found_exactly_before_it_is_found_by_its_words() {
        let tasks = [task(1, "Buy milk"), task(2, "Buy oat milk"), task(3, "Team meeting")];
        let choose = |words: &str| super::choose(&tasks, &Target::Title(words.into()));
        assert_eq!(choose("buy milk"), Choice::One(tasks[0].clone()));
        assert_eq!(choose("meeting"), Choice::One(tasks[2].clone()));
        assert_eq!(choose("milk"), Choice::Several(tasks[..2].to_vec()));
        assert_eq!(choose("bread"), Choice::None);
    }

    #[test]
    fn a_number_counts_from_one() {
        let tasks = [task(1, "a"), task(2, "b")];
        assert_eq!(choose(&tasks, &Target::Number(2)), Choice::One(tasks[1].clone()));
        assert_eq!(choose(&tasks, &Target::Number(3)), Choice::None);
        assert_eq!(choose(&tasks, &Target::Number(0)), Choice::None);
    }

    #[test]
    fn a_line_shows_the_due_time_in_the_persons_zone() {
        let task = Shown { due_at: Some("2026-11-26T08:00:00Z".parse().unwrap()), ..task(1, "Buy milk") };
        assert_eq!(task.line(Tz::Europe__Berlin), "[ ] Buy milk (Thu 26 Nov 2026 09:00 CET)");
    }
}
