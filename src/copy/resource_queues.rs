//! The points of each resource that wait, oldest first. Pure.
//!
//! There are about as many resources as points: a point that waits is a link of its resource's list, which
//! costs no memory of its own.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::scheduler::ItemId;

/// All resources, by number.
#[derive(Debug, Default)]
pub(super) struct ResourceQueues {
    resources: Vec<Resource>,
    /// By the hash of the ARN. If two had the same, they would only wait for each other.
    index: HashMap<u64, u32>,
    hasher: RandomState,
    /// By vault, then by place in its ledger.
    slots: Vec<Vec<Slot>>,
}

/// A resource.
#[derive(Debug, Default)]
pub(super) struct Resource {
    /// Number of its type.
    pub(super) type_index: u16,
    /// Whether its turn is coming.
    pub(super) in_ring: bool,
    /// Its jobs under way.
    pub(super) in_flight: u32,
    first: Link,
    last: Link,
}

impl Resource {
    /// Whether a point of it waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.first.item().is_some()
    }
}

/// What is kept of each item.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Number of its resource.
    resource: u32,
    /// The one behind it, if it waits.
    next: Link,
}

/// An item or none, in the room of an item: no vault has a place of that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(ItemId);

impl Default for Link {
    fn default() -> Self {
        Self(ItemId {
            vault: u16::MAX,
            index: u32::MAX,
        })
    }
}

impl Link {
    fn item(self) -> Option<ItemId> {
        (self != Self::default()).then_some(self.0)
    }
}

impl ResourceQueues {
    /// Makes an item known, and answers its resource; `type_index` tells the type of a new one.
    pub(super) fn register(&mut self, id: ItemId, arn: &str, type_index: impl FnOnce() -> u16) -> u32 {
        let hash = self.hasher.hash_one(arn);
        let resource = *self.index.entry(hash).or_insert_with(|| {
            self.resources.push(Resource {
                type_index: type_index(),
                ..Resource::default()
            });
            // There are no more resources than items, whose numbers are of the same size.
            u32::try_from(self.resources.len() - 1).unwrap_or(u32::MAX)
        });
        let (vault, place) = places(id);
        if self.slots.len() <= vault {
            self.slots.resize(vault + 1, Vec::new());
        }
        if let Some(slots) = self.slots.get_mut(vault) {
            if slots.len() <= place {
                slots.resize(place + 1, Slot::default());
            }
            if let Some(slot) = slots.get_mut(place) {
                slot.resource = resource;
            }
        }
        resource
    }

    /// No item is made known any more: what was needed for that goes.
    pub(super) fn all_are_known(&mut self) {
        self.index = HashMap::new();
        self.resources.shrink_to_fit();
    }

    /// A resource.
    pub(super) fn get_mut(&mut self, resource: u32) -> Option<&mut Resource> {
        self.resources.get_mut(usize::try_from(resource).ok()?)
    }

    /// The resource of an item that is known.
    pub(super) fn resource_of(&mut self, id: ItemId) -> Option<u32> {
        self.slot(id).map(|slot| slot.resource)
    }

    /// An item waits behind the others of its resource.
    pub(super) fn push_back(&mut self, id: ItemId, resource: u32) {
        let Some(resource) = self.get_mut(resource) else {
            return;
        };
        let last = resource.last.item();
        resource.last = Link(id);
        if last.is_none() {
            resource.first = Link(id);
        }
        if let Some(slot) = last.and_then(|last| self.slot(last)) {
            slot.next = Link(id);
        }
    }

    /// An item waits before the others of its resource.
    pub(super) fn push_front(&mut self, id: ItemId, resource: u32) {
        let Some(resource) = self.get_mut(resource) else {
            return;
        };
        let first = std::mem::replace(&mut resource.first, Link(id));
        if first.item().is_none() {
            resource.last = Link(id);
        }
        if let Some(slot) = self.slot(id) {
            slot.next = first;
        }
    }

    /// The first that waits, which waits no longer.
    pub(super) fn pop_front(&mut self, resource: u32) -> Option<ItemId> {
        let first = self.get_mut(resource)?.first.item()?;
        let next = std::mem::take(&mut self.slot(first)?.next);
        let resource = self.get_mut(resource)?;
        resource.first = next;
        if next.item().is_none() {
            resource.last = next;
        }
        Some(first)
    }

    fn slot(&mut self, id: ItemId) -> Option<&mut Slot> {
        let (vault, place) = places(id);
        self.slots.get_mut(vault)?.get_mut(place)
    }
}

fn places(id: ItemId) -> (usize, usize) {
    (
        usize::from(id.vault),
        usize::try_from(id.index).unwrap_or(usize::MAX),
    )
}
