//! Tasks. Every change writes its event to the outbox on the caller's connection, which must be in a transaction.

mod calendar;
mod draft;
mod due;
mod error;
mod event;
mod export;
mod import;
mod input;
mod lifecycle;
mod list;
mod model;
mod reminders;
mod row;
mod search;
mod successor;
mod table;
mod timestamp;
mod user_id;
mod write;

pub use calendar::{DueTask, list_due};
pub use due::{Due, to_instant};
pub use error::TaskError;
pub use export::count_from_here;
pub use import::{Importable, ImportedTask, import};
pub use input::{NewTask, TaskPatch};
pub use lifecycle::{complete, delete, reopen, restore};
pub use list::{Page, Sort, StatusFilter, TaskFilter, cursor_after, list};
pub use model::{Priority, Recurrence, Reminder, Status, Task};
pub use reminders::reminder_message;
pub use successor::{Successor, create_successor, create_successors};
pub use user_id::UserId;
pub use write::{create, get, update, update_with};
