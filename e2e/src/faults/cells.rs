//! Which fault happens to which request while which action is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use rand::{
    SeedableRng,
    rngs::StdRng,
    seq::{IteratorRandom, SliceRandom},
};

use super::{Action, Snapshot, actions::ByAction, rollouts::Counts};
use crate::proxy::{Fault, Rule, Target};

/// What can happen to a write.
pub const OF_WRITES: [Fault; 8] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::Refuse(409),
    Fault::Refuse(500),
    Fault::Refuse(422),
    Fault::CutAfter,
    Fault::HangAfter,
    Fault::Replay(Duration::from_secs(2)),
];
/// What can happen to a watch.
pub const OF_WATCHES: [Fault; 4] =
    [Fault::DropEvent, Fault::DelayEvent(Duration::from_secs(2)), Fault::Freeze, Fault::Gone];
/// Writes of one object in one action that faults happen to: an object may take several, one after the other. A Service that was
/// edited by hand takes the most, the last of which is the forced apply that ends its repair.
const IN_A_ROW: usize = 4;
/// Faults of one action in a sample.
const TOGETHER: usize = 3;

/// A kind of objects, and what goes wrong with a request or a watch of it.
pub type Group = (String, Fault);

/// What an action asked for and left when nothing went wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    /// What was written, without the namespace, and how often.
    pub(super) writes: BTreeMap<Target, usize>,
    /// What was there afterwards.
    pub(super) end: Snapshot,
    /// How often pods would have been replaced.
    pub(super) rollouts: Counts,
}

/// A platform's life when nothing goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// By action.
    pub(super) stages: ByAction<Stage>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// While this is under way.
    pub action: Action,
    /// To this request.
    pub on: Target,
    /// After so many others of the kind.
    pub after: usize,
    /// In this way.
    pub fault: Fault,
}

impl Course {
    /// The kinds of what was written in it.
    pub fn resources(&self) -> BTreeSet<&str> {
        self.stages.values().flat_map(|stage| stage.writes.keys()).map(|target| target.resource.as_str()).collect()
    }

    /// How many objects an action writes, or deletes: at least so many writes come of it whatever happens.
    pub fn writes(&self, action: Action) -> usize {
        let writes = self.stages.get(&action).map(|stage| stage.writes.keys());
        writes.into_iter().flatten().filter(|target| target.subresource.is_empty()).count()
    }

    /// All that can go wrong with the kinds that are meant.
    pub fn groups(&self, is_meant: impl Fn(&str) -> bool) -> BTreeSet<Group> {
        cells(self).iter().map(Cell::group).filter(|(resource, _)| is_meant(resource)).collect()
    }
}

impl Cell {
    /// Its kind of objects, and what goes wrong with it.
    pub fn group(&self) -> Group {
        (self.on.resource.clone(), self.fault)
    }

    pub(super) fn rule(&self, namespace: &str) -> Rule {
        let on = Target { namespace: namespace.to_owned(), ..self.on.clone() };
        match self.fault {
            Fault::Freeze => Rule::always(on, self.fault),
            fault => Rule::once_after(self.after, on, fault),
        }
    }

    /// Whether it has to happen. A watch may have no event just then; and what is only on the way need not be told if all
    /// is well again before the operator is, which another fault of the same action may have held up. One write may do where
    /// there were several.
    pub(super) fn is_sure(&self) -> bool {
        !self.fault.is_of_watches() && self.on.subresource != "status" && self.after == 0
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = if self.after == 0 { String::new() } else { format!(" after {}", self.after) };
        write!(f, "{:?}: {}{after}: {}", self.action, self.on, self.fault)
    }
}

/// What goes wrong in the life of one platform.
pub type Plan = Vec<Cell>;

/// Every cell.
fn cells(course: &Course) -> Vec<Cell> {
    let mut cells = BTreeSet::new();
    for (action, stage) in &course.stages {
        for (write, times) in &stage.writes {
            for after in 0..(*times).min(IN_A_ROW) {
                cells.extend(OF_WRITES.map(|fault| Cell { action: *action, on: write.clone(), after, fault }));
            }
            let watch = Target { verb: "watch", resource: write.resource.clone(), ..Target::default() };
            // Secrets are not watched.
            if write.resource != "secrets" {
                cells.extend(OF_WATCHES.map(|fault| Cell { action: *action, on: watch.clone(), after: 0, fault }));
            }
        }
    }
    cells.into_iter().collect()
}

/// Each cell once, one for each action of a life.
pub fn whole(course: &Course) -> Vec<Plan> {
    pack(cells(course), 1)
}

/// Each fault of each kind of object once, chosen by `seed`: first the action, each as likely, and then the object. Most writes
/// are the first action's, and chosen among all of them, nearly all faults would be its own, and lives hold few of one action.
pub fn sample(course: &Course, seed: u64) -> Vec<Plan> {
    sample_of(course, |_| true, seed)
}

