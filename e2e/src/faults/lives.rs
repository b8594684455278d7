//! Many lives at the same time, each with faults of its own.

use futures::{StreamExt, stream};

use super::{Cell, Course, Ground, Plan};

/// Lives at the same time, on two processors and with operators of a debug build.
pub const TOGETHER: usize = 8;

/// What became of many lives.
#[derive(Clone, Debug, Default)]
pub struct Lived {
    /// Faults that were planned.
    pub planned: usize,
    /// Faults that happened. Whether a watch has an event for one is a matter of chance.
    pub happened: Vec<Cell>,
    /// What was wrong, of each life that ended wrong.
    pub wrong: Vec<String>,
}

impl Ground {
    /// Lives each of `plans` in a namespace of its own, so many `together`, and tells of what is wrong as soon as it is seen.
    pub async fn live(&self, plans: &[Plan], course: &Course, together: usize) -> anyhow::Result<Lived> {
        let all = stream::iter(plans)
            .map(async |plan| self.another_walk().await?.disturbed(plan, course).await)
            .buffer_unordered(together);
        let mut all = std::pin::pin!(all);
        let mut lived = Lived { planned: plans.iter().map(Vec::len).sum(), ..Lived::default() };
        while let Some(walked) = all.next().await {
            let walked = walked?;
            lived.happened.extend(walked.happened);
            if let Some(first) = walked.wrong.first() {
                println!("\n{first}");
            }
            lived.wrong.extend(walked.wrong);
        }
        Ok(lived)
    }
}
