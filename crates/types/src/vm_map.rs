//! A map by machine, for hosts with thousands of them: a machine's entry is where its number says.

use std::collections::BTreeMap;
use std::ops::Index;

use serde::{Deserialize, Serialize};

use crate::id::VmId;

/// Values by [`VmId`], in the order of the ids. What ordinary machines have is found by index; test machines, whose ids
/// are large, are searched for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VmMap<V> {
    /// Never ends in an empty place, so that equal maps are equal in memory.
    ordinary: Vec<Option<Box<V>>>,
    others: BTreeMap<VmId, Box<V>>,
}

impl<V> Default for VmMap<V> {
    fn default() -> Self {
        Self { ordinary: Vec::new(), others: BTreeMap::new() }
    }
}

/// The index of an ordinary machine.
fn place(vm: VmId) -> Option<usize> {
    (vm == vm.machine()).then_some(vm.index())
}

impl<V> VmMap<V> {
    /// The value of a machine.
    #[must_use]
    pub fn get(&self, vm: &VmId) -> Option<&V> {
        match place(*vm) {
            Some(at) => self.ordinary.get(at)?.as_deref(),
            None => self.others.get(vm).map(Box::as_ref),
        }
    }

    /// The value of a machine, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, vm: &VmId) -> Option<&mut V> {
        match place(*vm) {
            Some(at) => self.ordinary.get_mut(at)?.as_deref_mut(),
            None => self.others.get_mut(vm).map(Box::as_mut),
        }
    }

    /// Whether the machine has a value.
    #[must_use]
    pub fn contains_key(&self, vm: &VmId) -> bool {
        self.get(vm).is_some()
    }

    /// Sets the value of a machine; gives back the one before.
    pub fn insert(&mut self, vm: VmId, value: V) -> Option<V> {
        let value = Box::new(value);
        let before = match place(vm) {
            Some(at) => {
                if at >= self.ordinary.len() {
                    self.ordinary.resize_with(at + 1, || None);
                }
                self.ordinary[at].replace(value)
            }
            None => self.others.insert(vm, value),
        };
        before.map(|value| *value)
    }

    /// Takes the value of a machine out.
    pub fn remove(&mut self, vm: &VmId) -> Option<V> {
        let value = match place(*vm) {
            Some(at) => {
                let value = self.ordinary.get_mut(at)?.take();
                while self.ordinary.last().is_some_and(Option::is_none) {
                    self.ordinary.pop();
                }
                value
            }
            None => self.others.remove(vm),
        };
        value.map(|value| *value)
    }

    /// The value of a machine; a default one is made if there is none.
    pub fn or_default(&mut self, vm: VmId) -> &mut V
    where
        V: Default,
    {
        if !self.contains_key(&vm) {
            self.insert(vm, V::default());
        }
        self.get_mut(&vm).expect("it has one now")
    }

    /// All machines with their values.
    pub fn iter(&self) -> impl Iterator<Item = (VmId, &V)> {
        let ordinary = (0..).zip(&self.ordinary).filter_map(|(n, v)| Some((VmId(n), v.as_deref()?)));
        ordinary.chain(self.others.iter().map(|(vm, value)| (*vm, value.as_ref())))
    }

    /// All machines.
    pub fn keys(&self) -> impl Iterator<Item = VmId> + '_ {
        self.iter().map(|(vm, _)| vm)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<V> Index<&VmId> for VmMap<V> {
    type Output = V;

    fn index(&self, vm: &VmId) -> &V {
        self.get(vm).expect("the machine has a value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_in_the_order_of_ids() {
        let mut map = VmMap::default();
        let (a, b, test) = (VmId(4), VmId(1), VmId(1).test());
        assert_eq!((map.insert(a, 'a'), map.insert(b, 'b'), map.insert(test, 't')), (None, None, None));
        assert_eq!(map.insert(a, 'A'), Some('a'));
        assert_eq!(map.iter().map(|(vm, c)| (vm, *c)).collect::<Vec<_>>(), [(b, 'b'), (a, 'A'), (test, 't')]);
        assert_eq!(
            (map[&test], map.get(&VmId(0)), map.get(&VmId(9)), map.contains_key(&b)),
            ('t', None, None, true)
        );
        *map.or_default(VmId(2)) = 'c';
        assert_eq!((map.remove(&a), map.remove(&a), map.remove(&VmId(2))), (Some('A'), None, Some('c')));
        let mut same = VmMap::default();
        same.insert(test, 't');
        same.insert(b, 'b');
        assert_eq!(map, same);
        assert_eq!(map.remove(&test), Some('t'));
        assert_eq!(map.keys().collect::<Vec<_>>(), [b]);
    }
}
