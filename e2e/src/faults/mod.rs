//! The operator while things go wrong: its program as a process on a bare control plane, with a proxy between them.

mod actions;
mod cells;
mod ground;
mod leaves;
mod lives;
mod operator;
mod player;
mod poison;
mod rest;
mod rollouts;
mod snapshot;
mod walk;

pub use actions::{Action, Life};
pub use cells::{Cell, Course, Group, OF_WATCHES, OF_WRITES, Plan, again, sample, sample_of, whole};
pub use ground::{APPS, Ground, SETTLED};
pub use leaves::{Changed, Leaf};
pub use lives::{Lived, TOGETHER};
pub use operator::{Operator, Options, PROGRAMS, program};
pub use player::Player;
pub use rest::{AtRest, EMBEDDED, EXTERNAL, Named};
pub use snapshot::{Kinds, Snapshot};
pub use walk::{Followed, Walk, Walked};
