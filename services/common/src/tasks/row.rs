//! A task as it is stored, and what a change of its content makes of its place in a series. [`super::table`] reads and writes it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Due, Priority, Recurrence, Status, Task, UserId,
    draft::{Draft, zone_of},
};
use crate::recurrence::{self, Place};

/// A task with what the API does not show.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) task: Task,
    pub(super) occurrence_key: Option<String>,
    pub(super) series_start: Option<Due>,
    pub(super) spawned_by: Option<Uuid>,
    pub(super) undone: bool,
}

impl Row {
    /// A new task with the content of `draft`.
    pub(super) fn new(id: Uuid, user: &UserId, draft: Draft, now: DateTime<Utc>) -> Self {
        let task = Task {
            id,
            user_id: user.clone(),
            title: String::new(),
            notes: None,
            status: Status::Open,
            priority: Priority::None,
            tags: Vec::new(),
            due_at: None,
            due_date: None,
            time_zone: String::new(),
            recurrence: None,
            reminders: Vec::new(),
            completed_at: None,
            series_id: None,
            version: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let mut row = Self { task, occurrence_key: None, series_start: None, spawned_by: None, undone: false };
        row.fill(draft);
        row
    }

    /// Takes over the content of `draft`. A task that begins to repeat begins a series; one whose rule, due time or zone
    /// changes stays in its series, whose rule counts from here; says whether it does.
    pub(super) fn fill(&mut self, draft: Draft) -> bool {
        let old = Draft::of(&self.task);
        let counts_anew = (&old.recurrence, old.due, old.zone) != (&draft.recurrence, draft.due, draft.zone);
        if counts_anew {
            self.series_start = draft.recurrence.as_ref().and(draft.due);
        }
        if draft.recurrence.is_some() && self.task.series_id.is_none() {
            self.task.series_id = Some(self.task.id);
            self.occurrence_key = Some(recurrence::first_key(draft.due, draft.zone));
        }
        self.task.title = draft.title;
        self.task.notes = draft.notes;
        self.task.priority = draft.priority;
        self.task.tags = draft.tags;
        (self.task.due_at, self.task.due_date) = match draft.due {
            Some(Due::At(at)) => (Some(at), None),
            Some(Due::On(day)) => (None, Some(day)),
            None => (None, None),
        };
        draft.zone.name().clone_into(&mut self.task.time_zone);
        self.task.recurrence = draft.recurrence;
        self.task.reminders = draft.reminders;
        counts_anew
    }

    /// Takes over what a user has changed. Where an occurrence is moved of a rule that counts its dates, these are not counted
    /// anew: the rule says from then on what is left of them.
    pub(super) fn change(&mut self, draft: Draft) {
        let counts_from_here = self.take_over(draft);
        // It leaves the place that it had, which may be one of the dates that follow now.
        if counts_from_here && matches!(self.task.recurrence, Some(Recurrence::Rrule(_))) {
            self.occurrence_key = Some(recurrence::first_key(self.task.due(), zone_of(&self.task)));
        }
    }

    /// Says whether the rule counts from here on.
    fn take_over(&mut self, mut draft: Draft) -> bool {
        let is_moved = self.task.recurrence == draft.recurrence
            && (self.task.due(), zone_of(&self.task)) != (draft.due, draft.zone)
            && draft.recurrence.as_ref().is_some_and(recurrence::is_counted);
        let (Some(place), Some(due), true) = (self.place(), draft.due, is_moved) else { return self.fill(draft) };
        let left = recurrence::left_from(&place, due, draft.zone);
        let start = self.series_start;
        let is_last = left.is_none();
        draft.recurrence = left.or(draft.recurrence);
        let counts_from_here = self.fill(draft);
        if is_last {
            // Nothing follows it, wherever it is.
            self.series_start = start;
        }
        counts_from_here && !is_last
    }

    /// Where it stands in its series, if it repeats from a due time or day on.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let due = self.task.due()?;
        let start = self.series_start.unwrap_or(due);
        let key = self.occurrence_key.as_deref();
        Some(Place { recurrence: self.task.recurrence.as_ref()?, start, key, due, zone: zone_of(&self.task) })
    }

    /// Whether both are in the same place of the same series.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        (self.task.series_id, &self.occurrence_key) == (other.task.series_id, &other.occurrence_key)
    }

    /// Counts a change.
    pub(super) fn touch(&mut self, now: DateTime<Utc>) {
        self.task.version += 1;
        self.task.updated_at = now;
    }

    /// Leaves its place in the series to others.
    pub(super) fn step_aside(&mut self) {
        self.occurrence_key = self.occurrence_key.as_deref().map(|key| recurrence::beside(key, self.task.id));
    }
}
