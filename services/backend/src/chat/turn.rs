//! One turn of a conversation: a command is carried out with the tools and put into words.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use todo_common::{
    dapr,
    problem::Problem,
    tasks::{Due, UserId},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    command::{Command, Draft, Listing, Target},
    shown::{Choice, Shown, choose, words_for},
    when::Clock,
};
use crate::{
    peers,
    tools::{self, Tool},
};

type Fields = Map<String, Value>;

/// What the parser can do, in its own words.
pub(crate) const HELP: &str = "I am a command parser, not a language model: I know a few kinds of sentences.\n\
- add buy groceries tomorrow 9am (also: on friday, in 20 minutes, 2026-12-01, every monday, #tag, !high)\n\
- remind me to call mom at 18:00\n\
- show my tasks; what's pending?; what have I completed?; what is due today?; show tasks #home\n\
- complete task 3; complete buy groceries\n\
- rename buy milk to buy oat milk; move buy milk to tomorrow 9am; set the priority of buy milk to high\n\
- delete the meeting task\n\
- send me a test notification";

const UNKNOWN: &str = "I did not understand that. I am a command parser, not a language model; write \"help\" to see the sentences I know.";

/// A tool that was called, as the answer shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ToolCall {
    /// The tool.
    name: &'static str,
    /// What it was called with.
    #[schema(value_type = Object)]
    arguments: Fields,
    /// What it gave.
    result: Value,
}

impl ToolCall {
    /// Whether it may have changed something.
    pub(crate) fn changes(&self) -> bool {
        Tool::named(self.name).is_none_or(|tool| !tool.hints().read_only)
    }
}

/// A turn under way.
pub(crate) struct Turn<'a> {
    /// Transaction of everything that it changes.
    pub(crate) connection: &'a mut PgConnection,
    /// Who speaks.
    pub(crate) user: &'a UserId,
    /// When, and in which zone.
    pub(crate) clock: Clock,
    /// What became of a test notification, if one was wanted.
    pub(crate) notified: Option<Notified>,
    /// The tasks of the list that was shown last, which numbers count.
    pub(crate) shown: Vec<Uuid>,
    /// Those of a list that it shows itself.
    pub(crate) shows: Option<Vec<Uuid>>,
    /// The tools called so far.
    pub(crate) calls: Vec<ToolCall>,
}

/// What another service has done for a turn, before its transaction.
pub(crate) struct Notified {
    words: String,
    call: ToolCall,
}

/// Has the person sent a test notification, once for this `id`. The other service needs a connection, too: none may be held while
/// waiting for it.
///
/// # Errors
/// The problem of a service that could not be called. What it refuses is said in its words.
pub(crate) async fn notify(dapr: &dapr::Client, user: &UserId, id: Uuid) -> Result<Notified, Problem> {
    const MESSAGE: &str = "This is a test notification.";
    let (result, words) = match peers::test_channels(dapr, user, id, MESSAGE).await {
        Ok(result) => (result, "Sent you a test notification.".to_owned()),
        Err(peers::Error::Refused(_, words)) => (json!({"error": words}), format!("That does not work: {words}")),
        Err(error) => return Err(error.into()),
    };
    let arguments = fields(&[("user_id", json!(user.as_str())), ("message", json!(MESSAGE))]);
    Ok(Notified { words, call: ToolCall { name: "send_notification", arguments, result } })
}

/// Why a turn ends early.
enum Stop {
    /// With words for the person.
    Say(String),
    /// With a failure of the system.
    Fail(Problem),
}