/// The same for some kinds of objects.
pub fn sample_of(course: &Course, is_meant: impl Fn(&str) -> bool, seed: u64) -> Vec<Plan> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut groups: BTreeMap<Group, ByAction<Vec<Cell>>> = BTreeMap::new();
    for cell in cells(course).into_iter().filter(|cell| is_meant(&cell.on.resource)) {
        groups.entry(cell.group()).or_default().entry(cell.action).or_default().push(cell);
    }
    let mut chosen: Vec<Cell> = groups
        .into_values()
        .filter_map(|group| group.into_values().choose(&mut random)?.into_iter().choose(&mut random))
        .collect();
    chosen.shuffle(&mut random);
    pack(chosen, TOGETHER)
}

/// For what has not happened yet: of each group that is `missing` one cell of each action, alone in it. What does not happen in
/// one action may in another. Other faults may be why it did not: a write that they put off comes when a frozen stream
/// flows again, and what was written before a restart is listed and no event.
pub fn again(course: &Course, missing: &BTreeSet<Group>, seed: u64) -> Vec<Plan> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut groups: BTreeMap<(Group, Action), Vec<Cell>> = BTreeMap::new();
    for cell in cells(course).into_iter().filter(|cell| missing.contains(&cell.group())) {
        groups.entry((cell.group(), cell.action)).or_default().push(cell);
    }
    pack(groups.into_values().filter_map(|group| group.into_iter().choose(&mut random)).collect(), 1)
}

/// Puts cells into as few lives as possible, with at most `together` of each action, and of one request one.
fn pack(cells: Vec<Cell>, together: usize) -> Vec<Plan> {
    let mut plans: Vec<Plan> = Vec::new();
    for cell in cells {
        let fits = |plan: &&mut Plan| {
            let same_action = plan.iter().filter(|other| other.action == cell.action);
            same_action.clone().count() < together
                && same_action.clone().all(|other| other.on.resource != cell.on.resource)
        };
        match plans.iter_mut().find(fits) {
            Some(plan) => plan.push(cell),
            None => plans.push(vec![cell]),
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        let write = |resource: &str, name: &str| Target {
            verb: "patch",
            resource: resource.to_owned(),
            name: name.to_owned(),
            ..Target::default()
        };
        let stage = |writes: &[(Target, usize)]| Stage { writes: writes.iter().cloned().collect(), ..Stage::default() };
        let create = stage(&[(write("services", "a"), 1), (write("services", "b"), 2), (write("secrets", "s"), 1)]);
        let scale = stage(&[(write("services", "a"), 1)]);
        Course { stages: [(Action::Create, create), (Action::Scale, scale)].into() }
    }

    #[test]
    fn the_whole_has_every_fault_of_every_request_alone_in_its_action() {
        let plans = whole(&course());
        let all: Vec<_> = plans.iter().flatten().collect();
        assert_eq!(all.len(), 5 * OF_WRITES.len() + 2 * OF_WATCHES.len());
        assert!(plans.iter().all(|plan| plan.iter().filter(|cell| cell.action == Action::Create).count() <= 1));
    }

    #[test]
    fn each_write_of_a_repair_has_faults_the_last_of_them_too() {
        let mut course = course();
        let repaired = course.stages.values_mut().flat_map(|stage| stage.writes.values_mut()).max();
        *repaired.unwrap() = 4;
        let after: BTreeSet<usize> = cells(&course).iter().map(|cell| cell.after).collect();
        assert_eq!(after, (0..4).collect());
    }

    #[test]
    fn a_sample_has_each_fault_of_each_kind_once_and_is_the_same_for_the_same_seed() {
        let plans = sample(&course(), 7);
        assert_eq!(plans, sample(&course(), 7));
        assert_eq!(plans.iter().flatten().count(), 2 * OF_WRITES.len() + OF_WATCHES.len());
    }

    #[test]
    fn what_did_not_happen_is_tried_in_each_action_with_nothing_beside_it() {
        let missing: BTreeSet<Group> =
            [("services".to_owned(), Fault::CutAfter), ("services".to_owned(), Fault::Freeze)].into();
        let plans = again(&course(), &missing, 7);
        let all: Vec<&Cell> = plans.iter().flatten().collect();
        assert!(all.iter().all(|cell| missing.contains(&cell.group())));
        let each: BTreeSet<(Group, Action)> = all.iter().map(|cell| (cell.group(), cell.action)).collect();
        assert_eq!((each.len(), all.len()), (4, 4), "two faults in two actions");
        for plan in &plans {
            let actions: BTreeSet<Action> = plan.iter().map(|cell| cell.action).collect();
            assert_eq!(actions.len(), plan.len(), "another fault in the same action: {plan:?}");
        }
    }

    #[test]
    fn a_sample_has_a_cell_of_every_group() {
        let (course, all) = (course(), |_: &str| true);
        let of_sample: BTreeSet<Group> = sample(&course, 7).iter().flatten().map(Cell::group).collect();
        assert_eq!(of_sample, course.groups(all));
        assert_eq!(course.groups(|resource| resource == "secrets").len(), OF_WRITES.len());
        assert_eq!((course.writes(Action::Create), course.writes(Action::Delete)), (3, 0));
    }

    #[test]
    fn whatever_can_go_wrong_is_in_one_sample_or_another() {
        let samples: BTreeSet<Cell> = (0..100).flat_map(|seed| sample(&course(), seed)).flatten().collect();
        assert_eq!(samples, cells(&course()).into_iter().collect());
    }
}
