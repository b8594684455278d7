//! One step of a plan: the calls that it takes, and what became of it.

use std::time::Instant;

use kube::core::DynamicObject;

use super::{Failure, WriteError, Writer};
use crate::{
    class::Class,
    plan::{
        Action, Hold, Identity, Present, Scaling, Standing, Step,
        diff::in_order,
        ownership::{FieldConflict, field_conflicts, standing},
    },
    runtime::metrics,
};

/// What became of one step.
pub(super) enum Outcome {
    /// The resource version that an apply left.
    Written(Option<String>),
    /// It was there already, just as it should be.
    InOrder,
    Foreign(String),
    /// It is left as it is, for the reason in words.
    Held(Hold, String),
    Failed(WriteError),
    /// It failed before, and it is too soon for another try.
    TooSoon(Failure),
    /// Others claim fields of what was to be applied.
    Conflict(Vec<FieldConflict>, Box<DynamicObject>),
}

/// Makes the calls of a step.
pub(super) async fn run(writer: &Writer, identity: &Identity, step: &Step) -> Outcome {
    let begun = Instant::now();
    let outcome = match &step.action {
        Action::Apply { body, present: None, .. } => make(writer, identity, step, (**body).clone()).await,
        Action::Apply { body, present: Some(present), .. } => match change_hands(writer, step, body, present).await {
            Ok(()) => change(writer, step, of_uid(body, present)).await,
            Err(error) => Outcome::Failed(error),
        },
        Action::Create(body) => match writer.create(&step.resource, body).await {
            // If somebody was faster, theirs is used.
            Ok(_) => Outcome::Written(None),
            Err(error) => Outcome::Failed(error),
        },
        Action::Relabel(patch) => match writer.merge(&step.resource, &step.key.name, patch).await {
            Ok(_) => Outcome::Written(None),
            Err(error) => Outcome::Failed(error),
        },
    };
    metrics::applied(begun.elapsed());
    outcome
}

/// Leaves the number of pods to an autoscaler, or ends that it was left to one. In both cases before the apply that says so: if
/// it is cut off, the next pass does it again.
async fn change_hands(writer: &Writer, step: &Step, body: &DynamicObject, present: &Present) -> Result<(), WriteError> {
    match present.scaling {
        Scaling::HandedOver(replicas) => writer.hand_over(&step.resource, &step.key.name, &present.uid, replicas).await,
        Scaling::TakenOver => writer.end_scaling(&step.resource, body, &present.uid).await,
        Scaling::Kept => Ok(()),
    }
}

/// What is applied to exactly the object that is there.
fn of_uid(body: &DynamicObject, present: &Present) -> DynamicObject {
    let mut body = body.clone();
    body.metadata.uid = Some(present.uid.clone());
    body
}

/// Applies what is not known to be there, without a look before. What somebody else made meanwhile stays as it is.
async fn make(writer: &Writer, identity: &Identity, step: &Step, mut body: DynamicObject) -> Outcome {
    let refused = match writer.apply_new(&step.resource, &mut body).await {
        Ok(version) => return Outcome::Written(version),
        Err(error) if error.class() == Class::Conflict => error,
        Err(error) => return Outcome::Failed(error),
    };
    match writer.get(&step.resource, &step.key.name).await {
        Ok(None) => Outcome::Failed(refused),
        // A watch that lost an event does not know it, and would have it written again and again.
        Ok(Some(present)) if is_ours_and_in_order(identity, &body, &present) => Outcome::InOrder,
        Ok(Some(present)) => match standing(identity, &present.metadata) {
            Standing::Ours => {
                body.metadata.uid = present.metadata.uid;
                change(writer, step, body).await
            }
            Standing::Leaving(reason) => Outcome::Held(Hold::Leaving, reason),
            Standing::Foreign(message) => Outcome::Foreign(message),
        },
        Err(error) => Outcome::Failed(error),
    }
}

fn is_ours_and_in_order(identity: &Identity, body: &DynamicObject, present: &DynamicObject) -> bool {
    standing(identity, &present.metadata) == Standing::Ours && in_order(body, present)
}

/// Applies to exactly the object whose UID `body` has.
async fn change(writer: &Writer, step: &Step, body: DynamicObject) -> Outcome {
    match writer.apply(&step.resource, &body, false).await {
        Ok(version) => Outcome::Written(version),
        Err(error) => match error.status().map(field_conflicts) {
            Some(conflicts) if !conflicts.is_empty() => Outcome::Conflict(conflicts, Box::new(body)),
            _ if error.class() == Class::Invalid => overwrite(writer, step, &body, error).await,
            _ => Outcome::Failed(error),
        },
    }
}

/// Puts right what an apply cannot: it adds our items to a list and leaves those of others, and both together may be
/// invalid, for example two ports of a Service with one name. So all lists are made ours first.
async fn overwrite(writer: &Writer, step: &Step, body: &DynamicObject, refused: WriteError) -> Outcome {
    match writer.overwrite(&step.resource, body).await {
        Ok(()) => match writer.apply(&step.resource, body, true).await {
            Ok(version) => Outcome::Written(version),
            Err(error) => Outcome::Failed(error),
        },
        // What was refused first says more about what is wrong.
        Err(_) => Outcome::Failed(refused),
    }
}