impl Turn<'_> {
    /// Carries out `command` and says what became of it.
    ///
    /// # Errors
    /// The problem of a tool that could not work. What a person can put right is an answer, not an error.
    pub(crate) async fn run(&mut self, command: Command) -> Result<String, Problem> {
        match self.carry_out(command).await {
            Ok(words) | Err(Stop::Say(words)) => Ok(words),
            Err(Stop::Fail(problem)) => Err(problem),
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<String, Stop> {
        match command {
            Command::Add(draft) => self.add(draft).await,
            Command::List(listing) => self.list(listing).await,
            Command::Complete(target) => {
                let task = self.find(&target, "open").await?;
                let title = self.change(Tool::CompleteTask, task, Fields::new()).await?;
                Ok(format!("Completed \"{title}\"."))
            }
            Command::Delete(target) => {
                let task = self.find(&target, "all").await?;
                let title = self.change(Tool::DeleteTask, task, Fields::new()).await?;
                Ok(format!("Deleted \"{title}\"."))
            }
            Command::Rename(target, new) => {
                let task = self.find(&target, "open").await?;
                let title = self.change(Tool::UpdateTask, task, fields(&[("title", json!(new))])).await?;
                Ok(format!("Renamed to \"{title}\"."))
            }
            Command::Move(target, due) => {
                let task = self.find(&target, "open").await?;
                let title = self.change(Tool::UpdateTask, task, self.due_fields(due)).await?;
                Ok(format!("\"{title}\" is now due {}.", words_for(due, self.clock.zone)))
            }
            Command::Prioritize(target, priority) => {
                let task = self.find(&target, "open").await?;
                let title = self.change(Tool::UpdateTask, task, fields(&[("priority", json!(priority))])).await?;
                Ok(format!("\"{title}\" now has priority {priority}."))
            }
            Command::Notify => self.tell_notified(),
            Command::Help => Ok(HELP.to_owned()),
            Command::Ask(question) => Ok(question.to_owned()),
            Command::Unknown => Ok(UNKNOWN.to_owned()),
        }
    }

    async fn add(&mut self, draft: Draft) -> Result<String, Stop> {
        let mut arguments = fields(&[("title", json!(draft.title))]);
        arguments.extend(draft.due.map(|due| self.due_fields(due)).unwrap_or_default());
        arguments.extend(draft.priority.map(|priority| ("priority".to_owned(), json!(priority))));
        arguments.extend((!draft.tags.is_empty()).then(|| ("tags".to_owned(), json!(draft.tags))));
        arguments.extend(draft.rrule.as_ref().map(|rrule| ("rrule".to_owned(), json!(rrule))));
        self.call(Tool::CreateTask, arguments).await?;
        let due = draft.due.map(|due| format!(", due {}", words_for(due, self.clock.zone))).unwrap_or_default();
        let repeats = if draft.rrule.is_some() { ", and it repeats" } else { "" };
        Ok(format!("Added \"{}\"{due}{repeats}.", draft.title))
    }

    async fn list(&mut self, listing: Listing) -> Result<String, Stop> {
        let mut arguments = fields(&[("status", json!(listing.status))]);
        arguments.extend(listing.due_before.map(|moment| ("due_before".to_owned(), json!(moment))));
        arguments.extend(listing.tag.as_ref().map(|tag| ("tag".to_owned(), json!(tag))));
        let result = self.call(Tool::ListTasks, arguments).await?;
        let tasks = tasks_of(&result);
        let kind = match listing.status {
            "all" => "",
            status => status,
        };
        let head = match tasks.len() {
            0 => return Ok(format!("You have no {kind} tasks like that.").replace("  ", " ")),
            1 => format!("You have 1 {kind} task:"),
            count => format!("You have {count} {kind} tasks:"),
        };
        let more = if result["more"] == true { "\nThere are more than these." } else { "" };
        self.shows = Some(tasks.iter().map(|task| task.id).collect());
        Ok(format!("{}\n{}{more}", head.replace("  ", " "), self.numbered(&tasks)))
    }

    fn numbered(&self, tasks: &[Shown]) -> String {
        let lines =
            tasks.iter().enumerate().map(|(index, task)| format!("{}. {}", index + 1, task.line(self.clock.zone)));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The id of the task that is meant.
    async fn find(&mut self, target: &Target, status: &str) -> Result<Uuid, Stop> {
        match target {
            Target::Id(id) => return Ok(*id),
            Target::Number(number) if !self.shown.is_empty() => {
                return self.shown.get(number.wrapping_sub(1)).copied().ok_or_else(|| no_such(target));
            }
            Target::Number(_) | Target::Title(_) => {}
        }
        let mut arguments = fields(&[("status", json!(status))]);
        if let Target::Title(words) = target {
            // The longest word narrows the list; which task has all of the words is decided here.
            let longest = words.split_whitespace().max_by_key(|word| word.len());
            arguments.extend(longest.map(|word| ("query".to_owned(), json!(word))));
        }
        let result = self.call(Tool::ListTasks, arguments).await?;
        match choose(&tasks_of(&result), target) {
            Choice::One(task) => Ok(task.id),
            Choice::None => Err(no_such(target)),
            Choice::Several(tasks) => {
                self.shows = Some(tasks.iter().map(|task| task.id).collect());
                Err(Stop::Say(format!("Which one? Say its number.\n{}", self.numbered(&tasks))))
            }
        }
    }

    /// Calls a tool on one task; answers its title.
    async fn change(&mut self, tool: Tool, task: Uuid, changes: Fields) -> Result<String, Stop> {
        let mut arguments = fields(&[("task_id", json!(task))]);
        arguments.extend(changes);
        let result = self.call(tool, arguments).await?;
        Ok(result["title"].as_str().unwrap_or_default().to_owned())
    }

    fn tell_notified(&mut self) -> Result<String, Stop> {
        let Notified { words, call } = self.notified.take().ok_or_else(|| Stop::Fail(Problem::internal()))?;
        self.calls.push(call);
        Ok(words)
    }

    async fn call(&mut self, tool: Tool, arguments: Fields) -> Result<Value, Stop> {
        let (result, answer) = match tools::run(self.connection, self.user, tool, arguments.clone()).await {
            Ok(result) => (result.clone(), Ok(result)),
            Err(tools::Error::Refused(words)) => {
                (json!({"error": words}), Err(Stop::Say(format!("That does not work: {words}"))))
            }
            Err(tools::Error::Failed(problem)) => return Err(Stop::Fail(problem)),
        };
        let mut shown = fields(&[("user_id", json!(self.user.as_str()))]);
        shown.extend(arguments);
        self.calls.push(ToolCall { name: tool.name(), arguments: shown, result });
        answer
    }

    fn due_fields(&self, due: Due) -> Fields {
        let due = match due {
            Due::At(moment) => ("due_at", json!(moment)),
            Due::On(day) => ("due_date", json!(day)),
        };
        fields(&[due, ("time_zone", json!(self.clock.zone.name()))])
    }
}

fn no_such(target: &Target) -> Stop {
    Stop::Say(match target {
        Target::Number(number) => format!("There is no task {number} in the list. Write \"show my tasks\" to see it."),
        Target::Title(words) => format!("I found no such task: \"{words}\". Write \"show my tasks\" to see them."),
        Target::Id(id) => format!("There is no task {id}."),
    })
}

fn tasks_of(result: &Value) -> Vec<Shown> {
    result["tasks"].as_array().into_iter().flatten().filter_map(|task| Shown::deserialize(task).ok()).collect()
}

fn fields(pairs: &[(&str, Value)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
