//! The same spaces by another checker, stateright: the same number of situations, and the claims hold there as well.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hvrsim_check::act::{Act, Done};
use hvrsim_check::explore::{World0, acts};
use hvrsim_check::property;
use hvrsim_check::situation::{Key, describe, key};
use hvrsim_check::space::Bounds;
use stateright::{Checker, Model, Property};

use crate::{all_of, planned, start};

/// A situation, with a world that shows it.
#[derive(Clone)]
struct Situation {
    key: Key,
    world: Arc<World0>,
}

impl Situation {
    fn of(mut world: World0) -> Self {
        world.recorder.take();
        Self { key: key(&world), world: Arc::new(world) }
    }
}

impl PartialEq for Situation {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for Situation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(&self.world))
    }
}

struct Space(Bounds);

impl Model for Space {
    type State = Situation;
    type Action = Act;

    fn init_states(&self) -> Vec<Situation> {
        vec![Situation::of(start())]
    }

    fn actions(&self, situation: &Situation, all: &mut Vec<Act>) {
        all.extend(acts(&situation.world.world, &self.0));
    }

    fn next_state(&self, situation: &Situation, act: Act) -> Option<Situation> {
        let mut world = World0::clone(&situation.world);
        match act.perform(&mut world).expect("the store works") {
            Done::Nothing => None,
            Done::Answered(outcome) if outcome.refusal.is_some() => None,
            _ => Some(Situation::of(world)),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("claims", |_, s: &Situation| property::now(&s.world.world).is_ok()),
            Property::sometimes("the machine runs on the second host", |_, s: &Situation| {
                describe(&s.world).contains("HV2 Replica FailedOver, Running")
            }),
        ]
    }
}

#[test]
fn stateright_counts_the_same_situations() {
    for (bounds, runs_there) in [(planned(), true), (Bounds::resync(), false)] {
        let ours = all_of(&bounds, 2);
        let theirs = Space(bounds).checker().spawn_bfs().join();
        assert_eq!(theirs.unique_state_count(), ours.situations());
        assert_eq!(theirs.discovery("claims"), None);
        let there = theirs.discovery("the machine runs on the second host");
        assert_eq!(there.is_some(), runs_there);
    }
}
