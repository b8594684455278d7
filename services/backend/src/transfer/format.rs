//! How an export is written, task by task.

use serde::Deserialize;
use todo_common::tasks::Task;
use utoipa::ToSchema;

use super::table;

/// In which form.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    pub(super) const fn file_name(self) -> &'static str {
        match self {
            Self::Json => "tasks.json",
            Self::Csv => "tasks.csv",
        }
    }

    /// What stands before the tasks.
    pub(super) fn head(self) -> Vec<u8> {
        match self {
            Self::Json => br#"{"items":["#.to_vec(),
            Self::Csv => table::header(),
        }
    }

    pub(super) fn task(self, task: &Task, is_first: bool) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Json => {
                let mut text = if is_first { Vec::new() } else { b",".to_vec() };
                serde_json::to_writer(&mut text, task)?;
                Ok(text)
            }
            Self::Csv => Ok(table::write(std::slice::from_ref(task))),
        }
    }

    /// What stands after the tasks. A cursor needs no escapes.
    pub(super) fn tail(self, next_cursor: Option<&str>) -> Vec<u8> {
        match self {
            Self::Json => {
                let next_cursor = next_cursor.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
                format!("],\"next_cursor\":{next_cursor}}}").into_bytes()
            }
            Self::Csv => Vec::new(),
        }
    }
}
