//! Makes a failing trace short: acts are cut out, first halves, then single ones; what is left is made simpler; the
//! world is made smaller. Each trial is the whole walk again, recovery included, and counts if the same claim fails.

use hvrsim_sim::store::{Stamps, StoreResult};
use hvrsim_types::id::HostId;
use hvrsim_types::time::Span;

use crate::act::{Act, Turn, With};
use crate::property::Violation;
use crate::small::Shape;
use crate::walk::again;

/// A trace that shows a violation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failing {
    /// The world.
    pub shape: Shape,
    /// Its seed.
    pub seed: u64,
    /// What is done in it.
    pub acts: Vec<Act>,
    /// What fails.
    pub violation: Violation,
}

/// More trials are not worth their time.
const TRIALS: usize = 4_000;

struct Trials {
    best: Failing,
    left: usize,
}

impl Trials {
    /// Tries another trace; it is the best one from now on if the same claim fails. Tells whether it is.
    fn take(&mut self, shape: &Shape, acts: &[Act]) -> StoreResult<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        let (walked, _) = again(shape, Stamps::default(), self.best.seed, acts)?;
        let Some(violation) = walked.violation.filter(|violation| self.is_same(violation)) else {
            return Ok(false);
        };
        self.best = Failing { shape: shape.clone(), acts: walked.acts, violation, ..self.best };
        Ok(true)
    }

    /// A claim that fails for another reason is another failure, as far as its words tell.
    fn is_same(&self, violation: &Violation) -> bool {
        let words = |v: &Violation| v.found.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let best = &self.best.violation;
        violation.claim == best.claim && (violation.claim != "panic" || words(violation) == words(best))
    }

    fn cut(&mut self) -> StoreResult<bool> {
        let before = self.best.acts.len();
        let mut size = before.div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.acts.len() {
                let acts = &self.best.acts;
                let to = (from + size).min(acts.len());
                let fewer = [&acts[..from], &acts[to..]].concat();
                let shape = self.best.shape.clone();
                if !self.take(&shape, &fewer)? {
                    from = to;
                }
            }
            size /= 2;
        }
        Ok(self.best.acts.len() < before)
    }

    fn simplify(&mut self) -> StoreResult<bool> {
        let mut changed = false;
        for at in 0..self.best.acts.len() {
            let Some(act) = self.best.acts.get(at).copied() else { break };
            for simpler in simpler(act) {
                let mut acts = self.best.acts.clone();
                acts[at] = simpler;
                let shape = self.best.shape.clone();
                if self.take(&shape, &acts)? {
                    changed = true;
                    break;
                }
            }
        }
        Ok(changed)
    }

    fn smaller(&mut self) -> StoreResult<()> {
        let usual = Shape::default();
        let shape = self.best.shape.clone();
        let worlds = [
            Shape { profile: usual.profile.clone(), ..shape.clone() },
            Shape { used: 1, ..shape.clone() },
            Shape { link_rate: usual.link_rate, disk_rate: usual.disk_rate, ..shape.clone() },
            Shape { vms: 1, ..shape.clone() },
            Shape { hosts: 2, ..shape },
        ];
        for world in worlds {
            // What an earlier one has made smaller stays so.
            let best = &self.best.shape;
            let world = Shape {
                profile: if world.profile == usual.profile { world.profile } else { best.profile.clone() },
                used: world.used.min(best.used),
                vms: world.vms.min(best.vms),
                hosts: world.hosts.min(best.hosts),
                ..world
            };
            if world != *best {
                let acts = self.best.acts.clone();
                self.take(&world, &acts)?;
            }
        }
        Ok(())
    }
}

/// Acts that say less, the least first.
fn simpler(act: Act) -> Vec<Act> {
    match act {
        Act::Ask(copy, call, with) if with != With::Defaults => vec![Act::Ask(copy, call, With::Defaults)],
        Act::Write { copy, block, blocks } if (block, blocks) != (0, 1) => {
            vec![Act::Write { copy, block: 0, blocks: 1 }, Act::Write { copy, block: 0, blocks }]
        }
        Act::Wait(span) => {
            let spans = [Span::MINUTE, Span::minutes(6), Span::HOUR];
            spans.into_iter().filter(|simple| *simple < span).map(Act::Wait).collect()
        }
        Act::Power(host, Turn::Off) => vec![Act::Power(host, Turn::Lost)],
        Act::Cut(a, b) if b != HostId(1) => vec![Act::Cut(a, HostId(1))],
        _ => Vec::new(),
    }
}

/// The shortest and simplest trace that is found to fail as this one does.
///
/// # Errors
/// The store failed.
pub fn shrink(failing: Failing) -> StoreResult<Failing> {
    let mut trials = Trials { best: failing, left: TRIALS };
    loop {
        let shorter = trials.cut()?;
        let simpler = trials.simplify()?;
        if !shorter && !simpler {
            break;
        }
    }
    trials.smaller()?;
    trials.cut()?;
    Ok(trials.best)
}
